"""The checks of this project: ``nox`` runs what a change must pass, ``nox -l`` lists all.

All sessions share one environment, made on first use in ``.nox/shared`` and made anew when
``pyproject.toml`` changes: installing the same packages once per session would cost more than
the checks themselves.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = [
    "lint",
    "floors",
    "types",
    "conformance",
    "tests",
]  # the tests' summary last

ROOT = Path(__file__).parent
SHARED = ROOT / ".nox" / "shared"
BIN = SHARED / ("Scripts" if os.name == "nt" else "bin")
FUZZER = "schemathesis>=4.32,<5"
FUZZER_BIN = ROOT / ".nox" / "fuzz" / BIN.name
"""In an environment of its own: it brings a pytest plugin and much else that no test needs."""
BENCH_PACKAGES = ("attrs>=25", "uvloop==0.23.0", "websockets==17.4")
BENCH_BIN = ROOT / ".nox" / "bench" / BIN.name
"""For the relay that the server is measured beside: no test needs uvloop."""
BENCH_NODE_PROJECT = ROOT / "tests" / "benchmarks" / "relays"
AUTOBAHN = "autobahntestsuite==25.10.1"
AUTOBAHN_PACKAGES = ROOT / ".nox" / "autobahn"
"""For Python 2.7: it knows no later one."""
NODE_PROJECT = ROOT / "tests" / "conformance" / "node"
SOURCES = ["mentra_trio", "tests", "examples", "noxfile.py"]
FORMATTED = [*SOURCES, "docs"]
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def prepare(session: nox.Session, extra: str = "dev") -> None:
    """Install the package with ``extra`` into the shared environment, unless it is there."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = SHARED / f".installed-{extra}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not (BIN / "python").exists():
        session.run(sys.executable, "-m", "venv", str(SHARED), external=True)
    run(session, "pip", "install", "--quiet", "--disable-pip-version-check", "-e", f".[{extra}]")
    stamp.write_text(wanted)


def run(session: nox.Session, module: str, *args: str, env: dict[str, str] | None = None) -> None:
    """Run a Python module of the shared environment."""
    session.run(str(BIN / "python"), "-m", module, *args, env=env, external=True)


def existing(*paths: str) -> list[str]:
    """Those of ``paths`` that exist."""
    return [path for path in paths if (ROOT / path).exists()]


def make_environment(session: nox.Session, folder: Path, *packages: str) -> None:
    """Install ``packages`` into an environment of their own, unless they are there."""
    stamp, wanted = folder / ".installed", " ".join(packages)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    session.run(sys.executable, "-m", "venv", str(folder.parent), external=True)
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    session.run(str(folder / "python"), *pip, external=True)
    stamp.write_text(wanted)


@nox.session
def lint(session: nox.Session) -> None:
    """Format, ruff's rules, and the Trio idioms that flake8-async knows."""
    prepare(session)
    run(session, "ruff", "format", "--check", "--diff", *existing(*FORMATTED))
    run(session, "ruff", "check", *existing(*FORMATTED))
    run(session, "flake8", *existing(*SOURCES))


@nox.session
def floors(session: nox.Session) -> None:
    """Who may import whom, and habits that must stay absent."""
    prepare(session)
    run(session, "pytest", "-q", "tests/test_floors.py", "tests/test_habits.py")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict over source, tests and examples."""
    prepare(session)
    run(session, "mypy", *existing(*SOURCES))


@nox.session
def tests(session: nox.Session) -> None:
    """The whole test suite but the conformance checks; machines with their quick profile."""
    prepare(session)
    run(session, "pytest", "--ignore=tests/conformance", *session.posargs)


@nox.session
def machines(session: nox.Session) -> None:
    """The state machines with many examples: ``nox -s machines -- dev`` for the quick profile."""
    prepare(session)
    profile = session.posargs[0] if session.posargs else "nightly"
    run(session, "pytest", "tests/machines", "--timeout=900", env={"MACHINES": profile})


@nox.session
def mutants(session: nox.Session) -> None:
    """Planted bugs, each in a copy of the package: which test notices it?

    ``-- NAME`` for one; ``-- --machines`` has the machines and the seeds' tests find the
    realistic ones.
    """
    prepare(session)
    session.run(
        str(BIN / "python"), "tests/mutants/run_mutants.py", *session.posargs, external=True
    )


@nox.session
def conformance(session: nox.Session) -> None:
    """The real app SDK under Node against the real server."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        reason = "the conformance checks need Node and npm, which are not on the PATH"
        if IN_CI:
            session.error(reason)
        session.skip(reason)
    prepare(session)
    fetch_node_packages(session, NODE_PROJECT)
    run(session, "pytest", "tests/conformance", *session.posargs)


def fetch_node_packages(session: nox.Session, project: Path) -> None:
    """Install the pinned npm packages beside the programs that need them, unless they are there."""
    wanted = (project / "package.json").read_text()
    stamp = project / "node_modules" / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with session.chdir(project):
        session.run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", external=True)
    stamp.write_text(wanted)


@nox.session
def fuzz(session: nox.Session) -> None:
    """A server process against its own OpenAPI document, for about two minutes.

    ``-- --seed N`` repeats a run, ``-- --seconds N`` bounds it.
    """
    prepare(session)
    make_environment(session, FUZZER_BIN, FUZZER)
    program = FUZZER_BIN / "schemathesis"
    session.run(
        str(BIN / "python"), "tests/fuzz/run_fuzz.py", str(program), *session.posargs, external=True
    )


@nox.session
def fuzz_frames(session: nox.Session) -> None:
    """A million random streams of bytes against the parser of WebSocket frames.

    ``-- --seed N`` repeats a run, ``-- --inputs N`` bounds it.
    """
    prepare(session)
    session.run(str(BIN / "python"), "tests/fuzz/fuzz_frames.py", *session.posargs, external=True)


def python2() -> str | None:
    """A Python 2.7 that works: the one on the PATH, which may be a dead shim, or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for program in ("python2.7", *map(str, pyenv.glob("versions/2.7*/bin/python2.7"))):
        if shutil.which(program) and not subprocess.call(
            [program, "-c", ""], stderr=subprocess.DEVNULL
        ):
            return program
    return None


@nox.session
def autobahn(session: nox.Session) -> None:
    """The Autobahn test suite against an echo over our transport; all cases but compression.

    ``-- CASE...`` has only some of them run, such as ``9.*``.
    """
    python = python2()
    if python is None:
        reason = "the Autobahn test suite needs Python 2.7, which is neither here nor in pyenv"
        if IN_CI:
            session.error(reason)
        session.skip(reason)
    prepare(session)
    stamp = AUTOBAHN_PACKAGES / ".installed"
    if not stamp.exists() or stamp.read_text() != AUTOBAHN:
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        session.run(
            python, *pip, "--upgrade", "--target", str(AUTOBAHN_PACKAGES), AUTOBAHN, external=True
        )
        stamp.write_text(AUTOBAHN)
    session.run(
        str(BIN / "python"),
        "tests/autobahn/run_autobahn.py",
        python,
        str(AUTOBAHN_PACKAGES),
        *session.posargs,
        external=True,
    )


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken reference or a warning is an error."""
    prepare(session, "docs")
    run(session, "sphinx", "-n", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def changelog(session: nox.Session) -> None:
    """Show the next changelog entry; a change of the package without a news fragment fails.

    Compares with ``origin/main``, or with the commit that is given after ``--``.
    """
    prepare(session)
    run(session, "towncrier", "build", "--draft", "--version", "next")
    base = session.posargs[0] if session.posargs else "origin/main"
    diff = ("git", "diff", "--name-only", f"{base}...")
    changed = session.run(*diff, external=True, silent=True, success_codes=[0, 128])
    names = changed.splitlines() if isinstance(changed, str) else []
    in_package = any(name.startswith("mentra_trio/") for name in names)
    noted = any(name.startswith("docs/newsfragments/") for name in names)
    if in_package and not noted:
        session.error("mentra_trio/ changed: say what users notice in docs/newsfragments/")


@nox.session
def coverage(session: nox.Session) -> None:
    """Branch coverage: 100 % where everything is pure or ours, 95 % over all."""
    prepare(session)
    run(session, "coverage", "run", "-m", "pytest", "-q", "--ignore=tests/conformance")
    pure = "mentra_trio/domain/*,mentra_trio/wire/*,mentra_trio/concurrency/*"
    run(session, "coverage", "report", "--skip-covered", "--fail-under=95")
    run(session, "coverage", "report", "--skip-covered", "--fail-under=100", f"--include={pure}")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the server beside relays on Node, Bun and uvloop, and one in C; a table and JSON.

    ``-- --quick`` for two minutes, ``-- --growth`` for the cost by number of users,
    ``-- --docs`` to write the last results into the documentation.
    """
    prepare(session)
    if shutil.which("npm") is not None:
        fetch_node_packages(session, BENCH_NODE_PROJECT)
    make_environment(session, BENCH_BIN, *BENCH_PACKAGES)
    session.run(
        str(BIN / "python"), "tests/benchmarks/run_benchmarks.py", *session.posargs, external=True
    )


@nox.session
def demo(session: nox.Session) -> None:
    """The narrated round trip: server, glasses and an app in one process."""
    prepare(session)
    run(session, "mentra_trio", "demo")
