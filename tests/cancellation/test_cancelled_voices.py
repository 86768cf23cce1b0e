"""A voice whose listener gives up has stopped speaking."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.engines import Speech
from mentra_trio.testing.scripted_voice import ScriptedVoice


@asynccontextmanager
async def voice() -> AsyncGenerator[ScriptedVoice]:
    yield ScriptedVoice(seconds=1.0)


@cancels(ScriptedVoice.speak)
async def test_a_scripted_voice(autojump_clock: MockClock) -> None:
    async def check(voice: ScriptedVoice) -> None:
        before = len(voice.asked)
        await voice.speak(Speech(text="again"))
        assert len(voice.asked) == before + 1
        assert voice.at_once <= 1, "what was given up is over"

    steps = await cancel_at_every_moment(voice, lambda one: one.speak(Speech(text="x")), check)
    assert steps
