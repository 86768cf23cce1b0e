"""``doctor``: each finding says what is wrong, and how to mend it."""

from __future__ import annotations

import socket
from pathlib import Path

import attrs
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

import mentra_trio
from mentra_trio.cli import main
from mentra_trio.cli.doctor import doctor
from mentra_trio.clients.app import App
from mentra_trio.domain.stream_settings import StreamSettings
from mentra_trio.sessions.catalog import AppCatalog
from mentra_trio.speech import engines
from mentra_trio.storage.sqlite_store import DATABASE_NAME, open_sqlite_store


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def config(tmp_path: Path) -> mentra_trio.Config:
    return mentra_trio.Config(data_dir=tmp_path / "data", port=free_port())


async def examined(config: mentra_trio.Config) -> tuple[int, str]:
    lines: list[str] = []
    code = await doctor(config, lines.append)
    return code, "\n".join(lines)


@pytest.mark.real_sockets
async def test_a_fresh_machine_is_well(config: mentra_trio.Config) -> None:
    code, text = await examined(config)
    assert code == 0
    assert "does not exist yet" in text
    assert "is free, no server runs" in text


@pytest.mark.real_sockets
async def test_a_running_server_and_its_apps(config: mentra_trio.Config) -> None:
    async with mentra_trio.open_server(config) as server, App("com.t.up", "k").serve() as up:
        await server.apps.add("com.t.up", url=up.url)
        await server.apps.add("com.t.down", url=f"http://127.0.0.1:{free_port()}")
        code, text = await examined(config)
    assert code == 1
    assert f"a server answers at {server.http_url}" in text
    assert f"OK    app com.t.up: {up.url} answers" in text
    assert "FAIL  app com.t.down: cannot connect to" in text
    assert "2 apps are registered" in text


@pytest.mark.real_sockets
async def test_a_port_that_is_taken(config: mentra_trio.Config) -> None:
    async with App("com.t.other", "k").serve("127.0.0.1", config.port):
        code, text = await examined(config)
    assert code == 1
    assert "something else answers at" in text


@pytest.mark.real_sockets
async def test_secrets_that_others_can_read_and_a_broken_database(
    config: mentra_trio.Config,
) -> None:
    assert config.data_dir is not None
    config.data_dir.mkdir()
    secret = config.data_dir / "admin-token"
    secret.write_text("x" * 40)
    secret.chmod(0o644)
    (config.data_dir / DATABASE_NAME).write_text("no database" * 100)
    code, text = await examined(config)
    assert code == 1
    assert f"WARN  secret: others can read {secret}" in text
    assert f"fix: chmod 600 {secret}" in text
    assert "FAIL  database:" in text


@pytest.mark.real_sockets
async def test_certificates(config: mentra_trio.Config, tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(str(key))
    issued.cert_chain_pems[0].write_to_path(str(cert))
    code, text = await examined(attrs.evolve(config, tls_cert=cert, tls_key=key))
    assert code == 0
    assert f"certificate: {cert} expires in" in text
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(other))
    code, text = await examined(attrs.evolve(config, tls_cert=cert, tls_key=other))
    assert code == 1
    assert f"FAIL  certificate: server.tls_key: {other} is not the key of" in text


@pytest.mark.real_sockets
async def test_a_key_with_a_password_is_told_and_asked_for_on_no_terminal(
    config: mentra_trio.Config, tmp_path: Path
) -> None:
    issued = trustme.CA().issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    plain = serialization.load_pem_private_key(issued.private_key_pem.bytes(), password=None)
    key.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    code, text = await examined(attrs.evolve(config, tls_cert=cert, tls_key=key))
    assert code == 1
    assert f"FAIL  certificate: server.tls_key: {key} needs a password; remove it" in text


@pytest.mark.real_sockets
@pytest.mark.parametrize(
    ("host", "public_url", "says"),
    [
        ("0.0.0.0", None, "WARN  address: apps are told"),
        ("0.0.0.0", "http://127.0.0.1:1", "WARN  address: 127.0.0.1 is this machine only"),
        ("127.0.0.1", "http://no.such.host.invalid", "FAIL  address: no.such.host.invalid"),
    ],
)
async def test_addresses(
    config: mentra_trio.Config, host: str, public_url: str | None, says: str
) -> None:
    _, text = await examined(attrs.evolve(config, host=host, public_url=public_url))
    assert says in text


async def test_apps_are_looked_at_where_private_addresses_are_forbidden(
    config: mentra_trio.Config,
) -> None:
    assert config.data_dir is not None
    async with open_sqlite_store(config.data_dir / DATABASE_NAME, inline=True) as store:
        await AppCatalog(store).add("com.t.a", url="http://127.0.0.1:9")
    public = attrs.evolve(config, host="0.0.0.0")
    _, text = await examined(public)
    assert "FAIL  app com.t.a:" in text
    assert "private" in text
    assert "fix: give it a public address, or allow private ones" in text
    assert "1 app is registered" in text


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = f"server.port={free_port()}"
    assert main(["doctor", "--data-dir", str(tmp_path / "d"), "--set", port]) == 0
    assert "settings: they can be used" in capsys.readouterr().out
    assert main(["doctor", "--set", "nonsense=1"]) == 2


@pytest.mark.real_sockets
@pytest.mark.parametrize(
    ("engine", "there", "said"),
    [
        ("none", False, "OK    speech: left to phones (speech.engine is none)"),
        ("pocketsphinx", True, "OK    speech: pocketsphinx is installed"),
        (
            "pocketsphinx",
            False,
            "FAIL  speech: the package pocketsphinx is not installed\n"
            "      fix: pip install 'mentra-trio[speech]'",
        ),
    ],
)
async def test_whether_speech_can_be_recognised(
    config: mentra_trio.Config,
    engine: str,
    there: bool,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "is_installed", lambda: there)
    speech = mentra_trio.SpeechSettings(engine=engine)
    code, text = await examined(attrs.evolve(config, speech=speech))
    assert said in text
    assert code == int(said.startswith("FAIL"))


async def test_the_streaming_engine(config: mentra_trio.Config, tmp_path: Path) -> None:
    _, text = await examined(config)
    assert "OK    streams: managed streams are refused; streams.engine is none" in text
    for program, code in ((Path("/bin/true"), 0), (tmp_path / "nothing", 1)):
        streams = StreamSettings(engine="ffmpeg", program=program)
        found, text = await examined(attrs.evolve(config, streams=streams))
        assert found == code
        assert ("OK    streams: /bin/true takes them in, at port 1935" in text) == (code == 0)
        assert ("mentra-trio[streams]" in text) == (code == 1)
