"""Apps of a user that have no session now, and what each would begin with: dormant and evicted."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import trio

from ..domain.backlog import Backlog
from ..domain.facts import AppStateChanged
from ..domain.ids import PackageName, UserId
from ..domain.lifecycle import AppEvent, AppState, StopCause, in_words
from ..domain.records import AppRecord
from ..ports import SessionChange
from .saving import change_of
from .snapshots import AppSnapshot, record_snapshot
from .surroundings import Surroundings


@attrs.define(eq=False, repr=False)
class Rest:
    """An app at rest: what the next session begins with. ``waiting`` ends with the rest."""

    user: UserId
    package: PackageName
    surroundings: Surroundings
    record: AppRecord
    backlog: Backlog
    unsaved_from: int
    of_before: bool = attrs.field(default=False, init=False)
    """Whether a server before this one had it rest."""
    waiting: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _entered: float = attrs.field(factory=trio.current_time, init=False)

    def change(self) -> SessionChange:
        """See ``keeper.Remembered``."""
        return change_of(
            self.user,
            self.package,
            self.record,
            self.backlog,
            unsaved_from=self.unsaved_from,
            environment=self.surroundings.environment,
        )

    def written(self, change: SessionChange) -> None:
        """See ``keeper.Remembered``."""
        if change.kept:
            self.unsaved_from = change.kept[-1][0] + 1

    def snapshot(self) -> AppSnapshot:
        """How the app looks now."""
        return record_snapshot(self.package, self.record, len(self.backlog))


@attrs.define(eq=False, repr=False)
class Resting:
    """The apps at rest of one user, by package."""

    user: UserId
    surroundings: Surroundings
    _rests: dict[PackageName, Rest] = attrs.field(factory=dict, init=False)

    def __contains__(self, package: PackageName) -> bool:
        return package in self._rests

    def __iter__(self) -> Iterator[Rest]:
        return iter(list(self._rests.values()))

    def put(
        self, package: PackageName, record: AppRecord, backlog: Backlog, *, unsaved_from: int
    ) -> Rest:
        """Have an app rest with ``record``; messages from ``unsaved_from`` are not on disk yet."""
        rest = Rest(self.user, package, self.surroundings, record, backlog, unsaved_from)
        self._rests[package] = rest
        self.surroundings.keeper.note(self.user, package, rest)
        return rest

    def get(self, package: PackageName) -> Rest | None:
        """The app's rest, if it is at rest."""
        return self._rests.get(package)

    def wake(self, package: PackageName) -> Rest | None:
        """End an app's rest, and return it: a session is about to go on from there."""
        rest = self._rests.pop(package, None)
        if rest is not None:
            rest.waiting.cancel("the rest is over")
        return rest

    def stop(self, package: PackageName, cause: StopCause, because: str = "") -> bool:
        """Forget an app at rest; ``False`` if it is not at rest."""
        rest = self.wake(package)
        if rest is None:
            return False
        self.surroundings.telemetry.emit(
            AppStateChanged(
                user=self.user,
                package=package,
                old=rest.record.state,
                new=AppState.STOPPED,
                event=AppEvent.STOP_REQUESTED,
                cause=in_words(cause.value, because),
                seconds=trio.current_time() - rest._entered,
            )
        )
        return True
