"""The display: first frame at once, at most one per 300 ms, the last one always arrives."""

from __future__ import annotations

import itertools

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import FrameIgnored
from mentra_trio.domain.ids import PackageName
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.sessions.eyepiece import Eyepiece
from mentra_trio.sessions.screen import Screen
from mentra_trio.testing.household import APP, USER, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink, RecordingTelemetry
from mentra_trio.wire.parts import TextWall

DASHBOARD = PackageName("system.dashboard")


def screen_on(link: MemoryLink) -> Screen:
    eyepiece = Eyepiece(RecordingTelemetry())
    eyepiece.attach(link)
    return Screen(eyepiece, DASHBOARD, lambda: "now")


def texts(link: MemoryLink) -> list[str]:
    return [message["layout"]["text"] for message in link.of_type("display_event")]


async def test_ten_frames_within_200_ms(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    link = MemoryLink()
    screen = screen_on(link)
    nursery.start_soon(screen.run)
    for n in range(10):
        screen.request(APP, "main", TextWall(text=str(n)), None)
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

    class Timed(MemoryLink):
        def push(self, frame: str | bytes) -> bool:
            taken = super().push(frame)
            sent.append((trio.current_time(), self.messages[-1]["layout"]["text"]))
            return taken

    async with trio.open_nursery() as nursery:
        link = Timed()
        screen = screen_on(link)
        nursery.start_soon(screen.run)
        for n, gap in enumerate(gaps):
            await trio.sleep(gap)
            screen.request(APP, "main", TextWall(text=str(n)), None)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    link.cut()
    assert sent[-1][1] == str(len(gaps) - 1)
    times = [moment for moment, _ in sent]
    assert all(b - a >= 0.3 - 1e-6 for a, b in itertools.pairwise(times))


async def test_views_do_not_delay_each_other(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    link = MemoryLink()
    screen = screen_on(link)
    nursery.start_soon(screen.run)
    screen.request(APP, "main", TextWall(text="main"), None)
    screen.request(DASHBOARD, "dashboard", TextWall(text="dashboard"), None)
    assert texts(link) == ["main", "dashboard"]
    link.cut()


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
        shown = await glasses.expect("display_event")
        assert shown["packageName"] == APP, "the socket says whose it is"
        assert (shown["view"], shown["layout"], shown["durationMs"]) == ("dashboard", card, 1500)


@pytest.mark.parametrize("seconds", [0.0, 1.0])
async def test_a_stopped_app_is_cleared_from_the_screen(
    seconds: float, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "mine"}})
        await glasses.expect("display_event")
        await trio.sleep(seconds)
        await house.directory.stop_app(USER, APP)
        await trio.sleep(1)
        assert texts(glasses) == ["mine", ""]


@pytest.mark.parametrize("turns", range(4))
async def test_what_an_app_says_in_the_turn_of_its_stop_is_not_shown_after_it(
    turns: int, autojump_clock: MockClock
) -> None:
    for _ in range(4):  # the scheduler's order differs from time to time
        async with open_one_app() as (house, glasses, app):
            await wait_all_tasks_blocked()
            wall = {"layoutType": "text_wall", "text": "mine"}
            app.say({"type": "display_event", "layout": wall})
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            house.directory._users[USER].roster.stop_now(APP, StopCause.USER)
            await trio.sleep(1)
            assert texts(glasses) in ([], ["mine", ""])


async def test_an_app_that_showed_nothing_clears_nothing(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await house.add_app()
        other = await house.add_app("com.t.b", kind="background")
        glasses = await house.attached_glasses()
        app = await house.running_app()
        await house.running_app(package=other)
        app.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "mine"}})
        await glasses.expect("display_event")
        await house.directory.stop_app(USER, other)
        await trio.sleep(1)
        assert texts(glasses) == ["mine"]
        await wait_all_tasks_blocked()


async def test_a_view_that_glasses_do_not_have_is_ignored(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        wall = {"layoutType": "text_wall", "text": "x"}
        app.say(*({"type": "display_event", "view": f"v{n}", "layout": wall} for n in range(500)))
        await wait_all_tasks_blocked()
        assert glasses.of_type("display_event") == []
        assert len(house.telemetry.of(FrameIgnored)) == 500
        assert app.is_open


async def test_the_rate_is_kept_also_when_glasses_return(autojump_clock: MockClock) -> None:
    link = MemoryLink()
    async with trio.open_nursery() as nursery:
        screen = screen_on(link)
        nursery.start_soon(screen.run)
        screen.request(APP, "main", TextWall(text="1"), None)
        await trio.sleep(0.1)
        screen.request(APP, "main", TextWall(text="2"), None)
        await trio.sleep(0.15)
        screen.resend()
        resent = trio.current_time()
        screen.request(APP, "main", TextWall(text="3"), None)
        await trio.sleep(0.29)
        assert texts(link) == ["1", "2"]
        await trio.sleep(0.1)
        assert texts(link) == ["1", "2", "3"]
        assert trio.current_time() - resent < 0.5
        nursery.cancel_scope.cancel()
    link.cut()


async def test_what_waits_for_its_turn_is_dropped_with_its_app(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        for text in ("one", "two"):
            app.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": text}})
        await wait_all_tasks_blocked()
        await house.directory.stop_app(USER, APP)
        await trio.sleep(2)
        assert texts(glasses) == ["one", ""]
