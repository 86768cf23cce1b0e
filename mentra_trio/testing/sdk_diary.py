"""What a simulated app server sent, received and did, with the time of each, for tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

import attrs
import trio

from ..domain.close_reasons import CloseReason

ENTRIES_MAX: Final = 100_000
"""One more, and the oldest is forgotten."""


@attrs.frozen(kw_only=True)
class Entry:
    """Something that happened at ``at`` (Trio time) to the session ``session_id``."""

    at: float
    session_id: str


@attrs.frozen(kw_only=True)
class OnSocket(Entry):
    """Something that happened on a connection; they are numbered from 1 within their session."""

    socket: int


@attrs.frozen(kw_only=True)
class Dialled(OnSocket):
    """The session tries to connect to ``url``."""

    url: str


@attrs.frozen(kw_only=True)
class Sent(OnSocket):
    """A message went out, as it stands on the wire."""

    message: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Received(OnSocket):
    """A message came in, as it stood on the wire; bytes are audio."""

    message: Mapping[str, Any] | bytes


@attrs.frozen(kw_only=True)
class Closed(OnSocket):
    """A connection, or the attempt at one, ended; ``by_us`` if the session itself ended it."""

    reason: CloseReason
    by_us: bool = False


@attrs.frozen(kw_only=True)
class Began(Entry):
    """``onSession`` began."""


@attrs.frozen(kw_only=True)
class Heard(Entry):
    """A handler of ``stream`` was called."""

    stream: str
    data: Any


@attrs.frozen(kw_only=True)
class Stopped(Entry):
    """``onStop`` was called."""

    reason: str


@attrs.frozen(kw_only=True)
class Answered(Entry):
    """A webhook of type ``call`` was answered."""

    call: str
    status: int


E = TypeVar("E", bound=Entry)


@attrs.define(eq=False)
class Diary:
    """The entries of one app server in their order."""

    _entries: deque[Entry] = attrs.field(factory=lambda: deque(maxlen=ENTRIES_MAX), init=False)
    _grown: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __iter__(self) -> Iterator[Entry]:
        """All that is kept, oldest first."""
        return iter(tuple(self._entries))

    def note(self, entry: Entry) -> None:
        """Add an entry and wake whoever waits for it."""
        self._entries.append(entry)
        self._grown.set()
        self._grown = trio.Event()

    def of(self, kind: type[E], session_id: str | None = None) -> list[E]:
        """The entries of one kind, of one session or of all, oldest first."""
        return [
            entry
            for entry in self._entries
            if isinstance(entry, kind) and session_id in {None, entry.session_id}
        ]

    async def until(self, kind: type[E], session_id: str | None = None, *, number: int = 1) -> E:
        """The ``number``-th entry of a kind, as soon as there is one."""
        while len(found := self.of(kind, session_id)) < number:
            await self._grown.wait()
        return found[number - 1]

    def sent(self, message_type: str, session_id: str | None = None) -> list[Sent]:
        """The messages of one type that went out, oldest first."""
        found = self.of(Sent, session_id)
        return [entry for entry in found if entry.message["type"] == message_type]

    def lists(self, session_id: str | None = None) -> list[list[Any]]:
        """The subscription lists that went out, oldest first."""
        found = self.sent("subscription_update", session_id)
        return [entry.message["subscriptions"] for entry in found]

    def stops(self, session_id: str | None = None) -> list[str]:
        """The reasons with which ``onStop`` was called, oldest first."""
        return [entry.reason for entry in self.of(Stopped, session_id)]

    def answers(self, session_id: str | None = None) -> list[int]:
        """The statuses with which ``session_request`` webhooks were answered, oldest first."""
        found = self.of(Answered, session_id)
        return [entry.status for entry in found if entry.call == "session_request"]
