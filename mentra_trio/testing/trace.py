"""The course of a run as one number: which task ran when, and what was reported."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import attrs
import trio


@attrs.define(eq=False)
class Trace(trio.abc.Instrument):
    """Give it to ``trio.run`` as an instrument; two runs with the same digest took the same course.

    Attributes:
        steps: how many steps of tasks there were so far.
    """

    steps: int = attrs.field(default=0, init=False)
    _hash: Any = attrs.field(factory=lambda: blake2b(digest_size=16), init=False)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Trio is about to run ``task`` up to its next checkpoint."""
        self.steps += 1
        self._hash.update(f"{trio.current_time():.9f} {task.name}\n".encode())

    def note(self, what: object) -> None:
        """Take ``what`` into account, such as a fact; its text must not hold an address."""
        self._hash.update(f"{what}\n".encode())

    @property
    def digest(self) -> str:
        """The course so far, 32 hexadecimal digits."""
        found: str = self._hash.hexdigest()
        return found
