"""Display rules: for any schedule, what is seen in the end is the last request of the winner."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.display import Decision, Sending, decide, winner
from mentra_trio.domain.display_state import (
    DASHBOARD,
    DURATION_MOST_MS,
    MAIN,
    VIEWS,
    Attached,
    Boot,
    BootOver,
    Detached,
    DisplayState,
    Gone,
    InForeground,
    Lock,
    Request,
    Show,
    Starting,
    Tick,
)
from mentra_trio.domain.ids import PackageName

BOARD = PackageName("board")
FRONT, NEXT = PackageName("front"), PackageName("next")
BACK, REAR = PackageName("back"), PackageName("rear")
APPS = (FRONT, NEXT, BACK, REAR)


@attrs.define
class Screen:
    """A display that is told what happens, and asked again whenever it wants to be."""

    state: DisplayState = attrs.field(factory=lambda: DisplayState(dashboard=BOARD))
    now: float = 100.0
    wake_at: float | None = None
    sent: list[tuple[float, Sending]] = attrs.field(factory=list)

    def tell(self, request: Request) -> None:
        decision = decide(self.now, self.state, request)
        assert decision.wake_at is None or decision.wake_at > self.now, "it would never end"
        self.state, self.wake_at = decision.state, decision.wake_at
        self.sent += [(self.now, one) for one in decision.send]

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.wake_at is not None and self.wake_at <= until:
            self.now = self.wake_at
            self.tell(Tick())
        self.now = until

    def settle(self) -> None:
        for _ in range(1_000):
            if self.wake_at is None:
                return
            self.wait(self.wake_at - self.now)
        raise AssertionError("it never comes to rest")

    def seen(self, view: str = MAIN) -> Any:
        """What was sent to the view last; ``None`` if nothing ever was, or it was cleared."""
        shown = [one for _, one in self.sent if one.view == view]
        return shown[-1].layout if shown else None


def screen() -> Screen:
    found = Screen()
    found.tell(Attached())
    found.tell(InForeground(FRONT))
    return found


def show(package: PackageName, layout: str, **fields: Any) -> Show:
    return Show(package=package, view=fields.pop("view", MAIN), layout=layout, **fields)


# -- any schedule ----------------------------------------------------------------------------------

packages = st.sampled_from((*APPS, BOARD))
durations = st.one_of(st.none(), st.floats(1, 20_000), st.just(0))
shows = st.builds(
    Show,
    package=packages,
    view=st.sampled_from(VIEWS),
    layout=st.uuids().map(str),
    duration_ms=durations,
    force=st.sampled_from((False, False, True)),
    blank=st.sampled_from((False, False, False, True)),
)
happenings: st.SearchStrategy[Request] = st.one_of(
    shows,
    shows,
    shows,
    st.builds(Gone, st.sampled_from(APPS)),
    st.builds(InForeground, st.sampled_from((None, FRONT, NEXT))),
    st.builds(Boot, st.sampled_from(APPS), st.sampled_from(("A", "B"))),
    st.builds(BootOver, st.sampled_from(APPS), st.booleans()),
    st.just(Attached()),
    st.just(Detached()),
)
schedules = st.lists(
    st.tuples(
        happenings, st.sampled_from((0.0, 0.01, 0.29, 0.3, 1.0, 2.0, 11.0)) | st.floats(0, 4)
    ),
    max_size=25,
)
Schedule = Sequence[tuple[Request, float]]


def play(schedule: Schedule) -> Screen:
    played = screen()
    for request, pause in schedule:
        played.tell(request)
        played.wait(pause)
    return played


def ended(played: Screen) -> Screen:
    """With every start ended and glasses there, until nothing happens by itself any more."""
    for package in APPS:
        played.tell(BootOver(package, succeeded=True))
    played.tell(Attached())
    played.settle()
    return played


def left_of(schedule: Schedule, package: PackageName, view: str) -> Show | None:
    """The app's last request that nothing has ended."""
    last = None
    for request, _ in schedule:
        if request == Gone(package):
            last = None
        elif isinstance(request, Show) and (request.package, request.view) == (package, view):
            last = request if not request.duration_ms else None  # in the end all those are over
    return last


@given(schedules)
def test_in_the_end_the_last_request_of_the_winner_is_seen(schedule: Schedule) -> None:
    """The board's, if nobody has drawn since; else the foreground app's; else some background's."""
    played = ended(play(schedule))
    on_top = left_of(schedule, BOARD, MAIN)
    drawn = [one for one, _ in schedule if isinstance(one, Show) and one.view == MAIN]
    if on_top is not None and drawn[-1] is not on_top:
        after = drawn[len(drawn) - drawn[::-1].index(on_top) :]
        on_top = on_top if all(one.package == BOARD for one in after) else None
    front = played.state.foreground
    front_left = left_of(schedule, front, MAIN) if front is not None else None
    rest = [left_of(schedule, one, MAIN) for one in APPS if one != front]
    visible = [one for one in rest if one is not None and not one.blank]
    if on_top is not None:
        assert played.seen() == on_top.layout
    elif front_left is not None:
        assert played.seen() == front_left.layout
    elif visible:
        assert played.seen() in {one.layout for one in visible}
    else:
        blanks = {one.layout for one in drawn if one.blank}
        assert played.seen() in {None, *blanks}


@given(schedules)
def test_in_the_end_the_newest_request_for_the_dashboard_view_is_seen(schedule: Schedule) -> None:
    played = ended(play(schedule))
    left = {id(one) for app in (*APPS, BOARD) if (one := left_of(schedule, app, DASHBOARD))}
    newest = [one for one, _ in schedule if id(one) in left]
    expected = newest[-1].layout if newest and isinstance(newest[-1], Show) else None
    blanks = {one.layout for one, _ in schedule if isinstance(one, Show) and one.blank}
    assert played.seen(DASHBOARD) == expected or (
        expected is None and played.seen(DASHBOARD) in blanks
    )


@given(schedules)
def test_it_comes_to_rest_where_the_winner_is(schedule: Schedule) -> None:
    played = ended(play(schedule))
    for view in VIEWS:
        found = winner(played.now, played.state, view)
        sent = played.state.views[view].sent
        assert (sent.serial if sent else None) == (found.serial if found else None)


@given(schedules)
def test_no_two_frames_of_a_view_within_300_ms(schedule: Schedule) -> None:
    """But for glasses that come, and for those who force it."""
    forced = {one.layout for one, _ in schedule if isinstance(one, Show) and one.force}
    calm = [one for one in schedule if not isinstance(one[0], Attached | Detached)]
    played = play(calm)
    for view in VIEWS:
        sent = [(at, one.layout) for at, one in played.sent if one.view == view]
        for (before, _), (at, layout) in itertools.pairwise(sent):
            assert at - before >= 0.3 - 1e-9 or layout in forced


@given(schedules)
def test_what_waits_is_shown_or_replaced_or_over_and_never_lost(schedule: Schedule) -> None:
    """Every app that has something permanent to show at the end has had the screen with it."""
    played = ended(play(schedule))
    if BOARD in played.state.main.frames:
        return  # it is on top of everything, and means to stay
    for frame in played.state.main.frames.values():
        assert frame.shown or frame.blank or frame.package == played.state.foreground


@given(schedules)
def test_nothing_is_sent_to_glasses_that_are_away(schedule: Schedule) -> None:
    played = screen()
    for request, pause in schedule:
        played.tell(request)
        before = len(played.sent)
        played.wait(pause)
        assert played.state.attached or len(played.sent) == before


@given(schedules)
def test_nothing_is_left_of_apps_that_are_gone(schedule: Schedule) -> None:
    played = play(schedule)
    for package in (*APPS, BOARD):
        played.tell(Gone(package))
    ended(played)
    assert all(not view.frames for view in played.state.views.values())
    assert [played.state.views[view].seen for view in VIEWS] == [False, False]
    assert (played.state.lock, dict(played.state.booting)) == (None, {})


# -- one by one ------------------------------------------------------------------------------------


def test_the_first_frame_is_never_delayed_and_the_last_one_always_arrives() -> None:
    display = screen()
    for number in range(10):
        display.tell(show(FRONT, str(number)))
        display.wait(0.02)
    display.settle()
    assert [(round(at - 100, 6), one.layout) for at, one in display.sent] == [(0, "0"), (0.3, "9")]


@pytest.mark.parametrize("milliseconds", [1, 200, 1000, 500.5])
def test_a_frame_is_there_for_its_duration_from_when_it_is_seen(milliseconds: float) -> None:
    display = screen()
    display.tell(show(FRONT, "before"))
    display.wait(0.1)
    display.tell(show(FRONT, "brief", duration_ms=milliseconds))
    display.settle()
    (_, (began, brief), (over, clear)) = display.sent
    assert (brief.layout, brief.duration_ms, clear.layout) == ("brief", milliseconds, None)
    assert began == pytest.approx(100.3)
    assert over - began == pytest.approx(max(milliseconds / 1000 + 0.05, 0.3))


@pytest.mark.parametrize("milliseconds", [None, 0, -1, DURATION_MOST_MS + 1, 10**40])
def test_other_durations_are_none(milliseconds: float | None) -> None:
    display = screen()
    display.tell(show(FRONT, "stays", duration_ms=milliseconds))
    assert display.wake_at is None
    assert display.sent[0][1].duration_ms is None


def test_the_lock_is_for_ten_seconds_or_until_two_of_silence() -> None:
    lock = Lock(package=BACK, granted_at=100.0, active_at=105.0)
    assert lock.until == 107.0
    assert attrs.evolve(lock, active_at=109.5).until == 110.0


def test_the_foreground_app_takes_the_lock_of_one_that_is_not_on_the_screen() -> None:
    display = screen()
    display.tell(show(BACK, "theirs"))
    display.wait(0.5)
    display.tell(Boot(NEXT, "Next"))
    display.wait(0.5)
    assert display.seen() == Starting(("Next",))
    display.tell(show(FRONT, "mine"))
    display.tell(BootOver(NEXT, succeeded=False))
    display.wait(0.3)
    assert display.seen() == "mine"


def test_the_foreground_app_is_seen_but_for_the_turns_of_the_others() -> None:
    display = screen()
    display.tell(show(FRONT, "mine"))
    display.tell(show(BACK, "first"))
    display.tell(show(REAR, "second"))
    display.settle()
    display.tell(InForeground(NEXT))
    display.settle()
    assert display.seen() == "mine", "it stays where nobody else is in front"
    display.tell(show(NEXT, "new"))
    display.settle()
    assert [one.layout for _, one in display.sent] == ["mine", "first", "second", "mine", "new"]


def test_something_visible_is_preferred_to_nothing() -> None:
    display = screen()
    display.tell(show(BACK, "visible"))
    display.settle()
    display.tell(show(REAR, "theirs"))
    display.settle()
    display.tell(show(REAR, "blank", blank=True))
    display.settle()
    assert [one.layout for _, one in display.sent] == ["visible", "theirs", "visible"]
    display.tell(Gone(BACK))
    display.settle()
    assert display.seen() == "blank"


def test_the_dashboard_is_on_top_until_somebody_draws_or_its_time_is_over() -> None:
    display = screen()
    display.tell(show(FRONT, "mine"))
    display.wait(1)
    display.tell(show(BOARD, "brief", duration_ms=1000))
    display.tell(show(FRONT, "meanwhile"))
    display.wait(0.9)
    assert display.seen() == "brief"
    display.wait(0.2)
    assert display.seen() == "meanwhile"
    display.tell(show(BOARD, "for ever"))
    display.wait(100)
    assert display.seen() == "for ever"
    display.tell(show(BACK, "theirs"))
    assert display.seen() == "theirs"


def test_nobody_has_a_turn_under_what_stays_on_top() -> None:
    display = screen()
    display.tell(show(FRONT, "mine"))
    display.tell(show(BACK, "theirs"))
    display.tell(show(BOARD, "for ever"))
    display.settle()
    assert display.seen() == "for ever"
    assert display.state.lock is None or display.state.lock.until <= display.now
    display.tell(Gone(BOARD))
    assert display.seen() == "theirs"


def test_a_start_that_is_begun_again_at_once_changes_nothing() -> None:
    display = screen()
    display.tell(Boot(NEXT, "Next"))
    display.tell(BootOver(NEXT, succeeded=False))
    display.tell(Boot(NEXT, "Next"))
    display.wait(5)
    assert [one.layout for _, one in display.sent] == [Starting(("Next",))]


def test_what_the_boot_screen_says() -> None:
    assert (Starting(("A",)).title, Starting(("A",)).text) == ("// MentraOS - Starting App", "A")
    assert Starting(("A", "B")).title == "// MentraOS - Starting Apps"
    assert Starting(("A", "B")).text == "A, B"


def test_glasses_that_come_are_shown_both_views() -> None:
    display = screen()
    display.tell(show(FRONT, "main"))
    display.tell(show(BOARD, "board", view=DASHBOARD))
    display.tell(Detached())
    display.tell(show(FRONT, "meanwhile"))
    display.wait(1)
    display.tell(Attached())
    assert [one.layout for _, one in display.sent[-2:]] == ["meanwhile", "board"]


def test_what_was_left_on_the_glasses_is_cleared_when_they_come_back() -> None:
    display = screen()
    display.tell(show(FRONT, "main"))
    display.tell(Detached())
    display.tell(Gone(FRONT))
    display.wait(1)
    display.tell(Attached())
    display.tell(Detached())
    display.tell(Attached())
    assert [one.layout for _, one in display.sent] == ["main", None]


def test_glasses_that_come_are_told_what_is_left_of_its_time() -> None:
    display = screen()
    display.tell(show(FRONT, "main", duration_ms=10_000))
    display.wait(4)
    display.tell(Attached())
    assert [one.duration_ms for _, one in display.sent] == [10_000, 6_000]
    display.wait(6.1)
    assert display.seen() is None


def test_glasses_that_come_and_go_before_anything_is_shown_cost_no_decision() -> None:
    bare = DisplayState(dashboard=BOARD)
    there = decide(3.0, bare, Attached())
    assert there == Decision(state=attrs.evolve(bare, attached=True), send=(), wake_at=None)
    assert decide(4.0, there.state, Detached()).state == bare
