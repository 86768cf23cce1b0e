"""The pages that are written by hand name everything that there is; their programs run."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import runpy
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_args

import attrs
import click
import pytest
import trio
from prometheus_client import CollectorRegistry

import mentra_trio
from mentra_trio import web
from mentra_trio.cli import commands
from mentra_trio.clients import AppSession, RequestFailed, ToolFailed, UpgradeRefused
from mentra_trio.config import Config, SpeechSettings, WebhookSettings
from mentra_trio.domain import (
    attachment,
    close_reasons,
    errors,
    facts,
    lifecycle,
    live_streams,
    photos,
    rooms,
    stream_settings,
    timings,
)
from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.domain.hops import PHONE_AWAY, TOO_MANY
from mentra_trio.domain.voices import VoiceSettings
from mentra_trio.sessions import audio_out, messaging
from mentra_trio.sessions.desk import SUBSYSTEMS
from mentra_trio.telemetry.counts import HttpAnswers
from mentra_trio.telemetry.metrics import Metrics
from mentra_trio.telemetry.slow_tasks import SlowTasks
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.transport.admission import ENDPOINTS, frame_counts
from mentra_trio.wire import from_app

DOCS = Path(__file__).parent.parent / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted(
    page
    for folder in ("start", "guides", "reference", "explanation")
    for page in (DOCS / folder).glob("*.md")
)
WEB = [
    importlib.import_module(f"{web.__name__}.{found.name}")
    for found in pkgutil.iter_modules(web.__path__)
]
PLACEHOLDER = re.compile(r"\{[^}]*\}")
DOCSTRINGS: dict[str, Any] = runpy.run_path(str(DOCS / "_extensions" / "docstrings.py"))


def test_every_metric_is_described() -> None:
    page = (REFERENCE / "metrics.md").read_text()
    metrics = Metrics()
    metrics.add(SlowTasks(RecordingTelemetry(), time.perf_counter))
    metrics.add(HttpAnswers({200: 1}))
    names = re.findall(r"^# HELP (mentra_\w+)", metrics.render().decode(), re.MULTILINE)
    ours = {name for name in names if not name.endswith("_created")}
    assert ours
    assert set(re.findall(r"`(mentra_\w+)", page)) == ours


def test_every_command_and_option_is_described() -> None:
    page = (REFERENCE / "commands.md").read_text()
    missing = []
    groups = [one for one in commands.commands.items() if isinstance(one[1], click.Group)]
    named = dict(commands.commands) | {
        f"{group} {name}": command
        for group, owner in groups
        for name, command in owner.commands.items()  # type: ignore[attr-defined]
    }
    for name, command in named.items():
        if f"`{name}" not in page:
            missing.append(name)
        options = [option.opts[0] for option in command.params if isinstance(option, click.Option)]
        missing += [f"{name} {option}" for option in options if option not in page]
    assert missing == []


def routes_of_the_code() -> set[tuple[str, str]]:
    """Method and path of each plain route; HEAD, which every GET has, is not named."""
    found: set[tuple[str, str]] = set()
    for module in WEB:
        for route in getattr(module, "ROUTES", ()):
            methods = (route.methods or set()) - {"HEAD"}
            found |= {(method, PLACEHOLDER.sub("{}", route.path)) for method in methods}
    return found


def test_every_route_is_described_and_no_other() -> None:
    page = (REFERENCE / "routes.md").read_text()
    spans = re.findall(r"`((?:GET|PUT|POST|DELETE)(?:, (?:PUT|POST|DELETE))*) (/[^` ]*)`", page)
    described = {
        (method, PLACEHOLDER.sub("{}", path))
        for methods, path in spans
        for method in methods.split(", ")
    }
    assert described == routes_of_the_code()


def test_every_websocket_is_described() -> None:
    page = (REFERENCE / "routes.md").read_text()
    assert [path for path in ENDPOINTS if f"`{path}`" not in page] == []


def test_the_answers_to_an_init_name_reasons_that_there_are() -> None:
    _, _, table = (REFERENCE / "close_codes.md").read_text().partition("## What an app's init")
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row[3])}
    reasons = {n for n, one in vars(close_reasons).items() if isinstance(one, CloseReason)}
    assert named <= reasons
    assert {"SUPERSEDED", "NOT_HERE_YET", "RESTARTING"} <= named


def test_every_setting_is_described() -> None:
    """Those that stand in a table by hand; the others are read off the code."""
    page = (REFERENCE / "settings.md").read_text()
    engines = {"speech", "voice", "streams"}
    sections = {"lifecycle", "heartbeat", "limits", "webhooks", *engines}
    secrets = {"jwt_secret", "admin_token", "user_token_key", "supabase_jwt_secret"}
    named = {field.name for field in attrs.fields(Config)} - sections - secrets
    keys = {f"server.{name}" for name in named}
    keys |= {f"webhooks.{field.name}" for field in attrs.fields(WebhookSettings)}
    keys |= {f"voice.{field.name}" for field in attrs.fields(VoiceSettings)}
    keys |= {f"speech.{field.name}" for field in attrs.fields(SpeechSettings)}
    assert set(re.findall(r"`((?:server|webhooks|voice|speech)\.\w+)`", page)) == keys


class NotedRegistry(CollectorRegistry):
    """Takes note of the labels of each metric."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: dict[str, set[str]] = {}

    def register(self, collector: Any) -> None:
        super().register(collector)
        for metric in collector.collect():
            of_samples = {name for sample in metric.samples for name in sample.labels} - {"le"}
            of_all = getattr(collector, "_labelnames", ()) or getattr(collector, "label_names", ())
            names = set(of_all) | of_samples
            self.labels[metric.name] = names


def test_every_label_of_a_metric_is_described() -> None:
    page = (REFERENCE / "metrics.md").read_text()
    registry = NotedRegistry()
    Metrics(registry, frame_counts()).add(HttpAnswers({200: 1}))
    described = {
        name.removesuffix("_total"): set(filter(None, labels.split(",")))
        for name, labels in re.findall(r"`(mentra_\w+)(?:\{([\w,]+)\})?`", page)
    }
    slow = {"mentra_task_step_seconds": set[str]()}
    assert registry.labels | slow == described


def test_everything_that_an_app_can_say_is_described() -> None:
    page = (DOCS / "explanation" / "what_apps_can_ask_for.md").read_text()
    messages = {kind.__struct_config__.tag for kind in get_args(from_app.FromApp)}
    assert "photo_request" in messages
    assert sorted(name for name in messages if f"`{name}`" not in page) == []
    served_by = {kind.__struct_config__.tag for part in SUBSYSTEMS for kind in part.FROM_APP}
    assert served_by <= messages


def test_what_a_request_fails_with_is_quoted_as_it_is_said() -> None:
    page = (DOCS / "explanation" / "what_apps_can_ask_for.md").read_text()
    said = [PHONE_AWAY.text, TOO_MANY.text, live_streams.NO_ENGINE, audio_out.SILENT]
    said += [messaging.NOT_THERE, messaging.TOO_FAST, messaging.NO_ROOM]
    said += [problem.value for problem in (rooms.Denial.ROOM_FULL,)]
    said.append(photos.late(timings.PHOTO_S, phone=True).text)
    assert [text for text in said if f"`{text}`" not in page] == []
    assert [denial.name for denial in rooms.Denial if f"`{denial.name}`" not in page] == []


def test_the_house_names_every_module_of_its_floors() -> None:
    page = (DOCS / "explanation" / "house.md").read_text()
    _, _, table = page.partition("| Floor |")
    named = set(re.findall(r"`(\w+)`", table.partition("\n\n")[0]))
    settings = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    modules = {name.strip() for layer in layers for name in layer.split("|")}
    assert modules - {"__main__"} <= named


def test_every_news_fragment_is_one_line_that_no_other_says() -> None:
    told = [path.read_text() for path in sorted((DOCS / "newsfragments").glob("*.md"))]
    assert [text for text in told if text.count("\n") != 1 or not text.endswith(".\n")] == []
    assert len(set(told)) == len(told)


def test_every_decision_is_numbered_once() -> None:
    numbers = [path.name[:4] for path in (REFERENCE.parent / "decisions").glob("*.md")]
    assert sorted(numbers) == [f"{number:04}" for number in range(1, len(numbers) + 1)]


# -- what is written ----------------------------------------------------------------------


def stray_rows(text: str) -> list[str]:
    """Table rows that belong to no table: what stands above each block has no line of dashes."""
    blocks = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    return [block for block in blocks if not re.search(r"\A.*\n\|[-|: ]+\|\n\|", block)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_table_is_broken(page: Path) -> None:
    assert stray_rows(page.read_text()) == []


def test_a_row_after_a_blank_line_is_found() -> None:
    table = "| A | B |\n|---|---|\n| 1 | 2 |\n"
    assert stray_rows(table) == []
    assert stray_rows(f"{table}\n| 3 | 4 |\n") == ["| 3 | 4 |\n"]


def test_tables_read_off_the_code_cite_nothing_that_the_reader_lacks() -> None:
    documented, plain = DOCSTRINGS["documented"], DOCSTRINGS["plain"]
    texts = [plain(kind.__doc__ or "") for kind in vars(facts).values() if isinstance(kind, type)]
    for module, names in (
        (timings, ("Lifecycle", "Heartbeat", "Limits")),
        (stream_settings, ("StreamSettings",)),
        (lifecycle, ("AppState",)),
        (attachment, ("UserState",)),
    ):
        for name in names:
            texts += documented(module, name).values()
    assert documented(timings, "Lifecycle")["user_grace_s"] == "Glasses may be gone this long."
    assert [text for text in texts if re.search(r"protocol\.md|seed \d", text)] == []


def test_every_error_of_the_public_modules_is_described() -> None:
    pages = (errors.__doc__ or "") + (REFERENCE / "errors.md").read_text()
    names = [
        one.__name__
        for one in (*vars(errors).values(), RequestFailed, ToolFailed, UpgradeRefused)
        if isinstance(one, type) and issubclass(one, errors.MentraTrioError)
    ]
    assert [name for name in names if name not in pages] == []


# -- what can be run ----------------------------------------------------------------------


def program(page: str, containing: str) -> str:
    """The one Python program of a page in which ``containing`` stands."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL
    )
    (found,) = (block for block in blocks if containing in block)
    assert isinstance(found, str)
    return found


def changed(source: str, old: str, new: str) -> str:
    """``source`` with another address in one place."""
    assert source.count(old) == 1
    return source.replace(old, new)


@asynccontextmanager
async def running(source: str, *arguments: str) -> AsyncGenerator[tuple[trio.Process, str]]:
    """A program and the first line that it prints; at the end it is interrupted, and says bye."""
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent), "PYTHONUNBUFFERED": "1"}
    process = await trio.lowlevel.open_process(
        [sys.executable, "-W", "error", "-c", source, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment, "API_KEY": "secret"},
        # A suite in the background may have been told to ignore interrupts: children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        first = ""
        while "\n" not in first:
            data = await process.stdout.receive_some()
            assert data, (await process.stderr.receive_some()).decode()
            first += data.decode()
        yield process, first
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        rest = b"".join([data async for data in process.stdout])
        complaint = b"".join([data async for data in process.stderr])
        assert (await process.wait(), complaint.decode()) == (0, "")
        assert rest.decode() in {"", "bye\n"}
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdout.aclose()
            await process.stderr.aclose()


@pytest.mark.real_sockets
async def test_the_first_app_and_its_glasses_run_as_written() -> None:
    page, package = "start/your_first_app.md", "com.example.captions"
    app = changed(program(page, "App("), '"127.0.0.1", 7010', '"127.0.0.1", 0')
    with trio.fail_after(15):
        async with mentra_trio.open_server(mentra_trio.Config(port=0)) as server:
            glasses = changed(program(page, "open_glasses("), "ws://127.0.0.1:8002", server.url)
            async with running(app) as (_, told):
                url = told.split()[-1]
                await server.apps.add(
                    package, url=url, api_key="secret", permissions=["MICROPHONE"]
                )
                token = server.token("ada@example.com")
                async with running(glasses, token) as (process, shown):
                    assert shown == "the glasses show: Hello\n"
                    await process.wait()


@pytest.mark.real_sockets
async def test_the_embedded_server_runs_as_written_and_ends_quietly() -> None:
    with trio.fail_after(15):
        async with running(program("guides/embed.md", "open_server(")) as (_, told):
            assert told.startswith("ws://127.0.0.1:")


@pytest.mark.real_sockets
async def test_users_of_an_app_meet_as_written() -> None:
    page = "guides/write_an_app_in_python.md"
    with trio.fail_after(15):
        async with running(program(page, "open_server(")) as (process, told):
            assert told == "ada has heard of ben\n"
            await process.wait()


def test_what_the_guide_to_apps_names_is_there() -> None:
    page = (DOCS / "guides/write_an_app_in_python.md").read_text()
    session = AppSession("u-1@x.org", "s", "com.t.a")
    named = set(re.findall(r"\bsession((?:\.[a-z_]+)+)", page)) - {".nursery.start_soon"}
    assert ".camera.request_photo" in named
    missing = []
    for path in sorted(named):
        thing: Any = session
        for name in path.split(".")[1:]:
            if not hasattr(thing, name):
                missing.append(path)
                break
            thing = getattr(thing, name)
    assert missing == []
