from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing

from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    CRASHED,
    LINK_LOST,
    NOT_YET,
    SLOW_CONSUMER,
    CloseReason,
)
from mentra_trio.domain.errors import InitRefused, WebhookFailed, WebhookFailure
from mentra_trio.domain.facts import Crashed, ServerDraining, ServerStarted
from mentra_trio.domain.ids import AppSessionId, package_name, user_id
from mentra_trio.ports import Link, SessionCall, StopCall, Telemetry, Webhooks
from mentra_trio.testing.links import FakeWebhooks, MemoryLink, WebhookScript
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.wire.frames import Sound, encode_message
from mentra_trio.wire.from_glasses import HeadPosition

APP = package_name("com.t.a")
USER = user_id("u@x.org")
CALL = SessionCall(
    url="http://a",
    user=USER,
    package=APP,
    session_id=AppSessionId("u@x.org-com.t.a"),
    websocket_url="ws://s/s/t1/app-ws",
    timestamp="",
)
STOP = StopCall(
    url=CALL.url, user=USER, package=APP, session_id=CALL.session_id, reason="error", timestamp=""
)


def as_ports(link: MemoryLink, webhooks: FakeWebhooks, telemetry: RecordingTelemetry) -> None:
    """Typed, so that mypy compares the stand-ins with the ports."""
    _: tuple[Link, Webhooks, Telemetry] = (link, webhooks, telemetry)


async def heard(link: Link, number: int) -> list[str | bytes]:
    """The next frames, so many of them."""
    frames: list[str | bytes] = []

    def handle(frame: str | bytes) -> CloseReason | None:
        frames.append(frame)
        return APP_STOPPED if len(frames) == number else None

    assert await link.listen(handle, trio.current_time() + 60) == APP_STOPPED
    return frames


async def failed(link: Link) -> CloseReason | None:
    return await link.listen(lambda frame: None, trio.current_time() + 1)


async def test_what_the_peer_says_is_received_in_order(autojump_clock: object) -> None:
    link = MemoryLink()
    link.say("text", b"\1", {"type": "x"}, HeadPosition(position="up"))
    link.hang_up(1000, "bye")
    assert await heard(link, 2) == ["text", b"\1"]
    assert await heard(link, 2) == ['{"type":"x"}', '{"type":"head_position","position":"up"}']
    assert await failed(link) == CloseReason(1000, "bye")
    assert not link.push("too late")
    link.say("too late")
    assert await failed(link) == CloseReason(1000, "bye")


async def test_who_listens_is_woken_at_the_time_and_when_told(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    link = MemoryLink()
    assert await failed(link) is None
    assert trio.current_time() == pytest.approx(1)

    async def wake() -> None:
        await trio.sleep(0.5)
        link.wake()

    nursery.start_soon(wake)
    assert await failed(link) is None
    assert trio.current_time() == pytest.approx(1.5)
    link.wake()
    link.cut()
    assert await failed(link) == LINK_LOST


async def test_what_is_pushed_can_be_looked_at(autojump_clock: object) -> None:
    link = MemoryLink()
    assert link.push('{"type":"a","n":1}')
    assert link.push('{"type":"b"}')
    assert link.push_encoded(encode_message('{"type":"a","n":2}'))
    assert link.push_audio(Sound(b"\1\2"))
    assert link.audio == [b"\1\2"]
    assert [one["n"] for one in link.of_type("a")] == [1, 2]
    assert len(link.of_type("a", "b")) == 3
    assert (await link.expect("a"))["n"] == 1
    assert (await link.expect("a"))["n"] == 2
    with pytest.raises(AssertionError, match=r"no a within 3 s; waiting there: \['b'\]"):
        await link.expect("a", within=3)
    assert trio.current_time() == pytest.approx(3)
    link.close(APP_STOPPED)


async def test_a_reset_and_a_close(autojump_clock: object) -> None:
    link = MemoryLink()
    link.cut()
    assert await failed(link) == LINK_LOST
    assert not link.is_open
    assert link.closed_with is None
    link.close(APP_STOPPED)
    assert await link.closed() == APP_STOPPED
    assert await failed(link) == LINK_LOST


async def test_a_full_outbox_fails_the_link_but_audio_does_not(autojump_clock: object) -> None:
    link = MemoryLink(room=2)
    assert link.push("{}")
    assert link.push_audio(Sound(b"1"))
    assert not link.push_audio(Sound(b"2"))
    assert await failed(link) is None
    assert not link.push("{}")
    assert await failed(link) == SLOW_CONSUMER
    link.close(SLOW_CONSUMER)


async def test_pings_are_answered_unless_the_peer_is_silent(autojump_clock: object) -> None:
    link = MemoryLink()
    await trio.sleep(5)
    link.ping()
    assert link.last_heard == pytest.approx(5)
    link.answers_pings = False
    await trio.sleep(5)
    link.ping()
    assert link.last_heard == pytest.approx(5)
    assert link.pings == 2
    link.say("a sign of life")
    assert link.last_heard == pytest.approx(10)
    link.cut()


async def test_lending_closes_with_what_the_borrower_says(autojump_clock: object) -> None:
    async def serve(link: Link) -> CloseReason:
        await heard(link, 1)
        return APP_STOPPED

    async def refuse(link: Link) -> CloseReason:
        raise InitRefused("", "not yet", NOT_YET)

    async def crash(link: Link) -> CloseReason:
        raise ValueError("planted")

    served, refused, crashed = MemoryLink(), MemoryLink(), MemoryLink()
    served.say("x")
    assert await served.lend(serve) == APP_STOPPED == served.closed_with
    assert await refused.lend(refuse) == NOT_YET == refused.closed_with
    with pytest.raises(ValueError, match="planted"):
        await crashed.lend(crash)
    assert crashed.closed_with == CRASHED


async def test_webhooks_follow_their_scripts(autojump_clock: object) -> None:
    webhooks = FakeWebhooks()
    failure = WebhookFailed(WebhookFailure.REFUSED, "refused", delivered=False)
    late = WebhookFailed(WebhookFailure.ERROR, "500", delivered=True)
    moments: list[tuple[str, float]] = []

    def note(what: str, *_: object) -> None:
        moments.append((what, trio.current_time()))

    webhooks.plan(
        APP,
        WebhookScript(failure=failure),
        WebhookScript(
            deliver_after=1,
            answer_after=2,
            on_delivered=partial(note, "seen"),
            on_answered=partial(note, "answered"),
        ),
        WebhookScript(answer_after=1, failure=late),
    )
    with pytest.raises(WebhookFailed, match="refused"):
        await webhooks.start(CALL, delivered=partial(note, "never"))
    await webhooks.start(CALL, delivered=partial(note, "delivered"))
    assert moments == [("delivered", 1), ("seen", 1), ("answered", 3)]
    for _ in range(2):  # the last script goes on
        with pytest.raises(WebhookFailed, match="500"):
            await webhooks.start(CALL, delivered=partial(note, "delivered"))
    assert webhooks.starts == [CALL] * 4
    assert webhooks.in_flight == 0
    assert await webhooks.next_start() is CALL


async def test_stop_webhooks(autojump_clock: object) -> None:
    webhooks = FakeWebhooks(stop_after=4)
    await webhooks.stop(STOP)
    assert trio.current_time() == pytest.approx(4)
    assert await webhooks.next_stop() is STOP
    webhooks.stop_failure = WebhookFailed(WebhookFailure.TIMEOUT, "silence", delivered=True)
    with pytest.raises(WebhookFailed, match="silence"):
        await webhooks.stop(STOP)
    assert webhooks.stops == [STOP, STOP]
    with pytest.raises(trio.TooSlowError):
        await webhooks.next_start(within=1)


async def test_facts_are_kept_and_awaited(autojump_clock: object) -> None:
    telemetry = RecordingTelemetry(expects_crashes=True)
    started = ServerStarted(address="x")
    crash = Crashed(bulkhead="connection", who="x", error=ValueError())
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            assert await telemetry.next(ServerStarted) is started

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        telemetry.emit(ServerDraining())
        telemetry.emit(started)
    telemetry.emit(crash)
    assert telemetry.of(ServerStarted) == [started]
    assert telemetry.crashes == [crash]
    assert len(telemetry.facts) == 3
