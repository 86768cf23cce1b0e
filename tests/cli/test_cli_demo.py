from __future__ import annotations

import pytest
import trio

from mentra_trio.cli.demo import DemoFailed, _Stage, run_demo
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.glasses import Glasses

pytestmark = pytest.mark.real_sockets


async def test_it_tells_the_whole_story_and_ends() -> None:
    told: list[str] = []
    with trio.fail_after(25):
        await run_demo(told.append)
    for step in (
        "listens on ws://127.0.0.1:",
        "connected and acknowledged",
        "the user starts com.example.captions",
        "one webhook; the app connected",
        "subscribed to transcription:en-US",
        "heard 'The quick brown fox', and show it",
        "its connection is cut",
        "without a webhook",
        "heard 'jumps over the lazy dog', and show it",
        "its process has died",
        "com.example.captions is grace_period since",
        "next: it may come back by itself until",
        "its process runs again",
        "resurrected after",
        "show 'Said to nobody'",
        "it is dormant",
        "a fresh session, by one webhook",
        "the user stops com.example.captions",
        "its session ended",
        "closed",
    ):
        assert any(step in line for line in told), (step, told)


async def test_it_does_not_tell_what_did_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: AppSession, text: str, **_: object) -> bool:
        await trio.lowlevel.checkpoint()
        return False

    monkeypatch.setattr(AppSession, "show_text", nothing)
    monkeypatch.setattr("mentra_trio.cli.demo.STEP_S", 0.2)
    told: list[str] = []
    with pytest.raises(DemoFailed, match="start: not within"):
        await run_demo(told.append)
    assert not any("show" in line for line in told)


async def test_an_app_that_was_started_anew_is_no_reconnect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lie(self: _Stage, glasses: Glasses) -> None:
        self._session().end("its process died")
        await trio.lowlevel.checkpoint()
        await self._drop(glasses)

    monkeypatch.setattr(_Stage, "_caption", lie)
    monkeypatch.setattr("mentra_trio.cli.demo.STEP_S", 0.5)
    with pytest.raises(DemoFailed):
        await run_demo(lambda line: None)
