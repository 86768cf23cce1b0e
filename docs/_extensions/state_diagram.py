"""A transition table as a picture: boxes at given places, one arrow for each pair of states."""

from __future__ import annotations

import enum
import math
from collections import defaultdict
from collections.abc import Mapping
from html import escape

Place = tuple[float, float]
Table = Mapping[enum.Enum, Mapping[enum.Enum, enum.Enum]]

CELL_W, CELL_H = 190.0, 112.0
BOX_W, BOX_H = 146.0, 38.0
MARGIN = 56.0
BEND = 0.16
STYLE = (
    ".box{fill:#f2f5fa;stroke:#34558b;stroke-width:1.4}"
    ".state{font:600 14px sans-serif;fill:#1b2a44}"
    ".arrow{fill:none;stroke:#5a6b85;stroke-width:1.2}"
    ".event{font:11px sans-serif;fill:#33415a;paint-order:stroke;stroke:#fff;stroke-width:4px}"
)


def draw(table: Table, places: Mapping[enum.Enum, Place]) -> str:
    """``table`` as SVG. Every state must have a place (column, row), so none is forgotten."""
    missing = [state.name for state in table if state not in places]
    if missing:
        raise ValueError(f"states without a place in the picture: {', '.join(missing)}")
    left, top = (min(place[axis] for place in places.values()) for axis in (0, 1))
    centres = {
        state: (MARGIN + BOX_W / 2 + (x - left) * CELL_W, MARGIN + BOX_H / 2 + (y - top) * CELL_H)
        for state, (x, y) in places.items()
    }
    width = max(x for x, _ in centres.values()) + BOX_W / 2 + MARGIN
    height = max(y for _, y in centres.values()) + BOX_H / 2 + MARGIN
    arrows, labels = [], []
    for (old, new), events in pairs(table).items():
        arrow, label = connect(centres[old], centres[new], events)
        arrows.append(arrow)
        labels.append(label)
    boxes = [box(state.name, *centre) for state, centre in centres.items()]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'style="max-width:{width:.0f}px;width:100%;background:#fff" role="img">',
            f"<style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="#5a6b85"/></marker>'
            "</defs>",
            *arrows,
            *boxes,
            *labels,
            "</svg>",
        ]
    )


def pairs(table: Table) -> dict[tuple[enum.Enum, enum.Enum], list[str]]:
    """The events that lead from one state to another."""
    found = defaultdict(list)
    for old, row in table.items():
        for event, new in row.items():
            found[old, new].append(event.name)
    return found


def box(name: str, x: float, y: float) -> str:
    """One state."""
    left, top = x - BOX_W / 2, y - BOX_H / 2
    return (
        f'<rect class="box" x="{left:.0f}" y="{top:.0f}" width="{BOX_W:.0f}" height="{BOX_H:.0f}" '
        f'rx="8"/><text class="state" x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">'
        f"{escape(name)}</text>"
    )


def connect(start: Place, end: Place, events: list[str]) -> tuple[str, str]:
    """An arrow that bends to its left, so that there and back do not lie on each other."""
    if start == end:
        return loop(start, events)
    (x1, y1), (x2, y2) = start, end
    dx, dy = x2 - x1, y2 - y1
    control = ((x1 + x2) / 2 + dy * BEND, (y1 + y2) / 2 - dx * BEND)
    a, b = edge(start, control), edge(end, control)
    path = f"M{a[0]:.1f} {a[1]:.1f}Q{control[0]:.1f} {control[1]:.1f} {b[0]:.1f} {b[1]:.1f}"
    middle = ((a[0] + 2 * control[0] + b[0]) / 4, (a[1] + 2 * control[1] + b[1]) / 4)
    return f'<path class="arrow" d="{path}" marker-end="url(#tip)"/>', text(middle, events)


def loop(at: Place, events: list[str]) -> tuple[str, str]:
    """An arrow back to the same state, above it."""
    x, y = at[0], at[1] - BOX_H / 2
    bulge = f"{x - 30:.0f} {y - 34:.0f} {x + 30:.0f} {y - 34:.0f}"
    path = f"M{x - 18:.0f} {y:.0f}C{bulge} {x + 18:.0f} {y:.0f}"
    return f'<path class="arrow" d="{path}" marker-end="url(#tip)"/>', text((x, y - 32), events)


def edge(centre: Place, towards: Place) -> Place:
    """Where the line from a box's centre leaves the box."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    scale = min(
        BOX_W / 2 / abs(dx) if dx else math.inf,
        BOX_H / 2 / abs(dy) if dy else math.inf,
    )
    return centre[0] + dx * scale, centre[1] + dy * scale


def text(at: Place, events: list[str]) -> str:
    """The names of events, one below the other."""
    top = at[1] - 6.5 * (len(events) - 1) + 4
    lines = [
        f'<tspan x="{at[0]:.0f}" y="{top + 13 * number:.0f}">{escape(event.lower())}</tspan>'
        for number, event in enumerate(events)
    ]
    return f'<text class="event" text-anchor="middle">{"".join(lines)}</text>'
