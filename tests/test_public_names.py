"""The public names: taking one away, or adding one, is a decision and not an accident."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mentra_trio

PUBLIC = [
    "AddedApp",
    "AppCatalog",
    "AppKind",
    "AppRegistration",
    "AppSnapshot",
    "AppState",
    "Audio",
    "CloseReason",
    "Config",
    "ConfigError",
    "DecodeError",
    "Environment",
    "Fact",
    "Heard",
    "Heartbeat",
    "Ingest",
    "InitRefused",
    "Lifecycle",
    "Limits",
    "Link",
    "LinkClosed",
    "LiveStreamFailed",
    "LiveStreams",
    "MentraTrioError",
    "Playback",
    "Server",
    "SessionEnded",
    "Speech",
    "SpeechSettings",
    "SpeechWish",
    "Spoken",
    "StartResult",
    "StartStage",
    "Store",
    "StoreFailed",
    "StreamSettings",
    "Telemetry",
    "Transcriber",
    "TranscriberFailed",
    "UnknownApp",
    "UserSnapshot",
    "Voice",
    "VoiceFailed",
    "VoiceSettings",
    "WebhookFailed",
    "WebhookFailure",
    "WebhookSettings",
    "Webhooks",
    "load_config",
    "open_server",
]


def exported() -> list[str]:
    """What ``__init__`` exports on purpose, at once or later: ``from .x import Y as Y``."""
    assert mentra_trio.__file__
    tree = ast.parse(Path(mentra_trio.__file__).read_text())
    return [
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    ]


def test_exactly_these_are_public() -> None:
    assert sorted(exported()) == sorted(PUBLIC)


def test_every_public_thing_says_what_it_is() -> None:
    things = {name: getattr(mentra_trio, name) for name in PUBLIC}
    assert [name for name, thing in things.items() if not (thing.__doc__ or "").strip()] == []


def test_nothing_else_looks_public() -> None:
    modules = {path.stem for path in Path(str(mentra_trio.__file__)).parent.iterdir()}
    others = {name for name in vars(mentra_trio) if name.isidentifier() and name[0] != "_"}
    others -= set(PUBLIC)
    assert others <= {*modules, "TYPE_CHECKING"}
    assert set(PUBLIC) <= set(dir(mentra_trio))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        mentra_trio.nonsense  # noqa: B018


def test_a_command_that_asks_a_server_does_not_load_one() -> None:
    program = "import sys, mentra_trio.cli.watch; print('mentra_trio.server' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"
