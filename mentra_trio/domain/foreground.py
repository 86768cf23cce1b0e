"""The foreground rule: at most one standard app of a user at a time (protocol.md 2.13)."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from .apps import AppKind
from .ids import PackageName


@attrs.frozen(kw_only=True)
class Contender:
    """An app that a user has, or wants to have, whatever state it is in.

    Attributes:
        kind: ``None`` where no such app is registered: it stands in nobody's way.
        asked: which of the user's commands asked for it last; a higher number is a later one.
    """

    package: PackageName
    kind: AppKind | None
    asked: int


def in_foreground(contenders: Iterable[Contender]) -> PackageName | None:
    """The standard app that was asked for last; ``None`` where there is no standard app.

    Of two that were asked for at once it is the one whose name comes last, in whatever order
    they are given.
    """
    standard = [(one.asked, one.package) for one in contenders if one.kind is AppKind.STANDARD]
    return max(standard)[1] if standard else None


def who_gives_way(contenders: Iterable[Contender]) -> tuple[PackageName, ...]:
    """Every standard app but the one in the foreground, by name.

    Background apps and the dashboard are never among them, and nobody gives way to those.
    """
    everybody = list(contenders)
    foremost = in_foreground(everybody)
    standard = {one.package for one in everybody if one.kind is AppKind.STANDARD}
    return tuple(sorted(standard - {foremost}))
