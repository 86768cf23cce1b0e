"""The machines over sessions, and whether they get to where it matters."""

from __future__ import annotations

import os
import sys

import pytest
from profiles import machine_settings

from mentra_trio.testing.machines.many_users import ManyUsers
from mentra_trio.testing.machines.one_app import OneApp
from mentra_trio.testing.machines.one_user import OneUser
from mentra_trio.testing.machines.restarts import Restarts
from mentra_trio.testing.races import RACES, SERVER_DEATHS
from mentra_trio.testing.sometimes import Sometimes

TestOneApp = OneApp.TestCase
TestOneApp.settings = machine_settings()

TestOneUser = OneUser.TestCase
TestOneUser.settings = machine_settings(quick_examples=50)

TestManyUsers = ManyUsers.TestCase
TestManyUsers.settings = machine_settings(quick_examples=50)

TestRestarts = Restarts.TestCase
TestRestarts.settings = machine_settings(quick_examples=50)

MACHINES = (OneApp, OneUser, ManyUsers, Restarts)
pytestmark = pytest.mark.timeout(900)  # a failing example is also made small
SELDOM = 8
"""So many of the races may stay out of reach of the quick profile."""


def test_every_race_was_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that were not are named. Runs after the machines."""
    found = Sometimes({**RACES, **SERVER_DEATHS})
    found.add({id(machine.races): machine.races for machine in MACHINES}.values())
    if found.missing:
        with capsys.disabled():
            sys.stdout.write(f"\n{found.report()}\n")
    if os.environ.get("MACHINES", "dev") == "nightly":
        assert found.missing == []
    assert len(found.missing) <= SELDOM
