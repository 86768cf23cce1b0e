"""What ``apps add`` is told of an app beside its address: by options, and by files."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..domain.app_config import registration_values
from ..domain.errors import ConfigError

C = TypeVar("C", bound=Callable[..., Any])


def describes_app(command: C) -> C:
    """Options that say what an app is made of; those given win over what a file says."""
    described = functools.partial(click.option, type=click.Path(path_type=Path), metavar="FILE")
    options = (
        described("--config", "config_file", help="The app's tpa_config.json or app_config.json."),
        described("--settings", "settings_file", help="Its settings schema: a JSON array."),
        described("--tools", "tools_file", help="Its tool schemas: a JSON array."),
        click.option(
            "--hardware",
            multiple=True,
            metavar="TYPE[:optional]",
            help="What it needs of the glasses, such as CAMERA; may be repeated.",
        ),
        click.option("--description", default="", help="What it does, for people."),
        click.option("--version", "version", default="", help="Its version, for people."),
    )
    for option in options:
        command = option(command)
    return command


def registration_of(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments for the catalog: what ``options`` say, over what the configuration says.

    Raises:
        ConfigError: a file cannot be read, or is not what it is given for; one line.
    """
    given = dict(options)
    config, settings, tools = (
        given.pop(f"{name}_file") for name in ("config", "settings", "tools")
    )
    given["hardware"] = [_hardware(text) for text in given["hardware"]]
    values: dict[str, Any] = {}
    if config is not None:
        values = _values_in(config)
    for name, file in (("settings", settings), ("tools", tools)):
        if file is not None:
            values[name] = _array_in(file)
    chosen = {name: value for name, value in given.items() if value or name not in values}
    return values | chosen


def _values_in(file: Path) -> dict[str, Any]:
    content = _json_in(file)
    try:
        return registration_values(content)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def _array_in(file: Path) -> list[Any]:
    content = _json_in(file)
    if not isinstance(content, list):
        raise ConfigError(f"{file} must be a JSON array")
    return content


def _json_in(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{file} is not JSON") from None


def _hardware(text: str) -> dict[str, str]:
    """``CAMERA``, or ``CAMERA:optional``."""
    name, _, level = text.partition(":")
    return {"type": name, "level": level or "REQUIRED"}
