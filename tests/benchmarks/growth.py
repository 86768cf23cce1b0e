"""What an event costs as users grow: the same number of events, for ever more users."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import chart
from contestants import Contestant
from figures import Run, falls_behind
from workloads import Workload, fitting, growing

USERS: Final = (10, 100, 1_000, 10_000)
EVENTS_PER_S: Final = 2_000.0
FLAT: Final = 0.2
"""No figure is further than this part from the mean of the smallest and the largest."""


def measure(
    run: Callable[[Contestant, Workload, int], Run],
    contestants: list[Contestant],
    turns: list[tuple[int, int]],
    files: int,
) -> dict[str, Any]:
    """Median cost by contestant and users; ``turns``: repetition and users of each measurement."""
    runs: list[Run] = []
    for repetition, users in turns:
        fits = int(fitting(growing(users, EVENTS_PER_S), files).options["users"])
        one = growing(fits, EVENTS_PER_S)
        order = contestants if repetition % 2 == 0 else contestants[::-1]
        runs.extend(run(contestant, one, repetition) | {"users": fits} for contestant in order)
    lines = {contestant.name: _line(runs, contestant.key) for contestant in contestants}
    behind = {
        contestant.name: sorted(
            {r["users"] for r in runs if r["contestant"] == contestant.key and falls_behind(r)}
        )
        for contestant in contestants
    }
    return {"events_per_s": EVENTS_PER_S, "lines": lines, "behind": behind, "runs": runs}


def _line(runs: list[Run], key: str) -> dict[str, float]:
    by_users: dict[int, list[float]] = {}
    for run in runs:
        if run["contestant"] == key and "us_per_event" in run:
            by_users.setdefault(run["users"], []).append(run["us_per_event"])
    return {str(users): statistics.median(found) for users, found in sorted(by_users.items())}


def flat(line: dict[str, float]) -> tuple[bool, float]:
    """Whether the cost stays the same, and by which part it strays from its middle."""
    least, most = min(line.values()), max(line.values())
    middle = (least + most) / 2
    return (most - middle) / middle <= FLAT, (most - middle) / middle


def said(grown: dict[str, Any]) -> list[str]:
    """A sentence for each contestant."""
    told = []
    for name, line in grown["lines"].items():
        if not line:
            continue
        is_flat, strays = flat(line)
        points = ", ".join(f"{int(users):,}: {cost:.1f}" for users, cost in line.items())
        word = "flat" if is_flat else "NOT flat"
        behind = ", ".join(f"{users:,}" for users in grown["behind"][name])
        rest = f"; could not keep the pace with {behind}" if behind else ""
        told.append(f"{name}: µs/event by users {points}; {word} (within {strays:.0%}){rest}.")
    return told


def report(results: dict[str, Any], target: Path) -> None:
    """Print the figures, and draw them beside the JSON file."""
    print("\n".join(said(results["growth"])))
    picture = target.with_suffix(".svg")
    picture.write_text(chart.drawn(results["growth"]["lines"]))
    print(f"the chart: {picture}")
