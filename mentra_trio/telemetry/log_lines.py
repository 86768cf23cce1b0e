"""Facts as log lines: one structured event per fact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from ..domain import facts as f
from ..domain.facts import Fact
from ..environment import Environment
from .log_fields import FieldWords, words_for
from .logfmt import LEVELS, Log, head


def _fixed(level: str) -> Callable[[Any], str]:
    return lambda _: level


LINES: Final[Mapping[type[Fact], tuple[str, Callable[[Any], str]]]] = MappingProxyType(
    {
        f.ServerStarted: ("server started", _fixed("info")),
        f.ServerDraining: ("server draining", _fixed("info")),
        f.UserStateChanged: ("user state changed", _fixed("info")),
        f.AppStateChanged: ("app state changed", _fixed("info")),
        f.FreshSession: (
            "creating fresh session",
            lambda fact: "info" if fact.epoch > 1 else "debug",
        ),
        f.AttemptBegan: (
            "calling the app server",
            lambda fact: "info" if fact.resurrection else "debug",
        ),
        f.OwnershipReleased: ("ownership released", _fixed("info")),
        f.FalseResurrection: ("false resurrection", _fixed("warning")),
        f.Quarantined: ("app quarantined", _fixed("error")),
        f.GaveWay: ("app gave way", _fixed("info")),
        f.HardwareMissing: ("hardware missing", _fixed("info")),
        f.MessagesMissed: ("messages missed", _fixed("warning")),
        f.EndpointChanged: (
            "app server changed",
            lambda fact: "info" if fact.answers else "warning",
        ),
        f.HealthChecked: (
            "health checked",
            lambda fact: "debug" if fact.result == "ok" else "info",
        ),
        f.LinkAttached: ("link attached", _fixed("info")),
        f.LinkEnded: ("link ended", _fixed("info")),
        f.ConnectionRefused: ("connection refused", _fixed("info")),
        f.FrameIgnored: ("frame ignored", _fixed("info")),
        f.FrameDropped: ("frame dropped", _fixed("debug")),
        f.WebhookCalled: (
            "webhook called",
            lambda fact: "info" if fact.result == "ok" else "warning",
        ),
        f.StartJoined: ("app already loading, waiting for existing attempt", _fixed("debug")),
        f.StartAnswered: ("start answered", _fixed("debug")),
        f.StartEnded: ("start ended", lambda fact: "warning" if fact.stage else "info"),
        f.SubscriptionsChanged: (
            "subscriptions changed",
            lambda fact: "warning" if fact.rejected else "debug",
        ),
        f.PhotoEnded: ("photo ended", lambda fact: "info" if fact.problem else "debug"),
        f.SoundAnswered: ("sound answered", _fixed("debug")),
        f.MessageRefused: ("message refused", _fixed("info")),
        f.StreamChanged: ("stream changed", _fixed("info")),
        f.UpdateFailed: ("update failed", _fixed("error")),
        f.StoreTrouble: ("store trouble", _fixed("error")),
        f.VoiceTrouble: ("voice trouble", _fixed("warning")),
        f.RecogniserChanged: (
            "recogniser changed",
            lambda fact: "warning" if fact.problem else "debug",
        ),
        f.SpeechNotServed: ("speech not served", _fixed("info")),
        f.SlowStep: ("slow step", _fixed("warning")),
        f.Crashed: ("crashed", _fixed("error")),
    }
)
"""Event name of every fact, and its level."""


NOISY: Final = frozenset(
    {
        f.ConnectionRefused,
        f.FrameIgnored,
        f.FrameDropped,
        f.MessageRefused,
        f.SoundAnswered,
        f.SubscriptionsChanged,
    }
)
"""Facts of which any peer can cause as many as it likes."""
NOISY_LINES_PER_S: Final = 10
LEFT_OUT: Final = "lines left out"

_SECOND: Final = slice(len("2026-01-31T12:00:00"))
"""Of a timestamp."""


@attrs.frozen
class _Form:
    """How facts of one kind are written: all that is the same for each of them."""

    level: Callable[[Any], str]
    heads: Mapping[str, str]
    """Level and event, for each level that is written."""
    words: FieldWords
    noisy: bool


@attrs.define(eq=False)
class LogLines:
    """Implements ``ports.Telemetry`` on a log.

    A user is named by a short hash that stays the same for the same user, so that the lines of
    one user can be found, but not who it is; ``user_ids_as_given`` is for debugging.

    Of the facts in ``NOISY`` at most ten in a second are written; the next line of the log is
    preceded by one that tells how many were not. The metrics count all of them.
    """

    _log: Log
    user_ids_as_given: bool = attrs.field(default=False, kw_only=True)
    environment: Environment = attrs.field(factory=Environment, kw_only=True)
    _forms: Mapping[type[Fact], _Form] = attrs.field(init=False)
    _second: str = attrs.field(default="", init=False)
    _noise: int = attrs.field(default=0, init=False)

    @_forms.default
    def _forms_of_all(self) -> Mapping[type[Fact], _Form]:
        return {kind: self._form(kind) for kind in LINES}

    def _form(self, kind: type[Fact]) -> _Form:
        event, level = LINES[kind]
        written = self._log.levels()
        heads = {one: head(one, event) for one in LEVELS if one in written}
        words = words_for(kind, user_ids_as_given=self.user_ids_as_given)
        return _Form(level, heads, words, noisy=kind in NOISY)

    def emit(self, fact: Fact) -> None:
        """See ``ports.Telemetry``. A log that cannot be written is given up silently."""
        form = self._forms[type(fact)]
        begin = form.heads.get(form.level(fact))
        if begin is None:
            return
        timestamp = self.environment.timestamp()
        if timestamp[_SECOND] != self._second:
            self._begin_second(timestamp)
        if form.noisy:
            self._noise += 1
            if self._noise > NOISY_LINES_PER_S:
                return
        self._log.put(f"timestamp={timestamp}{begin}{form.words(fact)}")

    def _begin_second(self, timestamp: str) -> None:
        left_out = self._noise - NOISY_LINES_PER_S
        self._second, self._noise = timestamp[_SECOND], 0
        if left_out > 0:
            self._log.put(f"timestamp={timestamp}{head('info', LEFT_OUT)} count={left_out}")
