"""The cloud of a certification: what it sends, what it answers, what it writes down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from flawed_app import PACKAGE, STREAM, ground_on, serving

from mentra_trio.clients.dialing import UpgradeRefused, open_websocket, verbatim
from mentra_trio.domain.streams import LOCATION_STREAM
from mentra_trio.testing.certification.app_socket import Wire
from mentra_trio.testing.certification.cast import Portrait
from mentra_trio.testing.certification.events import Reaction, event, probes
from mentra_trio.testing.certification.lifecycles import LIFECYCLES
from mentra_trio.testing.certification.report import (
    SHOWN_MAX,
    as_json,
    failure_lines,
    portrait_lines,
    result_lines,
)
from mentra_trio.testing.certification.rest import answer_rest
from mentra_trio.testing.certification.run import certify
from mentra_trio.testing.certification.script import LINES_MAX, Line, Result, Transcript, Verdict
from mentra_trio.testing.certification.stage import Stage, open_stage
from mentra_trio.testing.network import MemoryNetwork
from mentra_trio.testing.streams import memory_stream_pair
from mentra_trio.wire.codec import decode_to_app
from mentra_trio.wire.to_app import DataStream

SESSION = f"ann-{PACKAGE}"


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ("transcription:de-DE", {"text": "hello", "transcribeLanguage": "de-DE", "isFinal": True}),
        ("transcription:auto?hints=en%2Cfr", {"text": "hello", "transcribeLanguage": "en-US"}),
        ("transcription", {"type": "transcription", "text": "hello"}),
        (
            "translation:es-ES-to-en-US",
            {"text": "hello", "transcribeLanguage": "es-ES", "translateLanguage": "en-US"},
        ),
        ("touch_event", {"type": "touch_event", "gesture_name": "single_tap"}),
        ("touch_event:double_tap", {"type": "touch_event", "gesture_name": "double_tap"}),
        ("phone_notification", {"title": "hello", "content": "hello"}),
        ("button_press", {"type": "button_press", "buttonId": "main"}),
        ("VAD", {"type": "VAD", "status": True}),
    ],
)
def test_an_event_comes_under_the_name_that_was_asked_for(
    stream: str, data: dict[str, Any]
) -> None:
    frame = event(SESSION, stream, "hello", "2026-01-01T00:00:00.000Z")
    assert frame is not None
    message = decode_to_app(frame)
    assert isinstance(message, DataStream)
    assert (message.session_id, message.stream_type) == (SESSION, stream)
    assert msgspec.json.decode(message.data).items() >= data.items()


def test_streams_with_words_are_tried_first_and_unknown_ones_not() -> None:
    assert event(SESSION, LOCATION_STREAM, "hello", "now") is None
    wanted = ["VAD", "brand_new", "button_press", "audio_chunk", "transcription:en-US"]
    assert probes(wanted) == ["transcription:en-US", "VAD", "button_press"]
    assert len(probes(f"touch_event:{number}" for number in range(30))) == 6


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/t1/api/sdk/simple-storage/ann%40x.org", 200, {"data": {}}),
        ("/t1/api/public/permissions/com.t.a", 200, {"packageName": "com.t.a"}),
        ("/appsettings/user/com.t.a", 200, {"settings": []}),
        ("/elsewhere", 404, {"success": False}),
    ],
)
async def test_what_an_sdk_asks_for_on_its_way(
    path: str, status: int, says: dict[str, Any]
) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body is of no interest")

    async def send(message: Any) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(message)

    await answer_rest({"type": "http", "path": path}, receive, send)
    assert sent[0]["status"] == status
    assert msgspec.json.decode(sent[1]["body"]).items() >= says.items()
    sent.clear()
    await answer_rest({"type": "lifespan"}, receive, send)
    assert sent == []


def written(stage: Stage) -> list[str]:
    return [f"{line.who} {line.what}" for line in stage.transcript.lines]


async def test_what_an_app_says_is_written_down(autojump_clock: object) -> None:
    network, portrait = MemoryNetwork(), Portrait(package=PACKAGE)
    async with open_stage(ground_on(network), portrait, name="n", seed=0) as stage:
        url = stage.websocket_url(stage.call(stage.people[0]))
        async with open_websocket(url, decode=verbatim, dial=network.dial) as link:
            for frame in (b"ab", "{", '{"type":"brand_new"}', '{"type":"ownership_release"}'):
                await link.send(frame)
            entries: list[Any] = ["b", {"stream": "location_stream", "rate": "high"}]
            await link.send(
                msgspec.json.encode(
                    {"type": "subscription_update", "subscriptions": entries}
                ).decode()
            )
            await stage.until(lambda: stage.sockets[0].subscriptions is not None, 5)
        with pytest.raises(UpgradeRefused, match="404"):
            async with open_websocket("ws://cloud:49152/y", decode=verbatim, dial=network.dial):
                pass
    said = [line for line in written(stage) if line.startswith("app ") and "webhook 1" not in line]
    assert said[:6] == [
        "app sends 2 bytes on socket 1",
        "app says something unreadable on socket 1: Input data was truncated at $",
        "app says brand_new on socket 1",
        "app releases the session on socket 1: None",
        'app subscribes on socket 1: b, {"rate":"high","stream":"location_stream"}',
        "app ends socket 1: 1000",
    ]
    assert said[6].startswith("app asks for a WebSocket at '/y', which nobody named: 404")


async def test_a_dead_wire_passes_nothing_until_it_is_cut(autojump_clock: object) -> None:
    ours, theirs = memory_stream_pair()
    wire = Wire(ours)
    await wire.send_all(b"before")
    await wire.wait_send_all_might_not_block()
    wire.stall()
    await wire.send_all(b"after")
    await theirs.send_all(b"anybody there?")
    assert await theirs.receive_some() == b"before"
    with trio.move_on_after(60) as nothing:
        await wire.receive_some()
    assert nothing.cancelled_caught
    with trio.move_on_after(60) as nothing:
        await theirs.receive_some()
    assert nothing.cancelled_caught

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_broken, wire.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        wire.cut()
    await _broken(theirs.receive_some)
    wire.cut()
    await wire.aclose()
    await theirs.aclose()


async def _broken(receive: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(trio.BrokenResourceError):
        await receive()


async def test_a_flood_is_not_written_down(autojump_clock: object) -> None:
    transcript = Transcript()
    for _ in range(LINES_MAX + 1):
        transcript.add("app", "says\x1b[2J")
    assert len(transcript.lines) == LINES_MAX
    assert transcript.lines[0].what == "says\\x1b[2J"


@pytest.mark.parametrize(
    ("flaw", "note"),
    [
        ("fails to stop", "the stop webhook was not answered with success: app:80 answered 500"),
        ("never answers a stop", "the stop webhook was not answered within 5 s"),
    ],
)
async def test_what_no_user_notices_is_a_note(autojump_clock: object, flaw: str, note: str) -> None:
    network = MemoryNetwork()
    async with serving(network, flaw):
        (first, *_) = LIFECYCLES
        certificate = await certify(ground_on(network), lifecycles=[first])
    (result,) = certificate.results
    assert result.notes == (note,)
    assert certificate.survived
    assert list(result_lines(result))[1] == f"      note: {note}"
    assert as_json(certificate)["lifecycles"][0]["notes"] == [note]


def test_how_a_portrait_reads() -> None:
    def third(portrait: Portrait) -> str:
        return list(portrait_lines(portrait, url="http://app", seed=3))[3]

    portrait = Portrait(package=PACKAGE, subscriptions=frozenset({STREAM, "VAD"}))
    assert list(portrait_lines(portrait, url="http://app", seed=3))[:3] == [
        "certify     http://app, seed 3",
        f"app         {PACKAGE}",
        f"subscribes  VAD, {STREAM}",
    ]
    assert third(portrait).startswith("reacts      to no event that we can make")
    unwordy = Portrait(package=PACKAGE, reaction=Reaction(stream="VAD", times=0))
    assert third(unwordy) == "reacts      to VAD visibly"
    assert "subscribes  nothing" in list(portrait_lines(unwordy, url="u", seed=0))


def test_of_a_long_script_the_end_is_shown_and_known_faults_are_named() -> None:
    lifecycle = next(one for one in LIFECYCLES if one.known)
    lines = [Line(float(number), "app", f"line {number}") for number in range(SHOWN_MAX + 2)]
    result = Result(lifecycle=lifecycle, verdict=Verdict.FAILED, seconds=1.0, lines=lines)
    told = list(failure_lines(result, url="http://app:80", seed=0))
    assert told[1].strip() == "(2 lines before)"
    assert told[2].endswith("line 2")
    assert any(line.startswith("  known      of @mentra/sdk 2.1.29: ") for line in told)
