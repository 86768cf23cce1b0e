"""A chart of lines over a logarithmic number of users, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import Final

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 24, 76
COLOURS: Final = ("#0b6e99", "#b3541e", "#4d7c0f", "#7c3aed", "#be123c", "#525252")
STEPS: Final = 5


def drawn(lines: dict[str, dict[str, float]]) -> str:
    """The picture: by name, for each number of users, microseconds per event."""
    lines = {name: line for name, line in lines.items() if line}
    users = sorted({int(number) for line in lines.values() for number in line})
    highest = _round_up(max(cost for line in lines.values() for cost in line.values()))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#525252">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="15">server CPU per event, µs</text>',
        *_grid(users, highest),
    ]
    for number, (name, line) in enumerate(lines.items()):
        parts += _line(name, line, users, highest, number)
    return "\n".join([*parts, "</svg>", ""])


def _round_up(value: float) -> float:
    step: float = 10 ** math.floor(math.log10(value)) / 2
    return math.ceil(value * 1.05 / step) * step


def _x(number: int, users: list[int]) -> float:
    span = math.log10(users[-1] / users[0]) or 1
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(number / users[0]) / span


def _y(cost: float, highest: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * cost / highest


def _grid(users: list[int], highest: float) -> Iterator[str]:
    for step in range(STEPS + 1):
        cost = highest * step / STEPS
        y = _y(cost, highest)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e5e5e5"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{cost:g}</text>'
    for number in users:
        x, y = _x(number, users), HEIGHT - BOTTOM + 18
        yield f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{number:,}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - BOTTOM + 36}" text-anchor="middle">users</text>'


def _line(
    name: str, line: dict[str, float], users: list[int], highest: float, number: int
) -> Iterator[str]:
    colour = COLOURS[number % len(COLOURS)]
    points = [(_x(int(at), users), _y(cost, highest)) for at, cost in line.items()]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for x, y in points:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
    x, y = LEFT + 150 * (number % 4), HEIGHT - 22 + 16 * (number // 4)
    yield f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
    yield f'<text x="{x + 15}" y="{y}">{escape(name)}</text>'
