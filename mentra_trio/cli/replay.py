"""``mentra-trio replay``: do again what a state machine has done, or keep it as a plain test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from ..domain.errors import ConfigError


def replay(name: str, word: str, export: Path | None, say: Callable[[str], None]) -> None:
    """Call the rules of the script ``word`` on the machine ``name``; raises what they raise.

    With ``export`` a test that does the same is written there instead.

    Raises:
        ConfigError: no such machine, no such script, or nothing to run it with.
    """
    try:
        from ..testing.machine import TrioMachine
        from ..testing.script import Script, ScriptError, load_machine
    except ImportError as missing:
        raise ConfigError(f"{missing}: pip install 'mentra-trio[testing]'") from missing
    try:
        machine = load_machine(name)
        script = Script.decode(word)
        script.check(machine)
    except ScriptError as wrong:
        raise ConfigError(str(wrong)) from wrong
    if export is not None:
        _export(script.as_test(machine), export)
        say(f"{len(script.steps)} steps written to {export}: run it with pytest")
        return
    traced: type[TrioMachine] = type(machine.__name__, (machine,), {"traced": True})
    with traced.replayed() as world:
        for step in script.steps:
            say(f"{world.now:10.3f} s  {step}")
            step.call(world)
        say(f"All held. Course {world.trace.digest} after {world.trace.steps} steps of tasks.")


def _export(test: str, file: Path) -> None:
    try:
        file.write_text(test, encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(file), error.strerror or str(error)) from error
