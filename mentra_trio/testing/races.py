"""The races that systems of this kind are known to lose, and how it is seen that one was run.

Each is named after the pain that it stands for. ``RaceWatch`` sees them in facts; what no fact
shows is noted by the machine that does it. That a race was won is the oracle's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs
import trio

from ..domain.close_reasons import APP_SILENT, GLASSES_SILENT
from ..domain.facts import (
    AppStateChanged,
    EndpointChanged,
    Fact,
    FreshSession,
    LinkAttached,
    LinkEnded,
    MessagesMissed,
    StartEnded,
    StartJoined,
    UserStateChanged,
)
from ..domain.lifecycle import AppEvent, AppState
from ..domain.starting import StartStage
from .oracle import Key
from .sometimes import Sometimes

LONG_S: Final = 25.0
"""An app that is moved to another machine is away about this long."""
IDLE_S: Final = 60.0
"""Proxies cut connections on which nothing is said for so long."""
CROWD: Final = 3

RACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "moved": "an app whose server was away for more than 25 s runs again",
        "moved, called in vain": "an app that was called in vain, maybe often, runs again",
        "list and loss": "an app is lost in the turn in which it says what it wants",
        "empty list": "an app that is back says first that it wants nothing",
        "lists at once": "an app sends several lists in one turn",
        "one attempt for many": "several callers share one attempt",
        "caller gives up": "a caller gives up, and the attempt goes on",
        "session ends on callers": "a user session ends while callers wait for an app of it",
        "start while stopping": "an app is started while it is being stopped",
        "life after life": "an app begins another life in the same user session",
        "came while over": "an app comes to a session that is over, or is being stopped",
        "herd": "several users lose the same app in one moment",
        "line": "several sessions stand in the line of one app server",
        "silent app": "an app's link falls silent without a word and is given up",
        "silent glasses": "glasses fall silent without a word and are given up",
        "late close": "the close of a replaced link comes in the turn of its successor",
        "idle link": "a link on which nothing is said lives on its heartbeats for over a minute",
        "nothing missed": "an app is back and nothing was kept for it",
        "kept and delivered": "an app is back and hears what was kept for it",
        "gap told": "an app is back and is told that it missed something",
        "third return": "an app is back for the third time in one life",
        "came while connecting": "an app is attached while it is being started",
        "came while grace_period": "an app is attached in its grace",
        "came while disconnected": "an app is attached in the jitter after its grace",
        "came while resurrecting": "an app is attached while it is called",
        "came while backoff": "an app is attached while it waits to be called again",
        "came while dormant": "an app is attached although it had no session",
        "came while evicted": "an app is attached although it was given up",
        "start timed out": "a start times out and its app stays wanted",
        "wanted again": "a wanted app is brought up without being asked for",
        "glasses at once": "two pairs of glasses of one user come in one turn",
        "glasses replaced": "a user's glasses come while older ones serve",
        "session after session": "a user's next session begins as soon as the one before has ended",
    }
)
"""By name; pains.md rows 1-5, 8-11, 15, 16 and 20, in this order."""

SERVER_DEATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "recalled": "an app session goes on under another server",
        "died while calling": "a server dies while it calls an app",
        "died with kept messages": "a server dies that keeps messages for an app",
    }
)
"""What a machine reaches whose server dies."""


@attrs.define(eq=False)
class RaceWatch:
    """Tells ``races`` what happens, as far as facts show it."""

    races: Sometimes
    _lost_at: dict[Key, float] = attrs.field(factory=dict, init=False)
    _failed: set[Key] = attrs.field(factory=set, init=False)
    _returns: dict[Key, int] = attrs.field(factory=dict, init=False)
    _joined: dict[Key, int] = attrs.field(factory=dict, init=False)
    _attached_at: dict[Key, float] = attrs.field(factory=dict, init=False)
    _losses: dict[str, tuple[float, set[Key]]] = attrs.field(factory=dict, init=False)
    """When an app was lost last, and by whom in that moment."""
    _ended_at: dict[str, float] = attrs.field(factory=dict, init=False)
    _said_at: dict[tuple[str, int], float] = attrs.field(factory=dict, init=False)
    _nothing_yet: set[Key] = attrs.field(factory=set, init=False)

    def said(self, user: str, number: int) -> None:
        """The user's glasses send event ``number`` now."""
        self._said_at[user, number] = trio.current_time()

    def heard(self, key: Key, number: int, attached_at: float) -> None:
        """The app of ``key`` hears of it, over a link that was attached then."""
        if self._said_at.get((key[0], number), attached_at) < attached_at:
            self._nothing_yet.discard(key)
            self.races.reached("kept and delivered")

    def note(self, fact: Fact) -> None:
        """Take in what the server reports, at the moment at which it does."""
        match fact:
            case AppStateChanged():
                self._app_moved((fact.user, fact.package), fact)
            case FreshSession():
                self._began((fact.user, fact.package), fact)
            case StartJoined():
                self._somebody_joined((fact.user, fact.package))
            case StartEnded():
                self._joined.pop((fact.user, fact.package), None)
                if fact.stage == StartStage.TIMEOUT.value and not fact.resurrection:
                    self.races.reached("start timed out")
            case EndpointChanged() if fact.waiting > 1:
                self.races.reached("line")
            case MessagesMissed():
                self.races.reached("gap told")
            case LinkAttached() if fact.package is not None:
                self._attached_at[fact.user, fact.package] = trio.current_time()
            case LinkEnded():
                self._link_ended(fact)
            case UserStateChanged():
                self._user_moved(fact)

    def _app_moved(self, key: Key, fact: AppStateChanged) -> None:
        now = trio.current_time()
        match fact.event:
            case AppEvent.LINK_LOST:
                self._lost_at[key] = now
                at, together = self._losses.get(key[1], (now, set()))
                together = {key} if at != now else together | {key}
                self._losses[key[1]] = (now, together)
                if len(together) > 1:
                    self.races.reached("herd")
            case AppEvent.ATTEMPT_FAILED:
                self._failed.add(key)
            case AppEvent.LINK_ATTACHED if fact.old is not None:
                self.races.reached(f"came while {fact.old.value}")
                if fact.old is not AppState.CONNECTING:
                    self._is_back(key, now)
        if fact.new is AppState.STOPPING:
            self._lost_at.pop(key, None)
            self._failed.discard(key)
            self._returns.pop(key, None)

    def _is_back(self, key: Key, now: float) -> None:
        lost_at = self._lost_at.pop(key, now)
        if now - lost_at > LONG_S:
            self.races.reached("moved")
        if key in self._failed:
            self._failed.discard(key)
            self.races.reached("moved, called in vain")
        self._nothing_yet.add(key)
        self._returns[key] = self._returns.get(key, 0) + 1
        if self._returns[key] == CROWD:
            self.races.reached("third return")

    def _began(self, key: Key, fact: FreshSession) -> None:
        if fact.epoch > 1:
            self.races.reached("life after life")
        if "wanted" in fact.cause:
            self.races.reached("wanted again")

    def _somebody_joined(self, key: Key) -> None:
        self._joined[key] = self._joined.get(key, 0) + 1
        if self._joined[key] == CROWD:
            self.races.reached("one attempt for many")

    def _link_ended(self, fact: LinkEnded) -> None:
        if fact.reason == APP_SILENT:
            self.races.reached("silent app")
        if fact.reason == GLASSES_SILENT:
            self.races.reached("silent glasses")
        if fact.package is not None:
            key = (fact.user, fact.package)
            if key in self._nothing_yet:
                self._nothing_yet.discard(key)
                self.races.reached("nothing missed")
            began = self._attached_at.pop(key, trio.current_time())
            if trio.current_time() - began > IDLE_S:
                self.races.reached("idle link")

    def _user_moved(self, fact: UserStateChanged) -> None:
        now = trio.current_time()
        if fact.new is None:
            self._ended_at[fact.user] = now
        elif fact.old is None and self._ended_at.get(fact.user) == now:
            self.races.reached("session after session")
        elif fact.old is fact.new:
            self.races.reached("glasses replaced")
