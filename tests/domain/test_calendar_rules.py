"""What is remembered of a calendar, and in which order it is told (protocol.md 4.11, 6.8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.calendar import (
    CHARACTERS_MAX,
    EVENTS_MAX,
    Calendar,
    Event,
    event_of,
    in_order,
)

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def hours(number: float) -> str:
    return (NOW + timedelta(hours=number)).isoformat()


def told(calendar: Calendar) -> list[str]:
    return [event.text for event in calendar.told(NOW)]


def test_those_to_come_soonest_first_then_the_past_newest_first() -> None:
    calendar = Calendar()
    for start in (-2, 5, 0, -1, 1, 300):
        calendar.add(event_of(f"e{start}", hours(start), f"{start}"), NOW)
    calendar.add(event_of("?", "some day", "?"), NOW)
    assert told(calendar) == ["0", "1", "5", "300", "-1", "-2", "?"]


def test_the_order_follows_the_clock() -> None:
    calendar = Calendar()
    for start in (1, 2):
        calendar.add(event_of(f"e{start}", hours(start), f"{start}"), NOW)
    later = NOW + timedelta(hours=1.5)
    assert [event.text for event in calendar.told(later)] == ["2", "1"]


def test_an_event_is_its_id_and_its_start() -> None:
    calendar = Calendar()
    calendar.add(event_of("e", hours(1), "first"), NOW)
    calendar.add(event_of("e", hours(25), "the day after"), NOW)
    calendar.add(event_of("e", hours(1).replace("+00:00", "Z"), "moved to another room"), NOW)
    assert told(calendar) == ["moved to another room", "the day after"]


def test_a_hundred_are_remembered_and_the_last_to_be_told_is_forgotten() -> None:
    calendar = Calendar()
    for number in range(EVENTS_MAX + 10):
        calendar.add(event_of(f"e{number}", hours(-number), f"{number}"), NOW)
    assert len(calendar) == EVENTS_MAX
    assert told(calendar) == [str(number) for number in range(EVENTS_MAX)]
    calendar.add(event_of("new", hours(1), "new"), NOW)
    assert told(calendar)[:2] == ["0", "new"]
    assert len(calendar) == EVENTS_MAX


def test_what_is_too_long_is_not_remembered() -> None:
    calendar = Calendar()
    calendar.add(event_of("long", hours(1), "x" * (CHARACTERS_MAX + 1)), NOW)
    assert told(calendar) == []
    calendar.add(event_of("long", hours(1), "x" * CHARACTERS_MAX), NOW)
    assert len(calendar) == 1


events = st.builds(
    lambda name, start: event_of(f"e{name}", start, f"{name} {start}"),
    st.integers(0, 150),
    st.integers(-200, 200).map(hours) | st.just("?"),
)


@given(st.lists(events, max_size=160))
def test_the_bound_keeps_the_first_of_the_order(added: list[Event]) -> None:
    calendar = Calendar()
    latest: dict[tuple[str, datetime | None], Event] = {}
    for event in added:
        calendar.add(event, NOW)
        latest[event.event_id, event.starts] = event
    assert len(calendar) == min(EVENTS_MAX, len(latest))
    kept = calendar.told(NOW)
    starts = [event.starts for event in kept if event.starts is not None]
    future = [one for one in starts if one >= NOW]
    past = [one for one in starts if one < NOW]
    assert starts == sorted(future) + sorted(past, reverse=True)
    best = in_order(list(latest.values()), NOW)[:EVENTS_MAX]
    assert [event.starts for event in kept] == [event.starts for event in best]
