"""Which standard app of a user has the glasses: the one that was asked for last (protocol.md 2.13).

A start is checked first and takes effect afterwards, in one turn: whoever fails its checks stops
nobody, and no moment lies between the end of one app and the beginning of the next. The display
is taken from an app in the moment in which it stops, so nobody waits for its stop webhook.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

import attrs

from ..domain.apps import AppKind, AppRegistration
from ..domain.errors import UnknownApp, UpdatesOverflow
from ..domain.facts import GaveWay
from ..domain.foreground import Contender, in_foreground, who_gives_way
from ..domain.ids import PackageName
from ..domain.lifecycle import ENDED, StopCause
from ..domain.starting import StartResult, StartStage, failed, superseded, took_the_foreground

if TYPE_CHECKING:
    from .roster import Roster

Known: TypeAlias = Mapping[PackageName, AppRegistration | None]
"""Apps as they are registered; ``None`` for one that is not."""


@attrs.define(eq=False, repr=False)
class Foreground:
    """Decides for ``roster`` which standard apps give way, and has them stop."""

    roster: Roster
    _commands: count[int] = attrs.field(factory=lambda: count(1), init=False)
    _asked: dict[PackageName, int] = attrs.field(factory=dict, init=False)
    """By which command each app was asked for last; 0 and less: before this session."""
    _taken: tuple[int, PackageName | None] = attrs.field(default=(0, None), init=False)
    """Who took the foreground last, and by which command."""

    # -- a start ---------------------------------------------------------------------

    def asked_for(self, package: PackageName) -> None:
        """The user commands a start of ``package`` now; commands count in this order."""
        self._asked[package] = next(self._commands)

    def command_of(self, package: PackageName) -> int:
        """By which command ``package`` was asked for last; a higher number is a later one."""
        return self._asked.get(package, 0)

    async def look(self, package: PackageName) -> Known:
        """Wait until ``package`` may begin; what is known of it and of those it may compete with.

        Where it has a session that goes on, nothing has to be known. What is returned holds
        until the caller waits for anything.

        Raises:
            UnknownApp: no such app is registered.
            StoreFailed: it is not known whether one is.
        """
        known: dict[PackageName, AppRegistration | None] = {}
        while True:
            await self.roster.until_clear(package)
            unknown = self._next_unknown(package, known)
            if unknown is None:
                return known
            known[unknown] = await self.roster.surroundings.store.app(unknown)
            if package in known and known[package] is None:
                self._asked.pop(package, None)
                raise UnknownApp(f"App {package} not found")

    def take(self, package: PackageName, known: Known) -> StartResult | None:
        """Stop every standard app that has to give way to ``package``, which begins now.

        Returns why it must not begin, if it must not; then nobody was stopped.
        """
        refused = self._lacks(package, known)
        if refused is not None:
            self._asked.pop(package, None)
            return refused
        leaving, foremost = self._who_gives_way({package, *self._standing()}, known)
        standard = self._is_standard(package, known)
        asked, (latest, taken_by) = self.command_of(package), self._taken
        if standard and asked < latest:  # it gave way while it waited, whoever is there now
            leaving, foremost = (package,), taken_by
        if foremost is not None and package in leaving:
            self._report(package, foremost)  # not wanted any more, since that one took over
            return superseded(package, foremost)
        try:
            self.roster.wishes.note(package, wanted=True, instead_of=leaving)
        except UpdatesOverflow as error:
            return failed(StartStage.INTERNAL_ERROR, str(error))
        if standard:
            self._taken = (asked, package)
        self.roster.compatibility.forget(package)
        for one in leaving:
            self._stop(one, package)
        return None

    # -- what was wanted before ------------------------------------------------------

    async def only_one_of(self, wanted: Sequence[PackageName]) -> list[PackageName]:
        """``wanted``, oldest first, without what was stopped or has to give way meanwhile.

        Standard apps that give way are no longer wanted. In older data there may be several.

        Raises:
            StoreFailed: the kinds of the apps could not be read.
        """
        for age, package in enumerate(reversed(wanted)):
            self._asked.setdefault(package, -age)
        known: dict[PackageName, AppRegistration | None] = {}
        while unknown := self._rivals(wanted) - known.keys():
            one = min(unknown)
            known[one] = await self.roster.surroundings.store.app(one)
        leaving, foremost = self._who_gives_way(self._rivals(wanted), known)
        if foremost is not None and leaving:
            self._give_up(foremost, leaving)
            for one in leaving:
                self._stop(one, foremost)
        return [package for package in self._still(wanted) if package not in leaving]

    def _still(self, wanted: Iterable[PackageName]) -> list[PackageName]:
        return [package for package in wanted if not self.roster.was_stopped(package)]

    def _rivals(self, wanted: Iterable[PackageName]) -> set[PackageName]:
        """Everybody who is there or is to be; nobody where that is one app alone."""
        rivals = {*self._still(wanted), *self._standing()}
        return rivals if len(rivals) > 1 else set()

    # -- parts -----------------------------------------------------------------------

    def _standing(self) -> set[PackageName]:
        """The apps that the user has in whatever state, or wants although a start failed."""
        alive = {package for package, app in self.roster.apps.items() if app.state not in ENDED}
        kept = self.roster.wishes.wanted | self.roster.compatibility.waiting
        return alive | {rest.package for rest in self.roster.resting} | kept

    def _lacks(self, package: PackageName, known: Known) -> StartResult | None:
        """Why the present glasses cannot serve ``package``, which has no session yet."""
        registration = known.get(package)
        if registration is None or package in self.roster.apps:
            return None
        return self.roster.compatibility.refuse(registration)

    def _next_unknown(self, package: PackageName, known: Known) -> PackageName | None:
        """Who is still to be looked up before ``package`` may begin."""
        if package in self.roster.apps:
            return None
        if package not in known:
            return package
        if _kind(known[package]) is not AppKind.STANDARD:
            return None
        return min(self._standing() - known.keys(), default=None)

    def _is_standard(self, package: PackageName, known: Known) -> bool:
        app = self.roster.apps.get(package)
        registration = app.registration if app is not None else None
        return _kind(registration or known.get(package)) is AppKind.STANDARD

    def _who_gives_way(
        self, packages: Iterable[PackageName], known: Known
    ) -> tuple[tuple[PackageName, ...], PackageName | None]:
        """The apps that give way, and the one to which they do."""
        contenders = [
            Contender(package=one, kind=_kind(known.get(one)), asked=self.command_of(one))
            for one in packages
        ]
        return who_gives_way(contenders), in_foreground(contenders)

    def _stop(self, package: PackageName, foremost: PackageName) -> None:
        self._report(package, foremost)
        because = took_the_foreground(foremost)
        app = self.roster.apps.get(package)
        if app is not None:
            app.settle_outcome(superseded(package, foremost))
        self.roster.end_app(package, StopCause.FOREGROUND, because)

    def _report(self, package: PackageName, foremost: PackageName) -> None:
        self.roster.surroundings.telemetry.emit(
            GaveWay(user=self.roster.user, package=package, to=foremost)
        )

    def _give_up(self, foremost: PackageName, leaving: Collection[PackageName]) -> None:
        with suppress(UpdatesOverflow):  # whoever reads later what is wanted decides as we do
            self.roster.wishes.note(foremost, wanted=True, instead_of=leaving)


def _kind(registration: AppRegistration | None) -> AppKind | None:
    return registration.kind if registration is not None else None
