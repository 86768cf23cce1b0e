"""Speech: what the phone recognises itself, what a recogniser of the server hears, a translation.

With the venv active (`. .venv/bin/activate`):

    python examples/hear_and_translate.py         ends by itself

The recogniser here is a stub that knows one phrase. One that works offline is
`Config(speech=SpeechSettings(engine="pocketsphinx"))`; it wants the extra `speech`.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

import mentra_trio
from mentra_trio import Audio, Heard, SpeechWish
from mentra_trio.clients import App, AppSession, Transcription, Translation, open_glasses
from mentra_trio.wire import from_glasses, to_glasses

USER = "ada@example.org"
SECOND_BYTES = 32_000
"""16-bit samples, 16,000 in a second."""

app = App("com.example.ears", api_key="ears-secret")


class OnePhrase:
    """Understands German, as long as it is always the same; and knows what it means."""

    def understands(self, language: str) -> bool:
        return language == "de-DE"

    def translates(self, source: str, target: str) -> bool:
        return (source, target) == ("de-DE", "en-US")

    async def transcribe(
        self, wish: SpeechWish, audio: Audio, heard: Callable[[Heard], None]
    ) -> None:
        listened, phrase = 0, ("Guten", "Guten Tag")
        while True:
            listened += len(await audio.next() or b"")
            if listened >= SECOND_BYTES:
                heard(Heard(text=phrase[1], is_final=True, utterance_id="1"))
                if wish.targets:
                    heard(Heard(text="Good day", is_final=True, target_language="en-US"))
                listened = 0
            elif listened >= SECOND_BYTES / 2:
                heard(Heard(text=phrase[0], is_final=False, utterance_id="1"))


@app.session
async def begin(session: AppSession) -> None:
    """Runs once per user."""

    async def show(said: Transcription) -> None:
        end = "" if said.is_final else " ..."
        await session.show_text(f"{said.transcribe_language}: {said.text}{end}")

    async def show_translation(said: Translation) -> None:
        await session.show_text(f"in English: {said.text}")

    def noticed(voice: from_glasses.Vad) -> None:
        print("somebody speaks" if voice.status in {True, "true"} else "it is quiet")

    session.on_transcription(show, "en-US")
    session.on_transcription(show, "de-DE")
    session.on_translation(show_translation, source="de-DE", target="en-US")
    session.on_voice_activity(noticed)
    await session.show_text("I listen")


async def main() -> None:
    async with (
        mentra_trio.open_server(mentra_trio.Config(port=0), transcriber=OnePhrase()) as server,
        app.serve() as serving,
        open_glasses(server.url, server.token(USER)) as glasses,
    ):
        await server.apps.add(
            app.package, url=serving.url, api_key=app.api_key, permissions=["MICROPHONE"]
        )
        result = await server.start_app(USER, app.package)
        assert result.success, result.message
        await glasses.until_shown("I listen")
        while not (await glasses.next(to_glasses.MicrophoneStateChange)).is_microphone_enabled:
            pass
        print("the microphone is on")

        await glasses.voice(active=True)
        await glasses.say("Hello", final=False)  # the phone recognises English by itself
        await glasses.until_shown("en-US: Hello ...")
        await glasses.say("Hello there")
        await glasses.until_shown("en-US: Hello there")
        print("the glasses show: en-US: Hello there")

        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                while True:  # German is for the recogniser: it gets the audio, in pieces
                    await glasses.send_audio(b"\x00\x01" * 1_600)
                    await trio.sleep(0.1)

            nursery.start_soon(speak)
            await glasses.until_shown("in English: Good day")
            print("the glasses show: in English: Good day")
            nursery.cancel_scope.cancel("said")


if __name__ == "__main__":
    trio.run(main)
