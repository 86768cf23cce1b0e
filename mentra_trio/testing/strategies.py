"""Hypothesis strategies for what goes wrong: they shrink to the plan in which nothing does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from .faults import (
    EVERYWHERE,
    KINDS,
    SERVER,
    WAY,
    Bandwidth,
    Clog,
    Cut,
    Down,
    DuplicateConnect,
    Fault,
    FaultPlan,
    Latency,
    Refuse,
    Reorder,
    Skew,
    SlowClose,
    SlowReader,
    Stall,
    Webhook,
    Where,
)

HOSTS: Final = (SERVER, "phone of *")
FAULTS_MAX: Final = 4
LINKS_MAX: Final = 8
"""A fault that concerns one connection concerns one of the first so many."""

Part = SearchStrategy[Any]


def tenths(least: float, most: float) -> SearchStrategy[float]:
    """Seconds in steps of a tenth, so that plans can be read."""
    return st.integers(round(least * 10), round(most * 10)).map(lambda number: number / 10)


def wheres(hosts: Sequence[str] = HOSTS) -> SearchStrategy[Where]:
    """Whom a fault concerns: all, a host, a way of dialling, or one connection."""
    ways = [f"{origin}{WAY}{host}" for origin in hosts for host in hosts if origin != host]
    return st.sampled_from([EVERYWHERE, *hosts, *ways]) | st.integers(1, LINKS_MAX)


def _first(*choices: object) -> Part:
    """One of ``choices``; the first is the simplest."""
    return st.sampled_from(choices)


def _parts_of(within: float) -> Mapping[type[Fault], Mapping[str, Part]]:
    """What there is to a fault beside its place and time."""
    return {
        Latency: {"seconds": tenths(0, 3), "jitter": tenths(0, 3)},
        Reorder: {"seconds": tenths(0.1, 5)},
        Bandwidth: {"bytes_per_s": _first(100_000, 1_000, 100)},
        SlowReader: {"bytes_per_s": _first(1_000, 100, 10)},
        Stall: {"heals": _first(True, False)},
        Clog: {},
        Cut: {},
        SlowClose: {"seconds": tenths(0.1, 30)},
        Refuse: {"hangs": st.booleans()},
        DuplicateConnect: {"copy_first": _first(True, False), "apart": tenths(0, 3)},
        Webhook: {
            "answer": _first("late", "early", "never"),
            "status": _first(None, 503, 500, 404, 401, 200),
            "delay": tenths(0, 15),
            "heard": _first(True, False),
        },
        Down: {"unseen": st.booleans()},
        Skew: {"jump": tenths(-7_200, 7_200), "rate": _first(1.0, 1.1, 0.9, 2.0, 0.5)},
    }


def faults(
    *,
    hosts: Sequence[str] = HOSTS,
    within: float = 60.0,
    kinds: Sequence[type[Fault]] = KINDS,
) -> SearchStrategy[Fault]:
    """One fault; earlier ``kinds`` are simpler. Arguments as for ``fault_plans``."""
    parts = MappingProxyType(_parts_of(within))
    where: dict[type[Fault], Part] = {Down: st.sampled_from(hosts), Skew: st.just(SERVER)}
    # A fault in the second half may last as long as one in the first: all end in time.
    when: dict[str, Part] = {"at": tenths(0, within / 2), "lasts": tenths(0, within / 2)}

    def of(kind: Callable[..., Fault], own: Mapping[str, Part], place: Part) -> Part:
        return st.builds(kind, where=place, **when, **own)

    return st.one_of([of(kind, parts[kind], where.get(kind, wheres(hosts))) for kind in kinds])


def fault_plans(
    *,
    hosts: Sequence[str] = HOSTS,
    within: float = 60.0,
    kinds: Sequence[type[Fault]] = KINDS,
    at_most: int = FAULTS_MAX,
) -> SearchStrategy[FaultPlan]:
    """Plans of at most ``at_most`` faults, all over ``within`` seconds; shrinks to none.

    Args:
        hosts: names, or patterns of names, of the hosts of the world.
        within: virtual seconds; every fault is over by then.
        kinds: of faults, the simplest first.
        at_most: so many faults.
    """
    several = st.lists(faults(hosts=hosts, within=within, kinds=kinds), max_size=at_most)
    return st.builds(FaultPlan, several, seed=st.integers(0, 9))
