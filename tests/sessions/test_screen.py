"""The display of a user: who is seen, when it goes out, and what becomes of it with its app."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.display_state import Attached, Gone, InForeground, Show
from mentra_trio.domain.facts import FrameIgnored
from mentra_trio.domain.ids import PackageName
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.display import Display
from mentra_trio.sessions.errands import Errands
from mentra_trio.sessions.eyepiece import Eyepiece
from mentra_trio.testing.household import APP, USER, Household, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.testing.trouble import REFUSED, BrokenSettings
from mentra_trio.wire.parts import TextWall

DASHBOARD = PackageName("system.augmentos.dashboard")
OTHER = PackageName("com.t.b")
THIRD = PackageName("com.t.c")
CLEAR = (DASHBOARD, "")
BOOT = (DASHBOARD, APP)


def display_on(link: MemoryLink, nursery: trio.Nursery | None = None) -> Display:
    """A display of glasses that are there; without a nursery it sends nothing later."""
    eyepiece = Eyepiece(RecordingTelemetry())
    eyepiece.attach(link)
    errands = Errands()
    if nursery is not None:
        errands.open(nursery)
    display = Display(errands, eyepiece, DASHBOARD, lambda: "now")
    display.tell(Attached())
    display.tell(InForeground(APP))
    return display


def show(text: str, package: PackageName = APP, view: str = "main") -> Show:
    return Show(package=package, view=view, layout=TextWall(text=text))


def wall(text: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "display_event",
        "sessionId": "",
        "view": "main",
        "layout": {"layoutType": "text_wall", "text": text},
        **fields,
    }


def seen(link: MemoryLink) -> list[tuple[str, str]]:
    """In whose name something was drawn, and its text."""
    shown = link.of_type("display_event")
    return [(message["packageName"], message["layout"]["text"]) for message in shown]


def texts(link: MemoryLink) -> list[str]:
    return [text for _, text in seen(link)]


@asynccontextmanager
async def open_drawn(
    text: str = "mine",
) -> AsyncGenerator[tuple[Household, MemoryLink, MemoryLink]]:
    """``APP`` runs for a while and has drawn ``text``."""
    async with open_one_app() as (house, glasses, app):
        await trio.sleep(5)
        app.say(wall(text))
        await trio.sleep(1)
        assert seen(glasses)[-1] == (APP, text)
        yield house, glasses, app


async def background(house: Household, package: PackageName = OTHER) -> MemoryLink:
    """A background app that runs; the boot screen of its start is over."""
    await house.add_app(package, kind="background")
    link = await house.running_app(package=package)
    await trio.sleep(3)
    return link


# -- the rate --------------------------------------------------------------------------------------


async def test_ten_frames_within_200_ms(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    link = MemoryLink()
    display = display_on(link, nursery)
    for n in range(10):
        display.tell(show(str(n)))
        if n == 0:
            assert texts(link) == ["0"], "the first is never delayed"
        await trio.sleep(0.02)
    await trio.sleep(1)
    assert texts(link) == ["0", "9"]
    link.cut()


@given(gaps=st.lists(st.floats(0, 0.7), min_size=1, max_size=25))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_for_any_schedule_the_last_frame_wins_and_the_rate_is_kept(
    gaps: list[float], autojump_clock: MockClock
) -> None:
    sent: list[tuple[float, str]] = []
    async with trio.open_nursery() as nursery:
        link = MemoryLink()
        link.on_pushed = lambda _: sent.append((trio.current_time(), texts(link)[-1]))
        display = display_on(link, nursery)
        for n, gap in enumerate(gaps):
            await trio.sleep(gap)
            display.tell(show(str(n)))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    link.cut()
    assert sent[-1][1] == str(len(gaps) - 1)
    times = [moment for moment, _ in sent]
    assert all(b - a >= 0.3 - 1e-6 for a, b in itertools.pairwise(times))


async def test_views_do_not_delay_each_other(autojump_clock: MockClock) -> None:
    link = MemoryLink()
    display = display_on(link)
    display.tell(show("main"))
    display.tell(show("dashboard", DASHBOARD, "dashboard"))
    assert texts(link) == ["main", "dashboard"]
    link.cut()


async def test_the_rate_is_kept_also_when_glasses_return(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    link = MemoryLink()
    display = display_on(link, nursery)
    display.tell(show("1"))
    await trio.sleep(0.1)
    display.tell(show("2"))
    await trio.sleep(0.15)
    display.tell(Attached())
    display.tell(show("3"))
    assert texts(link) == ["1", "2"]
    await trio.sleep(0.29)
    assert texts(link) == ["1", "2"]
    await trio.sleep(0.02)
    assert texts(link) == ["1", "2", "3"]
    link.cut()


async def test_a_forced_frame_does_not_wait(autojump_clock: MockClock) -> None:
    async with open_drawn() as (_house, glasses, app):
        app.say(wall("1"), wall("2"), wall("3", forceDisplay=True))
        await wait_all_tasks_blocked()
        assert texts(glasses)[-2:] == ["1", "3"]


async def test_what_takes_the_place_of_something_is_not_preceded_by_a_clear(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    link = MemoryLink()
    display = display_on(link, nursery)
    display.tell(show("one"))
    await trio.sleep(1)
    display.tell(Gone(APP))
    await trio.sleep(0.04)
    display.tell(show("two", OTHER))
    await trio.sleep(2)
    assert texts(link) == ["one", "two"]
    link.cut()


# -- what goes out ---------------------------------------------------------------------------------

LAYOUTS: list[dict[str, Any]] = [
    {"layoutType": "text_wall", "text": "a"},
    {"layoutType": "double_text_wall", "topText": "a", "bottomText": "b"},
    {"layoutType": "reference_card", "title": "a", "text": "b"},
    {"layoutType": "dashboard_card", "leftText": "a", "rightText": "b"},
    {"layoutType": "bitmap_view", "data": "Qk0="},
    {"layoutType": "bitmap_animation", "frames": ["Qk0=", "Qk1="], "interval": 50, "repeat": True},
    {"layoutType": "clear_view"},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout["layoutType"])
async def test_every_layout_goes_out_as_it_came(
    layout: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with open_drawn() as (_house, glasses, app):
        app.say(wall("", layout=layout))
        await wait_all_tasks_blocked()
        assert glasses.shown_by(APP)[-1]["layout"] == layout


async def test_a_frame_carries_name_view_layout_and_duration(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        card = {"layoutType": "reference_card", "title": "T", "text": "x"}
        app.say(
            {
                "type": "display_event",
                "packageName": "com.some.impostor",
                "sessionId": "",
                "view": "dashboard",
                "layout": card,
                "durationMs": 1500,
            }
        )
        shown = await glasses.expect("display_event", view="dashboard")
        assert shown["packageName"] == APP, "the socket says whose it is"
        assert (shown["layout"], shown["durationMs"]) == (card, 1500)


async def test_a_view_that_glasses_do_not_have_is_ignored(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(*(wall("x", view=f"v{n}") for n in range(500)))
        await wait_all_tasks_blocked()
        assert glasses.shown_by(APP) == []
        assert len(house.telemetry.of(FrameIgnored)) == 500
        assert app.is_open


# -- how long it is shown --------------------------------------------------------------------------


async def test_a_brief_frame_is_cleared_when_its_time_is_over(autojump_clock: MockClock) -> None:
    async with open_drawn("") as (_house, glasses, app):
        app.say(wall("brief", durationMs=1000))
        await wait_all_tasks_blocked()
        assert seen(glasses)[-1] == (APP, "brief")
        await trio.sleep(0.99)
        assert seen(glasses)[-1] == (APP, "brief")
        await trio.sleep(0.1)
        assert seen(glasses)[-1] == CLEAR
        assert "durationMs" not in glasses.messages[-1]


@pytest.mark.parametrize("duration", [0, None, -5, 10**30, 1e300])
async def test_other_frames_stay(duration: float | None, autojump_clock: MockClock) -> None:
    async with open_drawn() as (_house, glasses, app):
        app.say(wall("stays", durationMs=duration))
        await trio.sleep(50_000)
        assert seen(glasses)[-1] == (APP, "stays")
        assert "durationMs" not in glasses.shown_by(APP)[-1]


async def test_the_time_left_is_told_to_glasses_that_return(autojump_clock: MockClock) -> None:
    async with open_drawn() as (house, glasses, app):
        app.say(wall("brief", durationMs=9000))
        await trio.sleep(1)
        glasses.cut()
        await trio.sleep(2)
        back = await house.attached_glasses()
        again = await back.expect("display_event", packageName=APP)
        assert again["durationMs"] == 6000
        await trio.sleep(6.1)
        assert seen(back)[-1] == CLEAR


async def test_what_a_background_app_shows_for_a_while_gives_back_the_screen(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, _app):
        other = await background(house)
        other.say(wall("ding", durationMs=1500))
        await wait_all_tasks_blocked()
        assert seen(glasses)[-1] == (OTHER, "ding")
        await trio.sleep(1.6)
        assert seen(glasses)[-1] == (APP, "mine")


# -- the lock --------------------------------------------------------------------------------------


async def test_a_background_app_has_the_screen_until_it_is_idle(autojump_clock: MockClock) -> None:
    async with open_drawn() as (house, glasses, app):
        other = await background(house)
        other.say(wall("theirs"))
        await trio.sleep(1)
        app.say(wall("waits"))
        await trio.sleep(0.9)
        assert seen(glasses)[-1] == (OTHER, "theirs")
        await trio.sleep(0.2)
        assert seen(glasses)[-1] == (APP, "waits")


async def test_a_background_app_has_the_screen_for_ten_seconds_at_most(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, _app):
        other = await background(house)
        for n in range(11):
            other.say(wall(str(n)))
            await wait_all_tasks_blocked()
            expected = (OTHER, str(n)) if n < 10 else (APP, "mine")
            assert seen(glasses)[-1] == expected
            await trio.sleep(1)
        await trio.sleep(1.1)
        assert seen(glasses)[-1] == (OTHER, "10"), "it waited for its next turn, and was not lost"
        await trio.sleep(3)
        assert seen(glasses)[-1] == (APP, "mine")


async def test_the_request_of_another_background_app_is_shown_when_the_lock_frees(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, _app):
        other, third = await background(house), await background(house, THIRD)
        other.say(wall("first"))
        await trio.sleep(0.5)
        third.say(wall("old"), wall("kept"), wall("expires", view="dashboard", durationMs=100))
        await trio.sleep(1.4)
        assert (THIRD, "kept") not in seen(glasses)
        await trio.sleep(0.2)
        assert seen(glasses)[-1] == (THIRD, "kept")
        await trio.sleep(2)
        assert seen(glasses)[-1] == (APP, "mine")
        assert "old" not in texts(glasses)


async def test_a_request_whose_time_is_over_when_the_lock_frees_is_not_shown(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, _app):
        other, third = await background(house), await background(house, THIRD)
        other.say(wall("first"))
        await wait_all_tasks_blocked()
        third.say(wall("late", durationMs=1500))
        await trio.sleep(10)
        assert "late" not in texts(glasses)
        assert seen(glasses)[-1] == (APP, "mine")


async def test_a_background_app_that_clears_itself_gives_back_the_screen_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, _app):
        other = await background(house)
        other.say(wall("theirs"))
        await trio.sleep(0.5)
        other.say(wall("", layout={"layoutType": "clear_view"}))
        await trio.sleep(0.3)
        assert seen(glasses)[-1] == (APP, "mine")


async def test_what_the_dashboards_package_shows_is_on_top_until_somebody_draws(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, app):
        await house.add_app(DASHBOARD, kind="background")
        dashboard = await house.running_app(package=DASHBOARD)
        dashboard.say(wall("on top"))
        await trio.sleep(10)
        assert seen(glasses)[-1] == (DASHBOARD, "on top")
        app.say(wall("next"))
        await wait_all_tasks_blocked()
        assert seen(glasses)[-1] == (APP, "next")


# -- the boot screen -------------------------------------------------------------------------------


async def test_the_boot_screen_names_the_app_and_ends_in_its_first_frame(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.catalog.add(APP, url="http://a.test", api_key="key", name="The App")
        glasses = await house.attached_glasses()
        app = await house.running_app()
        (boot,) = glasses.of_type("display_event")
        assert boot["layout"] == {
            "layoutType": "reference_card",
            "title": "// MentraOS - Starting App",
            "text": "The App",
        }
        assert (boot["packageName"], boot["view"]) == (DASHBOARD, "main")
        began = trio.current_time()
        app.say(wall("first"))
        await glasses.expect("display_event", packageName=APP)
        assert trio.current_time() - began == pytest.approx(0.3), "it is there that long at least"
        await trio.sleep(10)
        assert texts(glasses) == ["The App", "first"], "nothing was cleared in between"


async def test_the_boot_screen_of_an_app_that_shows_nothing_is_cleared(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.add_app()
        glasses = await house.attached_glasses()
        house.connect_when_called(after=4)
        await house.directory.start_app(USER, APP)
        assert seen(glasses) == [BOOT]
        await trio.sleep(1.45)
        assert seen(glasses) == [BOOT]
        await trio.sleep(0.11)
        assert seen(glasses) == [BOOT, CLEAR]


async def test_the_boot_screen_of_a_background_app_ends_with_its_ack(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, _app):
        await house.add_app(OTHER, kind="background")
        house.connect_when_called(OTHER, after=2)
        await house.directory.start_app(USER, OTHER)
        await wait_all_tasks_blocked()
        assert seen(glasses)[-2:] == [(DASHBOARD, OTHER), (APP, "mine")]


@pytest.mark.parametrize("after", [0.0, 3.0])
async def test_the_boot_screen_ends_with_a_failed_start(
    after: float, autojump_clock: MockClock
) -> None:
    async with open_household() as house:
        await house.add_app()
        glasses = await house.attached_glasses()
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED, answer_after=after))
        began = trio.current_time()
        result = await house.directory.start_app(USER, APP)
        assert not result.success
        took = trio.current_time() - began
        await trio.sleep(max(0.0, 0.29 - took))
        assert seen(glasses) == [BOOT]
        await trio.sleep(0.1)
        assert seen(glasses) == [BOOT, CLEAR]


async def test_the_boot_screen_of_several_apps(autojump_clock: MockClock) -> None:
    async with open_household() as house, trio.open_nursery() as nursery:
        glasses = await house.attached_glasses()
        for package in (OTHER, THIRD):
            await house.add_app(package, kind="background")
            nursery.start_soon(house.directory.start_app, USER, package)
            await house.webhooks.next_start()
        await trio.sleep(1)
        both = glasses.of_type("display_event")[-1]["layout"]
        assert both["title"] == "// MentraOS - Starting Apps"
        assert both["text"] == f"{OTHER}, {THIRD}"
        await house.directory.stop_app(USER, OTHER)
        await trio.sleep(1)
        assert texts(glasses) == [OTHER, f"{OTHER}, {THIRD}", THIRD]
        await house.directory.stop_app(USER, THIRD)
        await trio.sleep(0.4)
        assert seen(glasses)[-1] == CLEAR


async def test_what_is_drawn_during_a_boot_is_shown_after_it_the_foreground_first(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, app):
        other = await background(house)
        await house.add_app(THIRD, kind="background")
        house.connect_when_called(THIRD, after=4)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.directory.start_app, USER, THIRD)
            await trio.sleep(1)
            other.say(wall("theirs"))
            app.say(wall("meanwhile"))
            await trio.sleep(2)
            assert seen(glasses)[-1] == (DASHBOARD, THIRD)
        await trio.sleep(1)
        assert seen(glasses)[-1] == (APP, "meanwhile")
        await trio.sleep(1.1)
        assert seen(glasses)[-1] == (OTHER, "theirs")
        await trio.sleep(2)
        assert seen(glasses)[-1] == (APP, "meanwhile")


async def test_an_app_that_is_brought_back_has_no_boot_screen(autojump_clock: MockClock) -> None:
    async with open_drawn() as (house, glasses, app):
        app.cut()
        house.connect_when_called()
        await trio.sleep(60)
        assert house.state() == "running"
        assert seen(glasses) == [BOOT, CLEAR, (APP, "mine")]


async def test_a_start_of_an_app_that_rests_has_one(autojump_clock: MockClock) -> None:
    async with open_drawn() as (house, glasses, app):
        app.say({"type": "ownership_release", "reason": "switching_clouds"})
        app.hang_up()
        await trio.sleep(1)
        assert seen(glasses)[-1] == CLEAR
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED, answer_after=1))
        await house.directory.start_app(USER, APP)
        assert seen(glasses)[-1] == BOOT
        await trio.sleep(0.4)
        assert seen(glasses)[-1] == CLEAR
        assert house.state() == "backoff"


async def test_the_dashboard_has_no_boot_screen(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await house.add_app(DASHBOARD, kind="background")
        await house.add_app(OTHER, kind="system_dashboard")
        glasses = await house.attached_glasses()
        await house.running_app(package=DASHBOARD)
        await house.running_app(package=OTHER)
        await trio.sleep(5)
        assert seen(glasses) == []


# -- what becomes of it with its app ---------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 1.0])
async def test_a_stopped_app_is_cleared_from_the_screen(
    seconds: float, autojump_clock: MockClock
) -> None:
    async with open_drawn() as (house, glasses, app):
        app.say(wall("last"))
        await wait_all_tasks_blocked()
        await trio.sleep(seconds)
        await house.directory.stop_app(USER, APP)
        await trio.sleep(1)
        assert seen(glasses)[-2:] == [(APP, "last"), CLEAR]


@pytest.mark.parametrize("turns", range(4))
async def test_what_an_app_says_in_the_turn_of_its_stop_is_not_shown_after_it(
    turns: int, autojump_clock: MockClock
) -> None:
    for _ in range(4):  # the scheduler's order differs from time to time
        async with open_one_app() as (house, glasses, app):
            await trio.sleep(2)
            app.say(wall("mine"))
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            house.directory._users[USER].roster.stop_now(APP, StopCause.USER)
            await trio.sleep(1)
            assert seen(glasses)[2:] in ([], [(APP, "mine"), CLEAR])


async def test_an_app_that_showed_nothing_clears_nothing(autojump_clock: MockClock) -> None:
    async with open_drawn() as (house, glasses, _app):
        await background(house)
        await trio.sleep(3)
        shown = len(seen(glasses))
        await house.directory.stop_app(USER, OTHER)
        await trio.sleep(3)
        assert len(seen(glasses)) == shown


async def test_what_waits_for_its_turn_is_dropped_with_its_app(autojump_clock: MockClock) -> None:
    async with open_drawn("one") as (house, glasses, app):
        app.say(wall("two"), wall("three"))
        await wait_all_tasks_blocked()
        await house.directory.stop_app(USER, APP)
        await trio.sleep(2)
        assert texts(glasses)[-3:] == ["one", "two", ""]


async def test_the_app_before_is_shown_again_when_the_one_on_screen_stops(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, _app):
        other = await background(house)
        other.say(wall("theirs"))
        await wait_all_tasks_blocked()
        assert seen(glasses)[-1] == (OTHER, "theirs")
        await house.directory.stop_app(USER, OTHER)
        await trio.sleep(0.31)
        assert seen(glasses)[-1] == (APP, "mine")


async def test_what_a_background_app_left_is_shown_when_the_foreground_app_stops(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, _app):
        other = await background(house)
        other.say(wall("theirs"))
        await trio.sleep(3)
        assert seen(glasses)[-1] == (APP, "mine")
        await house.directory.stop_app(USER, APP)
        await wait_all_tasks_blocked()
        assert seen(glasses)[-1] == (OTHER, "theirs")


async def test_a_lost_app_keeps_the_screen_until_it_is_given_up(autojump_clock: MockClock) -> None:
    async with open_drawn() as (house, glasses, app):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        app.cut()
        await trio.sleep(100)
        assert house.state() == "backoff"
        assert seen(glasses)[-1] == (APP, "mine")
        await trio.sleep(300)
        assert house.state() == "evicted"
        assert seen(glasses)[-1] == CLEAR


async def test_an_app_that_rests_while_its_user_is_away_has_nothing_on_the_screen(
    autojump_clock: MockClock,
) -> None:
    async with open_drawn() as (house, glasses, app):
        glasses.cut()
        await wait_all_tasks_blocked()
        app.cut()
        await trio.sleep(10)
        assert house.state() == "dormant"
        back = await house.attached_glasses()
        await trio.sleep(1)
        assert seen(back) == [CLEAR]


async def test_a_quarantined_app_has_nothing_on_the_screen(autojump_clock: MockClock) -> None:
    store = BrokenSettings()
    async with open_one_app(store=store, lifecycle=Lifecycle(grace_s=0.1)) as (house, glasses, app):
        house.telemetry.expects_crashes = True
        app.say(wall("mine"))
        await trio.sleep(1)
        assert seen(glasses)[-1] == (APP, "mine")
        store.broken = True
        house.connect_when_called()
        app.cut()
        await trio.sleep(120)
        assert house.state() == "evicted"
        assert seen(glasses)[-1] == CLEAR
