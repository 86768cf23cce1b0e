"""Runs the Autobahn test suite against our echo server, and sums up what it says.

    python tests/autobahn/run_autobahn.py PYTHON2 PACKAGES [CASE...]

``PYTHON2`` is a Python 2.7 and ``PACKAGES`` the folder with ``autobahntestsuite`` for it. Cases
about compression, which is never agreed on, are left out; with ``CASE``, such as ``9.*``, all
but those named are. The suite's own pages go to ``reports`` in that folder. Ends with 1 unless
every case is OK, NON-STRICT or INFORMATIONAL.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
AGENT: Final = "mentra_trio"
ALL: Final = ("*",)
COMPRESSION: Final = ("12.*", "13.*")
CASES_MIN: Final = 300
"""So many cases there are without those; fewer, and the suite has not run."""
FINE: Final = {"OK", "NON-STRICT", "INFORMATIONAL"}
SUITE_S: Final = 600
LAUNCH: Final = """
import site, sys
site.addsitedir(sys.argv[1])  # for the namespace packages in it
sys.argv = ["wstest"] + sys.argv[2:]
from autobahntestsuite.wstest import run
run()
"""


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def open_echo(log: Path) -> Iterator[str]:
    """The echo server, as a process; its address. What it complains of goes to ``log``."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(Path(__file__).with_name("echo_server.py"))]
    with log.open("wb") as complaints:
        process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=complaints, text=True
        )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline().strip()
        assert ready.startswith("ready on "), log.read_text()
        yield ready.removeprefix("ready on ")
    finally:
        process.terminate()
        process.wait(20)


def run_suite(python: str, packages: Path, folder: Path, url: str, cases: Sequence[str]) -> None:
    """Have the suite's client try ``cases``; its reports are in ``packages`` afterwards."""
    order = {
        "outdir": str(packages / "reports"),
        "servers": [{"agent": AGENT, "url": url}],
        "cases": list(cases),
        "exclude-cases": list(COMPRESSION),
        "exclude-agent-cases": {},
    }
    (folder / "order.json").write_text(json.dumps(order))
    suite = [python, "-c", LAUNCH, str(packages), "-m", "fuzzingclient", "-s", "order.json"]
    with (folder / "suite.log").open("wb") as log:
        subprocess.run(
            suite,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=SUITE_S,
            check=True,
        )


def verdict(results: dict[str, dict[str, object]]) -> int:
    """Print how the cases ended; 1 if one did not end well."""
    counted = Counter(str(result["behavior"]) for result in results.values())
    say(f"{len(results)} cases: " + ", ".join(f"{n} {name}" for name, n in counted.most_common()))
    bad = 0
    for case, result in results.items():
        ends = str(result["behavior"]), str(result["behaviorClose"])
        if ends != ("OK", "OK"):
            say(f"{case}: {ends[0]}, its close: {ends[1]} ({result['remoteCloseCode']})")
        bad += not FINE.issuperset(ends)
    return int(bad > 0)


def main(arguments: Sequence[str]) -> int:
    """Do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("python", metavar="PYTHON2")
    parser.add_argument("packages", metavar="PACKAGES", type=Path)
    parser.add_argument("cases", metavar="CASE", nargs="*", default=ALL)
    options = parser.parse_args(arguments)
    index = options.packages / "reports" / "index.json"
    index.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "echo.log"
        with open_echo(log) as url:
            try:
                run_suite(options.python, options.packages.resolve(), folder, url, options.cases)
            except subprocess.SubprocessError as error:
                say(f"{(folder / 'suite.log').read_text()[-4_000:]}\n{error}")
                return 1
        if complaints := log.read_text():
            say(complaints[-8_000:])
            return 1
    results = json.loads(index.read_text())[AGENT]
    if tuple(options.cases) == ALL and len(results) < CASES_MIN:
        say(f"only {len(results)} cases were tried")
        return 1
    return verdict(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
