"""What a lifecycle is, and what is written down while it is played."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import trio

from ...domain.wording import printable

if TYPE_CHECKING:
    from .stage import Stage

LINES_MAX: Final = 2_000
"""An app that floods us is not written down beyond that."""


class Unmet(Exception):
    """What a step expected has not come. ``fix`` says what to look at, if the step knows."""

    def __init__(self, expected: str, came: str, fix: str = "") -> None:
        super().__init__(f"expected {expected}; came: {came}")
        self.expected = expected
        self.came = came
        self.fix = fix


class Step(Protocol):
    """One thing that the cloud does, or expects. ``str(step)`` says it in half a sentence."""

    async def play(self, stage: Stage) -> None:
        """Do it.

        Raises:
            Unmet: it expects something that has not come.
        """
        ...


@attrs.frozen(kw_only=True)
class Lifecycle:
    """One thing that can happen to an app.

    Attributes:
        name: for ``--only``.
        user: one sentence: what it is for the user, if all is well.
        script: the steps, in order.
        fix: what to look at if an app does not survive it.
        known: what the real SDK is known to do in it, with the section of the protocol notes;
            empty where it survives.
    """

    name: str
    user: str
    script: Sequence[Step]
    fix: str
    known: str = ""


class Verdict(enum.Enum):
    """How an app came out of a lifecycle."""

    SURVIVED = "survived"
    FAILED = "failed"


@attrs.frozen
class Line:
    """One line of a transcript: seconds from the beginning, who, and what."""

    at: float
    who: str
    what: str


@attrs.define(eq=False)
class Transcript:
    """What happened in one lifecycle, in order."""

    began: float = attrs.field(factory=trio.current_time)
    lines: list[Line] = attrs.field(factory=list)

    def add(self, who: str, what: str) -> None:
        """Write down that ``who`` (``cloud`` or ``app``) did something."""
        if len(self.lines) < LINES_MAX:
            self.lines.append(Line(trio.current_time() - self.began, who, printable(what)))


@attrs.frozen(kw_only=True)
class Result:
    """What became of one lifecycle.

    Attributes:
        seconds: how long it took.
        step: the step that failed; empty if none has.
        expected, came, fix: of the failure.
        notes: what was odd without being noticed by a user.
        lines: everything that happened.
    """

    lifecycle: Lifecycle
    verdict: Verdict
    seconds: float
    lines: Sequence[Line]
    notes: Sequence[str] = ()
    step: str = ""
    expected: str = ""
    came: str = ""
    fix: str = ""
