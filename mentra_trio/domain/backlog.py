"""Messages kept for an app that is away: what is kept, what is dropped, and what was missed.

Pure data: the caller passes the time, and decides when to send. What is kept is bounded in
number, in bytes and in age; what does not fit is dropped, the oldest first, and counted, so that
the app can be told of the gap.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Final

import attrs

from .streams import AUDIO_CHUNK, LOCATIONS


class Keeping(enum.Enum):
    """How long-lived the messages of a stream are."""

    ALL = "all"
    """Events: every one counts, in order."""
    LATEST = "latest"
    """States: a newer one makes the older ones worthless."""
    NOTHING = "nothing"
    """Worthless by the time that the app is back."""


STATES: Final = LOCATIONS | {
    "glasses_battery_update",
    "phone_battery_update",
    "glasses_connection_state",
    "head_position",
    "core_status_update",
    "VAD",
}
"""Streams of which only the latest message is kept."""


FROM_OTHERS: Final = "from_others"
"""Under this name messages of other users are kept: an app does not subscribe to them."""

SHARE_OF_OTHERS: Final = 4
"""They get one part in so many of the room: whoever floods an app that is away costs it messages
of others, and never its own streams."""


def keeping_of(stream: str) -> Keeping:
    """What is kept of the messages of ``stream``, which is named as the app subscribed to it."""
    if stream == AUDIO_CHUNK:
        return Keeping.NOTHING
    return Keeping.LATEST if stream in STATES else Keeping.ALL


class Loss(enum.Enum):
    """Why an app missed a message."""

    TOO_MANY = "too many messages"
    TOO_OLD = "too old"


@attrs.frozen(kw_only=True)
class Kept:
    """One message that waits. ``position`` grows by one with each; ``at`` is Trio time."""

    position: int
    at: float
    stream: str
    frame: str
    size: int


@attrs.frozen(kw_only=True)
class Gap:
    """What an app missed: how many messages, since when (Trio time), and why."""

    count: int
    since: float
    reasons: frozenset[Loss]


@attrs.define(eq=False, kw_only=True)
class Backlog:
    """The messages kept for one app.

    Attributes:
        messages_max, bytes_max, seconds_max: the bounds.
        next_position: of the next message that is kept.
    """

    messages_max: int
    bytes_max: int
    seconds_max: float
    next_position: int = 1
    by_position: OrderedDict[int, Kept] = attrs.field(factory=OrderedDict, init=False)
    """What is kept, oldest first; for others to look at. It is empty for nearly every event."""
    _latest: dict[str, int] = attrs.field(factory=dict, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _of_others: OrderedDict[int, int] = attrs.field(factory=OrderedDict, init=False)
    """Sizes of what is kept of other users, by position."""
    _gap: Gap | None = attrs.field(default=None, init=False)

    def __len__(self) -> int:
        return len(self.by_position)

    @property
    def messages(self) -> Sequence[Kept]:
        """What is kept, oldest first."""
        return tuple(self.by_position.values())

    @property
    def first_position(self) -> int:
        """Of the oldest message that is kept; ``next_position`` where there is none."""
        return next(iter(self.by_position), self.next_position)

    def since(self, position: int) -> list[Kept]:
        """What is kept from ``position`` on, oldest first. Takes no longer if there is more."""
        newest_first = reversed(self.by_position.values())
        return list(takewhile(lambda one: one.position >= position, newest_first))[::-1]

    def keep(self, stream: str, frame: str, now: float) -> bool:
        """Keep ``frame`` at time ``now``; ``False`` if it is of a kind that is not kept."""
        if keeping_of(stream) is Keeping.NOTHING:
            return False
        self._replace_state(stream)
        self._drop_old(now)
        size = len(frame.encode())
        if size > (self._bytes_of_others if stream == FROM_OTHERS else self.bytes_max):
            self._miss(now, Loss.TOO_MANY)
            return False
        if stream == FROM_OTHERS and not self._make_room_among_others(size):
            self._miss(now, Loss.TOO_MANY)
            return False
        while len(self.by_position) >= self.messages_max or self._bytes + size > self.bytes_max:
            self._miss(self._remove(next(iter(self.by_position))).at, Loss.TOO_MANY)
        position = self.next_position
        self._enter(Kept(position=position, at=now, stream=stream, frame=frame, size=size))
        return True

    def restore(self, messages: Iterable[Kept]) -> None:
        """Take over what was kept elsewhere, or taken in vain; oldest first, into an empty one.

        Elsewhere may be a store, in which an older state is found beside a newer one.
        """
        for message in messages:
            self._replace_state(message.stream)
            self._enter(message)

    def take(self, now: float, wanted: Callable[[str], bool]) -> list[Kept]:
        """What is to be sent now, oldest first; nothing is kept afterwards.

        A message of a stream that is not ``wanted`` any more is dropped; that is no loss.
        """
        self._drop_old(now)
        taken = [message for message in self.by_position.values() if wanted(message.stream)]
        self.by_position.clear()
        self._latest.clear()
        self._of_others.clear()
        self._bytes = 0
        return taken

    @property
    def gap(self) -> Gap | None:
        """What was missed and is still to be told; ``None`` if nothing was."""
        return self._gap

    def take_gap(self) -> Gap | None:
        """What was missed since this was last asked; ``None`` if nothing was."""
        gap, self._gap = self._gap, None
        return gap

    def put_back(self, gap: Gap) -> None:
        """Have ``gap``, just taken, told at the next occasion: it could not be told."""
        self._gap = gap

    def _replace_state(self, stream: str) -> None:
        """Make room for a newer message of ``stream``, if of that only the latest counts."""
        older = self._latest.get(stream)
        if older is not None:
            self._remove(older)

    @property
    def _bytes_of_others(self) -> int:
        return self.bytes_max // SHARE_OF_OTHERS

    def _make_room_among_others(self, size: int) -> bool:
        """Drop the oldest messages of other users until one more is within their share.

        ``False`` if it cannot be: the app's own streams take the rest.
        """
        most = max(1, self.messages_max // SHARE_OF_OTHERS)
        kept = self._of_others
        while True:
            share = len(kept) < most and sum(kept.values()) + size <= self._bytes_of_others
            number = len(self.by_position)
            whole = number < self.messages_max and self._bytes + size <= self.bytes_max
            if (share and whole) or not kept:
                return share and whole
            self._miss(self._remove(next(iter(kept))).at, Loss.TOO_MANY)

    def _enter(self, message: Kept) -> None:
        self.by_position[message.position] = message
        self._bytes += message.size
        if message.stream == FROM_OTHERS:
            self._of_others[message.position] = message.size
        self.next_position = max(self.next_position, message.position + 1)
        if keeping_of(message.stream) is Keeping.LATEST:
            self._latest[message.stream] = message.position

    def _remove(self, position: int) -> Kept:
        message = self.by_position.pop(position)
        self._bytes -= message.size
        self._of_others.pop(position, None)
        if self._latest.get(message.stream) == position:
            del self._latest[message.stream]
        return message

    def _drop_old(self, now: float) -> None:
        while self.by_position:
            oldest = self.by_position[next(iter(self.by_position))]
            if now - oldest.at <= self.seconds_max:
                return
            self._remove(oldest.position)
            self._miss(oldest.at, Loss.TOO_OLD)

    def _miss(self, at: float, loss: Loss) -> None:
        gap = self._gap or Gap(count=0, since=at, reasons=frozenset())
        self._gap = Gap(count=gap.count + 1, since=min(gap.since, at), reasons=gap.reasons | {loss})
