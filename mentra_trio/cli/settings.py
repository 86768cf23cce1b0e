"""The settings of a command: its options over everything else, and a data folder in any case."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import platformdirs

from ..config import Config
from ..config_sources import load_config


def settings(
    *, options: Mapping[str, object], file: Path | None = None, sets: Sequence[str] = ()
) -> Config:
    """The settings for a command.

    Args:
        options: values of the section ``server`` as given on the command line, or ``None``.
        sets: ``section.key=value``; these win over ``options``.

    Raises:
        ConfigError: one line that names what is wrong.
    """
    given = [f"server.{name}={value}" for name, value in options.items() if value is not None]
    config = load_config(file=file, environ=os.environ, overrides=[*given, *sets])
    if config.data_dir is None:
        config = attrs.evolve(config, data_dir=platformdirs.user_data_path("mentra-trio", False))
    return config
