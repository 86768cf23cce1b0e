"""A certificate for people, and for machines."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ...domain.wording import counted, printable
from .cast import Portrait
from .run import Certificate
from .script import Lifecycle, Line, Result, Verdict

SHOWN_MAX: Final = 60
"""So many lines of a script are shown, the last ones."""
SDK: Final = "@mentra/sdk 2.1.29"


def portrait_lines(portrait: Portrait, *, url: str, seed: int) -> Iterator[str]:
    """Who the app is."""
    yield f"certify     {url}, seed {seed}"
    yield f"app         {printable(portrait.package)}"
    wanted = ", ".join(sorted(portrait.subscriptions)) or "nothing"
    yield f"subscribes  {printable(wanted)}"
    if portrait.reaction is None:
        yield "reacts      to no event that we can make: only its connections and lists are judged"
    else:
        times = portrait.reaction.times
        how = f"with the same words, {counted(times, 'time')}" if times else "visibly"
        yield f"reacts      to {printable(portrait.reaction.stream)} {how}"


def result_lines(result: Result) -> Iterator[str]:
    """One lifecycle in a line, and a line for each note."""
    lifecycle = result.lifecycle
    word = "ok  " if result.verdict is Verdict.SURVIVED else "FAIL"
    yield f"{word}  {lifecycle.name:<21} {result.seconds:5.1f} s  {lifecycle.user}"
    for note in result.notes:
        yield f"      note: {printable(note)}"


def failure_lines(result: Result, *, url: str, seed: int) -> Iterator[str]:
    """The script of a failure up to its last step, and what to do about it."""
    lifecycle = result.lifecycle
    yield f"FAIL  {lifecycle.name}: {lifecycle.user}"
    hidden = len(result.lines) - SHOWN_MAX
    if hidden > 0:
        yield f"             ({counted(hidden, 'line')} before)"
    for line in result.lines[-SHOWN_MAX:]:
        yield f"  {line.at:7.2f} s  {line.who:<5}  {line.what}"
    yield f"  expected   {result.expected}"
    yield f"  came       {printable(result.came)}"
    yield f"  fix        {result.fix}"
    if lifecycle.known:
        yield f"  known      of {SDK}: {lifecycle.known}"
    again = f"{shlex.quote(url)} --only {lifecycle.name} --seed {seed}"
    yield f"  again      mentra-trio certify {again}"


def closing_lines(certificate: Certificate) -> Iterator[str]:
    """The scripts of the failures, and the sum."""
    failures = [one for one in certificate.results if one.verdict is Verdict.FAILED]
    for result in failures:
        yield ""
        yield from failure_lines(result, url=certificate.url, seed=certificate.seed)
    total = len(certificate.results)
    yield ""
    yield (
        f"survived {total - len(failures)} of {counted(total, 'lifecycle')}"
        f" in {certificate.seconds:.0f} s (seed {certificate.seed})"
    )


def as_json(certificate: Certificate) -> dict[str, Any]:
    """The certificate as one JSON object."""
    reaction = certificate.portrait.reaction
    return {
        "url": certificate.url,
        "seed": certificate.seed,
        "seconds": round(certificate.seconds, 3),
        "package": certificate.portrait.package,
        "subscriptions": sorted(certificate.portrait.subscriptions),
        "reactsTo": reaction.stream if reaction else None,
        "survived": certificate.survived,
        "lifecycles": [_result(result) for result in certificate.results],
    }


def lifecycle_json(lifecycle: Lifecycle) -> dict[str, Any]:
    """A lifecycle, its script in words."""
    return {
        "name": lifecycle.name,
        "user": lifecycle.user,
        "script": [str(step) for step in lifecycle.script],
    }


def _result(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": result.lifecycle.name,
        "verdict": result.verdict.value,
        "seconds": round(result.seconds, 3),
        "notes": list(result.notes),
    }
    if result.verdict is Verdict.FAILED:
        found |= {
            "step": result.step,
            "expected": result.expected,
            "came": result.came,
            "fix": result.fix,
            "known": result.lifecycle.known or None,
            "lines": _lines(result.lines),
        }
    return found


def _lines(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [{"at": round(line.at, 3), "who": line.who, "what": line.what} for line in lines]
