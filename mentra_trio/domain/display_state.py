"""What is remembered of a display, and what can happen to it; ``display`` has the rules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs

from .ids import PackageName
from .timings import BOOT_LEAST_S, BOOT_LINGERS_S, LOCK_IDLE_S, LOCK_MOST_S

MAIN: Final = "main"
DASHBOARD: Final = "dashboard"
VIEWS: Final = (MAIN, DASHBOARD)

DURATION_MOST_MS: Final = 86_400_000
"""A day. What is to be shown longer than that stays until it is replaced."""


@attrs.frozen(kw_only=True)
class Frame:
    """One request of an app to show something, in the app's slot.

    Attributes:
        layout: as the app sent it, or ``Starting``.
        duration_ms: in milliseconds; ``None``: it stays until its owner replaces it.
        serial: a higher number was asked for later.
        until: when it is over. Counted from the request, and anew from when it is shown.
        shown: whether it was on the screen; a background frame that was not waits for the lock.
    """

    package: PackageName
    layout: Any
    serial: int
    duration_ms: float | None = None
    force: bool = False
    blank: bool = False
    until: float | None = None
    shown: bool = False


@attrs.frozen
class Starting:
    """The layout of the boot screen: the names of the apps that the user has started."""

    names: tuple[str, ...]

    @property
    def title(self) -> str:
        """What stands above the names."""
        return f"// MentraOS - Starting App{'s' if len(self.names) > 1 else ''}"

    @property
    def text(self) -> str:
        """The names in a line."""
        return ", ".join(self.names)


# -- what happens ------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Show:
    """An app that runs wants to show something. ``blank``: nothing can be seen of it."""

    package: PackageName
    view: str
    layout: Any
    duration_ms: float | None = None
    force: bool = False
    blank: bool = False


@attrs.frozen
class Gone:
    """An app was stopped, or rests: nothing of it is shown any more."""

    package: PackageName


@attrs.frozen
class InForeground:
    """Which app is in the foreground now, if any."""

    package: PackageName | None


@attrs.frozen
class Boot:
    """The user has started an app, and it is being called."""

    package: PackageName
    name: str


@attrs.frozen
class BootOver:
    """The start has ended. One that ``succeeded`` may be followed by the app's first frame."""

    package: PackageName
    succeeded: bool


@attrs.frozen
class Attached:
    """Glasses are there; they may be others, or have shown anything meanwhile."""


@attrs.frozen
class Detached:
    """The glasses are away."""


@attrs.frozen
class Tick:
    """Time has passed."""


Request: TypeAlias = Show | Gone | InForeground | Boot | BootOver | Attached | Detached | Tick


# -- the state -----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class View:
    """One view. ``frames`` are the apps' slots, ``sent`` what went out last.

    ``seen`` is whether glasses were sent anything visible since they were last cleared.
    ``empty_since`` is since when nobody has anything for this view.
    """

    frames: Mapping[PackageName, Frame] = MappingProxyType({})
    sent: Frame | None = None
    sent_at: float | None = None
    seen: bool = False
    empty_since: float | None = None

    def put(self, frame: Frame) -> View:
        """The view with ``frame`` in the slot of its app."""
        return attrs.evolve(self, frames={**self.frames, frame.package: frame})

    def without(self, package: PackageName) -> View:
        """The view with the app's slot empty."""
        if package not in self.frames:
            return self
        left = {name: frame for name, frame in self.frames.items() if name != package}
        return attrs.evolve(self, frames=left)


@attrs.frozen(kw_only=True)
class Lock:
    """An app's right to the main view; ``active_at`` is its latest request."""

    package: PackageName
    granted_at: float
    active_at: float

    @property
    def until(self) -> float:
        """When it ends, if nothing more is heard of its holder."""
        return min(self.granted_at + LOCK_MOST_S, self.active_at + LOCK_IDLE_S)


@attrs.frozen(kw_only=True)
class Booting:
    """A start. ``over_at`` is when it ended; ``lingers`` whether its first frame is awaited."""

    name: str
    began_at: float
    over_at: float | None = None
    lingers: bool = True

    def blocks(self, now: float) -> bool:
        """Whether the boot screen is above everything that apps show."""
        return self.over_at is None or now < self.began_at + BOOT_LEAST_S

    @property
    def gone_at(self) -> float | None:
        """When nothing is left of it; ``None`` while the start is under way."""
        if self.over_at is None:
            return None
        rest = BOOT_LINGERS_S if self.lingers else 0.0
        return max(self.began_at + BOOT_LEAST_S, self.over_at + rest)


@attrs.frozen(kw_only=True)
class DisplayState:
    """Everything that is remembered of a display. ``dashboard`` is the dashboard's package."""

    dashboard: PackageName
    attached: bool = False
    foreground: PackageName | None = None
    lock: Lock | None = None
    booting: Mapping[PackageName, Booting] = MappingProxyType({})
    boot: Frame | None = None
    """The boot screen as it is, or was last."""
    views: Mapping[str, View] = MappingProxyType({view: View() for view in VIEWS})
    serial: int = 0

    @property
    def main(self) -> View:
        """The main view."""
        return self.views[MAIN]

    @property
    def is_bare(self) -> bool:
        """Whether nobody shows or has shown anything that could still be seen, or wants to."""
        views = self.views.values()
        return not (
            self.booting or self.lock or any(one.frames or one.sent or one.seen for one in views)
        )

    def with_view(self, name: str, view: View) -> DisplayState:
        """The state with that view changed, if it is another one."""
        if view is self.views[name]:
            return self
        return attrs.evolve(self, views={**self.views, name: view})

    def blocked(self, now: float) -> bool:
        """Whether the boot screen is above the apps."""
        return any(one.blocks(now) for one in self.booting.values())
