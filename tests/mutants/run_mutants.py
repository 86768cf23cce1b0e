"""Plants one bug after the other in a copy of the package, and prints which test noticed.

    python tests/mutants/run_mutants.py [--machines | --quick] [NAME...]

The tests that a mutant names run first; only if it survives them, and not with ``--quick``, the
wider set. With ``--machines`` the realistic bugs alone are planted, and the machines and the
tests of the seeds have to notice each. The tree itself is never changed. Ends with 1 if a mutant
survives that has no reason to, or if one is noticed that had.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
from mutant import PACKAGE, Mutant
from mutants import MUTANTS

ROOT: Final = Path(__file__).parents[2]
FIRST_S: Final = 150
WIDER_S: Final = 600
TEST_S: Final = 40
"""How long one test may take: a hang is noticed, too."""

WIDER: Final = (
    "seeds",
    "sessions",
    "domain",
    "concurrency",
    "machines",
    "cancellation",
    "test_server.py",
)
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) tests/(\S+)", re.MULTILINE)


@attrs.frozen(kw_only=True)
class Verdict:
    """What has become of one mutant; ``killers`` is empty if it survived."""

    mutant: Mutant
    killers: tuple[str, ...]
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether it was noticed, or was known to be harmless."""
        return bool(self.killers) is not bool(self.mutant.survives)

    def line(self) -> str:
        """For the table."""
        said = ", ".join(self.killers) or f"SURVIVED: {self.mutant.survives or 'nobody noticed'}"
        return f"{self.mutant.name:58} {self.seconds:5.1f} s  {said}"


@contextmanager
def planted(mutant: Mutant) -> Iterator[Path]:
    """A folder with the package in it, and the bug in that."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / PACKAGE.name
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / mutant.path).write_text(mutant.applied())
        yield Path(folder)


def first_failure(folder: Path, tests: Sequence[str], limit_s: float) -> str:
    """The first of ``tests`` that fails with the package in ``folder``; empty if none does."""
    command = [sys.executable, "-P", "-m", "pytest", "-x", "-q", "--no-header", "--tb=short"]
    options = [f"--timeout={TEST_S}", "-p", "no:cacheprovider", "-p", "no_shrinking"]
    paths = [str(Path("tests") / path) for path in tests]
    places = os.pathsep.join([str(folder), str(Path(__file__).parent)])
    process = subprocess.Popen(
        [*command, *options, *paths],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": places, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"time limit of {limit_s:g} s"
    if process.returncode == 0:
        return ""
    failed = _FAILED.search(output)
    test = failed.group(1) if failed else f"exit {process.returncode}: {output[-300:]!r}"
    return f"{test} (hangs)" if "Timeout" in output and "Failed: Timeout" in output else test


def judged(mutant: Mutant, *, quick: bool = False) -> Verdict:
    """Run the tests that should notice, then those that may."""
    began = time.perf_counter()
    with planted(mutant) as folder:
        killer = first_failure(folder, mutant.tests, FIRST_S)
        if not killer and not quick:
            killer = first_failure(folder, WIDER, WIDER_S)
            killer = killer and f"{killer} (not by its own tests)"
    seconds = time.perf_counter() - began
    return Verdict(mutant=mutant, killers=(killer,) if killer else (), seconds=seconds)


def judged_by_machines(mutant: Mutant) -> Verdict:
    """Run the tests of the seeds, and the machines, each on its own."""
    began = time.perf_counter()
    with planted(mutant) as folder:
        found = [first_failure(folder, [one], FIRST_S) for one in ("seeds", "machines")]
    seconds = time.perf_counter() - began
    return Verdict(mutant=mutant, killers=tuple(filter(None, found)), seconds=seconds)


def check_the_copy_is_used() -> None:
    """Make sure that the tests see the mutant, and not the tree or an installed package."""
    with planted(MUTANTS[0]) as folder:
        found = subprocess.run(
            [sys.executable, "-P", "-c", "import mentra_trio; print(mentra_trio.__file__)"],
            env={**os.environ, "PYTHONPATH": str(folder)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        if not found.stdout.startswith(str(folder)):
            raise SystemExit(f"the tests would use {found.stdout.strip()}")


def chosen(names: Sequence[str], *, machines: bool) -> list[Mutant]:
    """The mutants of those names, or all; with ``machines`` only the realistic ones."""
    by_name = {mutant.name: mutant for mutant in MUTANTS}
    if unknown := set(names) - set(by_name):
        raise SystemExit(f"no such mutant: {', '.join(sorted(unknown))}")
    asked = [by_name[name] for name in names or by_name]
    return [mutant for mutant in asked if mutant.realistic or not machines]


def say(text: str) -> None:
    """Print a line at once: a run takes minutes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Plant bugs and see which test notices.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these mutants")
    parser.add_argument(
        "--machines", action="store_true", help="realistic bugs, by the machines and seeds only"
    )
    parser.add_argument("--quick", action="store_true", help="only by the tests they name")
    options = parser.parse_args()
    check_the_copy_is_used()
    judge = judged_by_machines if options.machines else partial(judged, quick=options.quick)
    verdicts = []
    for mutant in chosen(options.names, machines=options.machines):
        verdicts.append(judge(mutant))
        say(verdicts[-1].line())
    killed = sum(bool(verdict.killers) for verdict in verdicts)
    seconds = sum(verdict.seconds for verdict in verdicts)
    share = 100 * killed / max(1, len(verdicts))
    say(f"{killed} of {len(verdicts)} noticed ({share:.0f} %) in {seconds:.0f} s")
    surprises = [verdict for verdict in verdicts if not verdict.as_expected]
    for verdict in surprises:
        say(f"not as expected: {verdict.mutant.name}")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
