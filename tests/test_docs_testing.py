"""The guide to the test kit: everything in it is run as it stands there, and nothing is missing."""

from __future__ import annotations

import pkgutil
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from mentra_trio import testing
from mentra_trio.cli import main
from mentra_trio.testing import faults, world
from mentra_trio.testing.races import RACES

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "guides" / "test_your_app.md").read_text()
REFERENCE = (ROOT / "docs" / "reference" / "testing.md").read_text()
EXTENSIONS = ROOT / "docs" / "_extensions"


def blocks(kind: str) -> list[str]:
    """The blocks of the guide that are ``python``, ``sh`` or ``text``."""
    return re.findall(rf"^```{kind}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def block(kind: str, containing: str) -> str:
    (found,) = (one for one in blocks(kind) if containing in one)
    return found


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What reads names off the code for the documentation."""
    monkeypatch.syspath_prepend(EXTENSIONS)
    return {
        **runpy.run_path(str(EXTENSIONS / "docstrings.py")),
        **runpy.run_path(str(EXTENSIONS / "public_names.py")),
    }


# -- what can be run ----------------------------------------------------------------------


def test_every_program_of_the_guide_runs_as_a_stranger_would_run_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    written = []
    for source in blocks("python"):
        if "import Taps" in source:
            continue  # an export; see below
        named = re.match(r"# (\w+\.py)\n", source)
        assert named, f"no name of a file: {source}"
        written.append(named[1])
        (pytester.path / named[1]).write_text(source)
    pytester.makeini("[pytest]\naddopts = --strict-markers")
    result = pytester.runpytest_subprocess(
        *("-p", "mentra_trio.testing.plugin", "-p", "no:timeout", "-rA"),
        *("--hypothesis-seed=0", "--world-seed=3"),
    )
    assert result.ret == pytest.ExitCode.OK
    passed = result.stdout.str()
    tests = [name for name in written if name.startswith("test_")]
    assert len(tests) >= 8
    assert [name for name in tests if f"PASSED {name}::" not in passed] == []


def test_what_the_machine_found_is_replayed_as_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])
    _, *arguments = block("sh", "mentra-trio replay").split()
    with pytest.raises(AssertionError, match="KeyError"):
        main(arguments)
    assert capsys.readouterr().out == block("text", " s  schedule(")
    exported = tmp_path / "test_found.py"
    assert main([*arguments, "--export", str(exported)]) == 0
    assert exported.read_text() == block("python", "import Taps")


def test_the_command_is_the_one_that_the_example_prints() -> None:
    """That the example prints just that is checked where all examples are run."""
    assert block("sh", "mentra-trio replay").strip() in block("text", "Found: ")


def test_the_races_in_the_report_are_there() -> None:
    told = re.findall(r"^ *(?:NEVER|\d+) +(.*?): (.*)$", block("text", "NEVER"), re.MULTILINE)
    own = {"grace was over": "an app did not come back in time"}
    assert len(told) == 3
    assert [one for one in told if {**RACES, **own}.get(one[0]) != one[1]] == []


# -- what is read off the code ---------------------------------------------------------------


def test_every_setting_of_every_fault_has_a_meaning(extension: dict[str, Any]) -> None:
    shared = {field.name for field in attrs.fields(faults.Fault)}
    attributes = extension["attributes"]
    assert attributes(faults.SlowReader) == {
        "bytes_per_s": "that each of their connections reads.",
        "window": "bytes that wait before the sender has to.",
    }
    for kind in faults.KINDS:
        own = {field.name for field in attrs.fields(kind)} - shared
        assert set(attributes(kind)) == own, kind
        assert all(attributes(kind).values()), kind


def test_every_module_of_the_kit_is_in_the_reference() -> None:
    prefix = f"{testing.__name__}."
    found = {
        module.name.removeprefix(prefix)
        for module in pkgutil.walk_packages(testing.__path__, prefix)
        if not module.ispkg
    }
    found = {name for name in found if not name.startswith("certification.")}
    shown = re.findall(r"^```\{names\} mentra_trio\.testing\.(\S+)$", REFERENCE, re.MULTILINE)
    _, _, inside = REFERENCE.partition("## Inside")
    hidden = {*re.findall(r"`(\w+)`", inside), "every_test", "trouble"} - {"certification"}
    assert sorted([*shown, *hidden]) == sorted(found)


def test_every_name_in_the_reference_says_what_it_is_for(extension: dict[str, Any]) -> None:
    for module in re.findall(r"^```\{names\} (\S+)$", REFERENCE, re.MULTILINE):
        names = extension["public_names"](module)
        assert names, module
        assert [one.name for one in names if not one.sentence] == []
        assert [one for one in names if "protocol.md" in one.sentence] == []


def test_names_are_read_off_as_they_are_used(extension: dict[str, Any]) -> None:
    names = {one.name: one.sentence for one in extension["public_names"](world.__name__)}
    assert names["World.state()"].startswith("The public name of an app's state now;")
    assert names["World.server"].startswith("The server; its WebSocket address")
    assert "open_world()" in names
    assert not [name for name in names if "_config" in name]
    with pytest.raises(LookupError):
        extension["public_names"]("mentra_trio.testing.nowhere")
