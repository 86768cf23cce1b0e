from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import trio
from stub_cloud import CLOUD, Caller, StubCloud, open_cloud

from mentra_trio.clients.dialing import UpgradeRefused
from mentra_trio.clients.glasses import Glasses, Unreadable, open_glasses, text_of
from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.wire import from_glasses, to_glasses
from mentra_trio.wire.message import Unrecognized
from mentra_trio.wire.parts import DoubleTextWall

ACK = {"type": "connection_ack", "sessionId": "u-1@x.org"}


@pytest.fixture
async def cloud() -> AsyncGenerator[StubCloud]:
    async with open_cloud() as opened:
        yield opened


def display(text: str, package: str = "com.t.a") -> dict[str, object]:
    layout = {"layoutType": "text_wall", "text": text}
    return {"type": "display_event", "packageName": package, "view": "main", "layout": layout}


async def accept(cloud: StubCloud, *messages: object) -> Caller:
    caller = await cloud.next()
    caller.say(ACK, *messages)  # type: ignore[arg-type]
    return caller


async def test_the_block_begins_with_the_ack(cloud: StubCloud, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            caller = await cloud.next()
            assert caller.path == "/glasses-ws"
            assert caller.authorization == "Bearer the-token"
            await trio.sleep(3)
            caller.say(ACK)

        nursery.start_soon(serve)
        async with open_glasses(CLOUD, "the-token", dial=cloud.network.dial) as glasses:
            assert trio.current_time() == pytest.approx(3)
            assert glasses.ack.session_id == "u-1@x.org"
            assert glasses.close_reason is None
        assert glasses.close_reason == CloseReason(1000, "")


async def test_the_token_may_go_into_the_query(cloud: StubCloud, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            caller = await accept(cloud)
            assert (caller.path, caller.authorization, caller.token) == ("/ws/client", "", "a b")

        nursery.start_soon(serve)
        url = f"{CLOUD}/ws/client"
        async with open_glasses(url, "a b", dial=cloud.network.dial, token_in_query=True):
            pass


@pytest.mark.parametrize("act", ["refuse", "close", "silence", "nobody"])
async def test_who_is_not_let_in_is_told_why(
    cloud: StubCloud, act: str, autojump_clock: object
) -> None:
    errors = {
        "refuse": UpgradeRefused,
        "close": LinkClosed,
        "silence": trio.TooSlowError,
        "nobody": OSError,
    }
    cloud.refuse_with = 401 if act == "refuse" else None

    async def serve() -> None:
        caller = await cloud.next()
        if act == "close":
            await caller.close(1011, "no")

    async with trio.open_nursery() as nursery:
        if act in {"close", "silence"}:
            nursery.start_soon(serve)
        url = "ws://cloud:1" if act == "nobody" else CLOUD
        with pytest.raises(errors[act]) as caught:
            async with open_glasses(url, "token", dial=cloud.network.dial):
                pass
    if isinstance(caught.value, UpgradeRefused):
        assert (caught.value.status, caught.value.body) == (401, b'{"message":"no"}')
    if isinstance(caught.value, LinkClosed):
        assert caught.value.reason == CloseReason(1011, "no")


async def test_what_the_user_does_reaches_the_server(
    cloud: StubCloud, autojump_clock: object
) -> None:
    async def act(glasses: Glasses) -> None:
        await glasses.start_app("com.t.a")
        await glasses.say("hallo", language="de-DE", final=False)
        await glasses.press_button("left", press="long")
        await glasses.touch("double_tap")
        await glasses.head("up")
        await glasses.location(1.5, 2)
        await glasses.battery(50)
        await glasses.connection_state("Mentra Live", wifi=from_glasses.WifiState(connected=True))
        await glasses.send_text("not json")
        await glasses.send_audio(b"\0\1")
        await glasses.stop_app("com.t.a")

    async with trio.open_nursery() as nursery:
        heard: list[object] = []

        async def serve() -> None:
            caller = await accept(cloud)
            heard.extend([await caller.hear() for _ in range(8)])
            assert await caller._heard.take() == "not json"
            assert await caller.hear() == b"\0\1"
            heard.append(await caller.hear())
            caller.leave()

        nursery.start_soon(serve)
        async with open_glasses(CLOUD, "token", dial=cloud.network.dial) as glasses:
            await act(glasses)
            await glasses.until_closed()
    assert heard[0] == {"type": "start_app", "packageName": "com.t.a"}
    assert heard[1] == {
        "type": "local_transcription",
        "text": "hallo",
        "isFinal": False,
        "startTime": 0,
        "endTime": 0,
        "speakerId": 0,
        "transcribeLanguage": "de-DE",
        "provider": "local",
    }
    assert heard[2] == {"type": "button_press", "buttonId": "left", "pressType": "long"}
    assert heard[3] == {
        "type": "touch_event",
        "gesture_name": "double_tap",
        "device_model": "Simulated Glasses",
    }
    assert heard[4] == {"type": "head_position", "position": "up"}
    assert heard[5] == {"type": "location_update", "lat": 1.5, "lng": 2}
    assert heard[6] == {"type": "glasses_battery_update", "level": 50, "charging": False}
    assert heard[7] == {
        "type": "glasses_connection_state",
        "status": "CONNECTED",
        "modelName": "Mentra Live",
        "wifi": {"connected": True},
    }
    assert heard[8] == {"type": "stop_app", "packageName": "com.t.a"}


async def test_what_the_server_sends_can_be_awaited_in_any_order(
    cloud: StubCloud, autojump_clock: object
) -> None:
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await accept(
                cloud,
                display("one"),
                {"type": "app_state_change", "sessionId": "u-1@x.org"},
                display("two", "com.t.b"),
                {"type": "from_the_future"},
                "{",
                b"\1\2",
                display("three"),
            )

        nursery.start_soon(serve)
        async with open_glasses(CLOUD, "token", dial=cloud.network.dial) as glasses:
            assert isinstance(await glasses.expect("app_state_change"), to_glasses.AppStateChange)
            first = await glasses.next_display()
            assert text_of(first.layout) == "one"
            assert await glasses.expect("from_the_future") == Unrecognized(type="from_the_future")
            await glasses.until_shown("three", package="com.t.a")
            unreadable, audio = glasses.received()
            assert isinstance(unreadable, Unreadable)
            assert audio == b"\1\2"
            async for message in glasses:
                assert message is unreadable
                break


async def test_what_nobody_takes_is_bounded(cloud: StubCloud, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            connected = await accept(cloud, *(display(str(number)) for number in range(10)))
            connected.leave()

        nursery.start_soon(serve)
        dial = cloud.network.dial
        async with open_glasses(CLOUD, "token", dial=dial, inbox_max=3) as glasses:
            await glasses.until_closed()
            assert glasses.dropped >= 7
            kept = [message async for message in glasses]
    assert [text_of(one.layout) for one in kept if isinstance(one, to_glasses.DisplayEvent)] == [
        "7",
        "8",
        "9",
    ]


async def test_the_close_reason_is_visible(cloud: StubCloud, autojump_clock: object) -> None:
    reason = CloseReason(4001, "Replaced by a newer connection")
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            caller = await accept(cloud, display("last words"))
            await caller.close(reason.code, reason.text)

        nursery.start_soon(serve)
        async with open_glasses(CLOUD, "token", dial=cloud.network.dial) as glasses:
            assert await glasses.until_closed() == reason
            await glasses.next_display()
            with pytest.raises(LinkClosed) as caught:
                await glasses.next_display()
            assert caught.value.reason == reason
            with pytest.raises(LinkClosed):
                await glasses.head("up")


async def test_a_cut_is_seen_as_a_loss_by_both(cloud: StubCloud, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        seen: list[CloseReason] = []

        async def serve() -> None:
            caller = await accept(cloud)
            seen.append(await caller.until_gone())

        nursery.start_soon(serve)
        async with open_glasses(CLOUD, "token", dial=cloud.network.dial) as glasses:
            glasses.cut()
            assert (await glasses.until_closed()).code == 1006
    assert [reason.code for reason in seen] == [1006]
    assert trio.current_time() < 1


def test_the_words_of_a_layout() -> None:
    assert text_of(DoubleTextWall(top_text="a", bottom_text="b")) == "a\nb"
