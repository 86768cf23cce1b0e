"""Simple storage and pages of apps: checks 78 and 83 of protocol.md section 8.5."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import httpx
import pytest
import trio
import trustme

import mentra_trio
from mentra_trio.clients.glasses import Glasses, open_glasses
from mentra_trio.wire.user_tokens import make_key_pem, public_pem, read_key

from .real_app import RealApp, Step
from .running_server import NO_TLS, RunningServer
from .sockets import open_phone
from .steps import start
from .timeline import eventually

STORAGE = "/api/sdk/simple-storage"


def storage(method: str, *args: object) -> Step:
    """The step that calls the SDK's own storage."""
    return {"call": f"simpleStorage.{method}", "args": list(args)}


async def stored(
    server: RunningServer, app: RealApp, user: str, method: str = "GET", **more: Any
) -> httpx.Response:
    """What the app's server gets past the SDK."""
    headers = {"Authorization": f"Bearer {app.package}:{more.pop('key', app.api_key)}"}
    url = f"{server.url}{STORAGE}/{quote(user, safe='')}"
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=20) as client:
        return await client.request(method, url, headers=headers, **more)


# -- 78 ---------------------------------------------------------------------------------


async def test_78_what_the_sdk_sets_is_kept_and_found_again(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    assert await app_a.run(user, storage("get", "colour")) is None
    await app_a.run(
        user,
        storage("set", "colour", "red"),
        storage("set", "ü/ &?", "字😀"),
        storage("set", "long", "x" * 100_000),
        storage("flush"),
    )
    answer = await stored(server, app_a, user)
    expected = {"colour": "red", "ü/ &?": "字😀", "long": "x" * 100_000}
    assert (answer.status_code, answer.json()) == (200, {"success": True, "data": expected})

    assert await app_a.run(user, storage("delete", "ü/ &?")) is True
    assert await app_a.run(user, storage("delete", "never there")) is True
    assert (await stored(server, app_a, user)).json()["data"].keys() == {"colour", "long"}

    await phone.send("stop_app", packageName=app_a.package)
    await app_a.seen.first(event="stopped", user=user)
    await phone.send("start_app", packageName=app_a.package)
    await app_a.running(user, number=2)
    assert await app_a.run(user, storage("get", "colour")) == "red"
    assert sorted(await app_a.run(user, storage("keys"))) == ["colour", "long"]
    assert await app_a.run(user, storage("clear")) is True
    assert (await stored(server, app_a, user)).json()["data"] == {}


async def test_78_what_waits_is_written_when_the_app_stops(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await app_a.run(user, storage("set", "k", "v"))
    assert (await stored(server, app_a, user)).json()["data"] == {}
    await phone.send("stop_app", packageName=app_a.package)
    await app_a.seen.first(event="stopped", user=user)
    await eventually(
        partial(stored, server, app_a, user),
        lambda answer: answer.json()["data"] == {"k": "v"},
    )


async def test_78_the_sdk_is_told_what_is_too_much(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    for number in range(11):
        await app_a.run(user, storage("set", str(number), "x" * 100_000))
    with pytest.raises(AssertionError, match="total size exceeds 1MB limit"):
        await app_a.run(user, storage("flush"))
    assert (await stored(server, app_a, user)).json()["data"] == {}
    with pytest.raises(AssertionError, match="exceeds 100KB limit"):
        await app_a.run(user, storage("set", "k", "x" * 100_001))
    answer = await stored(server, app_a, user, "PUT", json={"data": {"k": "x" * 100_001}})
    assert (answer.status_code, answer.json()["success"]) == (400, False)


async def test_78_a_wrong_key_and_too_many_requests(
    server: RunningServer, app_a: RealApp, user: str
) -> None:
    for _ in range(120):
        answer = await stored(server, app_a, user, key="wrong")
        assert answer.status_code == 401
    assert {"error", "message"} <= answer.json().keys()
    statuses = [(await stored(server, app_a, user)).status_code for _ in range(101)]
    assert statuses == [200] * 100 + [429]


# -- 83, and pages of apps ---------------------------------------------------------------


async def exchanged(server: RunningServer, token: str, package: str, key: str) -> httpx.Response:
    """What the cloud answers to an app's server that presents a token."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return await client.post(
            f"{server.url}/api/auth/exchange-user-token",
            headers={"Authorization": f"Bearer {key}"},
            json={"aos_temp_token": token, "packageName": package},
        )


async def test_83_a_temporary_token_is_exchanged_once(
    server: RunningServer, app_a: RealApp, app_b: RealApp, user: str
) -> None:
    body = {"packageName": app_a.package}
    answer = await server.post("/auth/generate-webview-token", user, body)
    token = answer.json()["token"]
    assert (await exchanged(server, token, app_b.package, app_b.api_key)).status_code == 401
    assert (await exchanged(server, token, app_a.package, app_b.api_key)).status_code == 401
    answer = await exchanged(server, token, app_a.package, app_a.api_key)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "userId": user})
    assert (await exchanged(server, token, app_a.package, app_a.api_key)).status_code == 401


@attrs.frozen(kw_only=True)
class Secure:
    """A server with TLS, an app that trusts it and knows its key, and a user of both."""

    server: mentra_trio.Server
    app: RealApp
    phone: httpx.AsyncClient
    glasses: Glasses
    user: str

    async def token(self, kind: str) -> str:
        """A token for the app's page, as the phone asks for it."""
        path = f"/api/auth/generate-webview-{kind}"
        answer = await self.phone.post(path, json={"packageName": self.app.package})
        token: str = answer.json()["token"]
        return token

    async def checksum(self, address: str) -> httpx.Response:
        """The checksum of an address, as the phone asks for it."""
        body = {"stringToHash": address, "packageName": self.app.package}
        return await self.phone.post("/api/auth/hash-with-api-key", json=body)

    async def look(self, **query: str) -> dict[str, Any]:
        """Who looks at the app's page, as the SDK has it."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as browser:
            answer = await browser.get(f"{self.app.url}/webview", params=query)
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def secure(
    node: None, tmp_path: Path, nursery: trio.Nursery, user: str
) -> AsyncGenerator[Secure]:
    """A server with TLS and what belongs to it; the app runs."""
    authority, pem = trustme.CA(), make_key_pem()
    certificate = authority.issue_cert("127.0.0.1")
    cert, key, ca = (tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(cert))
    certificate.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(ca))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    environ = {
        "NODE_EXTRA_CA_CERTS": str(ca),
        "MENTRAOS_CLOUD_USER_TOKEN_PUBLIC_KEY": public_pem(read_key(pem)),
    }
    app = RealApp("com.t.secure", "key of secure", tmp_path / "secure.log", environ=environ)
    await trio.to_thread.run_sync(app.start)
    await nursery.start(app.watch)
    config = mentra_trio.Config(port=0, tls_cert=cert, tls_key=key, user_token_key=pem)
    async with mentra_trio.open_server(config) as server:
        await server.apps.add(app.package, url=app.url, api_key=app.api_key, permissions=["ALL"])
        token = server.token(user)
        headers = {"authorization": f"Bearer {token}"}
        async with (
            open_glasses(server.url, token, ssl_context=trust) as glasses,
            httpx.AsyncClient(
                base_url=server.http_url, verify=trust, trust_env=False, headers=headers
            ) as phone,
        ):
            assert (await server.start_app(user, app.package)).success
            await app.running(user)
            yield Secure(server=server, app=app, phone=phone, glasses=glasses, user=user)
            await server.stop_app(user, app.package)
    await trio.to_thread.run_sync(app.end)


async def test_83_the_sdk_takes_a_signed_user_token(secure: Secure) -> None:
    nobody = {"user": None, "active": None}
    assert await secure.look() == nobody
    token = await secure.token("signed-user-token")
    found = await secure.look(aos_signed_user_token=token)
    assert found == {"user": secure.user, "active": secure.app.session_of(secure.user)}
    head, payload, signature = token.split(".")
    forged = f"{head}.{payload}.{signature[:-8]}AAAAAAAA"
    assert await secure.look(aos_signed_user_token=forged) == nobody


async def test_83_the_sdk_takes_the_token_of_the_apps_own_page(secure: Secure) -> None:
    key_hash = hashlib.sha256(secure.app.api_key.encode()).hexdigest()
    answer = await secure.checksum(secure.user)
    expected = hashlib.sha256((secure.user + key_hash).encode()).hexdigest()
    assert answer.json() == {"success": True, "hash": expected}
    found = await secure.look(aos_frontend_token=f"{secure.user}:{expected}")
    assert found["user"] == secure.user


async def test_83_the_sdk_exchanges_a_temporary_token_where_the_checksum_says(
    secure: Secure,
) -> None:
    address = secure.server.http_url
    assert address.startswith("https://")
    checksum = (await secure.checksum(address)).json()["hash"]
    token = await secure.token("token")
    where = {"cloudApiUrl": address, "cloudApiUrlChecksum": checksum}
    wrong = {**where, "cloudApiUrlChecksum": "0" * 64}
    assert (await secure.look(aos_temp_token=token, **wrong))["user"] is None
    found = await secure.look(aos_temp_token=token, **where)
    assert found == {"user": secure.user, "active": secure.app.session_of(secure.user)}
    assert (await secure.look(aos_temp_token=token, **where))["user"] is None, "once"


async def test_83_no_checksum_leads_the_apps_key_astray(secure: Secure) -> None:
    for address in ("https://evil.example", "victim@x.org"):
        assert (await secure.checksum(address)).status_code == 403
