"""The whole round trip over TLS on real sockets: HTTP, glasses and app on one port."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
import trio
import trustme

import mentra_trio
from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.glasses import open_glasses


@pytest.mark.real_sockets
async def test_speech_becomes_text_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(str(cert))
    certificate.private_key_pem.write_to_path(str(key))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    app = App("com.t.secure", api_key="a key")

    @app.session
    def begin(session: AppSession) -> None:
        session.on_transcription(lambda said: session.show_text(said.text))

    config = mentra_trio.Config(port=0, tls_cert=cert, tls_key=key)
    with trio.fail_after(10):
        async with (
            mentra_trio.open_server(config) as server,
            app.serve(ssl_context=trust) as process,
        ):
            assert server.url.startswith("wss://127.0.0.1:")
            await server.apps.add(
                app.package, url=process.url, api_key=app.api_key, permissions=["MICROPHONE"]
            )
            async with httpx.AsyncClient(verify=trust, trust_env=False) as http:
                assert (await http.get(f"{server.http_url}/health")).json()["status"] == "ok"
            token = server.token("u-1@x.org")
            async with open_glasses(server.url, token, ssl_context=trust) as glasses:
                assert (await server.start_app("u-1@x.org", app.package)).success
                await glasses.expect("app_state_change")
                await glasses.say("hello over TLS")
                await glasses.until_shown("hello over TLS")
