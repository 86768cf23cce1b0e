"""One lost app, in any order of events: whether it comes back, when it is called, what it hears.

The oracle is in plain values: which calls were delivered, what the user wants, and which presses
of a button the app has yet to hear of. Servers end as by ``kill -9``, and begin on what is stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import attrs
import pytest
import trio
from hypothesis import strategies as st
from profiles import machine_settings
from several_lives import SeveralLives

from mentra_trio.domain.breaker import Breaker, Sign
from mentra_trio.domain.close_reasons import APP_STOPPED, STALE_TOKEN, SUPERSEDED
from mentra_trio.domain.errors import SessionEnded, WebhookFailed, WebhookFailure
from mentra_trio.domain.facts import AppStateChanged
from mentra_trio.domain.lifecycle import AWAY, TRANSITIONS, AppEvent, AppState
from mentra_trio.domain.records import TOKENS_KEPT
from mentra_trio.domain.timings import PROOF_S, SAVE_DELAY_S, Lifecycle
from mentra_trio.ports import SessionCall
from mentra_trio.sessions.app_session import AppSession
from mentra_trio.sessions.directory import AppClaim
from mentra_trio.sessions.resting import Rest
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    token_of,
    virtual_environment,
)
from mentra_trio.testing.links import FakeWebhooks, MemoryLink, WebhookScript
from mentra_trio.testing.machine import initialize, invariant, precondition, rule
from mentra_trio.testing.mortal import MortalStore, Pulse

TIMES: Final = Lifecycle()
HELD: Final = {state.value for state in AWAY} | {"running"}
"""States in which a message for the app is sent or kept."""
UNSAVED_S: Final = SAVE_DELAY_S + 0.01

SCRIPTS: Final = {
    "well": WebhookScript(),
    "slow": WebhookScript(deliver_after=2, answer_after=20),
    "never delivered": WebhookScript(deliver_after=1_000),
    "never answered": WebhookScript(answer_after=1_000),
    **{
        name: WebhookScript(failure=WebhookFailed(failure, name, delivered=delivered))
        for name, failure, delivered in [
            ("refused", WebhookFailure.REFUSED, False),
            ("503", WebhookFailure.UNAVAILABLE, True),
            ("404", WebhookFailure.GONE, True),
            ("401", WebhookFailure.MISCONFIGURED, True),
            ("500", WebhookFailure.ERROR, True),
        ]
    },
}


SITUATIONS: Final = (
    *("nothing", "started", "running", "lost", "jitter", "called", "down", "evicted", "away"),
    "released",
)
NEXT: Final = (
    *("the app comes", "the user starts it", "the user leaves"),
    *("the user comes back", "the user comes back later", "time passes", "all is well again"),
    "its server was restarted",
)


class Witness(FakeWebhooks):
    """Looks, at every call and delivery, whether there may be one."""

    def __init__(self) -> None:
        super().__init__()
        self.delivered: list[str] = []
        self.gave_up: set[str] = set()
        """Attempts whose app said that they have failed: what comes of them is a ghost."""
        self.look: Callable[[str], None] = lambda token: None

    async def start(self, call: SessionCall, *, delivered: Callable[[], None]) -> None:
        token = token_of(call)
        self.look(token)

        def note() -> None:
            self.delivered.append(token)
            delivered()

        try:
            await super().start(call, delivered=note)
        except WebhookFailed as failed:
            if failed.failure is WebhookFailure.ERROR:
                self.gave_up.add(token)
            raise


def pressed(links: Sequence[MemoryLink]) -> list[int]:
    """The presses that the app has heard of, in order."""
    return [
        int(message["data"]["buttonId"])
        for link in links
        for message in link.of_type("data_stream")
    ]


class ComingBack(SeveralLives):
    def prepare(self) -> None:
        self.webhooks, self.store = Witness(), MemoryStore()
        self.webhooks.look = self.look_at_a_call
        self.wanted = False
        self.first_of_life = 0
        """Calls before this one were made for a session that is over for good."""
        self.unsure = False
        """Whether the server may have died without having written down the latest delivery."""
        self.attached: set[str | None] = set()
        """Tokens with which the app came and was served."""
        self.asked = False
        """Whether the user has started the app, and nothing has come of it yet."""
        self.subscribed: bool | None = False
        self.said: list[float] = []
        """When each press was made."""
        self.heard_at: list[float] = []
        """When each press was heard of, at the latest."""
        self.may_repeat: set[int] = set()
        """Heard of so shortly before a server died that it had not written that down."""
        self.due: list[int] = []
        """Presses that the app has to hear of, as far as it was not told that it missed some."""
        self.told = self.missed = self.stale_before = 0
        self.vague = False
        """Whether something was said of which nobody can know whether the app wanted it."""
        self.moved: list[AppStateChanged] = []

    async def live(self) -> None:
        self.pulse = Pulse()
        tokens = iter(f"life{self.lives}-{n}" for n in range(10_000))
        environment = attrs.evolve(virtual_environment(self.lives), new_token=tokens.__next__)
        async with (
            open_household(
                webhooks=self.webhooks,
                store=MortalStore(self.store, self.pulse),
                environment=environment,
            ) as house,
            trio.open_nursery() as callers,
        ):
            self.house: Household = house
            self.callers: trio.Nursery = callers
            if self.lives == 1:
                await house.add_app()
            self.reborn.set()
            await trio.sleep_forever()

    # -- what is looked at -------------------------------------------------------------

    def look_at_a_call(self, token: str) -> None:
        """Whenever the app's server is called: is there a reason to, and was it not before?"""
        state, asked = self.house.state(), self.asked or self.waiting > 0
        self.asked = False
        assert state in {"connecting", "resurrecting"}, state
        assert self.wanted, "the user has stopped it"
        here = self.house.directory._users[USER].desk.here.value
        assert here or asked or state == "connecting", "the user is away"
        assert self.webhooks.in_flight == 0
        assert token not in self.webhooks.delivered, "delivered before"
        before = [token_of(call) for call in self.webhooks.starts].count(token)
        assert before == 0 or (before == 1 and state == "connecting"), "only a start is repeated"

    @property
    def state(self) -> str | None:
        return self.house.state()

    @property
    def session(self) -> AppSession | None:
        user = self.house.directory._users.get(USER)
        return user.roster.apps.get(APP) if user is not None else None

    @property
    def rest(self) -> Rest | None:
        user = self.house.directory._users.get(USER)
        return user.roster.resting.get(APP) if user is not None else None

    @property
    def has_user(self) -> bool:
        return USER in self.house.directory._users

    @property
    def tokens(self) -> list[str]:
        """Tokens of this life of the app, as far as they left the server, oldest first."""
        calls = self.webhooks.starts[self.first_of_life :]
        return list(dict.fromkeys(token_of(call) for call in calls))

    @property
    def newest_delivered(self) -> int:
        """Which of ``tokens`` is the latest that reached the app; -1 if none did."""
        reached = {*self.webhooks.delivered, *self.attached}
        found = [n for n, token in enumerate(self.tokens) if token in reached]
        return max(found, default=-1)

    @property
    def reconnect_tokens(self) -> list[str]:
        acks = (ack for link in self.links for ack in link.of_type("tpa_connection_ack"))
        return [str(ack["reconnectToken"]) for ack in acks]

    # -- where it begins ---------------------------------------------------------------

    @initialize(
        situation=st.sampled_from(
            [
                "nothing",
                "running",
                "lost",
                "jitter",
                "called",
                "down",
                "evicted",
                "away",
                "released",
            ]
        ),
        then=st.sampled_from(["nothing", "nothing", "the app comes", "the user starts it"]),
    )
    def begin(self, situation: str, then: str) -> None:
        self.begin_with(situation)
        match then:
            case "the app comes":
                self.the_app_comes("no token")
            case "the user starts it":
                self.the_user_starts_the_app()
            case "the user leaves":
                self.act(self.cut_glasses)
            case "the user comes back" | "the user comes back later":
                self.glasses_go(70 if then.endswith("later") else 0)
                self.glasses_come()
            case "time passes":
                self.advance(1_000)
            case "its server was restarted":
                self.the_server_of_the_app_says_it_was_restarted()
            case "all is well again" if self.wanted:
                self.all_is_well_again()

    def begin_with(self, situation: str) -> None:
        self.glasses_come()
        if situation == "nothing":
            return
        self.the_user_starts_the_app()
        if situation == "started":
            return
        self.the_app_comes("newest")
        self.the_app_says_what_it_wants(empty_first=False)
        self.lose_the_app(situation)
        if self.glasses[-1].is_open:
            self.a_button_is_pressed(2)

    def lose_the_app(self, situation: str) -> None:
        match situation:
            case "lost":
                self.act(self.cut_app)
            case "jitter":
                self.act(self.cut_app)
                self.advance(5.001)
            case "called":
                self.the_app_is_lost("well", 7)
            case "down":
                self.the_app_is_lost("refused", 30)
            case "evicted":
                self.the_app_is_lost("503", 250)
                assert self.state == "evicted"
            case "away":
                self.act(self.cut_app)
                self.a_button_is_pressed(2)
                self.act(self.cut_glasses)
                self.advance(8)
                assert self.state == "dormant"
            case "released":
                self.the_app_releases_its_session(goes=True)
                assert self.state == "dormant"

    # -- changes -----------------------------------------------------------------------

    @property
    def served(self) -> MemoryLink | None:
        """The link over which the app is served, if it is."""
        return next((link for link in self.links if link.is_open), None)

    def cut_app(self) -> None:
        if (link := self.served) is not None:
            link.cut()

    def cut_glasses(self) -> None:
        if self.glasses:
            self.glasses[-1].cut()

    async def _start(self) -> None:
        with contextlib.suppress(SessionEnded):
            await self.house.directory.start_app(USER, APP)
        self.waiting -= 1

    async def _stop(self) -> None:
        with contextlib.suppress(SessionEnded):
            await self.house.directory.stop_app(USER, APP)
        self.waiting -= 1

    def connect(self, claim: AppClaim) -> None:
        self.links.append(MemoryLink("app"))
        serve = partial(self.house.directory.serve_app, claim)
        self.house._connections.start_soon(self.links[-1].lend, serve)

    # -- rules: the user ---------------------------------------------------------------

    @rule()
    def glasses_come(self) -> None:
        self.act(lambda: self.glasses.append(self.house.glasses()))

    @precondition(lambda self: self.glasses)
    @rule(seconds=st.sampled_from([0, 0.5, 7, 30, 70]))
    def glasses_go(self, seconds: float) -> None:
        self.act(self.cut_glasses)
        self.advance(seconds)

    @precondition(lambda self: self.has_user)
    @rule()
    def the_user_starts_the_app(self) -> None:
        def start() -> None:
            self.wanted = self.asked = True
            self.waiting += 1
            self.callers.start_soon(self._start)

        self.act(start)

    @precondition(lambda self: self.has_user)
    @rule()
    def the_user_stops_the_app(self) -> None:
        def stop() -> None:
            self.wanted = False
            self.waiting += 1
            self.callers.start_soon(self._stop)

        self.act(stop)
        assert self.state in {None, "stopping"}

    @precondition(lambda self: self.glasses and self.glasses[-1].is_open)
    @rule()
    def the_glasses_start_the_app(self) -> None:
        def start() -> None:
            self.wanted = self.asked = True
            self.glasses[-1].say({"type": "start_app", "packageName": APP})

        self.act(start)

    @precondition(lambda self: self.glasses and self.glasses[-1].is_open)
    @rule(times=st.integers(1, 3))
    def a_button_is_pressed(self, times: int) -> None:
        for _ in range(times):
            number, held = len(self.said), self.state in HELD
            self.said.append(self.now)
            press = {"type": "button_press", "buttonId": str(number), "pressType": "short"}
            self.act(partial(self.glasses[-1].say, press))
            if held and self.subscribed:
                self.due.append(number)
            self.vague = self.vague or (held and self.subscribed is None)

    # -- rules: the app ----------------------------------------------------------------

    @rule(
        how=st.sampled_from(
            [
                *("newest", "newest", "newest delivered", "older", "oldest", "no token"),
                *("reconnect: true", "current reconnect token", "stale reconnect token"),
            ]
        )
    )
    def the_app_comes(self, how: str) -> None:
        """With whom it must be served, and with whom not: no attach is lost, no ghost let in."""
        claim = AppClaim(package=APP, session_id=f"{USER}-{APP}", user=None, token=None)
        which = None
        match how:
            case "newest":
                which = len(self.tokens) - 1
            case "newest delivered":
                which = self.newest_delivered
            case "older":
                which = self.newest_delivered - 1
            case "oldest":
                which = 0 if self.tokens else -1
            case "reconnect: true":
                claim = attrs.evolve(claim, reconnect=True)
            case "current reconnect token" | "stale reconnect token":
                known = self.reconnect_tokens
                stale = how.startswith("stale")
                if len(known) < 1 + stale:
                    return
                claim = attrs.evolve(claim, reconnect_token=known[-1 - stale])
        if which is not None:
            if which < 0:
                return
            claim = attrs.evolve(claim, token=self.tokens[which])
        self.check_the_arrival(claim, self.verdict(which, claim))

    def verdict(self, which: int | None, claim: AppClaim) -> bool | None:
        """Whether an app that comes so must be served; ``None`` where nobody can know."""
        if self.state in {None, "stopping"}:
            return False
        if which is not None and which < self.newest_delivered:
            forgotten = self.lives > 1 and which < len(self.tokens) - TOKENS_KEPT
            return None if self.unsure or forgotten else False
        ghost = which is not None and self.tokens[which] in self.webhooks.gave_up
        if ghost and self.tokens[which or 0] not in self.attached:
            return None if self.unsure else False
        if claim.reconnect_token:
            if self.unsure or self.stale_before == len(self.reconnect_tokens):
                return None
            return claim.reconnect_token == self.reconnect_tokens[-1]
        return True

    def check_the_arrival(self, claim: AppClaim, verdict: bool | None) -> None:
        before = [link for link in self.links if link.is_open]
        had_session = self.state not in {None, "stopping"}
        self.act(partial(self.connect, claim))
        link = self.links[-1]
        if verdict is None:
            return
        assert link.is_open is verdict, (claim, link.closed_with)
        assert bool(link.of_type("tpa_connection_ack")) is verdict
        if verdict:
            self.attached.add(claim.token)
            assert self.state == "running"
            assert not any(older.is_open for older in before)
            self.unsure = self.unsure and claim.token is None  # a token tells how far it is
        else:
            assert all(older.is_open for older in before), "it disturbed the one that is there"
            if had_session:
                assert link.closed_with in {SUPERSEDED, STALE_TOKEN, APP_STOPPED}

    @precondition(lambda self: self.served)
    @rule(empty_first=st.booleans())
    def the_app_says_what_it_wants(self, empty_first: bool) -> None:
        link = self.served
        assert link is not None
        lists = [[], ["button_press"]] if empty_first and self.subscribed else [["button_press"]]
        say = [{"type": "subscription_update", "subscriptions": item} for item in lists]
        self.act(partial(link.say, *say))
        self.subscribed = True

    @precondition(lambda self: self.served)
    @rule(script=st.sampled_from(sorted(SCRIPTS)), seconds=st.sampled_from([0, 5.1, 6.5, 30, 200]))
    def the_app_is_lost(self, script: str, seconds: float) -> None:
        self.the_server_of_the_app_changes(script)
        self.act(self.cut_app)
        self.advance(seconds)

    @precondition(lambda self: self.served)
    @rule()
    def the_app_falls_silent(self) -> None:
        assert self.served is not None
        self.served.answers_pings = False

    @precondition(lambda self: self.served)
    @rule(goes=st.booleans())
    def the_app_releases_its_session(self, goes: bool) -> None:
        link = self.served
        assert link is not None
        self.act(partial(link.say, {"type": "ownership_release", "reason": "moving"}))
        if goes:
            self.act(partial(link.hang_up, 1005))

    @rule(script=st.sampled_from(sorted(SCRIPTS)))
    def the_server_of_the_app_changes(self, script: str) -> None:
        self.webhooks.plan(APP, SCRIPTS[script])
        self.webhooks.health_failure = SCRIPTS[script].failure

    @rule()
    def the_server_of_the_app_says_it_was_restarted(self) -> None:
        self.act(lambda: self.callers.start_soon(self.house.directory.recover_app, APP))

    # -- rules: time, and the end of servers -------------------------------------------

    @rule(seconds=st.sampled_from([0.05, 1, 6, 70, 200, 1_000]))
    def time_passes(self, seconds: float) -> None:
        self.advance(seconds)

    @rule(quiet=st.booleans())
    def our_server_is_killed_and_another_begins(self, quiet: bool) -> None:
        """Links die without a word. What was changed in the last moment may be forgotten."""
        if quiet:
            self.advance(UNSAVED_S)
        self.note_moves()
        moment = self.now

        def die() -> None:
            self.pulse.beats = False

        self.kill_the_server(die)
        self.missed, self.told = 0, self.count_told()
        if not quiet:
            recent = zip(pressed(self.links), self.heard_at, strict=True)
            self.may_repeat.update(n for n, at in recent if moment - at <= UNSAVED_S)
            self.unsure = True
            self.subscribed = None if self.subscribed else False
            self.due = [number for number in self.due if moment - self.said[number] > UNSAVED_S]
            self.stale_before = len(self.reconnect_tokens)

    @precondition(lambda self: self.state in HELD)
    @rule(how=st.sampled_from(["newest", "no token"]))
    def our_server_is_killed_as_the_app_comes_back(self, how: str) -> None:
        self.the_app_comes(how)
        self.every_press_is_heard_of_once_and_in_order()
        self.our_server_is_killed_and_another_begins(quiet=False)

    @precondition(lambda self: self.has_user and self.wanted and self.state is not None)
    @rule()
    def all_is_well_again(self) -> None:
        """Liveness: with its user there, a wanted app runs again within the promised time."""

        def connect(call: SessionCall) -> None:
            self.connect(
                AppClaim(package=APP, session_id=f"{USER}-{APP}", user=None, token=token_of(call))
            )

        if not (self.glasses and self.glasses[-1].is_open):
            self.glasses_come()
        for link in (*self.glasses, *self.links):
            link.answers_pings = True
        promise, before = self.do(self.promised), self.state
        self.webhooks.plan(APP, WebhookScript(on_delivered=connect))
        self.webhooks.health_failure = None
        if before == "dormant":
            self.act(self.cut_glasses)
            self.glasses_come()
        self.advance(promise + 0.01)
        if before in {"connecting", "stopping"}:
            return  # a start that fails is the user's to repeat
        if self.state == "evicted" and before != "evicted":
            self.advance(2 * TIMES.probe_rare_s)
        assert self.state == "running", before
        self.the_app_says_what_it_wants(empty_first=True)
        self.advance(3 * TIMES.settle_s)
        session = self.session
        assert session is not None
        assert not session.settling
        self.an_app_that_is_served_has_heard_all_that_was_kept_for_it()

    async def promised(self) -> float:
        """Seconds within which an app whose server is well from now on runs again."""
        session, endpoints = self.session, self.house.directory.surroundings.endpoints
        server = endpoints.known(APP)
        breaker = server.breaker if server is not None else Breaker()
        away = {
            "running": PROOF_S,  # as far as it is known: it may have to prove it
            "grace_period": TIMES.grace_s + TIMES.grace_jitter_s,
            "disconnected": TIMES.grace_jitter_s,
            "resurrecting": TIMES.webhook_s + TIMES.connect_s,
        }.get(self.house.state() or "", 0.0)
        down_for = away
        if breaker.down_since is not None:
            down_for += trio.current_time() - breaker.down_since
        retry_s = TIMES.retry_most_s if session is not None and session.failures else 0.0
        if self.rest is not None or down_for + retry_s >= TIMES.resurrection_budget_s - 15:
            return 2 * TIMES.probe_rare_s  # it is, or may be, evicted before its next trial
        fast = down_for < TIMES.probe_fast_for_s and breaker.sign in {Sign.GOOD, Sign.AWAY}
        return away + max(retry_s, TIMES.probe_s if fast else TIMES.probe_slow_s)

    @rule()
    def left_alone_everything_ends(self) -> None:
        async def job() -> None:
            for link in (*self.links, *self.glasses):
                link.cut()
            await trio.sleep(300)
            assert self.house.directory._users == {}
            assert self.waiting == 0
            assert self.webhooks.in_flight == 0
            assert await self.store.saved_users() == []
            assert self.store._app_sessions == {}

        self.do(job)

    # -- what always holds -------------------------------------------------------------

    @invariant()
    def what_is_over_for_good_is_forgotten(self) -> None:
        """Not an invariant of the system: the oracle takes note of a life that has ended."""
        if self.state in {"running", "dormant", "evicted"}:
            self.asked = False
        if self.state in {None, "stopping"}:
            self.first_of_life = len(self.webhooks.starts)
            self.subscribed, self.due = False, []
            self.told, self.missed = self.count_told(), 0
            self.stale_before = len(self.reconnect_tokens)

    @invariant()
    def nothing_crashed_behind_a_bulkhead(self) -> None:
        assert self.house.telemetry.crashes == []

    @invariant()
    def one_link_is_open_and_it_means_running(self) -> None:
        session, open_links = self.session, [link for link in self.links if link.is_open]
        assert len(open_links) <= 1
        running = self.state == "running"
        assert bool(open_links) is running
        if running and session is not None and session.link is not None:
            assert session.link is open_links[0]

    @invariant()
    def states_move_along_the_table_only(self) -> None:
        for fact in self.house.telemetry.of(AppStateChanged):
            if fact.old is not None and fact.event not in {None, AppEvent.STOP_REQUESTED}:
                assert fact.event is not None
                assert TRANSITIONS[fact.old][fact.event] is fact.new

    @invariant()
    def the_subscriptions_survive(self) -> None:
        if self.subscribed and (session := self.session) is not None:
            assert session.subscriptions.texts == ("button_press",), session.state
        if self.subscribed and (rest := self.rest) is not None:
            assert rest.record.subscriptions.texts == ("button_press",), rest.record.state

    @invariant()
    def every_press_is_heard_of_once_and_in_order(self) -> None:
        heard, now = pressed(self.links), self.now
        self.heard_at += [now] * (len(heard) - len(self.heard_at))
        latest = -1
        for number in heard:
            assert number > latest or number in self.may_repeat, heard
            latest = max(latest, number)

    @invariant()
    def an_app_that_is_served_has_heard_all_that_was_kept_for_it(self) -> None:
        session = self.session
        if session is None or session.link is None or session.settling:
            return
        heard = set(pressed(self.links))
        missing = [number for number in self.due if number not in heard]
        if missing:
            now = self.now
            assert all(now - self.said[number] > TIMES.kept_s for number in missing), missing
        self.missed += len(missing)
        self.due = []
        if self.vague:
            self.told, self.missed, self.vague = self.count_told(), 0, False
        if self.served is not None:
            assert self.count_told() - self.told == self.missed, "it was told of the gap"

    def count_told(self) -> int:
        messages = (message for link in self.links for message in link.of_type("custom_message"))
        return sum(message["payload"]["count"] for message in messages)

    @invariant()
    def at_rest_the_store_holds_what_the_user_wants(self) -> None:
        if not self.waiting:
            assert (APP in self.store._wanted.get(USER, {})) is self.wanted

    # -- afterwards --------------------------------------------------------------------

    def note_moves(self) -> None:
        for fact in self.house.telemetry.of(AppStateChanged):
            if fact.old is not None and fact.event is not None:
                REACHED.add((fact.old, fact.event))

    def teardown(self) -> None:
        self.note_moves()
        super().teardown()


REACHED: set[tuple[AppState, AppEvent]] = set()
"""Every move that an app has made in some example of this run."""

TestComingBack = ComingBack.TestCase
TestComingBack.settings = machine_settings(quick_examples=50)


@pytest.mark.parametrize("then", NEXT)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_comes_next_comes_in_every_situation(situation: str, then: str) -> None:
    machine = ComingBack()
    machine.begin(situation, then)
    try:
        machine.nothing_crashed_behind_a_bulkhead()
        machine.one_link_is_open_and_it_means_running()
    finally:
        machine.teardown()


def test_an_app_was_moved_in_every_way_that_there_is() -> None:
    """A machine whose rules are mostly without effect would prove nothing. Runs after it."""
    ways = {(state, event) for state, row in TRANSITIONS.items() for event in row}
    assert ways - REACHED == set()
