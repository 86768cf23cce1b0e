"""Dashboard rules: what is composed of the sections and the apps' texts, and whose turn it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.dashboard import (
    APP_MODES,
    EVENTS_KEPT,
    LINE_MOST,
    NOTHING_EXPANDED,
    NOTIFICATIONS_KEPT,
    SECTIONS,
    TEXT_MOST,
    Dashboard,
    Entry,
    Note,
    OneText,
    TwoTexts,
    battery_line,
    composed,
    entry_line,
    moment_of,
    next_entry,
    note_line,
    rotated,
    shortened,
    time_line,
    until_next_minute,
    with_entry,
    with_note,
    without_app,
    without_note,
    write_content,
    write_section,
    zone_of,
)
from mentra_trio.domain.ids import PackageName
from mentra_trio.domain.timings import DASHBOARD_SPREAD_S

A, B, C = PackageName("a"), PackageName("b"), PackageName("c")
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
ALL = dict(zip(SECTIONS, ("tl", "tr", "bl", "br"), strict=True))


def written(*contents: tuple[PackageName, str], mode: str = "main") -> Dashboard:
    dashboard = Dashboard(mode=mode)
    for package, text in contents:
        dashboard = write_content(dashboard, package, text, APP_MODES)
    return dashboard


# -- composing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "content", "expected"),
    [
        (ALL, "x", TwoTexts("tl\nbl", "tr\nbr\n\nx")),
        ({"topLeft": "tl", "topRight": "tr"}, "x", TwoTexts("tl", "tr\nx")),
        ({"topLeft": "tl"}, "x", TwoTexts("tl", "x")),
        (ALL, "", TwoTexts("tl\nbl", "tr\nbr")),
        ({"bottomRight": "br"}, "x", TwoTexts("", "br\n\nx")),
        ({}, "", TwoTexts("", "")),
    ],
)
def test_the_main_layout(sections: dict[str, str], content: str, expected: TwoTexts) -> None:
    dashboard = written((A, content)) if content else Dashboard()
    assert composed(dashboard, sections) == expected


def test_the_expanded_layout() -> None:
    assert composed(Dashboard(mode="expanded"), ALL) == OneText(f"tl | tr\n{NOTHING_EXPANDED}")
    dashboard = written((A, "older"), (B, "newer"), (A, "newest"), mode="expanded")
    assert composed(dashboard, ALL) == OneText("tl | tr\nnewest")
    assert composed(dashboard, {}) == OneText("newest")


def test_in_mode_none_there_is_nothing() -> None:
    assert composed(written((A, "x"), mode="none"), ALL) == OneText("")


def test_a_section_that_is_written_wins_even_with_nothing_in_it() -> None:
    dashboard = write_section(write_section(Dashboard(), "topLeft", "theirs"), "bottomLeft", "")
    assert composed(dashboard, ALL) == TwoTexts("theirs", "tr\nbr")
    assert dashboard.is_written
    assert not Dashboard().is_written


# -- whose turn it is ------------------------------------------------------------------------------


def shown(dashboard: Dashboard) -> str:
    layout = composed(dashboard, {})
    return layout.bottom if isinstance(layout, TwoTexts) else layout.text


def test_every_app_has_its_turn() -> None:
    dashboard = written((A, "a"), (B, "b"), (C, "c"))
    turns = []
    for _ in range(7):
        turns.append(shown(dashboard))
        dashboard = rotated(dashboard)
    assert turns == ["c", "b", "a", "c", "b", "a", "c"]


def test_who_writes_again_keeps_its_turn_and_who_is_new_is_shown() -> None:
    dashboard = written((A, "a"), (B, "b"), (A, "again"))
    assert shown(dashboard) == "b"
    assert shown(rotated(dashboard)) == "again"
    assert shown(write_content(dashboard, C, "c", ["main"])) == "c"


def test_there_is_no_rotation_of_one_text_or_in_another_mode() -> None:
    alone, expanded = written((A, "a")), written((A, "a"), (B, "b"), mode="expanded")
    assert rotated(alone) is alone
    assert rotated(expanded) is expanded


def test_an_app_writes_where_it_says_and_takes_it_away_with_nothing() -> None:
    dashboard = write_content(Dashboard(), A, "a", ["expanded", "always_on", "expanded"])
    assert (dict(dashboard.contents["main"]), dict(dashboard.contents["expanded"])) == (
        {},
        {A: "a"},
    )
    assert dashboard.authors == {A}
    assert not write_content(dashboard, A, "", ["expanded"]).is_written
    assert not without_app(written((A, "a")), A).is_written


def test_no_text_is_longer_than_anybody_can_show() -> None:
    dashboard = write_section(written((A, "x" * 10_000)), "topLeft", "y" * 10_000)
    assert len(dashboard.contents["main"][A]) == TEXT_MOST
    assert len(dashboard.written["topLeft"]) == TEXT_MOST


@given(
    st.lists(
        st.tuples(st.sampled_from((A, B, C)), st.sampled_from(("", "x", "y", "up"))), max_size=20
    )
)
def test_for_any_history_the_apps_take_turns_with_their_latest_texts(
    history: list[tuple[PackageName, str]],
) -> None:
    dashboard, latest = Dashboard(), {}
    for package, text in history:
        if text == "up":
            dashboard = rotated(dashboard)
            continue
        dashboard = write_content(dashboard, package, text, ["main"])
        latest[package] = text
    expected = sorted(text for text in latest.values() if text)
    seen = []
    for _ in expected:
        seen.append(shown(dashboard))
        dashboard = rotated(dashboard)
    assert sorted(seen) == expected


# -- what the server knows -------------------------------------------------------------------------


def note(name: str | None, title: str = "", content: str = "", app: str = "App") -> Note:
    return Note(name=name, line=note_line(app, title, content))


def test_notifications_newest_first_each_once_and_not_for_ever() -> None:
    notes: tuple[Note, ...] = ()
    for number in range(30):
        notes = with_note(notes, note(str(number)))
    assert [one.name for one in notes] == [str(n) for n in range(29, 29 - NOTIFICATIONS_KEPT, -1)]
    notes = with_note(notes, note("25", "again"))
    assert (notes[0].line, len(notes)) == ("again", NOTIFICATIONS_KEPT)
    assert [one.name for one in without_note(notes, ("25", None))][:2] == ["29", "28"]
    assert len(with_note(with_note((), note(None)), note(None))) == 2


@pytest.mark.parametrize(
    ("title", "content", "line"),
    [("Ann", "Hi  there\n!", "Ann: Hi there !"), ("", "Hi", "App: Hi"), ("", "", "App")],
)
def test_the_line_of_a_notification(title: str, content: str, line: str) -> None:
    assert note("1", title, content).line == line


def test_long_lines_are_cut() -> None:
    assert shortened("x" * 200) == "x" * (LINE_MOST - 1) + "…"
    assert shortened("x" * LINE_MOST) == "x" * LINE_MOST
    assert shortened(" " * TEXT_MOST + "x") == "", "nobody reads a megabyte to find a word"


def entry(name: str, hours: float, ends: float | None = None) -> Entry:
    end = NOON + timedelta(hours=ends) if ends is not None else None
    return Entry(name=name, title=name, begins=NOON + timedelta(hours=hours), ends=end)


def test_the_next_entry_is_the_soonest_that_is_not_over() -> None:
    entries: tuple[Entry, ...] = ()
    for one in (entry("late", 5), entry("now", -1, 1), entry("over", -2, -1), entry("soon", 2)):
        entries = with_entry(entries, one, NOON)
    assert [one.name for one in entries] == ["now", "soon", "late"]
    found = [next_entry(entries, NOON + timedelta(hours=hours)) for hours in (0, 1, 2, 6)]
    assert [one.name if one else None for one in found] == ["now", "soon", "late", None]


def test_an_entry_is_kept_once_and_not_too_many_of_them() -> None:
    entries: tuple[Entry, ...] = ()
    for number in range(EVENTS_KEPT + 20):
        entries = with_entry(entries, entry("daily", number + 1), NOON)
    assert len(with_entry(entries, entry("daily", 3), NOON)) == EVENTS_KEPT


def test_the_line_of_an_entry() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=13)))
    assert entry_line(entry("Lunch", 0.5), NOON) == "12:30 Lunch"
    assert entry_line(entry("", 0.5), NOON) == "12:30"
    assert entry_line(entry("Lunch", 0.5), there) == "01:30 Lunch"
    assert entry_line(entry("Lunch", 24), there) == "02-02 01:00 Lunch"


@pytest.mark.parametrize(
    ("level", "charging", "line"),
    [
        (83, False, "83%"),
        (82.6, True, "83%+"),
        (0, False, "0%"),
        (None, True, ""),
        (101, False, ""),
    ],
)
def test_the_line_of_a_battery(level: object, charging: bool, line: str) -> None:
    assert battery_line(level, charging=charging) == line


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("2026-01-31T14:00:00+02:00", "14:00"),
        ("2026-01-31T14:00:20.000", "14:00"),
        ("2026-01-31T17:45:00", "17:45"),
        ("2026-01-31T12:00:00Z", "12:00"),
        ("2026-01-30T23:00:00", "23:00"),
    ],
)
def test_the_zone_of_a_phone_that_says_what_time_it_is(text: str, local: str) -> None:
    zone = zone_of(text, NOON)
    assert zone is not None
    assert time_line(NOON.astimezone(zone), local=True) == local


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "2026-02-03T12:00:00",
        "2026-01-31T12:00:00+23:00",
        "0001-01-01T00:00:00",
        "x" * 9_999,
    ],
)
def test_a_text_that_is_no_time_has_no_zone(text: str) -> None:
    assert zone_of(text, NOON) is None


def test_a_time_that_is_not_the_users_own_says_so() -> None:
    assert time_line(NOON, local=False) == "12:00 UTC"


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", None])
def test_no_moment_is_at_the_end_of_time(text: str | None) -> None:
    assert moment_of(text, UTC) is None


@given(st.datetimes(timezones=st.just(UTC)), st.text())
def test_the_next_minute_is_reached_and_not_much_later(now: datetime, who: str) -> None:
    seconds = until_next_minute(now, who)
    past = (now.second + now.microsecond / 1_000_000 + seconds) - 60
    assert 0 < past <= DASHBOARD_SPREAD_S + 0.01


def test_dashboards_are_not_all_drawn_in_the_same_turn() -> None:
    assert len({until_next_minute(NOON, f"u{n}@x.org") for n in range(50)}) > 30
