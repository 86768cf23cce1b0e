"""What log and metrics would have said of the facts that a test has seen."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable, Sequence

from prometheus_client.parser import text_string_to_metric_families

from mentra_trio.domain.facts import Fact
from mentra_trio.telemetry.log_lines import LogLines
from mentra_trio.telemetry.logfmt import Log
from mentra_trio.telemetry.metrics import Metrics

Line = dict[str, str]


def log_of(facts: Iterable[Fact], level: str = "info") -> list[Line]:
    """The log down to ``level``, one mapping of fields per line, as ``serve`` would write it."""
    stream = io.StringIO()
    sink = LogLines(Log(stream, level), user_ids_as_given=True)
    for fact in facts:
        sink.emit(fact)
    return [_fields(line) for line in stream.getvalue().splitlines()]


def lines_named(lines: Iterable[Line], *events: str) -> list[Line]:
    """Those lines that tell one of ``events``, in order."""
    return [line for line in lines if line["event"] in events]


def moves_in(lines: Iterable[Line]) -> list[str]:
    """Every change of an app's state that the log tells, as ``old -> new``."""
    moves = lines_named(lines, "app state changed")
    return [f"{line.get('old', '')} -> {line['new']}" for line in moves]


def counted(facts: Iterable[Fact], sample: str, **labels: str) -> float:
    """What ``/metrics`` would show as ``sample``: the sum over all series with these labels."""
    metrics = Metrics()
    for fact in facts:
        metrics.emit(fact)
    return sum(
        found.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for found in family.samples
        if found.name == sample and labels.items() <= found.labels.items()
    )


def is_in_order(wanted: Sequence[str], found: Iterable[str]) -> bool:
    """Whether all of ``wanted`` are in ``found``, in that order, maybe with others between."""
    rest = iter(found)
    return all(one in rest for one in wanted)


def _fields(line: str) -> Line:
    """A field that is true stands as its bare name."""
    words = (word.partition("=") for word in shlex.split(line))
    return {name: value if equals else "true" for name, equals, value in words}
