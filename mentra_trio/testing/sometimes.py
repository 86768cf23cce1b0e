"""Which of the situations that matter a run has reached: who never gets there proves little.

The opposite of an invariant. An invariant must hold always; a ``sometimes`` must have happened
at least once in many examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs


@attrs.define(eq=False)
class Sometimes:
    """Counts how often each of ``listed`` was reached: name, and one sentence that says what it is.

    One object counts for all examples of a run. A name that is not listed is an error, so that a
    misspelled one is no silent gap.
    """

    listed: Mapping[str, str]
    _times: Counter[str] = attrs.field(factory=Counter, init=False)

    def reached(self, name: str) -> None:
        """It has happened.

        Raises:
            KeyError: nothing of that name is listed.
        """
        if name not in self.listed:
            raise KeyError(name)
        self._times[name] += 1

    def times(self, name: str) -> int:
        """How often it has happened so far."""
        return self._times[name]

    @property
    def missing(self) -> list[str]:
        """What has not happened yet, in the order of the list."""
        return [name for name in self.listed if not self._times[name]]

    def add(self, others: Iterable[Sometimes]) -> None:
        """Count what ``others`` have counted, as far as it is listed here."""
        for other in others:
            self._times.update({k: n for k, n in other._times.items() if k in self.listed})

    def report(self) -> str:
        """One line for each, the missing ones first."""
        missing = [f"NEVER      {name}: {self.listed[name]}" for name in self.missing]
        there = [
            f"{self._times[name]:>9}  {name}: {sentence}"
            for name, sentence in self.listed.items()
            if self._times[name]
        ]
        return "\n".join([*missing, *there])
