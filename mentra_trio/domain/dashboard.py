"""The dashboard: four sections, the apps' own texts in turn, and how they become one layout.

A section that the system dashboard app writes is shown as it wrote it; the others are filled by
the server itself (protocol.md 5.6, seed 004).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Any, Final

import attrs

from .ids import PackageName
from .moments import parse_moment
from .timings import DASHBOARD_SPREAD_S

SECTIONS: Final = ("topLeft", "topRight", "bottomLeft", "bottomRight")
APP_MODES: Final = ("main", "expanded")
"""Modes for which apps write; ``none`` is the third: nothing is drawn."""
MODES: Final = (*APP_MODES, "none")

NOTHING_EXPANDED: Final = "No expanded content available"
TEXT_MOST: Final = 2_000
"""Characters of one text of an app; no glasses show as many."""
LINE_MOST: Final = 60
"""Characters of a line that the server writes itself."""
NAME_MOST: Final = 256
"""Characters of what tells notifications and entries apart; who has more is not remembered."""
NOTIFICATIONS_KEPT: Final = 10
EVENTS_KEPT: Final = 100

_YEARS: Final = (1970, 2200)
_QUARTER: Final = timedelta(minutes=15)
_OFFSET_MOST: Final = timedelta(hours=14)


@attrs.frozen
class TwoTexts:
    """The layout in mode ``main``: what the phone draws on the left and on the right."""

    top: str
    bottom: str


@attrs.frozen
class OneText:
    """The layout in the other modes."""

    text: str


@attrs.frozen(kw_only=True)
class Dashboard:
    """What is on a user's dashboard.

    Attributes:
        written: the sections that the system dashboard app has written.
        contents: by mode, the apps' texts. In ``main`` the first one is shown, and the others
            have their turn after it; in ``expanded`` the first one is the newest.
    """

    mode: str = "main"
    written: Mapping[str, str] = MappingProxyType({})
    contents: Mapping[str, Mapping[PackageName, str]] = MappingProxyType(
        {mode: MappingProxyType({}) for mode in APP_MODES}
    )

    @property
    def is_written(self) -> bool:
        """Whether any app has written anything."""
        return bool(self.written) or any(self.contents.values())

    @property
    def authors(self) -> frozenset[PackageName]:
        """The apps whose texts are on it."""
        return frozenset(package for texts in self.contents.values() for package in texts)


NOTHING_WRITTEN: Final = Dashboard()
"""What every dashboard begins as."""


def write_section(dashboard: Dashboard, section: str, text: str) -> Dashboard:
    """The dashboard with ``text`` in a section, one of ``SECTIONS``."""
    return attrs.evolve(dashboard, written={**dashboard.written, section: text[:TEXT_MOST]})


def write_content(
    dashboard: Dashboard, package: PackageName, text: str, modes: Iterable[str]
) -> Dashboard:
    """The dashboard with an app's text in ``modes``; an empty one takes it away.

    What an app writes for the first time is shown next; later it keeps its turn in mode
    ``main``, so that two apps that write often do not fight for the place.
    """
    contents = dict(dashboard.contents)
    for mode in set(modes) & set(APP_MODES):
        texts = contents[mode]
        others = {name: one for name, one in texts.items() if name != package}
        if not text:
            contents[mode] = others
        elif mode == "main" and package in texts:
            contents[mode] = {**texts, package: text[:TEXT_MOST]}
        else:
            contents[mode] = {package: text[:TEXT_MOST], **others}
    return attrs.evolve(dashboard, contents=contents)


def rotated(dashboard: Dashboard) -> Dashboard:
    """The dashboard with the next app's text in mode ``main``; it is the last one's turn then."""
    texts = dashboard.contents["main"]
    if dashboard.mode != "main" or len(texts) < 2:
        return dashboard
    first, *others = texts
    turns = {name: texts[name] for name in (*others, first)}
    return attrs.evolve(dashboard, contents={**dashboard.contents, "main": turns})


def without_app(dashboard: Dashboard, package: PackageName) -> Dashboard:
    """The dashboard without anything that ``package`` wrote as any app does."""
    return write_content(dashboard, package, "", APP_MODES)


def composed(dashboard: Dashboard, built_in: Mapping[str, str]) -> TwoTexts | OneText:
    """The layout. ``built_in`` are the server's own sections, those that it knows."""
    parts = {**built_in, **dashboard.written}
    top_left, top_right, bottom_left, bottom_right = (parts.get(name, "") for name in SECTIONS)
    if dashboard.mode == "none":
        return OneText("")
    if dashboard.mode == "expanded":
        head = " | ".join(part for part in (top_left, top_right) if part)
        newest = next(iter(dashboard.contents["expanded"].values()), NOTHING_EXPANDED)
        return OneText(_lines(head, newest))
    shown = next(iter(dashboard.contents["main"].values()), "")
    right = _lines(top_right, bottom_right)
    between = "\n\n" if bottom_right else "\n"
    return TwoTexts(
        _lines(top_left, bottom_left), between.join(part for part in (right, shown) if part)
    )


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


# -- what the server knows by itself ---------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Note:
    """A notification on the phone; ``line`` is what is shown of it."""

    name: str | None
    line: str


def note_line(app: str, title: str, content: str) -> str:
    """What is shown of a notification: no more of its texts is kept than that."""
    return shortened(": ".join(part for part in (title or app, content) if part))


def with_note(notes: tuple[Note, ...], note: Note) -> tuple[Note, ...]:
    """The notifications, newest first; one of the same name is replaced."""
    if note.name is not None and len(note.name) > NAME_MOST:
        return notes
    others = [one for one in notes if note.name is None or one.name != note.name]
    return (note, *others)[:NOTIFICATIONS_KEPT]


def without_note(notes: tuple[Note, ...], names: Iterable[str | None]) -> tuple[Note, ...]:
    """The notifications without those that the user has dismissed."""
    dismissed = {name for name in names if name is not None}
    return tuple(one for one in notes if one.name not in dismissed)


@attrs.frozen(kw_only=True)
class Entry:
    """An entry of the user's calendar; ``ends`` is ``None`` where that is not known."""

    name: str
    title: str
    begins: datetime
    ends: datetime | None = None


def with_entry(entries: tuple[Entry, ...], entry: Entry, now: datetime) -> tuple[Entry, ...]:
    """The entries to come, soonest first, each of them once (protocol.md 6.8)."""
    if len(entry.name) > NAME_MOST:
        return entries
    left = [one for one in entries if (one.name, one.begins) != (entry.name, entry.begins)]
    to_come = [one for one in (*left, entry) if not _is_over(one, now)]
    return tuple(sorted(to_come, key=lambda one: one.begins)[:EVENTS_KEPT])


def next_entry(entries: Iterable[Entry], now: datetime) -> Entry | None:
    """The entry that comes next, or that goes on now."""
    return next((entry for entry in entries if not _is_over(entry, now)), None)


def _is_over(entry: Entry, now: datetime) -> bool:
    return (entry.ends or entry.begins) <= now


def entry_line(entry: Entry, now: datetime) -> str:
    """What is shown of an entry: in the time zone of ``now``, with the day if it is another."""
    begins = entry.begins.astimezone(now.tzinfo)
    day = "" if begins.date() == now.date() else f"{begins:%m-%d} "
    return shortened(f"{day}{begins:%H:%M} {entry.title}".rstrip())


def time_line(now: datetime, *, local: bool) -> str:
    """The time of day; where it is not the user's own it says so."""
    return f"{now:%H:%M}{'' if local else ' UTC'}"


def battery_line(level: Any, *, charging: bool) -> str:
    """What is shown of a battery; nothing where its level is not known."""
    if not isinstance(level, int | float) or not 0 <= level <= 100:
        return ""
    return f"{round(level)}%{'+' if charging else ''}"


def shortened(text: str) -> str:
    """``text`` on one line that glasses can take."""
    line = " ".join(text[:TEXT_MOST].split())
    return line if len(line) <= LINE_MOST else line[: LINE_MOST - 1] + "…"


def moment_of(written: object, zone: tzinfo) -> datetime | None:
    """The moment that ``written`` names (see ``moments``), in UTC.

    ``None`` where it names none, or one at which nobody has a calendar.
    """
    moment = parse_moment(written, zone)
    known = moment is not None and _YEARS[0] <= moment.year <= _YEARS[1]
    return moment if known else None


def zone_of(text: str, now: datetime) -> tzinfo | None:
    """The time zone of a phone that gives its time as ``text``; ``None`` if it gives none.

    Many phones leave the offset out: then it is how far their clock is from ``now``, to the
    quarter of an hour, and up to a minute or so of difference is nothing.
    """
    moment = moment_of(text, UTC)
    if moment is None:
        return None
    try:
        offset = datetime.fromisoformat(text.strip()).utcoffset()
    except ValueError:
        return None  # a number: it says when, and not where
    if offset is None:
        offset = round((moment - now) / _QUARTER) * _QUARTER
    return timezone(offset) if abs(offset) <= _OFFSET_MOST else None


def until_next_minute(now: datetime, who: str) -> float:
    """Seconds until the time of day of ``who`` is drawn again.

    A moment after the full minute, and not the same one for everybody: the server has better
    things to do in that turn than to draw thousands of dashboards.
    """
    share = zlib.crc32(who.encode("utf-8", "surrogatepass")) % 1_000 / 1_000
    return 60 - (now.second + now.microsecond / 1_000_000) + share * DASHBOARD_SPREAD_S + 0.001
