"""The dashboard of one user: built in, fed by the server itself and by apps (protocol.md 5.6)."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import attrs
import trio

from ..domain import dashboard as rules
from ..domain.dashboard import Entry, Note, OneText, TwoTexts
from ..domain.display_state import DASHBOARD, Show
from ..domain.ids import PackageName
from ..domain.lifecycle import AppState
from ..wire import from_app as asked
from ..wire import from_glasses as said
from ..wire.codec import encode
from ..wire.parts import (
    DashboardCard,
    DoubleTextWall,
    Layout,
    ReferenceCard,
    TextWall,
)
from ..wire.to_app import DashboardModeChanged
from .ignored import ignore
from .subsystem import AppHandlers, GlassesHandlers, Subsystem

if TYPE_CHECKING:
    from .app_session import AppSession

LOST: Final = frozenset({AppState.DISCONNECTED, AppState.RESURRECTING, AppState.BACKOFF})
"""States of an app that did not come back within its grace: its texts are old."""
CALLED: Final = frozenset({AppState.CONNECTING, AppState.RESURRECTING})
"""States out of which a runtime comes that was called, and mostly knows nothing yet."""
NOT_DASHBOARD: Final = "from an app that is not the dashboard"


@attrs.define(eq=False, repr=False)
class Dashboard(Subsystem):
    """Composes the dashboard and has it drawn when it has changed.

    It is drawn for the first time when there is more to say than what time it is, and then also
    whenever another minute begins while glasses are there.
    """

    _board: rules.Dashboard = attrs.field(default=rules.NOTHING_WRITTEN, init=False)
    _notes: tuple[Note, ...] = attrs.field(default=(), init=False)
    _entries: tuple[Entry, ...] = attrs.field(default=(), init=False)
    _zone: tzinfo | None = attrs.field(default=None, init=False)
    _told: dict[PackageName, str] = attrs.field(factory=dict, init=False)
    """The mode as each app knows it; empty where that is not known."""
    _drawn: TwoTexts | OneText | None = attrs.field(default=None, init=False)
    _minutes: trio.CancelScope | None = attrs.field(default=None, init=False)

    # -- what apps say ---------------------------------------------------------------

    def content_update(self, app: AppSession, message: asked.DashboardContentUpdate) -> None:
        """An app's own text."""
        modes = ("main",) if message.modes is None else message.modes
        text = text_of(message.content)
        self._board = rules.write_content(self._board, app.package, text, modes)
        self._draw()

    def system_update(self, app: AppSession, message: asked.DashboardSystemUpdate) -> None:
        """A section, by the system dashboard app."""
        if app.package != self._package:
            ignore(app, f"a dashboard_system_update {NOT_DASHBOARD}")
        elif message.section not in rules.SECTIONS:
            ignore(app, "a section that the dashboard does not have, at $.section")
        else:
            self._board = rules.write_section(self._board, message.section, message.content)
            self._draw()

    def mode_change(self, app: AppSession, message: asked.DashboardModeChange) -> None:
        """Another mode, by the system dashboard app: every app is told."""
        if app.package != self._package:
            ignore(app, f"a dashboard_mode_change {NOT_DASHBOARD}")
        elif message.mode not in rules.MODES:
            ignore(app, "a mode that the dashboard does not have, at $.mode")
        else:
            self._board = attrs.evolve(self._board, mode=message.mode)
            for one in self.place.apps():
                self._tell_mode(one)
            self._draw()

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType(
        {
            asked.DashboardContentUpdate: content_update,
            asked.DashboardSystemUpdate: system_update,
            asked.DashboardModeChange: mode_change,
        }
    )

    # -- what the phone says -----------------------------------------------------------

    def head_position(self, message: said.HeadPosition) -> None:
        """Who looks up sees the next app's text."""
        if message.position == "up":
            self._board = rules.rotated(self._board)
            self._draw()

    def notified(self, message: said.PhoneNotification) -> None:
        """A notification has come."""
        line = rules.note_line(message.app or "", message.title or "", message.content or "")
        note = Note(name=message.notification_id, line=line)
        self._notes = rules.with_note(self._notes, note)
        self._draw()

    def dismissed(self, message: said.PhoneNotificationDismissed) -> None:
        """A notification was read, or thrown away."""
        names = (message.notification_id, message.notification_key)
        self._notes = rules.without_note(self._notes, names)
        self._draw()

    def calendar(self, message: said.CalendarEvent) -> None:
        """An entry of the calendar; one without a beginning is of no use here."""
        now = self._now()
        begins = rules.moment_of(message.dt_start, self._zone or UTC)
        if begins is None:
            return
        entry = Entry(
            name=message.event_id,
            title=rules.shortened(message.title or ""),
            begins=begins,
            ends=rules.moment_of(message.dt_end, self._zone or UTC),
        )
        self._entries = rules.with_entry(self._entries, entry, now)
        self._draw()

    FROM_GLASSES: ClassVar[GlassesHandlers] = MappingProxyType(
        {
            said.HeadPosition: head_position,
            said.PhoneNotification: notified,
            said.PhoneNotificationDismissed: dismissed,
            said.CalendarEvent: calendar,
        }
    )

    def device_changed(self) -> None:
        """It may be the battery."""
        self._draw()

    def time_told(self, text: str) -> None:
        """The time of day is shown as the user's clock does."""
        zone = rules.zone_of(text, self.place.surroundings.environment.utcnow())
        if zone is not None:
            self._zone = zone
            self._draw()

    # -- what becomes of apps and glasses ------------------------------------------------

    def glasses_attached(self) -> None:
        """Bring up to date what these glasses are about to be shown."""
        self._draw()
        self._follow_the_clock()

    def glasses_detached(self) -> None:
        """Nobody looks at the clock."""
        if self._minutes is not None:
            self._minutes.cancel("no glasses")
            self._minutes = None

    def apps_changed(self) -> None:
        """Who was lost, and did not come back within its grace, has nothing to say any more."""
        authors = {*self._board.authors, *((self._package,) if self._board.written else ())}
        if authors:
            for app in self.place.apps():
                if app.package in authors and app.state in LOST:
                    self._forget(app.package)

    def app_attached(self, app: AppSession) -> None:
        """Every app takes the mode for the one at first until it is told another one.

        One that comes by itself, and for the first time, may have been told so by a server
        before this one.
        """
        first = rules.MODES[0]
        knows = self._told.setdefault(app.package, first if app.previous in CALLED else "")
        if {self._board.mode, knows} != {first}:
            self._tell_mode(app)

    def app_rests(self, package: PackageName) -> None:
        """What it wrote goes with it."""
        self._forget(package)

    def app_over(self, package: PackageName) -> None:
        """What it wrote goes with it, and so does what it was told."""
        self._told.pop(package, None)
        self._forget(package)

    def _forget(self, package: PackageName) -> None:
        before = self._board
        if package in before.authors:
            self._board = rules.without_app(self._board, package)
        if package == self._package and before.written:
            self._board = attrs.evolve(self._board, written={})
        if self._board is not before:
            self._draw()

    # -- how it is drawn -------------------------------------------------------------------

    @property
    def _package(self) -> PackageName:
        return self.place.display.dashboard

    def _now(self) -> datetime:
        return self.place.surroundings.environment.utcnow().astimezone(self._zone or UTC)

    def _sections(self) -> dict[str, str]:
        """The sections as the server fills them; empty ones are not known."""
        now, device = self._now(), self.place.device.snapshot
        entry = rules.next_entry(self._entries, now)
        charging = device.get("charging") is True
        return {
            "topLeft": rules.time_line(now, local=self._zone is not None),
            "topRight": rules.battery_line(device.get("batteryLevel"), charging=charging),
            "bottomLeft": self._notes[0].line if self._notes else "",
            "bottomRight": rules.entry_line(entry, now) if entry is not None else "",
        }

    def _draw(self) -> None:
        """Have it drawn, if it has changed; the first time only with more than the time on it."""
        sections = self._sections()
        known = self._board.is_written or any(
            text for name, text in sections.items() if name != rules.SECTIONS[0]
        )
        layout = rules.composed(self._board, sections)
        if layout == self._drawn or (self._drawn is None and not known):
            return
        self._drawn = layout
        self.place.display.tell(
            Show(
                package=self._package,
                view=DASHBOARD,
                layout=_on_the_wire(layout),
                blank=layout == OneText(""),
            )
        )
        self._follow_the_clock()

    def _follow_the_clock(self) -> None:
        """Once it is drawn, and for as long as somebody can look at it."""
        if self._minutes is None and self._drawn is not None and self.place.eyepiece.attached:
            self._minutes = self.place.errands.begin(self._each_minute, name="dashboard")

    async def _each_minute(self) -> None:
        utcnow = self.place.surroundings.environment.utcnow
        while True:
            await trio.sleep(rules.until_next_minute(utcnow(), self.place.user))
            self._draw()

    def _tell_mode(self, app: AppSession) -> None:
        changed = DashboardModeChanged(mode=self._board.mode, timestamp=self.place.timestamp())
        if app.send(encode(changed)):
            self._told[app.package] = self._board.mode


def text_of(content: str | Layout) -> str:
    """An app's content as text; old apps send a layout (protocol.md 5.6)."""
    match content:
        case str():
            return content
        case TextWall():
            parts = [content.text]
        case DoubleTextWall():
            parts = [content.top_text, content.bottom_text]
        case ReferenceCard():
            parts = [content.title, content.text]
        case DashboardCard():
            parts = [content.left_text, content.right_text]
        case _:
            parts = []
    return "\n".join(part for part in parts if part)


def _on_the_wire(layout: TwoTexts | OneText) -> Layout:
    if isinstance(layout, OneText):
        return TextWall(text=layout.text)
    return DoubleTextWall(top_text=layout.top, bottom_text=layout.bottom)
