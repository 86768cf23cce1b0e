"""What happened to each user, lately: a bounded timeline that can say why an app is as it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs

from ..domain import facts as f
from ..domain.facts import Fact
from ..domain.ids import PackageName, UserId
from ..domain.starting import took_the_foreground
from ..domain.wording import counted
from ..environment import Environment, wire_time
from .followers import Follower
from .plain import ITEMS_MAX, plain_fields, told

STORY_LINES_MAX: Final = 5

_NAMES: Final = MappingProxyType({"user": "userId", "package": "packageName"})


_Entry: TypeAlias = tuple[datetime, Fact]
_Timeline: TypeAlias = list[_Entry]
"""Short, and one for every user: an empty ``deque`` is larger than what is mostly in it."""
_Timelines: TypeAlias = "OrderedDict[UserId, _Timeline]"


@attrs.define(eq=False)
class Journal:
    """Implements ``ports.Telemetry``: keeps the latest facts of the latest users.

    Attributes:
        per_user: facts kept for one user; older ones are forgotten.
        users: users kept whose session is over; the one who has been quiet longest is forgotten.
        facts: facts kept of all users who have a session. With many of them, each has an equal
            share, so that every one of their sessions can be explained.
    """

    _environment: Environment = attrs.field(factory=Environment)
    per_user: int = attrs.field(default=200, kw_only=True)
    users: int = attrs.field(default=1_000, kw_only=True)
    _followers: list[Follower] = attrs.field(factory=list, init=False)
    facts: int = attrs.field(default=200_000, kw_only=True)
    _timelines: _Timelines = attrs.field(factory=OrderedDict, init=False)
    _ended: _Timelines = attrs.field(factory=OrderedDict, init=False)
    """Of users whose session is over."""
    _share: int = attrs.field(default=0, init=False)
    """Facts kept for each user with a session, as many of them as there are."""

    def emit(self, fact: Fact) -> None:
        """See ``ports.Telemetry``. Facts that concern no user are not kept, only shown."""
        user: UserId | None = getattr(fact, "user", None)
        if user is None and not self._followers:
            return
        entry = (self._environment.utcnow(), _trimmed(fact))
        if self._followers:
            self._show(entry, user)
        if user is None:
            return
        timeline = self._timeline(user, fact)
        timeline.append(entry)
        if len(timeline) > self._share:
            del timeline[: -self._share]

    def _timeline(self, user: UserId, fact: Fact) -> _Timeline:
        """Where facts of ``user`` are kept from now on."""
        over = isinstance(fact, f.UserStateChanged) and fact.new is None
        timeline = self._timelines.get(user)
        if timeline is None or over:
            return self._moved(user, fact)
        self._timelines.move_to_end(user)  # nobody comes or goes, so the shares are what they were
        return timeline

    def _moved(self, user: UserId, fact: Fact) -> _Timeline:
        """The facts of ``user``, who has a session from now on, or none, and room made for it."""
        over = user in self._ended
        if isinstance(fact, f.UserStateChanged):
            over = fact.new is None
        timeline = self._timelines.pop(user, None) or self._ended.pop(user, None) or []
        (self._ended if over else self._timelines)[user] = timeline
        for timelines, most in ((self._ended, self.users), (self._timelines, self.facts)):
            if len(timelines) > most:
                timelines.popitem(last=False)
        self._share_out()
        return timeline

    def _share_out(self) -> None:
        share = max(1, min(self.per_user, self.facts // max(1, len(self._timelines))))
        if share < self._share:  # seldom: the more users there are, the less changes with one more
            for timeline in self._timelines.values():
                del timeline[:-share]
        self._share = share

    @contextmanager
    def follow(self, user: UserId | None) -> Iterator[Follower]:
        """Facts of ``user``, or all, as they come, for as long as the block runs."""
        follower = Follower(user)
        self._followers.append(follower)
        try:
            yield follower
        finally:
            self._followers.remove(follower)

    def _show(self, entry: _Entry, user: UserId | None) -> None:
        shown: dict[str, Any] | None = None  # made once, for all of them
        for follower in self._followers:
            if follower.user is None or follower.user == user:
                shown = shown or _as_json(entry)
                follower.put(shown)

    def entries(self, user: UserId, limit: int) -> list[dict[str, Any]]:
        """The latest ``limit`` facts of ``user`` as JSON objects, newest last."""
        timeline = self._of(user)
        return [_as_json(entry) for entry in timeline[max(0, len(timeline) - limit) :]]

    def _of(self, user: UserId) -> _Timeline:
        return self._timelines.get(user) or self._ended.get(user) or []

    def story(self, user: UserId, package: PackageName) -> list[str]:
        """What has led an app of ``user`` to its state, and how it came into it; newest last.

        What came after the state did not lead to it, and is not told. One line that says so if
        nothing is known.
        """
        way = self._way_to_its_state(user, package)
        if not way:
            return [f"nothing is known of {package} for this user"]
        return [_line(entry) for entry in reversed(way[:STORY_LINES_MAX])]

    def _way_to_its_state(self, user: UserId, package: PackageName) -> list[_Entry]:
        """The state of the app's latest session, and what was before it, newest first."""
        found: list[_Entry] = []
        for entry in reversed(self._of(user)):
            _, fact = entry
            if type(fact) not in _SENTENCES:
                continue
            if getattr(fact, "package", None) not in {None, package}:
                continue
            if found or isinstance(fact, f.AppStateChanged | f.GaveWay):
                found.append(entry)
            if isinstance(fact, f.AppStateChanged) and fact.old is None:
                break
        return found


def _trimmed(fact: Fact) -> Fact:
    if isinstance(fact, f.SubscriptionsChanged) and _is_long(fact):
        return attrs.evolve(
            fact, streams=fact.streams[:ITEMS_MAX], rejected=fact.rejected[:ITEMS_MAX]
        )
    return fact


def _is_long(fact: f.SubscriptionsChanged) -> bool:
    return max(len(fact.streams), len(fact.rejected)) > ITEMS_MAX


def _as_json(entry: _Entry) -> dict[str, Any]:
    at, fact = entry
    fields = {_NAMES.get(name, name): value for name, value in plain_fields(fact).items()}
    return {"at": wire_time(at), "fact": type(fact).__name__, **fields}


def _line(entry: _Entry) -> str:
    at, fact = entry
    return f"{wire_time(at)} {_SENTENCES[type(fact)](fact)}"


def _app_state(fact: f.AppStateChanged) -> str:
    before = "" if fact.old is None else f" after {fact.seconds:.1f} s {fact.old.value}"
    return f"{fact.package} became {fact.new.value}{before}: {fact.cause}"


def _user_state(fact: f.UserStateChanged) -> str:
    return f"the user became {fact.new.value if fact.new else 'absent'}: {fact.cause}"


def _webhook(fact: f.WebhookCalled) -> str:
    told_problem = f" ({fact.problem})" if fact.problem else ""
    return f"{fact.kind} webhook: {fact.result} after {fact.seconds:.1f} s{told_problem}"


def _start(fact: f.StartEnded) -> str:
    if not fact.stage:
        return f"the start succeeded after {fact.seconds:.1f} s"
    return f"the start failed after {fact.seconds:.1f} s at {fact.stage}: {fact.message}"


def _missed(fact: f.MessagesMissed) -> str:
    return f"{counted(fact.count, 'message was', 'messages were')} missed"


_SENTENCES: Final[Mapping[type[Fact], Callable[[Any], str]]] = MappingProxyType(
    {
        f.AppStateChanged: _app_state,
        f.UserStateChanged: _user_state,
        f.OwnershipReleased: lambda fact: f"the app released ownership: {fact.reason}",
        f.FalseResurrection: lambda _: "the runtime that was replaced turned out to be alive",
        f.Quarantined: lambda fact: f"quarantined: {fact.problem}",
        f.GaveWay: lambda fact: f"{fact.package} gave way: {took_the_foreground(fact.to)}",
        f.HardwareMissing: lambda fact: f"{fact.package} has to do without: {fact.problem}",
        f.MessagesMissed: _missed,
        f.LinkAttached: lambda fact: f"the {fact.endpoint} link was attached",
        f.LinkEnded: lambda fact: f"the {fact.endpoint} link ended: {told(fact.reason)}",
        f.WebhookCalled: _webhook,
        f.StartEnded: _start,
        f.UpdateFailed: lambda fact: f"a subscription update failed: {fact.problem}",
        f.StoreTrouble: lambda fact: f"the store failed: {fact.problem}",
    }
)
"""The facts that can explain a state, each as a sentence."""
