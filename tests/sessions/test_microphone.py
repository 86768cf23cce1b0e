"""The microphone follows what the apps need: on quickly, off slowly, never lost."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

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
