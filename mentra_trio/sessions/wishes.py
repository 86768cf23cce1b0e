"""What a user wants running, on its way to the store in the order of the commands."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from functools import partial
from typing import Final

import attrs
import outcome
import trio

from ..concurrency.oneshot import OneShot
from ..domain.errors import SessionEnded, StoreFailed, UpdatesOverflow
from ..domain.ids import PackageName, UserId
from ..domain.timings import SAVE_AGAIN_S
from .store_trouble import report_store_trouble
from .surroundings import Surroundings
from .update_queue import UpdateQueue

Written = OneShot[outcome.Maybe[None]]

WISHES_REMEMBERED: Final = 1_024
"""Apps whose last wish is known, so that the same one is not queued again and again."""


@attrs.define(eq=False, repr=False)
class Wishes:
    """The user's commands about apps. They outlive the session in which they were given:
    whoever runs the session opens ``queue`` beside it, and lets it finish.
    """

    user: UserId
    surroundings: Surroundings
    queue: UpdateQueue = attrs.field(init=False)
    _wanted: dict[PackageName, None] = attrs.field(factory=dict, init=False)
    _last: dict[PackageName, tuple[bool, Written]] = attrs.field(factory=dict, init=False)
    """The command about each app, the latest one last."""

    def __attrs_post_init__(self) -> None:
        report = partial(report_store_trouble, self.surroundings, self.user)
        self.queue = UpdateQueue(self.surroundings.limits.updates_waiting, report, outlives=True)

    @property
    def wanted(self) -> Set[PackageName]:
        """What the user wants, as far as it was said in this session."""
        return self._wanted.keys()

    def note(
        self, package: PackageName, *, wanted: bool, instead_of: Collection[PackageName] = ()
    ) -> Written:
        """Have a command written down; never blocks. Returns what says when it was.

        ``instead_of`` are apps that are not wanted any more because of it.

        A command that repeats the one before it, while that is being written, shares its
        outcome. Later it is written again: meanwhile the app may have been removed and added.

        Raises:
            UpdatesOverflow: too many commands wait for the store.
            SessionEnded: the session is over.
        """
        last = self._last.get(package)
        repeated = last is not None and last[0] is wanted and not last[1].settled
        if last is not None and repeated and not instead_of:
            return last[1]
        others = tuple(instead_of)
        written = self.queue.submit(partial(self._write, package, others, wanted=wanted))
        for other in others:
            self._remember(other, False, written)
        self._remember(package, wanted, written)
        return written

    def is_given_up(self, package: PackageName) -> bool:
        """Whether the last that was heard of ``package`` is that it is not wanted."""
        last = self._last.get(package)
        return last is not None and not last[0]

    async def write_stop(self, package: PackageName) -> None:
        """Write down that ``package`` is not wanted, whatever else is going on.

        Raises:
            StoreFailed: it could not be written.
        """
        try:
            written = self.note(package, wanted=False)
        except (SessionEnded, UpdatesOverflow):
            await self._write(package, (), wanted=False)
        else:
            await until_written(written)

    async def all(self) -> Sequence[PackageName]:
        """What the user wants running; a store that fails is asked again."""
        while True:
            try:
                return await self.surroundings.store.wanted_apps(self.user)
            except StoreFailed as error:
                report_store_trouble(self.surroundings, self.user, error)
            await trio.sleep(SAVE_AGAIN_S)

    def _remember(self, package: PackageName, wanted: bool, written: Written) -> None:
        self._wanted.pop(package, None)
        if wanted:
            self._wanted[package] = None
        self._last.pop(package, None)
        self._last[package] = (wanted, written)
        while len(self._last) > WISHES_REMEMBERED:
            del self._last[next(iter(self._last))]

    async def _write(
        self, package: PackageName, others: Collection[PackageName], *, wanted: bool
    ) -> None:
        """What is wanted is written first: whoever dies in between has lost no command."""
        store = self.surroundings.store
        if not wanted or await store.app(package) is not None:
            await store.set_wanted(self.user, package, wanted=wanted)
        else:
            self._wanted.pop(package, None)  # no such app, whoever invented its name
        for other in others:
            await store.set_wanted(self.user, other, wanted=False)


async def until_written(written: Written) -> None:
    """Wait for a command to be written down. Any number of tasks may wait for the same one.

    Raises:
        StoreFailed: it could not be written.
        SessionEnded: there was no time left to write it.
    """
    result = await written.wait()
    if isinstance(result, outcome.Error):
        raise result.error
