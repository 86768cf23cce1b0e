"""The public names: taking one away, or adding one, is a decision and not an accident."""

from __future__ import annotations

import ast
from pathlib import Path

import mentra_trio

PUBLIC = [
    "AddedApp",
    "AppCatalog",
    "AppKind",
    "AppRegistration",
    "AppSnapshot",
    "AppState",
    "CloseReason",
    "Config",
    "ConfigError",
    "DecodeError",
    "Environment",
    "Fact",
    "Heartbeat",
    "InitRefused",
    "Lifecycle",
    "Limits",
    "Link",
    "LinkClosed",
    "MentraTrioError",
    "Server",
    "SessionEnded",
    "StartResult",
    "StartStage",
    "Store",
    "StoreFailed",
    "Telemetry",
    "UnknownApp",
    "UserSnapshot",
    "WebhookFailed",
    "WebhookFailure",
    "WebhookSettings",
    "Webhooks",
    "load_config",
    "open_server",
]


def exported() -> list[str]:
    """What ``__init__`` exports on purpose: ``from .x import Y as Y``."""
    assert mentra_trio.__file__
    tree = ast.parse(Path(mentra_trio.__file__).read_text())
    return [
        alias.asname
        for node in tree.body
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
    others = {name for name in vars(mentra_trio) if not name.startswith("_")} - set(PUBLIC)
    assert others <= modules
