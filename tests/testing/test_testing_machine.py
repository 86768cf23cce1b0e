"""Machines: what they print when they fail, how that is done again, and that it is the same."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from counting_machine import Counting, Stroke
from hypothesis import seed, settings
from hypothesis.stateful import initialize as foreign_initialize
from hypothesis.stateful import rule as foreign_rule
from hypothesis.stateful import run_state_machine_as_test

from mentra_trio.cli import main
from mentra_trio.testing.machine import (
    TrioMachine,
    WorldEnded,
    initialize,
    invariant,
    precondition,
)
from mentra_trio.testing.machines.one_app import OneApp
from mentra_trio.testing.machines.restarts import Restarts
from mentra_trio.testing.script import Script, ScriptError, Step, load_machine, name_of

HERE = Path(__file__).parent
QUICK = settings(max_examples=200, stateful_step_count=20, deadline=None, database=None)


class Conditional(Counting):
    @precondition(lambda self: self.count > 1)
    @invariant()
    def it_stays_small(self) -> None:
        assert self.count == 0


class Inside:
    class Counting(Counting):
        """A machine inside another class."""


def failure_of(machine: type[TrioMachine]) -> str:
    with pytest.raises(AssertionError) as failure:
        run_state_machine_as_test(seed(1)(machine), settings=QUICK)
    return "\n".join(failure.value.__notes__)


def command_in(notes: str) -> list[str]:
    (line,) = [line for line in notes.splitlines() if "mentra-trio replay" in line]
    return line.partition("mentra-trio ")[2].split()


def test_a_failing_example_prints_the_command_that_replays_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    arguments = command_in(failure_of(Counting))
    assert arguments[:2] == ["replay", "counting_machine.py::Counting"]
    with pytest.raises(AssertionError):
        main(arguments)
    shown = capsys.readouterr().out
    assert "0.000 s  schedule(seed=" in shown
    assert "it_is_counted(" in shown or "twice()" in shown


def test_an_export_is_a_plain_test_that_fails_likewise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    arguments = command_in(failure_of(Counting))
    file = tmp_path / "test_exported.py"
    assert main([*arguments, "--export", str(file)]) == 0
    source = file.read_text()
    assert "from counting_machine import Counting\n" in source
    names: dict[str, Callable[[], None]] = {}
    exec(compile(source, str(file), "exec"), names)
    with pytest.raises(AssertionError):
        names["test_what_counting_found"]()


def test_rules_that_rules_call_are_not_steps_of_the_script() -> None:
    with Counting.replayed() as machine:
        machine.twice()
        machine.it_is_counted(Stroke(0), 10)
        assert machine.script.steps == (
            Step("twice", {}),
            Step("it_is_counted", {"stroke": Stroke(0), "seconds": 10}),
        )


def test_invariants_are_checked_after_each_step_of_a_replay() -> None:
    with Counting.replayed() as machine:
        machine.it_is_counted(Stroke(4), 0.5)
        with pytest.raises(AssertionError):
            machine.time_passes(1)
        machine.count = 0


def test_what_a_rule_of_hypothesis_did_cannot_be_replayed() -> None:
    class Foreign(Counting):
        @foreign_rule()
        def unseen(self) -> None:
            self.count = 5

    assert "unseen is decorated with a rule of Hypothesis" in failure_of(Foreign)


def test_what_hypothesis_began_with_cannot_be_replayed() -> None:
    class Foreign(Counting):
        @foreign_initialize()
        def unseen(self) -> None:
            self.count = 2

    assert "unseen is decorated with a rule of Hypothesis" in failure_of(Foreign)


def test_a_machine_in_a_function_cannot_be_found_again() -> None:
    class Local(Counting):
        """Nobody can import it."""

    assert "Local is defined in a function" in failure_of(Local)


def test_an_invariant_with_a_precondition_is_checked_where_that_holds() -> None:
    with Conditional.replayed() as machine:
        machine.it_is_counted(Stroke(1), 0.5)
        machine.time_passes(1)
        machine.count = 2
        with pytest.raises(AssertionError):
            machine.everything_holds()
    assert "mentra-trio replay" in failure_of(Conditional)


def test_a_replay_checks_nothing_before_everything_is_initialized() -> None:
    class Initialized(Counting):
        @initialize()
        def begin(self) -> None:
            self.most = 3

        @invariant()
        def it_is_not_more_than_that(self) -> None:
            assert self.count <= self.most

    run_state_machine_as_test(Initialized, settings=settings(QUICK, max_examples=1))
    with Initialized.replayed() as machine:
        machine.schedule(1)
        machine.begin()
        machine.most = -1
        with pytest.raises(AssertionError):
            machine.time_passes(1)


def test_a_replay_leaves_no_trace_in_the_order_of_tasks_or_in_random() -> None:
    order = trio._core._run._r
    before = random.getstate(), order.getstate()
    drawn = []
    for _ in range(2):
        with Counting.replayed() as machine:
            machine.schedule(3)
            drawn.append(random.random())
    assert drawn[0] == drawn[1]
    assert before == (random.getstate(), order.getstate())


@pytest.mark.parametrize("error", [OSError("x"), TypeError("x"), KeyboardInterrupt()])
def test_what_a_job_raises_is_raised_and_the_world_goes_on(error: BaseException) -> None:
    async def job() -> None:
        raise error

    with Counting.replayed() as machine:
        with pytest.raises(type(error)):
            machine.do(job)
        machine.time_passes(1)


def test_a_world_that_has_ended_takes_no_more_jobs() -> None:
    async def crash() -> None:
        raise KeyError("planted")

    with Counting.replayed() as machine:
        with pytest.RaisesGroup(pytest.RaisesGroup(KeyError)):
            machine.act(lambda: machine.nursery.start_soon(crash))
        with pytest.raises(WorldEnded):
            machine.settle()


def test_the_world_is_ended_whatever_happens_to_its_note() -> None:
    class Unspeakable(Counting):
        def how_to_replay(self) -> str:
            raise LookupError("planted")

        def it_stays_small(self) -> None:
            """Whatever it is."""

    before = threading.active_count()
    with pytest.raises(LookupError):
        run_state_machine_as_test(Unspeakable, settings=settings(QUICK, max_examples=1))
    assert threading.active_count() == before


def test_a_crash_of_the_world_is_a_failure_of_the_example() -> None:
    machine = Counting()

    async def crash() -> None:
        raise KeyError("planted")

    with pytest.RaisesGroup(pytest.RaisesGroup(KeyError)):
        machine.act(lambda: machine.nursery.start_soon(crash))


@pytest.mark.parametrize(
    ("name", "word"),
    [("nowhere:X", "x"), ("nowhere.py::X", "x"), ("mentra_trio:App", "x"), ("X", "x")],
)
def test_a_wrong_call_is_one_line(name: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", name, word]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_word_that_is_no_script_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = "mentra_trio.testing.machines.one_app:OneApp"
    assert main(["replay", name, "abc"]) == 2
    assert "not a script" in capsys.readouterr().err
    assert main(["replay", name, Script((Step("gone", {}),)).encode()]) == 2
    assert "no rule gone" in capsys.readouterr().err
    assert main(["replay", name, Script((Step("teardown", {}),)).encode()]) == 2
    assert "no rule teardown" in capsys.readouterr().err
    assert main(["replay", name, Script((Step("time_passes", {"gone": 1}),)).encode()]) == 2
    assert "time_passes is called wrongly" in capsys.readouterr().err


def test_machines_are_found_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    assert name_of(Counting) == "counting_machine.py::Counting"
    assert load_machine(name_of(Counting)) is Counting
    assert name_of(OneApp) == "mentra_trio.testing.machines.one_app:OneApp"
    assert load_machine(name_of(OneApp)) is OneApp
    assert load_machine(name_of(Inside.Counting)) is Inside.Counting
    with pytest.raises(ScriptError, match="no machine called Stroke"):
        load_machine("counting_machine.py::Stroke")


# -- the same course, whenever and wherever -------------------------------------------------

STEPS = Script(
    (
        Step("schedule", {"seed": 7}),
        Step("users_are_there_and_mostly_their_apps_too", {"running": True, "lists": ("a",)}),
        Step("things_happen_in_one_turn", {"turns": [("lose", 0), ("start", 0), ("come", 0)]}),
        Step("an_app_is_lost_with_its_server", {"which": 0, "script": "503", "seconds": 30}),
        Step("our_server_is_killed_and_another_begins", {"settled": True}),
        Step("all_is_well_again", {}),
        Step("left_alone_everything_ends", {}),
    )
)


class Traced(Restarts):
    traced = True


def course(seed: int) -> str:
    first = Step("schedule", {"seed": seed})
    with Traced.replayed() as machine:
        Script((first, *STEPS.steps[1:])).play(machine)
        return machine.trace.digest


def test_one_seed_is_one_course_and_another_seed_is_another() -> None:
    assert course(7) == course(7) == course(7)
    assert len({course(seed) for seed in range(4)}) > 1


def test_one_seed_is_one_course_in_every_process() -> None:
    name = name_of(Restarts)
    shown = []
    for salt in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        command = [sys.executable, "-m", "mentra_trio", "replay", name, STEPS.encode()]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        shown.append(done.stdout)
    assert shown[0] == shown[1]
    assert course(7) in shown[0]
