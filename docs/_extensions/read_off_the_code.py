"""Directives whose content is read off the code, so that it cannot grow old.

``{state-diagram} app`` and ``{state-table} app`` (or ``user``), ``{settings} Lifecycle``,
``{facts}``, ``{close-reasons}``, ``{errors}``, ``{faults}``, and ``{names} mentra_trio.a_module``.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, Final

import attrs
from docstrings import attributes, documented, plain
from docutils import nodes
from docutils.statemachine import StringList
from public_names import first_sentence, public_names
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from state_diagram import Place, Table, draw

from mentra_trio.domain import (
    attachment,
    close_reasons,
    errors,
    facts,
    lifecycle,
    stream_settings,
    timings,
)
from mentra_trio.telemetry.log_lines import LINES
from mentra_trio.testing import faults

A, U = lifecycle.AppState, attachment.UserState
APP_PLACES: dict[enum.Enum, Place] = {
    A.CONNECTING: (0, 0),
    A.RUNNING: (2.2, 1.7),
    A.GRACE_PERIOD: (0.4, 3.4),
    A.DISCONNECTED: (2.5, 4.9),
    A.RESURRECTING: (4.7, 4.2),
    A.BACKOFF: (6, 2.7),
    A.EVICTED: (5.3, 0.9),
    A.DORMANT: (3.3, -0.2),
    A.STOPPING: (-1, 1.7),
    A.STOPPED: (-1, 3),
}
USER_PLACES: dict[enum.Enum, Place] = {
    U.INITIALIZING: (-1.6, 0),
    U.CONNECTING: (0, 0),
    U.CONNECTED: (2, 0),
    U.DISCONNECTED: (3.2, 1.5),
    U.DISCONNECTING: (0, 1.5),
    U.ERROR: (-1.6, 1.5),
}
TABLES: dict[str, tuple[Table, dict[enum.Enum, Place]]] = {
    "app": (lifecycle.TRANSITIONS, APP_PLACES),
    "user": (attachment.TRANSITIONS, USER_PLACES),
}


def markdown_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Lines of a table."""
    columns = list(head)
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"


class Generated(SphinxDirective):
    """A directive whose lines are Markdown."""

    optional_arguments = 1

    def lines(self) -> Iterable[str]:
        """The Markdown."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Have the lines parsed where the directive stands."""
        container = nodes.container()
        self.state.nested_parse(StringList(list(self.lines()), "generated"), 0, container)
        return container.children


class StateDiagram(SphinxDirective):
    """The picture of a transition table."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The picture, inline."""
        return [nodes.raw("", draw(*TABLES[self.arguments[0]]), format="html")]


class StateTable(Generated):
    """A transition table, row by row."""

    def lines(self) -> Iterable[str]:
        """One row for each state and event."""
        table, _ = TABLES[self.arguments[0]]
        rows = [
            (f"`{state.name}`", f"`{event.name}`", f"`{new.name}`")
            for state, row in table.items()
            for event, new in row.items()
        ]
        return markdown_table(("While", "on", "become"), rows)


class States(Generated):
    """Every state of a table, with its value and meaning."""

    def lines(self) -> Iterable[str]:
        """One row for each state."""
        owner, name = {"app": (lifecycle, "AppState"), "user": (attachment, "UserState")}[
            self.arguments[0]
        ]
        meanings = documented(owner, name)
        states: Iterable[enum.Enum] = getattr(owner, name)
        rows = [(f"`{state.value}`", meanings[state.name]) for state in states]
        return markdown_table(("State", "Meaning"), rows)


class Settings(Generated):
    """The settings of one section."""

    def lines(self) -> Iterable[str]:
        """One row for each setting."""
        name = self.arguments[0]
        module = timings if hasattr(timings, name) else stream_settings
        section: Any = getattr(module, name)
        meanings = documented(module, name)
        rows = [
            (f"`{name.lower()}.{field.name}`", shown_default(field.default), meanings[field.name])
            for field in attrs.fields(section)
        ]
        return markdown_table(("Key", "Default", "Meaning"), rows)


def shown_default(value: object) -> str:
    """A default as people may write it; what has none is not set."""
    return "not set" if value is None else f"`{value}`"


class Facts(Generated):
    """Everything the system reports."""

    def lines(self) -> Iterable[str]:
        """One row for each fact."""
        kinds = [kind for kind in vars(facts).values() if is_own_class(kind, facts)]
        rows = [
            (
                f"`{kind.__name__}`",
                LINES[kind][0],
                ", ".join(f"`{field.name}`" for field in attrs.fields(kind)),
                plain(kind.__doc__ or ""),
            )
            for kind in kinds
            if kind is not facts.Fact
        ]
        return markdown_table(("Fact", "Log line", "Fields", "Means"), rows)


class CloseReasons(Generated):
    """Every code and text with which the server ends a connection."""

    def lines(self) -> Iterable[str]:
        """One row for each reason."""
        reasons = [
            (name, value)
            for name, value in vars(close_reasons).items()
            if isinstance(value, close_reasons.CloseReason)
        ]
        rows = [
            (
                str(reason.code),
                reason.text,
                "no" if reason.code in close_reasons.FINAL_FOR_SDK else "yes",
                f"`{name}`",
            )
            for name, reason in sorted(reasons, key=lambda pair: (pair[1].code, pair[0]))
        ]
        return markdown_table(("Code", "Text", "The SDK tries again", "Name"), rows)


class Errors(Generated):
    """The tree of exceptions."""

    def lines(self) -> Iterable[str]:
        """The module's own picture of it."""
        return ["```text", *(inspect.getdoc(errors) or "").splitlines()[2:], "```"]


class Faults(Generated):
    """Everything that can go wrong in a simulated world."""

    def lines(self) -> Iterable[str]:
        """One row for each kind of fault."""
        return markdown_table(("Kind", "What goes wrong", "Settings"), map(fault_row, faults.KINDS))


def fault_row(kind: type[faults.Fault]) -> tuple[str, str, str]:
    """A kind, its sentence, and its own fields with their defaults and meanings."""
    shared = {field.name for field in attrs.fields(faults.Fault)}
    meanings = attributes(kind)
    own = [
        f"`{field.name}={field.default!r}`: {meanings[field.name]}"
        for field in attrs.fields(kind)
        if field.name not in shared
    ]
    return f"`{kind.__name__}`", first_sentence(inspect.getdoc(kind) or ""), "<br>".join(own)


class Names(Generated):
    """The public names of one module."""

    required_arguments = 1
    optional_arguments = 0

    def lines(self) -> Iterable[str]:
        """One row for each name."""
        rows = [(f"`{one.name}`", one.sentence) for one in public_names(self.arguments[0])]
        return markdown_table(("Name", "What it is for"), rows)


def is_own_class(value: object, module: ModuleType) -> bool:
    """Whether ``value`` is a class that ``module`` defines."""
    return isinstance(value, type) and value.__module__ == module.__name__


DIRECTIVES: Final = {
    "state-diagram": StateDiagram,
    "state-table": StateTable,
    "states": States,
    "settings": Settings,
    "facts": Facts,
    "close-reasons": CloseReasons,
    "errors": Errors,
    "faults": Faults,
    "names": Names,
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
