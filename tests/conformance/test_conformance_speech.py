"""Speech that a recogniser of ours understands: checks 40-42, 47 and 54 of protocol.md section 8.

The server runs in this process, so that the test can be its recogniser.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import attrs
import httpx
import pytest
import trio

from mentra_trio import Config, open_server
from mentra_trio.domain.ids import user_id
from mentra_trio.server import Server
from mentra_trio.testing.scripted_transcriber import ScriptedRecogniser, ScriptedTranscriber

from .real_app import RealApp, on
from .sockets import Socket, open_socket
from .steps import say, start
from .timeline import eventually

SETTLE_S = 0.4
HOLD_S = 3.0


@attrs.define(eq=False)
class Ears:
    """A server with a recogniser, and a phone of ``user`` that is connected."""

    server: Server
    transcriber: ScriptedTranscriber
    phone: Socket
    user: str

    async def run(self, app: RealApp, *streams: str) -> None:
        """Start ``app``, and wait until the server knows that it asks for ``streams``."""
        await start(self.phone, app, self.user)

        async def asked() -> list[str]:
            await trio.lowlevel.checkpoint()
            session = self.server.directory.user(user_id(self.user))
            apps = session.apps if session is not None else ()
            return [s for one in apps if one.package == app.package for s in one.subscriptions]

        await eventually(asked, lambda found: sorted(found) == sorted(streams))

    async def recogniser(self, language: str) -> ScriptedRecogniser:
        return await self.transcriber.recogniser(language, within=5)


@pytest.fixture
async def ears(
    app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> AsyncGenerator[Ears]:
    transcriber = ScriptedTranscriber(pairs={("es", "en"), ("es", "fr")})
    async with open_server(Config(port=0, drain_s=1.0), transcriber=transcriber) as server:
        for app, kind in ((app_a, "standard"), (app_b, "background")):
            await server.apps.add(
                app.package, url=app.url, api_key=app.api_key, permissions=["ALL"], kind=kind
            )
        headers = {"Authorization": f"Bearer {server.token(user)}"}
        phone = await open_socket(nursery, f"{server.url}/glasses-ws", headers)
        await phone.message("connection_ack")
        yield Ears(server, transcriber, phone, user)


def texts(app: RealApp, user: str, name: str) -> list[str]:
    return [data["text"] for data in app.fired(user, name)]


async def test_40_who_leaves_the_language_open_hears_whatever_is_found_out(
    ears: Ears, app_a: RealApp, user: str
) -> None:
    stream = "transcription:auto?hints=en%2Cfr"
    hints = {"hints": ["en", "fr"]}
    await app_a.script(user, on("onTranscriptionForLanguage", "speech", "auto", after=[hints]))
    await ears.run(app_a, stream)
    recogniser = await ears.recogniser("auto")
    assert recogniser.wish.hints == ("en", "fr")
    recogniser.hear("bon", final=False, language="fr-FR", utterance="u1")
    recogniser.hear("bonjour", language="fr-FR", utterance="u1")
    last = await app_a.first_fired(user, "speech", number=2)
    assert (last["text"], last["isFinal"], last["transcribeLanguage"]) == (
        "bonjour",
        True,
        "fr-FR",
    )
    assert (await app_a.received(user, "data_stream"))["streamType"] == stream


async def test_41_each_app_hears_its_own_language(
    ears: Ears, app_a: RealApp, app_b: RealApp, user: str
) -> None:
    await app_a.script(user, on("onTranscription", "speech"))
    await app_b.script(user, on("onTranscriptionForLanguage", "speech", "de-DE"))
    await ears.run(app_a, "transcription:en-US")
    await ears.run(app_b, "transcription:de-DE")
    (await ears.recogniser("en-US")).hear("hello")
    (await ears.recogniser("de-DE")).hear("hallo")
    await app_a.first_fired(user, "speech")
    await app_b.first_fired(user, "speech")
    await trio.sleep(SETTLE_S)
    assert texts(app_a, user, "speech") == ["hello"]
    assert texts(app_b, user, "speech") == ["hallo"]


async def test_41_what_the_phone_recognises_is_heard_once(
    ears: Ears, app_a: RealApp, user: str
) -> None:
    await app_a.script(user, on("onTranscription", "speech"))
    await ears.run(app_a, "transcription:en-US")
    recogniser = await ears.recogniser("en-US")
    await say(ears.phone, "hello")
    await app_a.first_fired(user, "speech")
    recogniser.hear("hello")
    await trio.sleep(SETTLE_S)
    assert texts(app_a, user, "speech") == ["hello"]


async def test_42_translations_do_not_cross(
    ears: Ears, app_a: RealApp, app_b: RealApp, user: str
) -> None:
    await app_a.script(user, on("ontranslationForLanguage", "words", "es-ES", "en-US"))
    await app_b.script(user, on("ontranslationForLanguage", "words", "es-ES", "fr-FR"))
    await ears.run(app_a, "translation:es-ES-to-en-US")
    await ears.run(app_b, "translation:es-ES-to-fr-FR")
    await trio.sleep(2 * SETTLE_S)  # a change of the wish is a new recogniser
    recogniser = await ears.recogniser("es-ES")
    assert recogniser.wish.targets == ("en-US", "fr-FR")
    recogniser.hear("good day", target="en-US")
    recogniser.hear("bonjour", target="fr-FR")
    said = await app_a.first_fired(user, "words")
    await app_b.first_fired(user, "words")
    await trio.sleep(SETTLE_S)
    assert texts(app_a, user, "words") == ["good day"]
    assert texts(app_b, user, "words") == ["bonjour"]
    assert (said["transcribeLanguage"], said["translateLanguage"]) == ("es-ES", "en-US")


async def test_47_audio_arrives_in_order_and_in_whole_samples(
    ears: Ears, app_a: RealApp, app_b: RealApp, user: str
) -> None:
    await app_a.script(user, on("onAudioChunk", "audio"))
    await app_b.script(user, on("onTranscription", "speech"))
    await ears.run(app_a, "audio_chunk")
    await ears.run(app_b, "transcription:en-US")
    recogniser = await ears.recogniser("en-US")
    chunks = [bytes([number]) * (320 + number % 2) for number in range(50)]
    for chunk in chunks:
        await ears.phone.send_audio(chunk)
    await app_a.first_fired(user, "audio", number=len(chunks))
    await trio.sleep(SETTLE_S)
    arrived = [bytes.fromhex(data["arrayBuffer"]) for data in app_a.fired(user, "audio")]
    assert all(len(frame) % 2 == 0 for frame in arrived)
    whole = b"".join(chunks)
    assert b"".join(arrived) == whole[: len(whole) // 2 * 2]
    assert recogniser.audio == b"".join(arrived)
    assert app_b.seen.count(event="received", bytes=lambda it: it is not None) == 0


async def test_54_the_microphone_is_off_soon_after_the_last_who_listened(
    ears: Ears, app_a: RealApp, user: str
) -> None:
    await app_a.script(user, {**on("onAudioChunk", "audio"), "as": "listening"})
    await ears.run(app_a, "audio_chunk")
    on_ = await ears.phone.message("microphone_state_change", isMicrophoneEnabled=True)
    assert (on_["requiredData"], on_["bypassVad"]) == (["pcm"], True)
    position = len(ears.phone.seen.records)
    began = trio.current_time()
    await app_a.run(user, {"undo": "listening"})
    off = await ears.phone.message("microphone_state_change", since=position, within_s=10)
    assert trio.current_time() - began >= HOLD_S, "not at once: it may be wanted again"
    assert (off["isMicrophoneEnabled"], off["requiredData"]) == (False, [])


async def test_an_unmodified_app_reads_what_was_said(ears: Ears, app_a: RealApp, user: str) -> None:
    """The SDK derives the URL of its REST calls from the one of its session (1.7)."""
    await app_a.script(user, on("onTranscription", "speech"))
    await ears.run(app_a, "transcription:en-US")
    (await ears.recogniser("en-US")).hear("hello")
    await app_a.first_fired(user, "speech")
    url = await app_a.run(user, {"call": "getHttpsServerUrl"})
    here = url.replace("https", "http", 1)  # an author has TLS; this server has none
    path = f"/api/transcripts/{app_a.session_of(user)}?duration=60"
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.get(here + path)
        stranger = await client.get(ears.server.http_url + path)
    assert [segment["text"] for segment in answer.json()["segments"]] == ["hello"]
    assert stranger.status_code == 401
