"""The life of an app session as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.errors import IllegalTransition
from mentra_trio.domain.lifecycle import (
    AWAY,
    ENDED,
    PEER_EVENTS,
    RESTING,
    TRANSITIONS,
    AppEvent,
    AppState,
    StopCause,
    legacy_name,
    next_state,
    wire_reason,
)

S, E = AppState, AppEvent

PAIRS = [(state, event) for state in AppState for event in AppEvent]
LIVE = [state for state in AppState if state not in ENDED]
WRITTEN = {(state, event) for state, row in TRANSITIONS.items() for event in row}


def reachable_from(start: AppState) -> set[AppState]:
    """Every state that some sequence of events leads to, ``start`` included."""
    seen, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        ways = set(TRANSITIONS[state].values())
        if state not in ENDED:
            ways.add(next_state(state, E.STOP_REQUESTED))
        waiting.extend(ways - seen)
        seen |= ways
    return seen


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(AppState)


def test_every_state_can_be_reached_from_the_first() -> None:
    assert reachable_from(S.CONNECTING) == set(AppState)


@pytest.mark.parametrize("state", AppState)
def test_every_state_leads_to_the_end(state: AppState) -> None:
    assert S.STOPPED in reachable_from(state)


@pytest.mark.parametrize("event", AppEvent)
def test_every_event_moves_something(event: AppEvent) -> None:
    stop = event is E.STOP_REQUESTED

    assert stop or any(event in row for row in TRANSITIONS.values())


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_what_the_table_lacks_is_refused_and_nothing_else(state: AppState, event: AppEvent) -> None:
    stop = event is E.STOP_REQUESTED and state not in ENDED
    if (state, event) in WRITTEN or stop:
        assert isinstance(next_state(state, event), AppState)
    else:
        with pytest.raises(IllegalTransition, match=f"{event.name} while {state.name}"):
            next_state(state, event)


@pytest.mark.parametrize("state", LIVE)
def test_a_stop_is_obeyed_in_every_live_state(state: AppState) -> None:
    assert next_state(state, E.STOP_REQUESTED) is S.STOPPING


@pytest.mark.parametrize("event", sorted(PEER_EVENTS, key=str))
def test_whatever_a_peer_does_while_attached_is_allowed(event: AppEvent) -> None:
    assert next_state(S.RUNNING, event) in AppState


@pytest.mark.parametrize("state", sorted(set(LIVE) - {S.RUNNING}, key=str))
def test_an_app_that_comes_is_taken_in_every_live_state(state: AppState) -> None:
    assert next_state(state, E.LINK_ATTACHED) is S.RUNNING


def test_what_is_ending_never_runs_again() -> None:
    assert reachable_from(S.STOPPING) == {S.STOPPING, S.STOPPED}
    assert reachable_from(S.STOPPED) == {S.STOPPED}


def test_no_way_leads_from_a_lost_link_to_a_webhook_while_grace_lasts() -> None:
    assert next_state(S.RUNNING, E.LINK_LOST) is S.GRACE_PERIOD
    assert S.RESURRECTING not in TRANSITIONS[S.GRACE_PERIOD].values()
    assert next_state(S.GRACE_PERIOD, E.GRACE_EXPIRED) is S.DISCONNECTED


@given(st.lists(st.sampled_from(AppEvent), max_size=30))
def test_once_ended_always_ended(events: list[AppEvent]) -> None:
    state, ended = S.CONNECTING, False
    for event in events:
        try:
            state = next_state(state, event)
        except IllegalTransition:
            continue
        assert not ended or state in ENDED
        ended = ended or state in ENDED


@pytest.mark.parametrize(
    ("state", "delivered", "name"),
    [
        (S.CONNECTING, False, "LOADING"),
        (S.CONNECTING, True, "CONNECTING"),
        (S.RUNNING, True, "CONNECTED"),
        (S.GRACE_PERIOD, True, "DISCONNECTED"),
        (S.DISCONNECTED, True, "DISCONNECTED"),
        (S.RESURRECTING, True, "CONNECTING"),
        (S.BACKOFF, True, "DISCONNECTED"),
        (S.EVICTED, True, "ERROR"),
        (S.DORMANT, True, "DISCONNECTED"),
        (S.STOPPING, True, "DISCONNECTED"),
        (S.STOPPED, True, "DISCONNECTED"),
    ],
)
def test_the_older_names(state: AppState, delivered: bool, name: str) -> None:
    assert legacy_name(state, webhook_delivered=delivered) == name


def test_the_names_that_the_outside_sees() -> None:
    assert {state.value for state in AppState} == {
        *("connecting", "running", "grace_period", "disconnected", "resurrecting"),
        *("backoff", "evicted", "dormant", "stopping", "stopped"),
    }


@pytest.mark.parametrize("cause", StopCause)
def test_an_app_is_told_one_of_three_reasons(cause: StopCause) -> None:
    assert wire_reason(cause) in {"user_disabled", "system_stop", "error"}
    assert (wire_reason(cause) == "user_disabled") == (
        cause in {StopCause.USER, StopCause.FOREGROUND}
    )


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (S.RUNNING, E.LINK_RELEASED, S.DORMANT),
        (S.GRACE_PERIOD, E.USER_LEFT, S.DORMANT),
        (S.DISCONNECTED, E.USER_LEFT, S.DORMANT),
        (S.BACKOFF, E.USER_LEFT, S.DORMANT),
        (S.BACKOFF, E.BUDGET_SPENT, S.EVICTED),
        (S.RESURRECTING, E.ATTEMPT_FAILED, S.BACKOFF),
        (S.DORMANT, E.USER_RETURNED, S.DISCONNECTED),
    ],
)
def test_nobody_is_called_who_is_not_wanted_now(
    state: AppState, event: AppEvent, after: AppState
) -> None:
    assert next_state(state, event) is after


def test_a_state_is_alive_or_at_rest_or_over_and_nothing_else() -> None:
    assert {S.CONNECTING, S.RUNNING} | AWAY | RESTING | ENDED == set(AppState)
    assert len({S.CONNECTING, S.RUNNING}) + len(AWAY) + len(RESTING) + len(ENDED) == len(AppState)
    assert {S.DORMANT, S.EVICTED} == RESTING
