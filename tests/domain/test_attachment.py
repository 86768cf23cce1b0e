"""The life of a user session as a table."""

from __future__ import annotations

import pytest

from mentra_trio.domain.attachment import OVER, TRANSITIONS, UserEvent, UserState, next_state
from mentra_trio.domain.errors import IllegalTransition

S, E = UserState, UserEvent

ANYWHERE = {E.ENDED: S.DISCONNECTING, E.CRASHED: S.ERROR}
"""What ends a session in every state."""

PAIRS = [(state, event) for state in UserState for event in UserEvent]


def test_every_state_has_a_row_and_every_event_a_place() -> None:
    assert set(TRANSITIONS) == set(UserState)
    assert {event for row in TRANSITIONS.values() for event in row} == set(UserEvent) - set(
        ANYWHERE
    )


def test_every_state_can_be_reached_from_the_first() -> None:
    seen, waiting = {S.INITIALIZING, S.ERROR}, [S.INITIALIZING]
    while waiting:
        ways = set(TRANSITIONS[waiting.pop()].values()) - seen
        seen |= ways
        waiting.extend(ways)

    assert seen == set(UserState)


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_what_the_table_lacks_is_refused_and_nothing_else(
    state: UserState, event: UserEvent
) -> None:
    if event in ANYWHERE:
        assert next_state(state, event) is ANYWHERE[event]
    elif event in TRANSITIONS[state]:
        assert next_state(state, event) is TRANSITIONS[state][event]
    else:
        with pytest.raises(IllegalTransition, match=f"{event.name} while {state.name}"):
            next_state(state, event)


@pytest.mark.parametrize("event", [E.GLASSES_REPLACED, E.GLASSES_LOST])
def test_whatever_glasses_do_while_attached_is_allowed(event: UserEvent) -> None:
    assert next_state(S.CONNECTED, event) in {S.CONNECTED, S.DISCONNECTED}


def test_glasses_may_go_and_come_back_any_number_of_times() -> None:
    state = next_state(S.CONNECTING, E.GLASSES_ATTACHED)
    for _ in range(3):
        assert next_state(state, E.GLASSES_REPLACED) is S.CONNECTED
        state = next_state(next_state(state, E.GLASSES_LOST), E.GLASSES_ATTACHED)
        assert state is S.CONNECTED


def test_a_session_that_ends_takes_no_glasses() -> None:
    for state in OVER:
        assert TRANSITIONS[state] == {}
        with pytest.raises(IllegalTransition):
            next_state(state, E.GLASSES_ATTACHED)


def test_over_is_what_no_event_of_the_glasses_leads_out_of() -> None:
    assert {state for state, row in TRANSITIONS.items() if not row} == OVER
