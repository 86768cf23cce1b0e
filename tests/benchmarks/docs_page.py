"""Write the last results into ``docs/explanation/performance.md``, between its two marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import chart
import growth
import machine
from contestants import ROOT
from figures import FOOTNOTE, Figures, goal_lines

PAGE: Final = ROOT / "docs" / "explanation" / "performance.md"
PICTURE: Final = PAGE.with_name("growth.svg")
BEGIN, END = "<!-- results: written by run_benchmarks.py --docs -->", "<!-- end of results -->"


def write(results: Path, growth_results: Path) -> None:
    """Put the table, the goals and the chart into the documentation; say what is missing."""
    parts: list[str] = []
    if results.exists():
        parts += table_section(json.loads(results.read_text()))
    else:
        print(f"no table: {results} does not exist")
    if growth_results.exists():
        parts += growth_section(json.loads(growth_results.read_text()))
    else:
        print(f"no chart: {growth_results} does not exist")
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text("\n".join([before + BEGIN, "", *parts, END]) + after)
    print(f"written: {PAGE}")


def table_section(results: dict[str, Any]) -> list[str]:
    """The table of all figures, and the goals."""
    figures = Figures(results["runs"])
    head, *rows = figures.table(results["names"])
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    about = results["machine"]
    return [
        f"Measured {machine.sentence(about)}. Repetitions, of which these are the medians: "
        f"{1 + max(run['repetition'] for run in results['runs'])}; {figures.disturbed()}.",
        "",
        FOOTNOTE,
        "",
        *("| " + " | ".join(cells) + " |" for cells in lines),
        "",
        "What the server must show, and whether it did in this run:",
        "",
        *(f"- {line}" for line in goal_lines(figures)),
        "",
    ]


def growth_section(results: dict[str, Any]) -> list[str]:
    """The chart of cost by users."""
    lines = results["growth"]["lines"]
    PICTURE.write_text(chart.drawn(lines))
    return [
        f"![Server CPU per event, by number of users]({PICTURE.name})",
        "",
        f"The same {results['growth']['events_per_s']:,.0f} events/s for ever more users; "
        f"measured {machine.sentence(results['machine'])}.",
        "",
        *(f"- {line}" for line in growth.said(results["growth"])),
        "",
    ]
