"""The scripted recogniser, in a world: an app on the SDK hears what a test wants."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.domain.errors import TranscriberFailed
from mentra_trio.testing.scripted_transcriber import ScriptedTranscriber
from mentra_trio.testing.world import USER, open_world


async def test_an_app_hears_what_the_recogniser_understood(autojump_clock: MockClock) -> None:
    transcriber = ScriptedTranscriber(failures=[TranscriberFailed("the first time")])
    app = App("com.t.captions", api_key="key")

    @app.session
    def begin(session: AppSession) -> None:
        session.on_transcription(lambda said: session.show_text(said.text))

    async with open_world(transcriber=transcriber) as world:
        await world.add(app)
        async with world.glasses() as glasses:
            assert (await world.server.start_app(USER, app.package)).success
            recogniser = await transcriber.recogniser("en-US")
            await glasses.send_audio(b"\1\2\3")
            await glasses.send_audio(b"\4")
            recogniser.hear("hello")
            await glasses.until_shown("hello")
            assert recogniser.audio == b"\1\2\3\4"
            assert recogniser.pauses == 0
        await trio.sleep(5)
        assert transcriber.running == []


async def test_it_says_what_it_can() -> None:
    transcriber = ScriptedTranscriber(languages=["en"], pairs=[("en", "de")])
    assert transcriber.understands("en-GB")
    assert not transcriber.understands("auto")
    assert transcriber.translates("en-US", "de-DE")
    assert not transcriber.translates("de-DE", "en-US")


async def test_a_recogniser_that_nobody_opens_is_missed(autojump_clock: MockClock) -> None:
    with pytest.raises(trio.TooSlowError):
        await ScriptedTranscriber().recogniser(within=1)
