"""One planted bug: where it is, what it is, and who should notice."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs

PACKAGE: Final = Path(__file__).parents[2] / "mentra_trio"


@attrs.frozen(kw_only=True)
class Mutant:
    """A piece of source, ``old``, and what it becomes, ``new``.

    Attributes:
        name: what is wrong, in words with underscores.
        path: of the module in the package.
        old: occurs exactly once in that module.
        tests: paths under ``tests/`` that should notice, the likeliest first.
        realistic: whether it is a bug that somebody may make in earnest: the machines or the
            tests of the seeds must notice these by themselves.
        survives: why nobody can notice it, or why that does no harm; empty where somebody must.
    """

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    realistic: bool = False
    survives: str = ""

    def applied(self) -> str:
        """The source of the module with the bug in it.

        Raises:
            ValueError: ``old`` does not occur exactly once: the module has changed since.
        """
        source = (PACKAGE / self.path).read_text()
        times = source.count(self.old)
        if times != 1:
            raise ValueError(f"{self.name}: its text occurs {times} times in {self.path}")
        return source.replace(self.old, self.new)
