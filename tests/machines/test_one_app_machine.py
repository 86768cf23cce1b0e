"""One user with one app, in any order of events: what must always hold, and what must follow."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from profiles import machine_settings
from several_lives import SeveralLives

from mentra_trio.domain.errors import SessionEnded, WebhookFailed, WebhookFailure
from mentra_trio.domain.facts import AppStateChanged, WebhookCalled
from mentra_trio.domain.lifecycle import TRANSITIONS, AppEvent, AppState
from mentra_trio.ports import SessionCall
from mentra_trio.sessions.app_session import AppSession
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    virtual_environment,
)
from mentra_trio.testing.links import FakeWebhooks, WebhookScript

REFUSED = WebhookFailed(WebhookFailure.REFUSED, "refused", delivered=False)
LATE_ERROR = WebhookFailed(WebhookFailure.ERROR, "500", delivered=True)

Job = Callable[[], Awaitable[None]]


class WatchedWebhooks(FakeWebhooks):
    """Notes in which state the app session was when its server was called."""

    def __init__(self) -> None:
        super().__init__()
        self.look: Callable[[], str | None] = lambda: None
        self.states: list[str | None] = []

    async def start(self, call: SessionCall, *, delivered: Callable[[], None]) -> None:
        self.states.append(self.look())
        await super().start(call, delivered=delivered)


class OneApp(SeveralLives):
    """The oracle is in plain values: what the user wants, and what the app has asked for."""

    def prepare(self) -> None:
        self.wanted: bool | None = False
        self.expected: tuple[AppSession, tuple[str, ...]] | None = None
        """The app's last list, and the session in which it said so."""
        self.webhooks = WatchedWebhooks()
        self.store = MemoryStore()
        self.refused = 0
        self.down_for_long = False
        self.house: Household

    async def live(self) -> None:
        """One life of the server; the store and the app's server outlive it."""
        environment = virtual_environment(self.lives, tokens=f"life{self.lives}-")
        async with (
            open_household(
                webhooks=self.webhooks, store=self.store, environment=environment
            ) as house,
            trio.open_nursery() as callers,
        ):
            self.house = house
            self.webhooks.look = house.state
            self.callers = callers
            if self.lives == 1:
                await house.add_app()
            self.reborn.set()
            try:
                await trio.sleep_forever()
            finally:
                house.directory.drain()

    @initialize(running=st.sampled_from([True, True, True, False]))
    def the_glasses_are_there_and_mostly_the_app_too(self, running: bool) -> None:
        self.glasses_come()
        if running:
            self.somebody_starts_the_app(1)
            self.the_app_answers_its_newest_call()
            assert self.house.state() == "running"

    # -- changes ---------------------------------------------------------------------

    def start(self) -> None:
        if USER in self.house.directory._users:
            self.wanted = True
            self.waiting += 1
            self.callers.start_soon(self._start)

    async def _start(self) -> None:
        with contextlib.suppress(SessionEnded):
            await self.house.directory.start_app(USER, APP)
        self.waiting -= 1

    def stop(self) -> None:
        if USER in self.house.directory._users:
            self.wanted = False
            self.waiting += 1
            self.callers.start_soon(self._stop)

    async def _stop(self) -> None:
        with contextlib.suppress(SessionEnded):
            await self.house.directory.stop_app(USER, APP)
        self.waiting -= 1

    def answer(self, which: int) -> None:
        starts = self.webhooks.starts
        if starts:
            self.links.append(self.house.answer(starts[which % len(starts)]))

    def come_without_token(self) -> None:
        self.links.append(self.house.app())

    def cut_app(self) -> None:
        if self.links:
            self.links[-1].cut()

    def cut_glasses(self) -> None:
        if self.glasses:
            self.glasses[-1].cut()

    def come_glasses(self) -> None:
        self.glasses.append(self.house.glasses())

    # -- rules ---------------------------------------------------------------------

    @rule(changes=st.lists(st.integers(0, 7), min_size=2, max_size=4))
    def things_happen_in_one_turn(self, changes: list[int]) -> None:
        menu: list[Callable[[], None]] = [
            self.start,
            self.stop,
            partial(self.answer, -1),
            partial(self.answer, 0),
            self.come_without_token,
            self.cut_app,
            self.cut_glasses,
            self.come_glasses,
        ]
        self.expected = None
        self.act(*(menu[n] for n in changes))
        if {0, 1} <= set(changes):
            self.wanted = None  # which of two tasks was first is the scheduler's business

    @rule()
    def glasses_come(self) -> None:
        self.act(self.come_glasses)

    @precondition(lambda self: self.glasses)
    @rule(code=st.sampled_from([None, 1000, 1001]), which=st.integers(0, 3))
    def glasses_go(self, code: int | None, which: int) -> None:
        link = self.glasses[-1 - which % len(self.glasses)]
        self.act(link.cut if code is None else partial(link.hang_up, code))

    @precondition(lambda self: self.glasses)
    @rule()
    def glasses_fall_silent(self) -> None:
        self.glasses[-1].answers_pings = False

    @rule(starters=st.integers(1, 3))
    def somebody_starts_the_app(self, starters: int) -> None:
        self.act(*[self.start] * starters)

    @rule()
    def the_user_stops_the_app(self) -> None:
        self.act(self.stop)
        if USER in self.house.directory._users:
            assert self.house.state() in {None, "stopping"}

    @precondition(lambda self: self.glasses and self.glasses[-1].is_open)
    @rule(words=st.lists(st.sampled_from(["start_app", "stop_app"]), min_size=1, max_size=4))
    def the_glasses_command(self, words: list[str]) -> None:
        link = self.glasses[-1]
        self.act(lambda: link.say(*({"type": word, "packageName": APP} for word in words)))
        self.wanted = words[-1] == "start_app"

    @rule()
    def the_app_answers_its_newest_call(self) -> None:
        self.act(partial(self.answer, -1))

    @rule(which=st.integers(0, 5))
    def a_ghost_answers_an_old_call(self, which: int) -> None:
        self.act(partial(self.answer, which))

    @rule()
    def the_app_comes_without_a_token(self) -> None:
        self.act(self.come_without_token)

    @precondition(lambda self: self.links)
    @rule(code=st.sampled_from([None, 1000, 1005]), which=st.integers(0, 5))
    def the_app_goes(self, code: int | None, which: int) -> None:
        link = self.links[-1 - which % len(self.links)]
        self.act(link.cut if code is None else partial(link.hang_up, code))

    @precondition(lambda self: self.links)
    @rule()
    def the_app_falls_silent(self) -> None:
        self.links[-1].answers_pings = False

    @precondition(lambda self: self.links)
    @rule(lists=st.lists(st.sampled_from([(), ("a",), ("a", "b"), ("audio_chunk",)]), max_size=5))
    def the_app_subscribes(self, lists: list[tuple[str, ...]]) -> None:
        link = self.links[-1]
        say = [{"type": "subscription_update", "subscriptions": list(item)} for item in lists]
        self.act(lambda: link.say(*say))
        if lists and link.is_open:
            # An empty list right after a reattach may or may not be meant.
            session = self.house.directory._users[USER].roster.apps[APP]
            self.expected = (session, lists[-1]) if lists[-1] else None

    @precondition(lambda self: self.links)
    @rule()
    def the_app_does_not_read(self) -> None:
        self.links[-1].room = 1

    @precondition(lambda self: self.glasses)
    @rule()
    def something_happens(self) -> None:
        link = self.glasses[-1]
        self.act(lambda: link.say(b"pcm", {"type": "a"}, {"type": "b"}, {"type": "ping"}))

    @rule(script=st.sampled_from(["quick", "slow", "refused", "error", "never"]))
    def the_app_server_changes(self, script: str) -> None:
        self.house.webhooks.plan(
            APP,
            {
                "quick": WebhookScript(),
                "slow": WebhookScript(deliver_after=2, answer_after=20),
                "refused": WebhookScript(failure=REFUSED),
                "error": WebhookScript(answer_after=5, failure=LATE_ERROR),
                "never": WebhookScript(deliver_after=100),
            }[script],
        )

    @rule(seconds=st.sampled_from([0.05, 1, 4.9, 5.1, 11, 70, 200]))
    def time_passes(self, seconds: float) -> None:
        self.advance(seconds)

    @precondition(lambda self: self.links)
    @rule(goes=st.booleans())
    def the_app_releases_its_session(self, goes: bool) -> None:
        link = self.links[-1]
        self.act(lambda: link.say({"type": "ownership_release", "reason": "x"}))
        if goes:
            self.act(partial(link.hang_up, 1005))

    @precondition(lambda self: self.links and self.glasses)
    @rule(seconds=st.sampled_from([1, 8, 30]))
    def user_and_app_are_away_for_a_while(self, seconds: float) -> None:
        self.act(self.cut_glasses, self.cut_app)
        self.advance(seconds)
        self.glasses_come()

    @precondition(lambda self: self.links)
    @rule(seconds=st.sampled_from([6, 30, 200, 1_200]))
    def the_app_is_lost_together_with_its_server(self, seconds: float) -> None:
        self.the_app_server_changes("refused")
        for link in self.glasses:
            link.answers_pings = True
        self.act(self.cut_app)
        self.advance(seconds)

    @rule()
    def the_server_of_the_app_says_it_was_restarted(self) -> None:
        self.act(lambda: self.callers.start_soon(self.house.directory.recover_app, APP))

    @rule()
    def our_server_is_killed_and_started_again(self) -> None:
        """Nothing is said to anybody; what was not written down by then is lost."""

        self.note_moves()
        self.refused += self.refused_calls()

        def forget() -> None:
            keeper = self.house.directory.surroundings.keeper
            keeper._noted.clear()
            keeper._open = False

        self.kill_the_server(forget)
        self.wanted, self.expected = None, None

    @precondition(lambda self: self.glasses and self.glasses[-1].is_open)
    @rule()
    def all_is_well_again(self) -> None:
        """Liveness: with its user there and its server well, an app that is away comes back."""
        before = self.house.state()
        self.do(self.look_at_the_server)
        self.glasses[-1].answers_pings = True

        def connect(call: SessionCall) -> None:
            self.links.append(self.house.answer(call))

        self.house.webhooks.plan(APP, WebhookScript(on_delivered=connect))
        self.advance(60)
        if before in {"grace_period", "disconnected", "resurrecting", "backoff"}:
            late = {"backoff", "evicted"} if self.down_for_long else set()
            assert self.house.state() in {"running"} | late, before
        self.expected = None

    async def look_at_the_server(self) -> None:
        """One that has been down for long is tried seldom, unless its health says more."""
        server = self.house.directory.surroundings.endpoints.known(APP)
        down_since = server.breaker.down_since if server is not None else None
        self.down_for_long = down_since is not None and trio.current_time() - down_since > 60

    @rule()
    def left_alone_everything_ends(self) -> None:
        """Liveness: with nobody there any more, all that lives is over after a bounded time."""

        async def job() -> None:
            for link in (*self.links, *self.glasses):
                link.cut()
            await trio.sleep(300)
            assert self.house.directory.users() == []
            assert await self.store.saved_users() == []
            assert self.waiting == 0
            assert self.house.webhooks.in_flight == 0

        self.do(job)

    # -- what always holds ---------------------------------------------------------

    @invariant()
    def nothing_crashed_behind_a_bulkhead(self) -> None:
        assert self.house.telemetry.crashes == []

    @invariant()
    def at_most_one_link_each_is_in_use(self) -> None:
        assert sum(link.is_open for link in self.glasses) <= 1
        assert sum(link.is_open for link in self.links) <= 1

    @invariant()
    def an_open_app_link_means_a_running_app(self) -> None:
        if any(link.is_open for link in self.links):
            assert self.house.state() == "running"

    @invariant()
    def states_move_along_the_table_only(self) -> None:
        for fact in self.house.telemetry.of(AppStateChanged):
            if fact.old is None or fact.event is None:
                continue
            if fact.event is not AppEvent.STOP_REQUESTED:
                assert TRANSITIONS[fact.old][fact.event] is fact.new

    @invariant()
    def at_most_one_webhook_is_in_flight(self) -> None:
        assert self.house.webhooks.in_flight <= 1

    @invariant()
    def a_server_is_only_called_for_a_start(self) -> None:
        assert set(self.webhooks.states) <= {"connecting", "resurrecting"}

    @invariant()
    def an_attempt_is_called_twice_only_if_the_first_call_was_not_delivered(self) -> None:
        refused = self.refused + self.refused_calls()
        urls = [call.websocket_url for call in self.webhooks.starts]
        assert len(urls) - len(set(urls)) <= refused

    def refused_calls(self) -> int:
        calls = [f for f in self.house.telemetry.of(WebhookCalled) if f.kind == "session"]
        return sum(fact.result == "refused" for fact in calls)

    @invariant()
    def at_rest_the_store_holds_what_the_user_wants(self) -> None:
        if not self.waiting and self.wanted is not None:
            stored = self.store._wanted.get(USER, {})
            assert (APP in stored) is self.wanted

    @invariant()
    def at_rest_the_subscriptions_are_the_last_list(self) -> None:
        if self.expected is not None:
            session, streams = self.expected
            if session.state is AppState.RUNNING:
                assert session.subscriptions.texts == streams

    def teardown(self) -> None:
        self.note_moves()
        super().teardown()

    def note_moves(self) -> None:
        for fact in self.house.telemetry.of(AppStateChanged):
            REACHED.add((fact.old, fact.new))


REACHED: set[tuple[AppState | None, AppState]] = set()
"""Every move of an app session that some example of this run has seen."""


TestOneApp = OneApp.TestCase
TestOneApp.settings = machine_settings()


def test_the_machine_goes_everywhere_that_there_is_a_way_to() -> None:
    """A machine whose rules are mostly without effect would prove nothing. Runs after it."""
    assert {
        (None, AppState.CONNECTING),
        (AppState.CONNECTING, AppState.RUNNING),
        (AppState.CONNECTING, AppState.STOPPING),
        (AppState.RUNNING, AppState.RUNNING),
        (AppState.RUNNING, AppState.GRACE_PERIOD),
        (AppState.RUNNING, AppState.STOPPING),
        (AppState.GRACE_PERIOD, AppState.RUNNING),
        (AppState.GRACE_PERIOD, AppState.STOPPING),
        (AppState.GRACE_PERIOD, AppState.DISCONNECTED),
        (AppState.GRACE_PERIOD, AppState.DORMANT),
        (AppState.RUNNING, AppState.DORMANT),
        (AppState.DISCONNECTED, AppState.RESURRECTING),
        (AppState.RESURRECTING, AppState.RUNNING),
        (AppState.RESURRECTING, AppState.BACKOFF),
        (AppState.BACKOFF, AppState.RESURRECTING),
        (AppState.BACKOFF, AppState.EVICTED),
        (AppState.EVICTED, AppState.RESURRECTING),
        (AppState.DORMANT, AppState.DISCONNECTED),
        (AppState.STOPPING, AppState.STOPPED),
    } <= REACHED
