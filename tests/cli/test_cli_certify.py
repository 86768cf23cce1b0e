"""``mentra-trio certify``: what it prints, and its exit codes; not the lifecycles themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import NamedTuple

import pytest
import trio

from mentra_trio.cli import main
from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.events import Transcription
from mentra_trio.testing.certification.lifecycles import LIFECYCLES


class Ran(NamedTuple):
    code: int
    out: list[str]
    err: list[str]


async def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """The command, in a thread with an event loop of its own."""
    code = await trio.to_thread.run_sync(main, ["certify", *arguments])
    captured = capsys.readouterr()
    return Ran(code, captured.out.splitlines(), captured.err.splitlines())


def captions(sessions_max: int = 1_000) -> App:
    """Shows what is said, to as many sessions as that; to the next it fails."""
    app = App("com.t.captions", api_key="secret")
    begun: list[AppSession] = []

    @app.session
    def begin(session: AppSession) -> None:
        begun.append(session)
        if len(begun) > sessions_max:
            raise RuntimeError("too many")

        async def show(said: Transcription) -> None:
            await session.show_text(said.text)

        session.on_transcription(show)

    return app


@pytest.mark.real_sockets
async def test_an_app_that_survives(capsys: pytest.CaptureFixture[str]) -> None:
    async with captions().serve() as server:
        ran = await run(capsys, server.url, "--only", "stopped-twice", "--seed", "7")
    assert (ran.code, ran.err) == (0, [])
    assert ran.out[0] == f"certify     {server.url}, seed 7"
    assert ran.out[1:4] == [
        "app         com.t.captions",
        "subscribes  transcription:en-US",
        "reacts      to transcription:en-US with the same words, 1 time",
    ]
    assert ran.out[5].startswith("ok    stopped-twice")
    assert ran.out[-1].startswith("survived 1 of 1 lifecycle in")


@pytest.mark.real_sockets
async def test_an_app_that_does_not_and_a_port_of_our_own(
    capsys: pytest.CaptureFixture[str], unused_port: int
) -> None:
    chosen = ("--only", "stopped-twice", "--only", "garbage", "--skip", "garbage", "--json")
    async with captions(sessions_max=1).serve() as server:
        ran = await run(capsys, server.url, *chosen, "--port", str(unused_port))
    assert (ran.code, ran.err) == (1, [])
    (line,) = ran.out
    certificate = json.loads(line)
    assert certificate["package"] == "com.t.captions"
    assert certificate["survived"] is False
    (found,) = certificate["lifecycles"]
    assert found["name"] == "stopped-twice"
    assert found["expected"]
    assert found["lines"][0]["who"] == "cloud"


@pytest.fixture
async def unused_port() -> int:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port: int = listener.socket.getsockname()[1]
    return port


@pytest.mark.real_sockets
async def test_another_app_than_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    async with captions().serve() as server:
        ran = await run(capsys, server.url, "--package", "com.t.other")
    assert (ran.code, ran.out) == (2, [])
    assert ran.err == [
        f"mentra-trio: the app at {server.url} calls itself 'com.t.captions', not 'com.t.other'"
    ]


@pytest.mark.real_sockets
async def test_a_host_that_is_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    ran = await run(capsys, "http://127.0.0.1:9", "--host", "no.such.host.invalid")
    assert (ran.code, ran.out) == (2, [])
    assert len(ran.err) == 1
    assert "cannot listen on no.such.host.invalid" in ran.err[0]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "URL"),
        (["7010"], "http://"),
        (["http://u:p@127.0.0.1:7010"], "credentials"),
        (["http://127.0.0.1:9", "--only", "nonsense"], "'nonsense'; --list"),
        (["http://127.0.0.1:9", "--skip", "nonsense"], "'nonsense'; --list"),
        (["http://127.0.0.1:9", "--only", "garbage", "--skip", "garbage"], "leaves no lifecycle"),
        (["http://127.0.0.1:9", "--host", "0.0.0.0"], "0.0.0.0"),
        (["http://127.0.0.1:9", "--port", "70000"], "--port"),
        (["http://127.0.0.1:9", "--seed", "x"], "--seed"),
        (["http://127.0.0.1:9"], "there is no app server at http://127.0.0.1:9"),
    ],
)
async def test_a_wrong_call_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    ran = await run(capsys, *arguments)
    assert (ran.code, ran.out) == (2, [])
    assert len(ran.err) == 1
    assert word in ran.err[0]


async def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    ran = await run(capsys, "--list")
    assert (ran.code, ran.err) == (0, [])
    assert [line.split()[0] for line in ran.out] == [one.name for one in LIFECYCLES]
    assert all(line.endswith(one.user) for line, one in zip(ran.out, LIFECYCLES, strict=True))


async def test_the_list_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    ran = await run(capsys, "--list", "--json")
    (line,) = ran.out
    first = json.loads(line)[0]
    assert first["name"] == "start-and-stop"
    assert first["script"][0] == "the cloud calls the webhook"


def test_it_needs_nothing_of_the_extra_testing() -> None:
    extras = "{'hypothesis', 'pytest', 'pytest_trio'}"
    program = f"import sys, mentra_trio.cli.certify; print({extras} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "set()"
