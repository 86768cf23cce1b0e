"""Sound and light: a file that is played, a text that is spoken, a light that blinks.

With the venv active (`. .venv/bin/activate`):

    python examples/sound_and_light.py            ends by itself

The voice here is a scripted one. The real one is `Config(voice=VoiceSettings(engine="espeak"))`;
it wants the extra `voice`.
"""

from __future__ import annotations

import trio

import mentra_trio
from mentra_trio.clients import App, AppSession, Glasses, RequestFailed, open_glasses
from mentra_trio.clients.http_calls import call_http
from mentra_trio.testing.scripted_voice import ScriptedVoice
from mentra_trio.wire import from_glasses, to_app, to_glasses

USER = "ada@example.org"
GONG = "http://sounds.example/gong.mp3"

app = App("com.example.gong", api_key="gong-secret")


@app.session
async def begin(session: AppSession) -> None:
    """Runs once per user. The button strikes the gong."""

    async def strike() -> None:
        await session.leds.turn_on("green", on_ms=200, off_ms=100, count=3)
        try:
            played = await session.audio.play(GONG, volume=0.8)
            await session.show_text(f"the gong took {played.duration:g} s")
            await session.audio.speak("It is time for tea", voice="en-gb")
            await session.audio.play("http://sounds.example/nothing.mp3")
        except RequestFailed as failed:
            await session.show_text(f"silence: {failed}")
        await session.leds.turn_off()
        await session.audio.stop()

    def pressed(_: from_glasses.ButtonPress) -> None:
        session.nursery.start_soon(strike)

    def lit(answer: to_app.RgbLedControlResponse) -> None:
        print("the light works" if answer.success else f"no light: {answer.error}")

    session.on_button_press(pressed)
    session.leds.on_response(lit)
    await session.show_text("Gong")


async def be_a_speaker(glasses: Glasses) -> None:
    """What a phone does with sound: it fetches it by itself, plays it, and says so."""
    gong = await glasses.next(to_glasses.AudioPlayRequest)
    print(f"the phone plays {gong.audio_url} at volume {gong.volume}")
    await glasses.answer.audio(gong, duration=2.5)
    speech = await glasses.next(to_glasses.AudioPlayRequest)
    sound = await call_http("GET", speech.audio_url)
    print("the phone has fetched the spoken words:", "a sound" if sound.ok else sound.status)
    await trio.sleep(0.5)  # it takes a while to say that
    await glasses.answer.audio(speech, duration=0.5)
    nothing = await glasses.next(to_glasses.AudioPlayRequest)
    await glasses.answer.audio(nothing, error="no such file")


async def be_a_light(glasses: Glasses) -> None:
    """What glasses do with the light."""
    while True:
        wanted = await glasses.next(to_glasses.RgbLedControl)
        print(
            "the light is",
            f"{wanted.color} {wanted.count} times" * (wanted.action == "on") or "off",
        )
        await glasses.answer.led(wanted)


async def main() -> None:
    async with (
        mentra_trio.open_server(mentra_trio.Config(port=0), voice=ScriptedVoice()) as server,
        app.serve() as serving,
        open_glasses(server.url, server.token(USER)) as glasses,
        trio.open_nursery() as nursery,
    ):
        await server.apps.add(app.package, url=serving.url, api_key=app.api_key)
        result = await server.start_app(USER, app.package)
        assert result.success, result.message
        await glasses.until_shown("Gong")
        nursery.start_soon(be_a_speaker, glasses)
        nursery.start_soon(be_a_light, glasses)
        await glasses.press_button()
        await glasses.until_shown("the gong took 2.5 s")
        await glasses.until_shown("silence: phone: no such file")
        print("the glasses show: silence: phone: no such file")
        await glasses.next(to_glasses.AudioStopRequest)
        nursery.cancel_scope.cancel("all has been heard")


if __name__ == "__main__":
    trio.run(main)
