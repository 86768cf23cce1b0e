"""Seed 003: connect, reconnect in grace; nothing is resurrected while grace lasts."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import AppStateChanged
from mentra_trio.domain.lifecycle import TRANSITIONS, AppEvent, AppState
from mentra_trio.testing.household import APP, USER, open_one_app


@pytest.mark.parametrize("away", [0.0, 1.0, 3.0, 4.9])
async def test_scenario_3_transient_drop_the_sdk_reconnects_and_nothing_is_resurrected(
    away: float, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        app.cut()
        await trio.sleep(away)
        back = house.app()
        await back.expect("tpa_connection_ack")
        glasses.say({"type": "button_press", "buttonId": "b", "pressType": "short"})
        assert (await back.expect("data_stream"))["streamType"] == "button_press"
        assert len(house.webhooks.starts) == 1


async def test_on_close_the_state_is_grace_period(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.hang_up(1006)
        await wait_all_tasks_blocked()
        assert house.state() == "grace_period"
        user = house.directory.user(USER)
        assert user is not None
        assert user.apps[0].app_state == "DISCONNECTED"


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1011, 3000, 4000])
async def test_however_an_app_goes_it_may_come_back(code: int, autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.hang_up(code)
        await trio.sleep(2)
        back = house.app()
        await back.expect("tpa_connection_ack")
        assert house.state() == "running"


async def test_a_reconnect_is_inferred_without_a_hint(autojump_clock: MockClock) -> None:
    """`init.reconnect` is optional: the state tells a reconnect from a first connect."""
    async with open_one_app() as (house, _glasses, app):
        app.cut()
        await trio.sleep(1)
        await house.app().expect("tpa_connection_ack")
        moves = [(fact.old, fact.new) for fact in house.telemetry.of(AppStateChanged)]
        assert moves == [
            (None, AppState.CONNECTING),
            (AppState.CONNECTING, AppState.RUNNING),
            (AppState.RUNNING, AppState.GRACE_PERIOD),
            (AppState.GRACE_PERIOD, AppState.RUNNING),
        ]


async def test_timers_are_cancelled_by_the_reconnect(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.cut()
        await trio.sleep(4)
        back = house.app()
        await back.expect("tpa_connection_ack")
        await trio.sleep(120)
        assert house.state() == "running"
        assert back.is_open


async def test_within_grace_no_webhook_of_any_kind_is_sent(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.cut()
        await trio.sleep(4.99)
        assert len(house.webhooks.starts) == 1
        assert house.webhooks.stops == []
        await house.directory.stop_app(USER, APP)


def test_reconnect_and_resurrection_are_different_roads() -> None:
    """No event leads from grace straight to a webhook: grace must expire first."""
    row = TRANSITIONS[AppState.GRACE_PERIOD]
    assert row[AppEvent.GRACE_EXPIRED] is AppState.DISCONNECTED
    assert AppState.RESURRECTING not in row.values()
    assert AppState.CONNECTING not in row.values()
