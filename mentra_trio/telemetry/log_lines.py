"""Facts as log lines: one structured event per fact."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, TextIO

import attrs
import structlog

from ..domain import facts as f
from ..domain.facts import Fact
from ..domain.wording import printable
from ..environment import Environment
from .plain import plain_fields

_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[0-9a-fA-F:.]+|[A-Za-z0-9.-]+):\d{1,5}")
_NO_USERS: Final = frozenset({"", "memory", "local", "unknown"})
_MAIL: Final = re.compile(r"[^\s'\"<>]+@[^\s'\"<>]+")

_PEERS: Final = frozenset({"peer", "who"})
_SENTENCES: Final = frozenset({"address", "problem"})
"""Fields in which a user may be named, beside ``user``. All others are our own fixed words."""

_STREAM_LISTS: Final = frozenset({"streams", "rejected"})
_STREAM_NAME: Final = re.compile(r"\*|[A-Za-z_]+(:[A-Za-z_-]+)?")
STREAMS_SHOWN: Final = 5
STREAM_CHARACTERS_MAX: Final = 40

_EMPTY: Final[tuple[object, ...]] = (None, "", [])
_RENAMED: Final = MappingProxyType({"event": "trigger"})
"""structlog's own ``event`` is the name of the line."""


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


LEVELS: Final = ("debug", "info", "warning", "error")
NOISY: Final = (
    f.ConnectionRefused,
    f.FrameIgnored,
    f.FrameDropped,
    f.MessageRefused,
    f.SoundAnswered,
    f.SubscriptionsChanged,
)
"""Facts of which any peer can cause as many as it likes."""
NOISY_LINES_PER_S: Final = 10
LEFT_OUT: Final = "lines left out"


@attrs.define(eq=False)
class LogLines:
    """Implements ``ports.Telemetry`` on a structlog logger.

    A user is named by a short hash that stays the same for the same user, so that the lines of
    one user can be found, but not who it is; ``user_ids_as_given`` is for debugging.

    Of the facts in ``NOISY`` at most ten in a second are written; the next line of the log is
    preceded by one that tells how many were not. The metrics count all of them.
    """

    _logger: structlog.typing.FilteringBoundLogger
    user_ids_as_given: bool = attrs.field(default=False, kw_only=True)
    environment: Environment = attrs.field(factory=Environment, kw_only=True)
    _written: frozenset[str] = attrs.field(init=False)
    """The levels that are written."""
    _second: int = attrs.field(default=0, init=False)
    _noise: int = attrs.field(default=0, init=False)

    @_written.default
    def _levels_written(self) -> frozenset[str]:
        numbers = logging.getLevelNamesMapping()
        return frozenset(one for one in LEVELS if self._logger.is_enabled_for(numbers[one.upper()]))

    def emit(self, fact: Fact) -> None:
        """See ``ports.Telemetry``. A log that cannot be written is given up silently."""
        event, level_of = LINES[type(fact)]
        level = level_of(fact)
        if level not in self._written:
            return
        self._begin_second()
        if isinstance(fact, NOISY):
            self._noise += 1
            if self._noise > NOISY_LINES_PER_S:
                return
        fields = {_RENAMED.get(name, name): value for name, value in plain_fields(fact).items()}
        for name in _STREAM_LISTS & fields.keys():
            fields[name] = _stream_names(fields[name])
        if not self.user_ids_as_given:
            fields = _without_names(fact, fields)
        self._write(level, event, fields)

    def _begin_second(self) -> None:
        second = int(self.environment.utcnow().timestamp())
        if second == self._second:
            return
        left_out = self._noise - NOISY_LINES_PER_S
        self._second, self._noise = second, 0
        if left_out > 0:
            self._write("info", LEFT_OUT, {"count": left_out})

    def _write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        with suppress(OSError, ValueError):  # standard error was closed, or its reader is gone
            getattr(self._logger, level)(event, **fields)


def make_logger(stream: TextIO, level: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that writes one ``key=value`` line per event to ``stream``.

    Args:
        level: the lowest that is written: debug, info, warning or error.
    """
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), _line],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return logger


def user_hash(user: str) -> str:
    """The short stable name of a user in logs: 12 hex digits of SHA-256."""
    return "u:" + hashlib.sha256(user.encode()).hexdigest()[:12]


def _line(_: object, level: str, event: MutableMapping[str, Any]) -> str:
    """``event`` as logfmt, in one go: structlog's own renderer looks at every letter of it.

    A field that says nothing is left out; ``0`` and ``False`` do say something.
    """
    words = [f"timestamp={event.pop('timestamp')}", f"level={level}"]
    words.append(f"event={_quoted(event.pop('event'))}")
    for name, value in event.items():
        if value is True:
            words.append(name)
        elif value is False:
            words.append(f"{name}=false")
        elif value not in _EMPTY:
            text = ",".join(value) if isinstance(value, list) else str(value)
            words.append(f"{name}={_quoted(text)}")
    return " ".join(words)


def _quoted(text: str) -> str:
    """Whatever a peer sent, it cannot forge a second line or field, or colour the terminal."""
    text = printable(text)
    if " " in text or "=" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    return text


def _without_names(fact: Fact, fields: dict[str, Any]) -> dict[str, Any]:
    user = getattr(fact, "user", None)
    hidden = dict(fields)
    if user is not None:
        hidden["user"] = user_hash(user)
    for name in _PEERS & fields.keys():
        hidden[name] = _without_user_name(fields[name])
    for name in _SENTENCES & fields.keys():
        text = _without_word(user, fields[name]) if user else fields[name]
        hidden[name] = _MAIL.sub(lambda match: user_hash(match[0]), text)
    return hidden


def _without_word(user: str, text: str) -> str:
    """``text`` with ``user`` masked where it is a word of its own, and not a part of another."""
    word = rf"(?<![\w.@+-]){re.escape(user)}(?!\.?[\w@+-])"
    return re.sub(word, user_hash(user), text)


def _stream_names(texts: list[str]) -> list[str]:
    """What looks like a stream name in the words of an app, without its options; a few of them."""
    names = [text.partition("?")[0][:STREAM_CHARACTERS_MAX] for text in texts]
    return [name for name in names if _STREAM_NAME.fullmatch(name)][:STREAMS_SHOWN]


def _without_user_name(text: str) -> str:
    """``text`` names a peer: an address, ``<package> at <address>``, ``<package> of <user>``, or
    a user."""
    app, at, address = text.rpartition(" at ")
    if at and _ADDRESS.fullmatch(address):
        return text
    app, of, user = text.partition(" of ")
    if of:
        return f"{app} of {user_hash(user)}"
    return text if text in _NO_USERS or _ADDRESS.fullmatch(text) else user_hash(text)
