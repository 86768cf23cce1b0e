"""Why an app is as it is: in at most five lines, the last of which says what comes next."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock

from mentra_trio.domain.ids import user_id
from mentra_trio.domain.lifecycle import AppState
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.prospects import prospect
from mentra_trio.testing.household import APP, USER, Household, open_one_app
from mentra_trio.testing.links import WebhookScript
from mentra_trio.testing.trouble import REFUSED

STORY = [f"line {n}" for n in range(9)]


def why(house: Household) -> list[str]:
    return house.directory.explain(USER, APP, STORY)


async def test_the_state_its_cause_what_led_there_and_what_comes_next(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await trio.sleep(20)
        first, *story, last = why(house)
        assert first.startswith(f"{APP} is backoff since 2026-")
        assert "attempt failed: The webhook of com.t.a failed: connection refused" in first
        assert story == ["line 5", "line 6", "line 7"], "the last line of a story is the state"
        assert last.startswith("next: tried at 2026-")
        assert "given up at" in last
        assert last.endswith("a start by the user is tried at once")


@pytest.mark.parametrize(
    ("after", "state", "says"),
    [
        (-1.0, "running", "it was last heard of at"),
        (2.0, "grace_period", "it may come back by itself until"),
        (20.0, "backoff", "tried at"),
        (300.0, "evicted", "its server is tried at"),
    ],
)
async def test_every_state_says_what_comes_next(
    after: float, state: str, says: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        if after >= 0:
            link.cut()
            await trio.sleep(after)
        assert house.state() == state
        assert says in why(house)[-1]
        assert len(why(house)) == 5


async def test_an_app_without_a_session(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, _link):
        await house.directory.stop_app(USER, APP)
        await trio.sleep(1)
        lines = why(house)
        assert lines[:-1] == STORY[-4:]
        assert lines[-1] == "next: nothing; a start by the user is tried at once"


async def test_of_an_app_that_is_quarantined_no_trial_is_promised(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await glasses.expect("app_stopped", within=400)
        await trio.sleep(0.1)
        rest = house.directory._users[USER].roster.resting.get(APP)
        assert rest is not None
        rest.record = attrs.evolve(rest.record, quarantined=True)
        assert why(house)[-1] == "next: nothing by itself; a start by the user is tried at once"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (AppState.CONNECTING, "its server was called"),
        (AppState.DISCONNECTED, "its server is called at an unknown time"),
        (AppState.RESURRECTING, "its server was called"),
        (AppState.EVICTED, "its server is tried now and then"),
        (AppState.DORMANT, "it comes back with the glasses, or by itself"),
        (AppState.STOPPING, "it is over in a moment"),
    ],
)
async def test_states_that_pass_quickly_have_a_next_line_too(
    state: AppState, says: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, _glasses, _link):
        app = house.snapshot()
        assert app is not None
        now = house.directory.surroundings.environment.utcnow()
        line = prospect(attrs.evolve(app, state=state.value), None, Lifecycle(), now)
        assert line.startswith(f"next: {says}")


async def test_it_is_told_how_many_others_a_trial_is_for(autojump_clock: MockClock) -> None:
    others = [user_id(f"other-{n}@x.org") for n in range(3)]
    async with open_one_app() as (house, _glasses, link):
        links = [link, *(await house.running_apps(others)).values()]
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        for lost in links:
            lost.cut()
        await trio.sleep(20)
        assert why(house)[-1].startswith("next: tried for it and 3 others at 2026-")
