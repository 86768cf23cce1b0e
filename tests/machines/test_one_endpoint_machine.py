"""One app server with many users, in any order of events: who may call it, how often, and when."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
import trio
from hypothesis import strategies as st
from profiles import machine_settings

from mentra_trio.domain.breaker import PROBE_JITTER, BreakerState, Sign
from mentra_trio.domain.facts import EndpointChanged
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.endpoint import Endpoint, Turn
from mentra_trio.testing.household import APP, virtual_environment
from mentra_trio.testing.machine import TrioMachine, invariant, precondition, rule
from mentra_trio.testing.recording import RecordingTelemetry

LIFECYCLE: Final = Lifecycle()
SLOT_S: Final = 1 / LIFECYCLE.release_per_s
SLOWEST_S: Final = 40.0
"""A call that is never answered is given up after this time, as app sessions do."""
RETRY_S: Final = 1.0
CLOSE_ENOUGH: Final = 1e-6


@attrs.define(eq=False)
class Lost:
    """A session that was lost, waits for its turn, and calls until the app is back."""

    lost_at: float
    living: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    waits: bool = False
    tries: bool = False
    """Whether it is calling a server of which it is not known whether it is there."""


@attrs.define
class Granted:
    """A turn as it was given: when, and what was known of the server at that moment."""

    at: float
    trial: bool
    down_since: float | None


class OneEndpoint(TrioMachine):
    """The oracle is a list of the turns that were given, and the sessions that were lost."""

    async def world(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.telemetry = RecordingTelemetry()
        self.endpoint = Endpoint(
            package=APP,
            url="http://one.test",
            lifecycle=LIFECYCLE,
            environment=virtual_environment(),
            telemetry=self.telemetry,
        )
        self.sign, self.call_s = Sign.GOOD, 0.0
        self.lost: list[Lost] = []
        self.granted: list[Granted] = []
        self.hinted = False
        """Whether there was another reason to try than the schedule, since the latest trial."""
        async with trio.open_nursery() as self.sessions:
            task_status.started()
            await trio.sleep_forever()

    # -- a session, as its phases behave --------------------------------------------------

    async def session(self, lost: Lost) -> None:
        try:
            with lost.living:
                turn = self.endpoint.goes_at_once(lost.lost_at)
                while not await self.called(lost, turn or await self.turn(lost)):
                    turn = None
                    if self.sign is Sign.FAILED:
                        await trio.sleep(RETRY_S)
        finally:
            self.lost.remove(lost)

    async def turn(self, lost: Lost) -> Turn:
        lost.waits = True
        try:
            return await self.endpoint.turn(lost.lost_at)
        finally:
            lost.waits = False

    async def called(self, lost: Lost, turn: Turn) -> bool:
        breaker = self.endpoint.breaker
        lost.tries = not breaker.vouches_for(lost.lost_at)
        granted = Granted(trio.current_time(), lost.tries, breaker.down_since)
        self.note_turn(granted)
        try:
            await trio.sleep(self.call_s)
            self.endpoint.tell(self.sign)
            return self.sign is Sign.GOOD
        except trio.Cancelled:
            granted.trial = False  # nothing was learnt from it: the next one need not wait
            raise
        finally:
            lost.tries = False
            turn.over()
            turn.over()

    def note_turn(self, turn: Granted) -> None:
        """Check a turn against those before it, and remember it."""
        if turn.trial:
            self.check_schedule(turn)
            self.hinted = False
        elif self.granted:
            assert turn.at >= self.granted[-1].at + SLOT_S - CLOSE_ENOUGH, "faster than the rate"
        self.granted.append(turn)

    def check_schedule(self, turn: Granted) -> None:
        """A server that is down is not tried before its time."""
        trials = [before for before in self.granted if before.trial]
        if turn.down_since is None or self.hinted or not trials:
            return
        last = max(trials[-1].at, turn.down_since)
        down_for = last - turn.down_since
        least = LIFECYCLE.probe_s
        if down_for >= LIFECYCLE.resurrection_budget_s:
            least = LIFECYCLE.probe_rare_s
        elif down_for >= LIFECYCLE.probe_fast_for_s:
            least = LIFECYCLE.probe_slow_s
        assert turn.at - last >= least * (1 - PROBE_JITTER) - CLOSE_ENOUGH, "before its time"

    # -- changes ----------------------------------------------------------------------------

    def lose(self, users: int) -> None:
        for _ in range(users):
            lost = Lost(trio.current_time())
            self.lost.append(lost)
            self.sessions.start_soon(self.session, lost)

    def stop_one(self, which: int) -> None:
        if self.lost:
            self.lost[which % len(self.lost)].living.cancel()

    def stop_who_tries(self) -> None:
        for lost in self.lost:
            if lost.tries:
                lost.living.cancel()

    def check_health(self, well: bool) -> None:
        self.hinted = self.hinted or well
        self.endpoint.note_health(well=well)

    def move(self) -> None:
        self.hinted = True
        self.endpoint.moved(f"{self.endpoint.url}x")

    # -- rules ---------------------------------------------------------------------------------

    @rule(changes=st.lists(st.integers(0, 9), min_size=1, max_size=4))
    def things_happen_in_one_turn(self, changes: list[int]) -> None:
        menu: list[Callable[[], None]] = [
            partial(self.lose, 1),
            partial(self.lose, 7),
            partial(self.stop_one, 0),
            partial(self.stop_one, 1),
            self.stop_who_tries,
            partial(self.endpoint.tell, Sign.GOOD),
            partial(self.endpoint.tell, Sign.AWAY),
            partial(self.check_health, False),
            partial(self.check_health, True),
            self.move,
        ]
        self.act(*(menu[n] for n in changes))

    @rule(users=st.sampled_from([1, 1, 2, 30]))
    def many_are_lost_together(self, users: int) -> None:
        self.act(partial(self.lose, users))

    @precondition(lambda self: self.lost)
    @rule(which=st.integers(0, 40))
    def a_user_leaves(self, which: int) -> None:
        self.act(partial(self.stop_one, which))

    @rule(
        sign=st.sampled_from([*Sign, Sign.GOOD, Sign.AWAY]),
        call_s=st.sampled_from([0.0, 0.0, 0.3, 3.0, SLOWEST_S]),
    )
    def the_server_changes(self, sign: Sign, call_s: float) -> None:
        self.sign, self.call_s = sign, call_s

    @rule(users=st.integers(1, 20), seconds=st.sampled_from([1, 59, 70, 200, 2_000]))
    def the_server_is_away_for_a_while(self, users: int, seconds: float) -> None:
        self.the_server_changes(Sign.AWAY, 0.0)
        self.act(partial(self.endpoint.tell, Sign.AWAY), partial(self.lose, users))
        self.advance(seconds)

    @rule(seconds=st.sampled_from([0.001, 0.02, 1, 2.1, 15, 70, 1_000]))
    def time_passes(self, seconds: float) -> None:
        self.advance(seconds)

    @rule()
    def all_is_well_again(self) -> None:
        """Liveness: as soon as one trial of a good server is over, everybody gets a turn."""
        self.the_server_changes(Sign.GOOD, 0.0)

        async def job() -> None:
            anybody = bool(self.lost)
            calling = SLOWEST_S if len(self.lost) > self.waiting else 0.0
            patience = calling + RETRY_S + self.until_trial() + (len(self.lost) + 2) * SLOT_S
            await trio.sleep(patience)
            assert self.lost == []
            assert self.endpoint.state.value is BreakerState.CLOSED or not anybody

        self.do(job)

    def until_trial(self) -> float:
        """How long the next trial may take to come: one that is due after the budget is rare."""
        now, down_since = trio.current_time(), self.endpoint.breaker.down_since
        due = max(now, self.endpoint.next_chance() or now)
        if down_since is not None and due - down_since >= LIFECYCLE.resurrection_budget_s:
            return LIFECYCLE.probe_rare_s
        return due - now

    # -- what always holds ------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        return sum(lost.waits for lost in self.lost)

    @invariant()
    def one_tries_for_all(self) -> None:
        assert sum(lost.tries for lost in self.lost) <= 1

    @invariant()
    def nobody_leaves_a_place_or_a_trial_behind(self) -> None:
        async def job() -> None:
            snapshot = self.endpoint.snapshot()
            assert snapshot.waiting == self.waiting
            assert snapshot.trial is any(lost.tries for lost in self.lost)

        self.do(job)

    @invariant()
    def whoever_waits_has_a_reason_to(self) -> None:
        """No wake-up is lost: what the first in the line waits for is still to come."""
        line = [lost for lost in self.lost if lost.waits]
        if not line or any(lost.tries for lost in self.lost):
            return

        async def job() -> None:
            slot_s = self.endpoint._wait_for_slot()
            chance = self.endpoint.next_chance()
            tryable = chance is None or chance <= trio.current_time()
            vouched = any(self.endpoint.breaker.vouches_for(lost.lost_at) for lost in line)
            assert slot_s > 0 if vouched else not tryable

        self.do(job)

    @invariant()
    def the_state_is_what_is_known(self) -> None:
        trial = any(lost.tries for lost in self.lost)
        state = self.endpoint.state.value
        if not self.endpoint.breaker.is_open:
            assert state is BreakerState.CLOSED
        else:
            assert state is (BreakerState.HALF_OPEN if trial else BreakerState.OPEN)

    @invariant()
    def it_is_said_once_that_it_is_down_and_once_that_it_is_back(self) -> None:
        back = [fact.sign is Sign.GOOD for fact in self.telemetry.of(EndpointChanged)]
        assert back == [number % 2 == 1 for number in range(len(back))]

    def teardown(self) -> None:
        REACHED.update(
            (turn.trial, turn.down_since is not None and turn.at - turn.down_since > 180)
            for turn in self.granted
        )
        super().teardown()


REACHED: set[tuple[bool, bool]] = set()
"""Kinds of turns that some example of this run has seen: trials or not, after how long."""

TestOneEndpoint = OneEndpoint.TestCase
TestOneEndpoint.settings = machine_settings(quick_examples=80)


def test_every_kind_of_turn_was_given() -> None:
    assert {(False, False), (True, False), (True, True)} <= REACHED
