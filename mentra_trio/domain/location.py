"""Where the user is: how long a location is good for, and who waits for which.

Pure data: the caller passes the time. ``Polls`` are the apps' questions for one location; those
that can share an answer do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from .ids import PackageName
from .streams import LOCATION_TIERS

FRESH_S: Final[Mapping[str, float]] = MappingProxyType(
    {
        "realtime": 1.0,
        "high": 10.0,
        "standard": 30.0,
        "tenMeters": 30.0,
        "hundredMeters": 60.0,
        "kilometer": 300.0,
        "threeKilometers": 900.0,
        "reduced": 900.0,
    }
)
"""So old may a location be that answers a poll of that accuracy (protocol.md 6.8)."""

COARSEST: Final = LOCATION_TIERS[0]
POLLS_PER_APP: Final = 32
"""So many polls of an app are remembered; for one more its oldest is forgotten."""


def accuracy_of(asked: str | None) -> str:
    """The tier that a poll asks for; one that nobody knows is the coarsest (protocol.md 6.8)."""
    return asked if asked is not None and asked in FRESH_S else COARSEST


def is_finer(one: str, other: str) -> bool:
    """Whether the tier ``one`` is more exact than ``other``."""
    return LOCATION_TIERS.index(one) > LOCATION_TIERS.index(other)


def is_on_earth(latitude: float, longitude: float) -> bool:
    """Whether there is such a place."""
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


@attrs.frozen(kw_only=True)
class Asker:
    """Who asked, under which name of its own, and until when it waits (Trio time)."""

    package: PackageName
    own_name: str
    until: float


@attrs.define(eq=False, kw_only=True)
class Asked:
    """One question to the phone, which answers by ``name``; asked ``at`` (Trio time)."""

    name: str
    accuracy: str
    at: float
    askers: list[Asker] = attrs.field(factory=list)


@attrs.define(eq=False, kw_only=True)
class Polls:
    """The questions that the phone has not answered yet, oldest first.

    Attributes:
        wait_s: how long an asker waits.
        share_s: for how long a question is shared by those who ask later; after that it may be
            that the phone has never heard of it.
    """

    wait_s: float
    share_s: float
    _asked: dict[str, Asked] = attrs.field(factory=dict, init=False)

    def ask(
        self,
        package: PackageName,
        own_name: str,
        accuracy: str,
        now: float,
        *,
        new_name: Callable[[], str],
    ) -> Asked | None:
        """Have ``package`` wait for a location; the question to ask the phone, if it is a new one.

        ``None``: one that is under way, and no coarser, answers this too. ``new_name`` makes a
        name that nobody else chooses.
        """
        self._drop_old(now)
        self._make_room(package, own_name)
        asker = Asker(package=package, own_name=own_name, until=now + self.wait_s)
        for asked in self._asked.values():
            if now - asked.at < self.share_s and not is_finer(accuracy, asked.accuracy):
                asked.askers.append(asker)
                return None
        name = own_name if own_name not in self._asked else new_name()
        self._asked[name] = Asked(name=name, accuracy=accuracy, at=now, askers=[asker])
        return self._asked[name]

    def answered(self, name: str, now: float) -> list[Asker]:
        """Who still waits for the answer that the phone gives by ``name``; once."""
        self._drop_old(now)
        asked = self._asked.pop(name, None)
        return asked.askers if asked is not None else []

    def unanswered(self, now: float) -> list[Asked]:
        """What a phone that has just come must be asked, for those who still wait."""
        self._drop_old(now)
        for asked in self._asked.values():
            asked.at = now
        return list(self._asked.values())

    def forget(self, package: PackageName) -> None:
        """Nobody waits any more in an app."""
        self._keep(lambda asker: asker.package != package)

    def waiting(self, package: PackageName) -> int:
        """How many polls of an app are unanswered."""
        return len(self._of(package))

    def _of(self, package: PackageName) -> list[Asker]:
        askers = (asker for asked in self._asked.values() for asker in asked.askers)
        return [asker for asker in askers if asker.package == package]

    def _make_room(self, package: PackageName, own_name: str) -> None:
        """An app waits once under each name, and for so many names at most."""
        mine = [one for one in self._of(package) if one.own_name != own_name]
        mine.sort(key=lambda asker: asker.until)
        kept = mine[len(mine) - POLLS_PER_APP + 1 :] if len(mine) >= POLLS_PER_APP else mine
        self._keep(lambda asker: asker.package != package or asker in kept)

    def _drop_old(self, now: float) -> None:
        self._keep(lambda asker: asker.until > now)

    def _keep(self, wanted: Callable[[Asker], bool]) -> None:
        for name, asked in list(self._asked.items()):
            asked.askers = [asker for asker in asked.askers if wanted(asker)]
            if not asked.askers:
                del self._asked[name]
