"""What must hold of user and app sessions, in plain dicts: an oracle beside the system under test.

It is fed by facts as they are reported, and by what a test commands, says and hears; it knows
nothing of how sessions are made. What is wrong is added to ``violations``: a fact is reported in
the middle of somebody's step, where raising would only be one more crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import attrs
import trio

from ..domain import attachment
from ..domain.attachment import UserState
from ..domain.facts import (
    AppStateChanged,
    AttemptBegan,
    Crashed,
    Fact,
    FreshSession,
    LinkAttached,
    LinkEnded,
    UserStateChanged,
)
from ..domain.ids import PackageName, UserId
from ..domain.lifecycle import AWAY, OVER, RESTING, TRANSITIONS, AppEvent, AppState
from ..ports import SessionCall

Key = tuple[UserId, PackageName]
"""One app of one user."""

CALLED_IN: Final = frozenset({AppState.CONNECTING, AppState.RESURRECTING})
"""States in which an app's server is called: never in grace, at rest, or after a stop."""

FIRST: Final = frozenset({AppState.CONNECTING, *AWAY})
"""States in which an app may begin of which nothing was known: an app is not there yet."""


@attrs.define
class Asked:
    """The list of subscriptions that an app sent last, over which link, and when."""

    link: object
    streams: tuple[str, ...]
    at: float


@attrs.define(eq=False)
class Oracle:
    """Everything known of the sessions of one server, life after life.

    Attributes:
        table: along which app sessions move; a policy of one's own may have another.
        exclusive: packages of which each user has at most one (protocol.md 2.13).
        users, states, epochs: as reported; a session that is over is not in them.
        wanted: what each user commanded last; ``None`` where nobody can know: two commands were
            given in the same turn.
        glasses, links: whose link serves each session now, as reported.
        calls: calls of app servers that are under way.
        asked: see ``Asked``; absent where nobody can know.
        said: how many events each user's glasses have sent.
        heard, heard_at: the numbers of those that each app has received, and when.
        repeatable: numbers that may be heard once more: a server died before it wrote them down.
        callers: since when those wait who have asked for something.
        deaths: how often the server has died.
        violations: what should never have happened, in words.
    """

    table: Mapping[AppState, Mapping[AppEvent, AppState]] = TRANSITIONS
    exclusive: frozenset[PackageName] = frozenset()
    users: dict[UserId, UserState] = attrs.field(factory=dict, init=False)
    states: dict[Key, AppState] = attrs.field(factory=dict, init=False)
    epochs: dict[Key, int] = attrs.field(factory=dict, init=False)
    wanted: dict[Key, bool | None] = attrs.field(factory=dict, init=False)
    glasses: dict[UserId, str] = attrs.field(factory=dict, init=False)
    links: dict[Key, str] = attrs.field(factory=dict, init=False)
    calls: dict[Key, int] = attrs.field(factory=dict, init=False)
    asked: dict[Key, Asked] = attrs.field(factory=dict, init=False)
    said: dict[UserId, int] = attrs.field(factory=dict, init=False)
    heard: dict[Key, list[int]] = attrs.field(factory=dict, init=False)
    heard_at: dict[Key, list[float]] = attrs.field(factory=dict, init=False)
    repeatable: dict[Key, set[int]] = attrs.field(factory=dict, init=False)
    callers: dict[int, float] = attrs.field(factory=dict, init=False)
    violations: list[str] = attrs.field(factory=list, init=False)
    deaths: int = attrs.field(default=0, init=False)
    _calls_made: int = attrs.field(default=0, init=False)
    _lived: set[Key] = attrs.field(factory=set, init=False)
    """Whose present life has called an app, or was attached."""

    def check(self) -> None:
        """Everything so far was as it must be.

        Raises:
            AssertionError: it was not; says what was.
        """
        assert self.violations == [], "\n".join(self.violations)

    # -- facts ---------------------------------------------------------------------------

    def note(self, fact: Fact) -> None:
        """Take in what the server reports, at the moment at which it does."""
        match fact:
            case AppStateChanged():
                self._app_moved((fact.user, fact.package), fact)
            case FreshSession():
                self._began((fact.user, fact.package), fact.epoch)
            case AttemptBegan():
                self._lived.add((fact.user, fact.package))
                self._may_be_called((fact.user, fact.package), "an attempt")
            case UserStateChanged():
                self._user_moved(fact)
            case LinkAttached():
                self._attached(fact)
            case LinkEnded():
                self._detached(fact)
            case Crashed():
                self._wrong(f"a crash at the bulkhead {fact.bulkhead}: {fact.error!r}")

    def _app_moved(self, key: Key, fact: AppStateChanged) -> None:
        before = self.states.get(key)
        if before is None and self.deaths and fact.old in RESTING:
            self.found_at_rest(key, fact.old)
            before = fact.old
        if fact.old is None:
            self._expect(before is None, key, f"began as {fact.new.name} while {before}")
            self._expect(fact.new in FIRST, key, f"began as {fact.new.name}, out of nothing")
        else:
            self._expect(before is fact.old, key, f"left {fact.old.name}, but was {before}")
            self._expect(self._is_a_way(fact), key, f"moved off the table: {fact}")
        if fact.new is AppState.STOPPED:
            self._stopped(key)
        else:
            self.states[key] = fact.new
        if fact.new in OVER:
            self.asked.pop(key, None)

    def _is_a_way(self, fact: AppStateChanged) -> bool:
        if fact.event is AppEvent.STOP_REQUESTED:
            return fact.new in {AppState.STOPPING, AppState.STOPPED}
        if fact.old is None or fact.event is None:
            return False
        return self.table.get(fact.old, {}).get(fact.event) is fact.new

    def _stopped(self, key: Key) -> None:
        self.states.pop(key, None)
        self.asked.pop(key, None)
        if key in self.epochs and key not in self._lived:
            self.epochs[key] -= 1  # what never lived does not count as a life
        self._expect(key not in self.links, key, "is over, and a link is left")
        self._expect(not self.calls.get(key), key, "is over, and its server is being called")

    def _began(self, key: Key, epoch: int) -> None:
        state = self.states.get(key)
        alive = state is not None and state not in OVER
        self._expect(epoch > self.epochs.get(key, 0), key, f"life {epoch} comes again")
        self._expect(alive, key, f"life {epoch} begins as {state}")
        self.epochs[key] = epoch
        self._lived.discard(key)

    def _user_moved(self, fact: UserStateChanged) -> None:
        user, before = fact.user, self.users.get(fact.user)
        if before is not fact.old:
            self._wrong(f"{user} left {fact.old}, but was {before}")
        if fact.new is not None:
            self.users[user] = fact.new
            self._expect_user_way(fact)
            return
        self.users.pop(user, None)
        if user in self.glasses:
            self._wrong(f"{user}'s session is over, and glasses are left")
        for key in [key for key in self.states if key[0] == user]:
            self._expect(self.states[key] in OVER, key, "outlives its user's session")
            del self.states[key]
            self.asked.pop(key, None)
        for key in list(self.links):
            self._expect(key[0] != user, key, "its link outlives its user's session")
        for key in [key for key in self.epochs if key[0] == user]:
            del self.epochs[key]

    def _expect_user_way(self, fact: UserStateChanged) -> None:
        if fact.old is None:
            return
        ways = {*attachment.OVER, *attachment.TRANSITIONS[fact.old].values()}
        if fact.new not in ways:
            self._wrong(f"{fact.user} moved off the table: {fact}")

    def _attached(self, fact: LinkAttached) -> None:
        if fact.package is None:
            if fact.user in self.glasses:
                self._wrong(f"{fact.user} has two glasses")
            self.glasses[fact.user] = fact.peer
            return
        key = (fact.user, fact.package)
        self._expect(key not in self.links, key, "has two live links")
        self.links[key] = fact.peer
        self._lived.add(key)

    def _detached(self, fact: LinkEnded) -> None:
        if fact.package is None:
            if self.glasses.pop(fact.user, None) is None:
                self._wrong(f"{fact.user}'s glasses ended twice")
            return
        key = (fact.user, fact.package)
        self._expect(self.links.pop(key, None) is not None, key, "its link ended twice")
        self.asked.pop(key, None)

    # -- calls of app servers ---------------------------------------------------------------

    def call_began(self, call: SessionCall) -> None:
        """An app server is called for a session."""
        key = (call.user, call.package)
        self._may_be_called(key, "a webhook")
        self.calls[key] = self.calls.get(key, 0) + 1
        self._expect(self.calls[key] == 1, key, "two attempts are in flight")

    def call_ended(self, call: SessionCall) -> None:
        """It was answered, has failed, or is given up."""
        key = (call.user, call.package)
        self.calls[key] = max(0, self.calls.get(key, 0) - 1)  # of a server that died, none is left

    def _may_be_called(self, key: Key, what: str) -> None:
        state = self.states.get(key)
        self._expect(state in CALLED_IN, key, f"{what} while {state}")
        self._expect(self.wanted.get(key) is not False, key, f"{what} after the user's stop")

    # -- what the test does ------------------------------------------------------------------

    def commanded(self, key: Key, wanted: bool) -> None:
        """The user starts or stops an app."""
        self.wanted[key] = wanted
        if wanted and key[1] in self.exclusive:
            for other in self.exclusive - {key[1]}:
                self.wanted[key[0], other] = False

    def unsure_of(self, keys: Iterable[Key]) -> None:
        """Which of several commands was the last one is not known."""
        for key in keys:
            self.wanted[key] = None

    def calls_out(self) -> int:
        """Somebody begins to wait for an answer; returns a number for ``answered``."""
        self._calls_made += 1
        self.callers[self._calls_made] = trio.current_time()
        return self._calls_made

    def answered(self, number: int) -> None:
        """That one has its answer, or does not wait any more."""
        self.callers.pop(number, None)

    def speaks(self, user: UserId) -> int:
        """The user's glasses are about to send an event; returns its number."""
        self.said[user] = self.said.get(user, 0) + 1
        return self.said[user]

    def hears(self, key: Key, user: str, number: int) -> None:
        """The app of ``key`` has received event ``number`` of ``user``."""
        self._expect(user == key[0], key, f"heard what {user} said")
        heard = self.heard.setdefault(key, [])
        latest = max(heard, default=0)
        repeatable = self.repeatable.get(key, set())
        repeated = number in repeatable
        repeatable.discard(number)
        self._expect(number > latest or repeated, key, f"heard {number} after {latest}")
        self._expect(number <= self.said.get(key[0], 0), key, f"heard {number}, never said")
        heard.append(number)
        self.heard_at.setdefault(key, []).append(trio.current_time())

    def found_at_rest(self, key: Key, state: AppState) -> None:
        """A server knows from the one before it that an app rests; no fact tells of that."""
        self._expect(state in RESTING, key, f"is found {state}")
        self.states[key] = state
        self._lived.add(key)

    def server_died(self, unsaved_s: float) -> None:
        """Nothing was said to anybody; what was heard in that time may be said once more."""
        self.deaths += 1
        for state in (self.users, self.states, self.epochs, self.glasses, self.links):
            state.clear()
        self.asked.clear()
        self.calls.clear()
        self.callers.clear()
        since = trio.current_time() - unsaved_s
        for key, heard in self.heard.items():
            recent = zip(heard, self.heard_at[key], strict=True)
            late = {number for number, at in recent if at >= since}
            self.repeatable.setdefault(key, set()).update(late)

    # -- in words --------------------------------------------------------------------------

    def _expect(self, holds: bool, key: Key, problem: str) -> None:
        if not holds:
            self._wrong(f"{key[1]} of {key[0]}: {problem}")

    def _wrong(self, problem: str) -> None:
        self.violations.append(f"at {trio.current_time():g} s: {problem}")
