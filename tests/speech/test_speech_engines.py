"""The engine that the settings name: there, or one clear line."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from mentra_trio.config import Config, SpeechSettings
from mentra_trio.config_sources import load_config
from mentra_trio.domain.errors import ConfigError
from mentra_trio.server import open_server
from mentra_trio.speech import engines
from mentra_trio.speech.engines import missing, open_engine
from mentra_trio.speech.pocketsphinx_engine import PocketSphinx

ASKED = SpeechSettings(engine="pocketsphinx", processes=3)


@pytest.mark.parametrize("there", [True, False])
def test_none_needs_nothing(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "is_installed", lambda: there)
    assert open_engine(SpeechSettings()) is None
    assert missing(SpeechSettings()) is None


def test_an_engine_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "is_installed", lambda: True)
    engine = open_engine(ASKED)
    assert isinstance(engine, PocketSphinx)
    assert engine.processes == 3
    assert missing(ASKED) is None


async def test_one_that_is_not_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(engines, "is_installed", lambda: False)
    with pytest.raises(ConfigError) as caught:
        async with open_server(Config(speech=ASKED), listeners=[]):
            pass
    assert str(caught.value) == (
        "speech.engine is pocketsphinx, but the package pocketsphinx is not installed:"
        " pip install 'mentra-trio[speech]'"
    )


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("speech.engine=vosk", "speech.engine must be one of none, pocketsphinx"),
        ("speech.processes=0", "speech.processes must be more than 0, not 0"),
        ("speech.processes=many", "speech.processes must be a whole number"),
    ],
)
def test_wrong_settings(setting: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_config(environ={}, overrides=[setting])


@pytest.mark.parametrize(
    ("language", "understood"),
    [("en-US", True), ("en", True), ("en-GB", True), ("de-DE", False), ("auto", False)],
)
def test_it_understands_english(language: str, understood: bool) -> None:
    engine = PocketSphinx()
    assert engine.understands(language) is understood
    assert not engine.translates(language, "de-DE")
