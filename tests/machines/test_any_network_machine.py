"""A whole server on a network on which anything goes wrong: everything wanted comes back."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from profiles import machine_settings

from mentra_trio.domain.facts import AppStateChanged
from mentra_trio.domain.lifecycle import AppEvent, AppState
from mentra_trio.testing.faults import Cut, Down, FaultPlan, Stall
from mentra_trio.testing.machines.any_network import AnyNetwork

pytestmark = pytest.mark.timeout(900)  # a failing example is also made small

TestAnyNetwork = AnyNetwork.TestCase
TestAnyNetwork.settings = machine_settings(quick_examples=25, steps=8)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Apps on a bad network complain a lot."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    "plan",
    [
        FaultPlan((Stall(where="com.t.a -> server", heals=False, lasts=1),)),
        FaultPlan((Cut(lasts=20), Stall(at=20, lasts=20))),
        FaultPlan((Down(lasts=5), Down(where="com.t.*", at=20, lasts=10, unseen=True))),
    ],
    ids=str,
)
def test_faults_are_felt_and_overcome(plan: FaultPlan) -> None:
    with AnyNetwork.replayed() as machine:
        machine.the_network_gets_worse(plan)
        machine.advance(40)
        moved = machine.sim.telemetry.of(AppStateChanged)
        assert any(fact.event is AppEvent.LINK_LOST for fact in moved) or machine.oracle.deaths
        machine.when_the_faults_are_over_all_that_is_wanted_runs()
        assert set(machine.oracle.states.values()) == {AppState.RUNNING}
        machine.with_no_network_at_all_everything_ends()
