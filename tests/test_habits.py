"""Habits that must stay absent from the package, checked on its source.

A habit is a function from one module to what it finds there. Every habit is shown to bite on a
planted snippet, so that an empty result means something.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mentra_trio"
LINES_MAX = 400
FUNCTION_LINES_MAX = 40

BULKHEADS = {
    "transport/port.py",  # a connection
    "streams/ffmpeg_streams.py",  # a connection of glasses that publish
    "sessions/directory.py",  # a user session
    "sessions/roster.py",  # an app session
    "sessions/update_queue.py",  # one queued update of an app
    "sessions/recogniser.py",  # a recogniser of speech, which is somebody else's code
}
"""Where a crash is contained, by ``concurrency.bulkhead.contain``: nowhere else."""

MAY_SPAWN = {
    "concurrency/race.py",
    "server.py",
    "sessions/app_phases.py",
    "sessions/app_returning.py",
    "sessions/directory.py",
    "sessions/errands.py",
    "sessions/health.py",
    "sessions/roster.py",
    "sessions/update_queue.py",
    "sessions/user_phases.py",
    "streams/ffmpeg_streams.py",
    "streams/opening.py",
    "transport/port.py",
    "transport/stream_link.py",
}
"""Modules that own a nursery. The other ends of the wire and test programs own theirs, too."""
SPAWN_FREELY = ("clients/", "cli/", "testing/")

JUNK = {"manager", "helper", "helpers", "util", "utils", "common", "base", "misc"}
FLAGS = {"disposed", "is_disposed", "dispose", "closed_flag", "is_closed", "is_stopping", "cleanup"}
WAITS = {"sleep", "move_on_after", "fail_after", "wind_down"}
DURATION = re.compile(r"(_s|_seconds|seconds|delay|interval|within|timeout)$", re.IGNORECASE)
MUTABLE_CALLS = {"dict", "list", "set", "defaultdict", "deque", "Counter", "OrderedDict"}

Finding = str
Habit = Callable[[str, str, ast.Module], Iterator[Finding]]


def name_of(node: ast.expr) -> str:
    """The last identifier of a dotted expression."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def is_large_number(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value > 1


def long_file(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    if source.count("\n") > LINES_MAX:
        yield f"more than {LINES_MAX} lines"


def long_function(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node.body[0]
            head = node.body[0].lineno - node.lineno
            lines = head + (node.end_lineno or 0) - first.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.name} has {lines} lines"


def no_opening_sentence(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    if not (ast.get_docstring(tree) or "").split("\n\n")[0].strip():
        yield "the module does not say what it is"


def junk_name(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    for part in Path(path).with_suffix("").parts:
        if JUNK & set(part.split("_")):
            yield part
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            words = {word.lower() for word in re.findall(r"[A-Z][a-z]*", node.name)}
            if JUNK & words:
                yield node.name


def flag_or_timer(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        match node:
            case (
                ast.Attribute(attr=name)
                | ast.Name(id=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.arg(arg=name)
            ):
                bare = name.lstrip("_")
                if bare in FLAGS or name.endswith(("_timer", "timeout_id")):
                    yield name


def endless(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="math"), attr="inf"):
                yield "math.inf: every bound has a number"
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() as text)]):
                if "inf" in text.lower():
                    yield "float('inf'): every bound has a number"


def nobody_owns_it(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "spawn_system_task":
            yield "spawn_system_task"


def spawns_elsewhere(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    if path in MAY_SPAWN or path.startswith(SPAWN_FREELY):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr="start_soon"):
                yield f"line {node.lineno}: start_soon in a module that owns no nursery"
            case ast.Attribute(attr="start", value=owner) if "nursery" in name_of(owner):
                yield f"line {node.lineno}: nursery.start in a module that owns no nursery"


def broad_handler(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    if path == "concurrency/bulkhead.py":
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler) or goes_on_raising(node):
            continue
        caught = [node.type] if node.type is not None else []
        kinds = caught[0].elts if caught and isinstance(caught[0], ast.Tuple) else caught
        names = {name_of(kind) for kind in kinds} if caught else {"BaseException"}
        if broad := names & {"BaseException", "Exception", "Cancelled"}:
            yield f"line {node.lineno}: swallows {', '.join(sorted(broad))}"


def goes_on_raising(handler: ast.ExceptHandler) -> bool:
    """Whether the handler ends in a bare ``raise``."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def splits_ids(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="split" | "rsplit" | "partition" | "rpartition"),
                args=[ast.Constant(value="-"), *_],
            ):
                yield f"line {node.lineno}: ids are never taken apart at a dash"


def literal_duration(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    if not path.startswith("sessions/"):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=func, args=[first, *_]) if name_of(func) in WAITS:
                if is_large_number(first):
                    yield f"line {node.lineno}: durations live in domain/timings.py"
            case ast.keyword(arg=str() as name, value=value) if DURATION.search(name):
                if is_large_number(value):
                    yield f"{name}: durations live in domain/timings.py"
            case ast.AnnAssign(target=target, value=value) if DURATION.search(name_of(target)):
                if is_large_number(value):
                    yield f"{name_of(target)}: durations live in domain/timings.py"


def global_state(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: global"
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names, value, kind = [name_of(t) for t in node.targets], node.value, ""
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            names, value = [name_of(node.target)], node.value
            kind = ast.unparse(node.annotation)
        else:
            continue
        read_only = "Mapping[" in kind or "Sequence[" in kind  # mypy refuses to change these
        if "__all__" not in names and not read_only and is_mutable(value):
            yield f"line {node.lineno}: {', '.join(names)} is shared by everybody"


def is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return name_of(value.func) in MUTABLE_CALLS
    return isinstance(
        value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    )


def prints(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    if path.startswith("cli/"):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield f"line {node.lineno}: print"


def reads_the_clock(path: str, source: str, tree: ast.Module) -> Iterator[Finding]:
    if path == "environment.py":
        return
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr="time" | "sleep" | "monotonic"):
                yield f"line {node.lineno}: time.{node.attr}"
            case ast.Attribute(value=ast.Name(id="datetime"), attr="now" | "utcnow"):
                yield f"line {node.lineno}: datetime.{node.attr}: ask the environment"


HABITS: tuple[Habit, ...] = (
    long_file,
    long_function,
    no_opening_sentence,
    junk_name,
    flag_or_timer,
    endless,
    nobody_owns_it,
    spawns_elsewhere,
    broad_handler,
    splits_ids,
    literal_duration,
    global_state,
    prints,
    reads_the_clock,
)
MODULES = {str(path.relative_to(PACKAGE)): path.read_text() for path in PACKAGE.rglob("*.py")}
TREES = {path: ast.parse(source) for path, source in MODULES.items()}


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.__name__)
def test_absent(habit: Habit) -> None:
    found = [
        f"{path}: {finding}"
        for path, source in sorted(MODULES.items())
        for finding in habit(path, source, TREES[path])
    ]
    assert not found, "\n".join(found)


PLANTED: tuple[tuple[Habit, str, str], ...] = (
    (long_file, "server.py", "\n" * 401),
    (long_function, "server.py", "def f():\n" + "    x = 1\n" * 40),
    (long_function, "server.py", 'def f():\n    """Doc."""\n' + "    x = 1\n" * 40),
    (no_opening_sentence, "server.py", "import trio"),
    (junk_name, "sessions/app_manager.py", ""),
    (junk_name, "server.py", "class LinkHelper: pass"),
    (flag_or_timer, "server.py", "self._disposed = True"),
    (flag_or_timer, "server.py", "self.grace_timer = None"),
    (flag_or_timer, "server.py", "async def cleanup(): pass"),
    (endless, "server.py", "trio.open_memory_channel(math.inf)"),
    (endless, "server.py", "deadline = float('inf')"),
    (nobody_owns_it, "server.py", "trio.lowlevel.spawn_system_task(f)"),
    (spawns_elsewhere, "domain/ids.py", "nursery.start_soon(f)"),
    (spawns_elsewhere, "domain/ids.py", "await self._nursery.start(f)"),
    (broad_handler, "web/asgi.py", "try: f()\nexcept Exception: pass"),
    (broad_handler, "web/asgi.py", "try: f()\nexcept* (ValueError, Exception): pass"),
    (broad_handler, "sessions/app_session.py", "try: f()\nexcept: pass"),
    (broad_handler, "sessions/app_session.py", "try: f()\nexcept trio.Cancelled: pass"),
    (splits_ids, "web/asgi.py", "user = session_id.split('-')[0]"),
    (literal_duration, "sessions/screen.py", "await trio.sleep(5)"),
    (literal_duration, "sessions/screen.py", "f(grace_s=5.0)"),
    (literal_duration, "sessions/screen.py", "GRACE_S: Final = 5.0"),
    (global_state, "server.py", "SESSIONS = {}"),
    (global_state, "server.py", "SESSIONS: dict[str, int] = dict()"),
    (global_state, "server.py", "def f():\n    global x\n"),
    (prints, "server.py", "print('hello')"),
    (reads_the_clock, "server.py", "started = time.time()"),
    (reads_the_clock, "server.py", "now = datetime.now(UTC)"),
)


@pytest.mark.parametrize(("habit", "path", "snippet"), PLANTED)
def test_bites(habit: Habit, path: str, snippet: str) -> None:
    assert list(habit(path, snippet, ast.parse(snippet)))


def test_every_habit_is_shown_to_bite() -> None:
    assert {habit for habit, _, _ in PLANTED} == set(HABITS)


def calls_by_name(wanted: Callable[[ast.expr], str]) -> dict[str, list[str]]:
    """For each name that ``wanted`` recognises in a called expression: where it is called."""
    sites = defaultdict(list)
    for path, tree in sorted(TREES.items()):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := wanted(node.func)):
                sites[name].append(f"{path}:{node.lineno}")
    return sites


def test_crashes_are_contained_at_the_bulkheads_only() -> None:
    sites = calls_by_name(lambda func: "contain" if name_of(func) == "contain" else "")
    modules = {site.partition(":")[0] for site in sites["contain"]}
    assert {path for path in modules if not path.startswith(SPAWN_FREELY)} == BULKHEADS


def test_every_fact_is_emitted_and_once_in_a_module() -> None:
    facts = {
        node.name
        for node in TREES["domain/facts.py"].body
        if isinstance(node, ast.ClassDef) and node.name != "Fact"
    }
    sites = calls_by_name(lambda func: name if (name := name_of(func)) in facts else "")
    assert set(sites) == facts, "never emitted"
    for name, where in sites.items():
        modules = [site.partition(":")[0] for site in where]
        assert len(modules) == len(set(modules)), f"{name}: {where}"


def test_only_one_place_starts_an_app_by_webhook() -> None:
    def wanted(func: ast.expr) -> str:
        match func:
            case ast.Attribute(attr="start", value=owner) if "webhooks" in name_of(owner):
                return "webhooks.start"
            case _:
                return ""

    assert len(calls_by_name(wanted)["webhooks.start"]) <= 1
