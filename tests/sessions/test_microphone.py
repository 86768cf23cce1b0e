"""The microphone follows what the apps need: on quickly, off slowly, never lost."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.sessions.devices import Devices
from mentra_trio.testing.household import APP, USER, Household, open_household
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED


def states(glasses: MemoryLink) -> list[bool]:
    return [m["isMicrophoneEnabled"] for m in glasses.of_type("microphone_state_change")]


async def listening(house: Household) -> tuple[MemoryLink, MemoryLink]:
    await house.add_app()
    glasses = await house.attached_glasses()
    app = await house.running_app()
    app.say({"type": "subscription_update", "subscriptions": ["audio_chunk"]})
    await trio.sleep(0.2)
    assert states(glasses)[-1] is True
    return glasses, app


async def test_it_is_on_soon_after_somebody_needs_it(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, _ = await listening(house)
        message = glasses.of_type("microphone_state_change")[-1]
        assert message["requiredData"] == ["pcm"]
        assert message["sessionId"] == USER


async def test_it_is_off_three_seconds_after_nobody_needs_it(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app = await listening(house)
        app.say({"type": "subscription_update", "subscriptions": []})
        await trio.sleep(2.9)
        assert states(glasses)[-1] is True
        await trio.sleep(0.5)
        assert states(glasses)[-1] is False
        assert glasses.of_type("microphone_state_change")[-1]["requiredData"] == []


async def test_a_short_absence_of_demand_is_not_noticed(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app = await listening(house)
        before = len(states(glasses))
        for _ in range(4):
            app.say({"type": "subscription_update", "subscriptions": []})
            await trio.sleep(1)
            app.say({"type": "subscription_update", "subscriptions": ["audio_chunk"]})
            await trio.sleep(1)
        assert False not in states(glasses)[before:]


async def test_an_app_that_is_expected_back_still_needs_it(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app = await listening(house)
        app.cut()
        await trio.sleep(4)
        assert states(glasses)[-1] is True
        house.answer(await house.webhooks.next_start())
        await trio.sleep(20)
        assert house.state() == "running"
        assert False not in states(glasses)[1:], "loss and return are nothing to the glasses"


async def test_an_app_that_was_given_up_needs_it_no_more(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app = await listening(house)
        house.webhooks.plan("com.t.a", WebhookScript(failure=REFUSED))
        app.cut()
        await glasses.expect("app_stopped", within=300)
        await trio.sleep(4)
        assert states(glasses)[-1] is False, "the hold-down is over, too"


async def test_while_on_it_is_repeated_every_ten_seconds(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, _ = await listening(house)
        before = len(states(glasses))
        await trio.sleep(35)
        assert states(glasses)[before:] == [True, True, True]


@pytest.mark.parametrize("away", [1.0, 50.0])
async def test_returning_glasses_are_told(away: float, autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, _ = await listening(house)
        glasses.cut()
        await trio.sleep(away)
        back = await house.attached_glasses()
        await trio.sleep(0.1)
        assert states(back) == [True]


async def test_an_app_that_is_stopped_needs_it_no_more(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, _ = await listening(house)
        house.webhooks.stop_after = 5
        await house.directory.stop_app(USER, APP)
        await trio.sleep(3.5)
        assert states(glasses)[-1] is False, "also while its end is being wound down"


# -- what it is told, and how often ------------------------------------------------------


def told(glasses: MemoryLink) -> list[tuple[bool, bool]]:
    """Every state that the glasses were told: whether on, and whether silence is sent too."""
    return [
        (one["isMicrophoneEnabled"], one["bypassVad"])
        for one in glasses.of_type("microphone_state_change")
    ]


async def ready(house: Household) -> tuple[MemoryLink, MemoryLink]:
    """Glasses, and an app that asks for nothing yet."""
    await house.add_app()
    glasses = await house.attached_glasses()
    return glasses, await house.running_app()


def asks(app: MemoryLink, *streams: str) -> None:
    app.say({"type": "subscription_update", "subscriptions": list(streams)})


async def test_the_first_change_is_told_at_once_and_further_ones_together(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses, app = await ready(house)
        asks(app, "transcription:en-US")
        await wait_all_tasks_blocked()
        assert told(glasses) == [(False, False), (True, False)], "in the same instant"
        for _ in range(3):
            asks(app, "transcription:en-US", "audio_chunk")
            asks(app, "transcription:en-US")
            await trio.sleep(0.1)
        asks(app, "transcription:en-US", "audio_chunk")
        await trio.sleep(0.65)
        assert len(told(glasses)) == 2
        await trio.sleep(0.1)
        assert told(glasses)[2:] == [(True, True)]


async def test_a_change_that_changes_nothing_for_the_glasses_is_not_told(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses, app = await ready(house)
        asks(app, "audio_chunk")
        await trio.sleep(0.1)
        asks(app, "audio_chunk", "transcription:de-DE", "VAD")
        await trio.sleep(5)
        assert told(glasses) == [(False, False), (True, True)]


@pytest.mark.parametrize("stream", ["*", "all", "VAD", "button_press"])
async def test_what_needs_no_microphone_does_not_switch_it_on(
    stream: str, autojump_clock: MockClock
) -> None:
    async with open_household() as house:
        glasses, app = await ready(house)
        asks(app, stream)
        await trio.sleep(5)
        assert told(glasses) == [(False, False)]


async def test_the_users_setting_sends_silence_too(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await house.store.put_user_settings(USER, {"bypassVad": True})
        glasses, app = await ready(house)
        asks(app, "transcription:en-US")
        await trio.sleep(2)
        assert told(glasses)[-1] == (True, True)
        await house.directory.change_user_settings(USER, {"bypassVad": False})
        await trio.sleep(2)
        assert told(glasses)[-1] == (True, False)


@pytest.mark.parametrize(
    ("status", "times"), [("CONNECTED", 1), ("RECONNECTED", 1), ("DISCONNECTED", 0)]
)
async def test_glasses_that_the_phone_has_found_are_told_again(
    status: str, times: int, autojump_clock: MockClock
) -> None:
    async with open_household() as house:
        glasses, _ = await listening(house)
        before = len(states(glasses))
        glasses.say({"type": "glasses_connection_state", "modelName": "G1", "status": status})
        await wait_all_tasks_blocked()
        assert states(glasses)[before:] == [True] * times
        glasses.say({"type": "glasses_connection_state", "modelName": "G1", "status": status})
        await wait_all_tasks_blocked()
        assert states(glasses)[before:] == [True] * 2 * times, "they may be others"


async def test_glasses_of_which_the_phone_tells_over_http_are_told_again(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses, _ = await listening(house)
        before = len(states(glasses))
        devices = house.directory.live(USER).desk.part(Devices)
        for news in ({"connected": True}, {"connected": True}, {"batteryLevel": 5}):
            devices.apply(news)
        await wait_all_tasks_blocked()
        assert states(glasses)[before:] == [True]
        devices.apply({"connected": False})
        assert states(glasses)[before:] == [True]


async def test_off_and_on_again_within_the_hold_is_told_when_more_is_needed(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses, app = await ready(house)
        asks(app, "transcription:en-US")
        await trio.sleep(2)
        asks(app)
        await trio.sleep(1)
        asks(app, "audio_chunk")
        await wait_all_tasks_blocked()
        assert told(glasses) == [(False, False), (True, False), (True, True)]


# -- audio -------------------------------------------------------------------------------


async def test_glasses_that_talk_unasked_are_told_so_every_five_seconds(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses, _ = await ready(house)
        await trio.sleep(1)
        glasses.say(b"ab")
        await wait_all_tasks_blocked()
        assert states(glasses) == [False, False], "at once"
        for _ in range(49):
            glasses.say(b"ab")
            await trio.sleep(0.1)
        assert states(glasses) == [False, False]
        await trio.sleep(0.2)
        glasses.say(b"ab")
        await wait_all_tasks_blocked()
        assert states(glasses) == [False, False, False]


async def test_audio_that_is_wanted_is_not_answered(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app = await listening(house)
        asks(app)
        await trio.sleep(1)
        before = len(states(glasses))
        glasses.say(b"ab")
        await wait_all_tasks_blocked()
        assert len(states(glasses)) == before, "also not while it is only kept on"


async def test_samples_that_were_torn_apart_are_put_together(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app = await listening(house)
        glasses.say(b"abc", b"d", b"", b"e", b"fgh")
        await wait_all_tasks_blocked()
        assert app.audio == [b"ab", b"cd", b"efgh"]


async def test_half_a_sample_of_another_connection_is_forgotten(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app = await listening(house)
        glasses.say(b"abc")
        await wait_all_tasks_blocked()
        glasses.cut()
        back = await house.attached_glasses()
        back.say(b"xyzw")
        await wait_all_tasks_blocked()
        assert app.audio == [b"ab", b"xyzw"]


async def test_other_glasses_that_talk_unasked_are_told_so_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        glasses.say(bytes(320))
        await wait_all_tasks_blocked()
        assert states(glasses) == [False, False], "as they came, and as they talked"
        glasses.cut()
        await trio.sleep(1)
        others = await house.attached_glasses()
        others.say(bytes(320))
        await wait_all_tasks_blocked()
        assert states(others) == [False, False]
