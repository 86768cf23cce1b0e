"""The benchmarks' arithmetic: medians, which way a ratio goes, goals, and the chart."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import chart
import growth
import pytest
from contestants import Contestant
from figures import Figures, for_all, goal_lines, lines_of
from workloads import Workload, fitting, workload

NAMES = {"ours": "mentra_trio", "ws": "ws (Node)"}


def run(contestant: str, name: str, **figures: float) -> dict[str, Any]:
    return {"contestant": contestant, "workload": name, "repetition": 0, **figures}


def test_the_median_counts_and_failed_runs_do_not() -> None:
    runs = [run("ours", "W1", us_per_event=cost) for cost in (4, 90, 5)]
    figures = Figures([*runs, run("ours", "W1") | {"error": "it died"}])
    assert figures.of("W1", "ours", "us_per_event") == 5
    assert figures.of("W2", "ours", "us_per_event") is None


@pytest.mark.parametrize(
    ("theirs", "met"), [(24.9, "MISSED"), (25, "met"), (100, "met"), (1, "MISSED")]
)
def test_a_goal_is_met_when_the_rival_costs_enough_more(theirs: float, met: str) -> None:
    figures = Figures([run("ours", "W1", us_per_event=10), run("ws", "W1", us_per_event=theirs)])
    (line,) = goal_lines(figures)
    assert line.split()[0] == met
    assert line.endswith(f"at least 2.5x less than ws: {theirs / 10:,.2f}x")


def test_level_allows_a_tenth() -> None:
    figures = Figures([run("ours", "W4", us_per_event=109), run("ws", "W4", us_per_event=100)])
    (line,) = goal_lines(figures)
    assert line.startswith("met")
    assert line.endswith("at most 1.1x that of ws: 1.09x")


def test_a_bound_of_ours_needs_no_rival() -> None:
    figures = Figures([run("ours", "W5b", rss_for_all_kb=401 * 1024)])
    assert goal_lines(figures) == ["MISSED W5b rss_for_all_kb: at most 400: 401.00"]


def test_the_table_says_how_many_times_ours_theirs_is() -> None:
    figures = Figures([run("ours", "W1", us_per_event=10), run("ws", "W1", us_per_event=25)])
    table = figures.table(NAMES)
    assert table == [
        ["", "mentra_trio", "ws (Node)"],
        ["W1 server CPU, µs/event", "10.00", "25.00 (2.50x)"],
    ]
    assert len({len(line) for line in lines_of(table)}) == 1
    assert figures.ratios(NAMES)["W1 us_per_event"]["ws"]["ours"] == 2.5


@pytest.mark.parametrize(
    ("behind", "cell"),
    [({"backlog": 1_100}, "9.0*"), ({"held_back": 1}, "9.0*"), ({}, "9.0")],
)
def test_who_cannot_keep_the_pace_is_saturated(behind: dict[str, float], cell: str) -> None:
    told = run("ours", "W3", us_per_event=9, events_per_s=4_000, **behind)
    assert Figures([told]).table({"ours": "mentra_trio"})[1][1] == cell


def test_who_has_few_files_has_fewer_users() -> None:
    assert fitting(workload("W5b"), 20_000).options["users"] == 8_550
    assert fitting(workload("W5b"), 65_536) is workload("W5b")


@pytest.mark.parametrize(("line", "is_flat"), [((80, 120), True), ((80, 121), False)])
def test_flat_is_within_a_fifth_of_the_middle(line: tuple[float, float], is_flat: bool) -> None:
    assert growth.flat({"10": line[0], "10000": line[1]})[0] is is_flat


def test_memory_is_reckoned_up_to_all_users() -> None:
    told = {"users": 5_000, "rss_before_kb": 60_000, "rss_kb": 160_000}
    assert for_all(told, workload("W5b")) == {"rss_for_all_kb": 260_000}
    assert for_all({"rss_kb": 1.0}, workload("W1")) == {}


def test_growth_says_where_a_server_falls_behind() -> None:
    def measured(contestant: Contestant, one: Workload, repetition: int) -> dict[str, Any]:
        behind = one.options["users"] == 1_000
        return run("ours", one.name, us_per_event=50, backlog=behind * 900, events_per_s=2_000)

    server = Contestant(key="ours", name="mentra_trio", command=())
    grown = growth.measure(measured, [server], [(0, 100), (0, 1_000)], 20_000)
    assert growth.said(grown) == [
        "mentra_trio: µs/event by users 100: 50.0, 1,000: 50.0; flat (within 0%); "
        "could not keep the pace with 1,000."
    ]


def test_the_chart_has_a_line_for_everybody() -> None:
    lines = {"mentra_trio": {"10": 50.0, "10000": 55.0}, "a < b": {"10": 90.0, "10000": 99.0}}
    picture = ElementTree.fromstring(chart.drawn(lines))
    drawn = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert [line.attrib["points"].count(",") for line in drawn] == [2, 2]
    texts = [text.text for text in picture.findall("{http://www.w3.org/2000/svg}text")]
    assert {"mentra_trio", "a < b", "10", "10,000"} <= set(texts)
