"""What sessions remember of themselves, on its way to the store: often changed, seldom written.

Changes are collected for a moment and written together, in one transaction. What a loss would
show of is waited for with ``save_now``.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final, Protocol

import attrs
import trio

from ..domain.errors import StoreFailed
from ..domain.facts import StoreTrouble
from ..domain.ids import PackageName, UserId
from ..domain.timings import SAVE_AGAIN_S, SAVE_DELAY_S, SAVE_WAIT_S
from ..domain.wording import counted
from ..ports import SessionChange, Store, Telemetry

CHANGES_AT_ONCE: Final = 200
"""Changes that are described in one turn of the event loop."""


class Remembered(Protocol):
    """Something that is written down as it is at the moment of writing."""

    def change(self) -> SessionChange:
        """What to write now."""
        ...

    def written(self, change: SessionChange) -> None:
        """``change`` is on disk."""
        ...


@attrs.frozen
class Forgotten:
    """An app session, or with no package a whole user session, of which nothing is left."""

    user: UserId
    package: PackageName | None = None

    def change(self) -> SessionChange:
        """See ``Remembered``."""
        return SessionChange(user=self.user, package=self.package, record=None)

    def written(self, change: SessionChange) -> None:
        """See ``Remembered``."""


@attrs.frozen(kw_only=True)
class _Notes:
    """What is to be written of one user.

    Attributes:
        anew: whether everything that was written before is to be forgotten first.
        what: the latest note of each app session, and under ``None`` of the user session.
    """

    anew: bool = False
    what: dict[PackageName | None, Remembered] = attrs.field(factory=dict)

    def under(self, later: _Notes | None) -> _Notes:
        """These notes together with ``later`` ones, which count more."""
        if later is None:
            return self
        return later if later.anew else _Notes(anew=self.anew, what={**self.what, **later.what})


@attrs.define(eq=False, kw_only=True)
class Keeper:
    """Writes down what is noted; ``run`` is the only task that writes.

    A server that dies loses at most what was noted in the last ``SAVE_DELAY_S`` seconds and the
    time of one commit, and of that nothing for which somebody waited in ``save_now``.
    """

    store: Store
    telemetry: Telemetry
    _noted: dict[UserId, _Notes] = attrs.field(factory=dict, init=False)
    _work: trio.Event = attrs.field(factory=trio.Event, init=False)
    _hurry: trio.Event = attrs.field(factory=trio.Event, init=False)
    _done: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set, and replaced, when a round of writing is over."""
    _writing: bool = attrs.field(default=False, init=False)
    _open: bool = attrs.field(default=True, init=False)

    def note(self, user: UserId, package: PackageName | None, what: Remembered) -> None:
        """Have ``what`` written down soon; never blocks. Replaces what was noted before."""
        if not self._open:
            return
        self._noted.setdefault(user, _Notes()).what[package] = what
        self._work.set()

    def forget(self, user: UserId, package: PackageName | None = None) -> None:
        """Have an app session forgotten; without ``package`` the user session and all its apps.

        What is noted afterwards, as of the user's next session, is all that remains.
        """
        if package is not None:
            self.note(user, package, Forgotten(user, package))
        elif self._open:
            self._noted[user] = _Notes(anew=True)
            self._work.set()

    async def save_now(self) -> None:
        """Return when everything noted before this call is on disk.

        Gives up after ``SAVE_WAIT_S`` seconds, or when the store has failed: then it is tried
        again without anybody waiting.
        """
        if not self._noted and not self._writing:
            return
        with trio.move_on_after(SAVE_WAIT_S):
            if self._writing:
                await self._done.wait()
            if self._noted:
                self._hurry.set()
                await self._done.wait()

    async def finish(self) -> None:
        """Write down what is noted, and take no more notes."""
        await self.save_now()
        self._open = False

    async def run(self) -> None:
        """Write, round by round, until cancelled."""
        while True:
            await self._work.wait()
            with trio.move_on_after(SAVE_DELAY_S):
                await self._hurry.wait()
            self._work, self._hurry = trio.Event(), trio.Event()
            failed = not await self._write()
            self._done.set()
            self._done = trio.Event()
            if failed:
                await trio.sleep(SAVE_AGAIN_S)

    async def _write(self) -> bool:
        """One round; ``False`` if the store failed, and everything is still to be written."""
        noted, self._noted = self._noted, {}
        due = [what for user, notes in noted.items() for what in _in_order(user, notes)]
        changes: list[SessionChange] = []
        self._writing = True
        try:
            for number, what in enumerate(due, start=1):
                changes.append(what.change())
                if number % CHANGES_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
            await self.store.save_sessions(changes)
        except StoreFailed as error:
            self._report(error, noted.keys())
            merged = {user: notes.under(self._noted.get(user)) for user, notes in noted.items()}
            self._noted = {**self._noted, **merged}
            self._work.set()
            return False
        finally:
            self._writing = False
        for what, change in zip(due, changes, strict=True):
            what.written(change)
        return True

    def _report(self, error: StoreFailed, users: Set[UserId]) -> None:
        """Once for all: where a disk is full, a line for each would not help."""
        others = len(users) - 1
        problem = f"{error} (and so for {counted(others, 'other')})" if others else str(error)
        self.telemetry.emit(StoreTrouble(user=min(users), problem=problem))


def _in_order(user: UserId, notes: _Notes) -> Iterator[Remembered]:
    if notes.anew:
        yield Forgotten(user)
    yield from notes.what.values()
