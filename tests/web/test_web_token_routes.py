"""Tokens for phones and for pages of apps (protocol.md 1.4, 1.6)."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
import trio

from mentra_trio.domain.ids import package_name
from mentra_trio.wire.tokens import verify_core_token
from mentra_trio.wire.user_tokens import public_pem

from .site_under_test import (
    ADMIN,
    AS_USER,
    NOW,
    PACKAGE,
    SECRET,
    SUPABASE_SECRET,
    USER,
    Site,
    user_token_key,
)

OTHER = package_name("com.t.b")
BASES = pytest.mark.parametrize("base", ["/auth", "/api/auth", "/s/tok/api/auth"])
FOR_USERS = ("generate-webview-token", "generate-webview-signed-user-token", "hash-with-api-key")
KEY_HASH = hashlib.sha256(b"key").hexdigest()


async def temporary_token(site: Site, package: str = PACKAGE) -> str:
    path = "/auth/generate-webview-token"
    answer = await site.post(path, headers=AS_USER, json={"packageName": package})
    assert answer.status_code == 200
    token: str = answer.json()["token"]
    assert answer.json() == {"success": True, "token": token}
    return token


async def exchange(
    site: Site, token: object, package: object = PACKAGE, key: str = "key", base: str = "/api/auth"
) -> httpx.Response:
    return await site.post(
        f"{base}/exchange-user-token",
        headers={"authorization": f"Bearer {key}"},
        json={"aos_temp_token": token, "packageName": package},
    )


# -- temporary tokens -------------------------------------------------------------------


@BASES
async def test_a_temporary_token_is_good_once(site: Site, base: str, autojump_clock: Any) -> None:
    token = await temporary_token(site)
    assert len(token) >= 20
    answer = await exchange(site, token, base=base)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "userId": USER})
    answer = await exchange(site, token, base=base)
    assert answer.status_code == 401
    assert (answer.json()["success"], answer.json()["error"]) == (False, "Invalid or expired token")


async def test_a_temporary_token_is_good_for_a_minute(site: Site, autojump_clock: Any) -> None:
    first = await temporary_token(site)
    await trio.sleep(1)
    second = await temporary_token(site)
    await trio.sleep(59)
    assert (await exchange(site, first)).status_code == 401
    assert (await exchange(site, second)).status_code == 200


async def test_nobody_else_burns_a_token(site: Site, autojump_clock: Any) -> None:
    await site.services.catalog.add(OTHER, url="http://127.0.0.1:7011", api_key="other key")
    token = await temporary_token(site)
    for package, key in (
        (PACKAGE, "wrong"),
        (PACKAGE, "other key"),
        (PACKAGE, ""),
        (OTHER, "key"),
        (OTHER, "other key"),
        ("com.unknown", "key"),
        ("com.unknown", ""),
        ("", "key"),
    ):
        answer = await exchange(site, token, package, key)
        assert answer.status_code == 401, (package, key)
        assert token not in answer.text
    assert (await exchange(site, token)).status_code == 200


@pytest.mark.parametrize(("token", "package"), [(None, PACKAGE), (1, PACKAGE), ("t", None)])
async def test_what_is_missing_is_told(
    site: Site, token: object, package: object, autojump_clock: Any
) -> None:
    answer = await exchange(site, token, package)
    assert answer.status_code == 400
    assert answer.json()["error"] == "aos_temp_token and packageName are required"


@pytest.mark.parametrize("path", FOR_USERS)
async def test_phones_name_an_app_and_show_their_token(
    site: Site, path: str, autojump_clock: Any
) -> None:
    path = f"/auth/{path}"
    answer = await site.post(path, json={"packageName": PACKAGE})
    assert answer.status_code == 401
    headers = {"authorization": f"Bearer {ADMIN}"}
    assert (await site.post(path, headers=headers, json={})).status_code == 401
    for body in ({}, {"packageName": ""}, {"packageName": 1}):
        answer = await site.post(path, headers=AS_USER, json=body)
        assert (answer.status_code, answer.json()["success"]) == (400, False)
        assert answer.json()["error"] == "packageName is required"
    answer = await site.post(path, headers=AS_USER, json={"packageName": "com.unknown"})
    assert (answer.status_code, answer.json()["code"]) == (404, "APP_NOT_FOUND")
    answer = await site.post(path, headers=AS_USER, content=b"no JSON")
    assert answer.status_code == 400


# -- signed user tokens -------------------------------------------------------------------


@BASES
async def test_a_signed_user_token_says_who_and_for_how_long(
    site: Site, base: str, autojump_clock: Any
) -> None:
    path = f"{base}/generate-webview-signed-user-token"
    answer = await site.post(path, headers=AS_USER, json={"packageName": PACKAGE})
    assert answer.json().keys() == {"success", "token"}
    token = answer.json()["token"]
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": "v1", "typ": "JWT"}
    issued = int(NOW.timestamp())
    expected = hashlib.sha256((USER + KEY_HASH).encode()).hexdigest()
    unchecked = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(
        token,
        public_pem(user_token_key()),
        algorithms=["RS256"],
        audience=PACKAGE,
        options=unchecked,  # type: ignore[arg-type]
    )
    assert claims == {
        "iss": "https://prod.augmentos.cloud",
        "sub": USER,
        "aud": PACKAGE,
        "iat": issued,
        "exp": issued + 600,
        "frontendToken": f"{USER}:{expected}",
    }


async def test_everybody_finds_the_public_key(site: Site, autojump_clock: Any) -> None:
    [key] = (await site.get("/.well-known/jwks.json")).json()["keys"]
    assert (key["kid"], key["alg"], key["use"], key["kty"]) == ("v1", "RS256", "sig", "RSA")
    assert not {"d", "p", "q", "dp", "dq", "qi"} & key.keys(), "nothing of the private key"
    path = "/auth/generate-webview-signed-user-token"
    answer = await site.post(path, headers=AS_USER, json={"packageName": PACKAGE})
    jwt.decode(
        answer.json()["token"],
        jwt.PyJWK(key),
        algorithms=["RS256"],
        options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
    )


# -- hashes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["https://glasses.example.com", "https://glasses.example.com/", USER]
)
@BASES
async def test_the_checksum_of_our_own_address(
    site: Site, base: str, text: str, autojump_clock: Any
) -> None:
    body = {"stringToHash": text, "packageName": PACKAGE}
    answer = await site.post(f"{base}/hash-with-api-key", headers=AS_USER, json=body)
    expected = hashlib.sha256((text + KEY_HASH).encode()).hexdigest()
    assert answer.json() == {"success": True, "hash": expected}


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example",
        "https://glasses.example.com.evil.example",
        "https://glasses.example.com@evil.example",
        "https://glasses.example.com\\@evil.example",
        "https://glasses.example.com//",
        "https://glasses.example.com/x",
        "http://glasses.example.com",
        "u-2@x.org",
        "anything",
    ],
)
async def test_nobody_gets_a_hash_by_which_to_pass_for_others(
    site: Site, text: str, autojump_clock: Any
) -> None:
    body = {"stringToHash": text, "packageName": PACKAGE}
    headers = {**AS_USER, "host": "evil.example"}
    answer = await site.post("/auth/hash-with-api-key", headers=headers, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert "server.public_url" in answer.json()["fix"]


@pytest.mark.parametrize("text", [None, "", 1])
async def test_something_must_be_hashed(site: Site, text: object, autojump_clock: Any) -> None:
    body = {"stringToHash": text, "packageName": PACKAGE}
    answer = await site.post("/auth/hash-with-api-key", headers=AS_USER, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "stringToHash and packageName are required"


# -- tokens of a Supabase project ---------------------------------------------------------


def supabase_token(secret: str = SUPABASE_SECRET, **changes: Any) -> str:
    claims = {
        "sub": "5f0c",
        "email": "U-1@x.org",
        "aud": "authenticated",
        "exp": NOW.timestamp() + 60,
        **changes,
    }
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, "HS256")


@BASES
async def test_a_core_token_for_a_supabase_token(
    site: Site, base: str, autojump_clock: Any
) -> None:
    body = {"supabaseToken": supabase_token()}
    answer = await site.post(f"{base}/exchange-token", json=body)
    assert answer.json().keys() == {"coreToken"}
    token = answer.json()["coreToken"]
    for days in (0, 29):
        assert verify_core_token(token, SECRET, now=NOW + timedelta(days=days)) == USER
    assert jwt.decode(token, options={"verify_signature": False})["exp"] == NOW.timestamp() + (
        30 * 86_400
    )


@pytest.mark.parametrize(
    "token",
    [
        "rubbish",
        supabase_token("q" * 32),
        supabase_token(SECRET),
        supabase_token(exp=NOW.timestamp() - 1),
        supabase_token(exp=None),
        supabase_token(aud=None),
        supabase_token(aud="anon"),
        supabase_token(email=None),
        supabase_token(email=""),
        supabase_token(email=7),
        jwt.encode({"email": USER, "exp": 9e9, "aud": "authenticated"}, "", "none"),
    ],
)
async def test_other_tokens_are_worth_nothing(site: Site, token: str, autojump_clock: Any) -> None:
    answer = await site.post("/auth/exchange-token", json={"supabaseToken": token})
    assert (answer.status_code, answer.json()["error"]) == (401, "Invalid token")


@pytest.mark.parametrize("body", [{}, {"supabaseToken": ""}, {"supabaseToken": None}])
async def test_a_token_must_be_there(site: Site, body: object, autojump_clock: Any) -> None:
    answer = await site.post("/auth/exchange-token", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "No token provided")
