"""The recogniser that the settings name, and whether it can be used here."""

from __future__ import annotations

from typing import Final

from ..config import SpeechSettings
from ..domain.errors import ConfigError
from ..engines import Transcriber
from .pocketsphinx_engine import PocketSphinx, is_installed

HOW_TO_INSTALL: Final = "pip install 'mentra-trio[speech]'"


def open_engine(settings: SpeechSettings) -> Transcriber | None:
    """The transcriber of ``settings``; ``None``: speech is left to phones.

    Raises:
        ConfigError: what it needs is not installed.
    """
    if settings.engine == "none":
        return None
    if (problem := missing(settings)) is not None:
        raise ConfigError(f"speech.engine is {settings.engine}, but {problem}: {HOW_TO_INSTALL}")
    return PocketSphinx(processes=settings.processes)


def missing(settings: SpeechSettings) -> str | None:
    """What the engine of ``settings`` lacks here; ``None`` if it can be used."""
    if settings.engine == "pocketsphinx" and not is_installed():
        return "the package pocketsphinx is not installed"
    return None
