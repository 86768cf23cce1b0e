"""What a machine has done, as a value: to do it again, and to keep it as a plain test."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from .literals import NotALiteral, as_code, from_literal, to_literal

if TYPE_CHECKING:
    from .machine import TrioMachine

LINE: Final = 100
RECORDED: Final = "is_recorded_rule"
"""By this mark a rule is known that can be called again."""


class ScriptError(ValueError):
    """A script, or a name of a machine, that cannot be read; the text is for people."""


@attrs.frozen
class Step:
    """One call of a rule: its name, and its arguments by name."""

    rule: str
    values: Mapping[str, Any]

    def call(self, machine: TrioMachine) -> None:
        """Call the rule on ``machine``; raises what it raises."""
        getattr(machine, self.rule)(**self.values)

    def __str__(self) -> str:
        parts = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"{self.rule}({parts})"


@attrs.frozen
class Script:
    """Rules in the order in which they were called."""

    steps: tuple[Step, ...] = ()

    def and_then(self, rule: str, values: Mapping[str, Any]) -> Script:
        """This script, and one step more."""
        return Script((*self.steps, Step(rule, values)))

    def encode(self) -> str:
        """The script as one word for a command line.

        Raises:
            NotALiteral: a rule was given something that cannot be written down.
        """
        plain = [(step.rule, to_literal(dict(step.values))) for step in self.steps]
        return urlsafe_b64encode(zlib.compress(repr(plain).encode(), 9)).decode().rstrip("=")

    @classmethod
    def decode(cls, word: str) -> Script:
        """The script that ``encode`` made ``word`` of; load its machine first.

        Raises:
            ScriptError: none did, or what its rules were given is not there any more.
        """
        try:
            packed = urlsafe_b64decode(word + "=" * (-len(word) % 4))
            plain = ast.literal_eval(zlib.decompress(packed).decode())
            return cls(tuple(Step(rule, from_literal(values)) for rule, values in plain))
        except (ValueError, TypeError, SyntaxError, zlib.error, LookupError, AttributeError) as bad:
            raise ScriptError(f"this is not a script of a machine: {word[:40]}") from bad

    def play(self, machine: TrioMachine) -> None:
        """Call the rules on ``machine``, which raises what they raise.

        Raises:
            ScriptError: they do not fit; see ``check``.
        """
        self.check(type(machine))
        for step in self.steps:
            step.call(machine)

    def check(self, machine: type[TrioMachine]) -> None:
        """Return if ``machine`` has these rules, and they take these arguments.

        Raises:
            ScriptError: not so; the machine may have been changed since.
        """
        for step in self.steps:
            rule: Any = getattr(machine, step.rule, None)
            if not hasattr(rule, RECORDED):
                raise ScriptError(f"{machine.__name__} has no rule {step.rule} (any more)")
            try:
                inspect.signature(rule).bind(None, **step.values)
            except TypeError as wrong:
                raise ScriptError(
                    f"{machine.__name__}.{step.rule} is called wrongly: {wrong}"
                ) from wrong

    def as_test(self, machine: type[TrioMachine]) -> str:
        """A plain test in Python that does the same, without Hypothesis choosing anything."""
        outer = machine.__qualname__.partition(".")[0]
        imports, lines = {f"from {machine.__module__} import {outer}"}, []
        for step in self.steps:
            coded = {name: as_code(value) for name, value in step.values.items()}
            imports.update(*(needed for _, needed in coded.values()))
            parts = [f"{name}={code}" for name, (code, _) in coded.items()]
            line = f"        machine.{step.rule}({', '.join(parts)})"
            if len(line) > LINE:
                parts = [f"            {part},\n" for part in parts]
                line = f"        machine.{step.rule}(\n{''.join(parts)}        )"
            lines.append(line)
        return _TEST.format(
            imports="\n".join(sorted(imports)),
            name=f"test_what_{machine.__name__.lower()}_found",
            machine=machine.__qualname__,
            steps="\n".join(lines) or "        machine.everything_holds()",
        )


_TEST: Final = """\
from __future__ import annotations

{imports}


def {name}() -> None:
    with {machine}.replayed() as machine:
{steps}
"""


def command_for(machine: type[TrioMachine], script: Script) -> str:
    """The command line that replays ``script``, or why there is none."""
    if "<locals>" in machine.__qualname__:
        return f"No command replays this: {machine.__qualname__} is defined in a function."
    try:
        word = script.encode()
    except NotALiteral as reason:
        return f"No command replays this: {reason}"
    return f"To replay it:  mentra-trio replay {name_of(machine)} {word}"


def name_of(machine: type[TrioMachine]) -> str:
    """A name under which ``load_machine`` finds it again, seen from the current directory."""
    module = machine.__module__
    found = importlib.util.find_spec(module) if module != "__main__" else None
    file = getattr(sys.modules.get(module), "__file__", None)
    here = Path.cwd()
    inside = file is not None and Path(file).is_relative_to(here)
    if "." not in module and inside and (found is None or found.origin == file):
        return f"{Path(str(file)).relative_to(here)}::{machine.__qualname__}"
    return f"{module}:{machine.__qualname__}"


def load_machine(name: str) -> type[TrioMachine]:
    """The machine called ``name``: ``path/to/test_file.py::Class`` or ``package.module:Class``.

    Raises:
        ScriptError: there is no such machine; what its module raises is chained.
    """
    from .machine import TrioMachine

    where, colon, path = name.rpartition("::" if "::" in name else ":")
    if not colon:
        raise ScriptError(f"{name} names no machine: write file.py::Class or module:Class")
    try:
        module = _module_at(Path(where)) if where.endswith(".py") else import_module(where)
    except (ImportError, OSError) as error:
        raise ScriptError(f"{where} cannot be imported: {error}") from error
    found: Any = module
    for step in path.split("."):
        found = getattr(found, step, None)
    if not (isinstance(found, type) and issubclass(found, TrioMachine)):
        raise ScriptError(f"{where} has no machine called {path}")
    return found


def _module_at(file: Path) -> Any:
    """The module in ``file``, imported as pytest does: its folder comes first on the path."""
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return import_module(file.stem)
