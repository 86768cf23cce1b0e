from __future__ import annotations

import attrs
import pytest
from hypothesis import find, given, settings

from mentra_trio.testing import faults as module
from mentra_trio.testing.faults import (
    KINDS,
    Cut,
    Down,
    Fault,
    FaultPlan,
    Latency,
    Skew,
    SlowReader,
    Stall,
    Webhook,
)
from mentra_trio.testing.strategies import fault_plans, faults


@given(fault_plans())
def test_a_plan_is_printed_as_what_makes_it_again(plan: FaultPlan) -> None:
    again = eval(repr(plan), vars(module))
    assert again == plan
    assert hash(again) == hash(plan)
    assert len({again, plan}) == 1


def test_only_what_is_not_as_usual_is_printed() -> None:
    plan = FaultPlan([Stall(where="com.t.a -> server", at=5, lasts=60)], seed=7)
    assert repr(plan) == ("FaultPlan((Stall(where='com.t.a -> server', at=5, lasts=60),), seed=7)")
    assert repr(FaultPlan()) == "FaultPlan(seed=0)"
    assert plan != FaultPlan([Stall(where="com.t.a -> server", at=5, lasts=61)], seed=7)
    assert len({Stall(), Cut(), Stall()}) == 2, "kinds differ"


def test_a_plan_shrinks_to_nothing() -> None:
    assert find(fault_plans(), lambda plan: True) == FaultPlan()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_and_shrinks_to_its_simplest(kind: type[Fault]) -> None:
    fault = find(faults(kinds=[kind]), lambda one: isinstance(one, kind))
    assert (fault.at, fault.lasts) == (0, 0)
    assert fault.where in {"*", "server"}


@settings(max_examples=50)
@given(fault_plans(within=10, at_most=2, hosts=["server", "com.t.a"]))
def test_a_drawn_plan_keeps_to_what_was_asked_for(plan: FaultPlan) -> None:
    assert len(plan.faults) <= 2
    assert plan.over_at <= 10
    assert not any(str(fault.where).startswith("phone") for fault in plan.faults)


def test_the_end_of_a_plan_is_that_of_its_last_fault() -> None:
    assert FaultPlan([Stall(at=5, lasts=10), Cut(at=7)]).over_at == 15
    assert FaultPlan().over_at == 0


@pytest.mark.parametrize(
    ("where", "concerned"),
    [
        ("*", {1, 2, 3}),
        ("server", {1, 2, 3}),
        ("com.t.?", {2, 3}),
        ("phone of *", {1}),
        ("server -> *", {3}),
        ("* -> server", {1, 2}),
        (2, {2}),
        ("nobody", set()),
    ],
)
def test_whom_a_fault_concerns(where: str | int, concerned: set[int]) -> None:
    ways = {1: ("phone of u", "server"), 2: ("com.t.a", "server"), 3: ("server", "com.t.a")}
    fault = Cut(where=where)
    assert concerned == {
        number
        for number, (origin, host) in ways.items()
        if fault.concerns(origin=origin, host=host, number=number)
    }


def test_a_host_is_concerned_by_its_name_only() -> None:
    assert Down().concerns_host("server")
    assert Down(where="com.*").concerns_host("com.t.a")
    assert not Cut(where=1).concerns_host("server")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Cut(at=-1),
        lambda: Stall(lasts=-0.1),
        lambda: Latency(seconds=-1),
        lambda: SlowReader(bytes_per_s=0),
        lambda: Webhook(status=99),
        lambda: Webhook(answer="sometimes"),  # type: ignore[arg-type]
        lambda: Down(where=3),
        lambda: Skew(rate=0),
        lambda: Cut(where=None),  # type: ignore[arg-type]
    ],
)
def test_nonsense_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises((ValueError, TypeError)):
        wrong()


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Cut().at = 1  # type: ignore[misc]


@settings(max_examples=20)
@given(faults(kinds=[Cut, Stall]))
def test_only_the_kinds_asked_for_are_drawn(fault: Fault) -> None:
    assert isinstance(fault, Cut | Stall)
