"""From runs to figures: medians, ratios, the table, and whether the goals are met."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any, Final

import attrs
from workloads import Workload

Run = dict[str, Any]
LEVEL: Final = 1.1
"""Two figures are level while one is at most a tenth more than the other."""
PACED: Final = ("W3", "W4")
BACKLOG_S: Final = 0.25
"""Who is so far behind at the end of a paced workload is saturated."""
FOOTNOTE: Final = (
    "In brackets: how many times ours it is. *: could not keep the pace; what comes in lots costs "
    "less, so this is the least that an event costs."
)


@attrs.frozen
class Row:
    """One line of the table: a figure of a workload, for every contestant that has it."""

    workload: str
    label: str
    figure: str
    digits: int = 1
    scale: float = 1


ROWS: Final = (
    Row("W1", "W1 server CPU, µs/event", "us_per_event", 2),
    Row("W1", "W1 events/s", "events_per_s", 0),
    Row("W2", "W2 server CPU, µs/event", "us_per_event", 2),
    Row("W3", "W3 server CPU, µs/event", "us_per_event"),
    Row("W3", "W3 latency p50, µs", "p50_us", 0),
    Row("W3", "W3 latency p99, µs", "p99_us", 0),
    Row("W4", "W4 server CPU, µs/piece", "us_per_event"),
    Row("W4", "W4 latency p99, µs", "p99_us", 0),
    Row("W5", "W5 memory, KiB/connection", "kb_per_connection"),
    Row("W5", "W5 server CPU, µs/ping", "us_per_ping"),
    Row("W5b", "W5b memory for all, MiB", "rss_for_all_kb", 0, 1 / 1024),
    Row("W6", "W6 server CPU, µs/connection", "us_per_event", 0),
    Row("W6b", "W6b server CPU, µs/connection", "us_per_event", 0),
    Row("S", "S server CPU, s", "cpu_s", 2),
    Row("S", "S wall, s", "wall_s", 2),
    Row("SA", "SA server CPU, s", "cpu_s", 2),
    Row("SA", "SA wall, s", "wall_s", 2),
)


@attrs.frozen
class Goal:
    """What a figure of ours must be.

    Attributes:
        rival: so many times less than this contestant's; ``None``: at most ``times`` itself.
    """

    workload: str
    figure: str
    times: float
    rival: str | None = None
    scale: float = 1

    def __str__(self) -> str:
        if self.rival is None:
            return f"{self.workload} {self.figure}: at most {self.times:g}"
        if self.times < 1:
            told = f"at most {1 / self.times:.3g}x that of {self.rival}"
        else:
            told = f"at least {self.times:g}x less than {self.rival}"
        return f"{self.workload} {self.figure}: {told}"


GOALS: Final = (
    Goal("W1", "us_per_event", 2.5, "ws"),
    Goal("W1", "us_per_event", 1 / LEVEL, "bun"),
    Goal("W1", "us_per_event", 20, "before"),
    Goal("W2", "us_per_event", 6, "ws"),
    Goal("W2", "us_per_event", 3, "bun"),
    Goal("W3", "us_per_event", 1 / LEVEL, "ws"),
    Goal("W3", "p99_us", 3, "ws"),
    Goal("W3", "us_per_event", 1 / 2.2, "floor"),
    Goal("W3", "us_per_event", 2, "before"),
    Goal("W4", "us_per_event", 1 / LEVEL, "ws"),
    Goal("W5", "kb_per_connection", 12),
    Goal("W5b", "rss_for_all_kb", 400, scale=1 / 1024),
    Goal("W6", "us_per_event", 2, "ws"),
    Goal("S", "wall_s", 10),
    Goal("S", "cpu_s", 5),
)


def for_all(told: Run, one: Workload) -> Run:
    """The memory of an idle server, reckoned up to as many users as ``one`` means."""
    if one.mode != "idle" or "users" not in told:
        return {}
    grown = (told["rss_kb"] - told["rss_before_kb"]) * one.options["users"] / told["users"]
    return {"rss_for_all_kb": told["rss_before_kb"] + grown}


def falls_behind(run: Run) -> bool:
    """Whether the server could not keep the pace in this run of a paced workload."""
    behind = run.get("backlog", 0) > run.get("events_per_s", 0) * BACKLOG_S
    return behind or bool(run.get("held_back"))


@attrs.define
class Figures:
    """All runs of one call."""

    runs: list[Run]

    def of(self, workload: str, contestant: str, figure: str) -> float | None:
        """The median over the repetitions; ``None``: there is no such figure."""
        found = [
            run[figure]
            for run in self.runs
            if run["workload"] == workload and run["contestant"] == contestant and figure in run
        ]
        return statistics.median(found) if found else None

    def saturated(self, workload: str, contestant: str) -> bool:
        """Whether that contestant could not keep the pace, in any repetition."""
        return workload in PACED and any(
            falls_behind(run)
            for run in self.runs
            if run["workload"] == workload and run["contestant"] == contestant
        )

    def table(self, names: dict[str, str]) -> list[list[str]]:
        """Cells: a head, and a line for each figure; in brackets how many times ours it is."""
        rows = [["", *names.values()]]
        for row in ROWS:
            values = {key: self.of(row.workload, key, row.figure) for key in names}
            if any(value is not None for value in values.values()):
                rows.append([row.label, *self._cells(row, values)])
        return rows

    def _cells(self, row: Row, values: dict[str, float | None]) -> Iterator[str]:
        ours = values.get("ours")
        for key, value in values.items():
            if value is None:
                yield "-"
                continue
            told = f"{value * row.scale:,.{row.digits}f}"
            if key != "ours" and ours:
                told += f" ({value / ours:.2f}x)"
            yield f"{told}*" if self.saturated(row.workload, key) else told

    def ratios(self, names: dict[str, str]) -> dict[str, dict[str, dict[str, float]]]:
        """By figure: each contestant's figure divided by each other's."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for row in ROWS:
            values = {key: self.of(row.workload, key, row.figure) for key in names}
            found[f"{row.workload} {row.figure}"] = {
                one: {other: a / b for other, b in values.items() if b}
                for one, a in values.items()
                if a is not None
            }
        return {figure: ratios for figure, ratios in found.items() if ratios}

    def goals(self) -> Iterator[tuple[Goal, float, bool]]:
        """Each goal that was measured: what it came to, and whether it is met."""
        for goal in GOALS:
            mine = self.of(goal.workload, "ours", goal.figure)
            if mine is None:
                continue
            if goal.rival is None:
                yield goal, mine * goal.scale, mine * goal.scale <= goal.times
                continue
            theirs = self.of(goal.workload, goal.rival, goal.figure)
            if theirs and mine:
                came = mine / theirs if goal.times < 1 else theirs / mine
                yield goal, came, theirs / mine >= goal.times

    def disturbed(self) -> str:
        """How far other programs were in the way, in words."""
        sliced = [run for run in self.runs if run.get("slices")]
        if not sliced:
            return "nothing was sliced"
        clean = sum(run["clean"] for run in sliced)
        slices = sum(run["slices"] for run in sliced)
        others = statistics.mean(run["others"] + run["steal"] for run in sliced)
        return (
            f"{clean} of {slices} slices of 100 ms were clean; on average others used "
            f"{max(others, 0):.2f} processors"
        )


def lines_of(table: list[list[str]]) -> list[str]:
    """The cells under each other, for a terminal."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in table
    ]


def goal_lines(figures: Figures) -> list[str]:
    """The goals, met or missed."""
    return [
        f"{'met   ' if met else 'MISSED'} {goal}: {came:,.2f}{'x' if goal.rival else ''}"
        for goal, came, met in figures.goals()
    ]
