"""A voice that needs no network: eSpeak NG, from the optional extra ``mentra-trio[voice]``.

Every text is said by a process of its own, which lives a fraction of a second. What strangers
write never meets the engine's C code inside the server; and a process can be ended, a thread
cannot.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import attrs
import msgspec
import trio

from ..concurrency.children import apart
from ..domain.errors import ConfigError, VoiceFailed
from ..engines import Speech, Spoken

NEEDS: Final = ("espeakng_loader", "lameenc")
HOW_TO_GET_IT: Final = "pip install 'mentra-trio[voice]'"
PROGRAM: Final = Path(__file__).with_name("synthesis.py")
COMMAND: Final = (sys.executable, "-P", str(PROGRAM))  # -P: its folder is no place for modules
PROBLEM_CHARACTERS_MAX: Final = 200

_VOICE: Final = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8}){0,3}(\+[a-z0-9]{1,16})?", re.ASCII)
"""``en-us``, ``de``, ``en+f3``: nothing that could be a path."""


def is_voice(name: str) -> bool:
    """Whether ``name`` is of the form of eSpeak NG's voices."""
    return _VOICE.fullmatch(name) is not None


@attrs.frozen(kw_only=True)
class EspeakVoice:
    """Implements ``engines.Voice``. Needs Linux or macOS.

    The voice that a request names is taken where the engine has it (a language, such as ``de``,
    maybe with a variant, ``de+f3``), else ``voice``: apps name voices of other engines. Of the
    settings ``speed`` is heeded; the model is not.
    """

    voice: str = "en-us"

    async def speak(self, speech: Speech) -> Spoken:
        """See ``engines.Voice``."""
        wished = speech.voice.lower()
        speed = speech.settings.get("speed")
        asked = {
            "text": speech.text,
            "voices": [*([wished] if is_voice(wished) else []), self.voice],
            "speed": speed if isinstance(speed, int | float) else 1.0,
        }
        done = await trio.run_process(
            COMMAND,
            stdin=msgspec.json.encode(asked),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            **apart(),
        )
        if done.returncode:
            raise VoiceFailed(_problem(done))
        return Spoken(audio=done.stdout, media_type="audio/mpeg")


def open_espeak_voice(voice: str) -> EspeakVoice:
    """A voice whose default is ``voice``.

    Raises:
        ConfigError: what it needs is not installed, or ``voice`` is no name of a voice.
    """
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        raise ConfigError(f"voice.engine espeak is not installed: {HOW_TO_GET_IT}")
    if not is_voice(voice):
        raise ConfigError(f"voice.name must be a voice of eSpeak NG such as en-us, not {voice!r}")
    return EspeakVoice(voice=voice)


def _problem(done: subprocess.CompletedProcess[bytes]) -> str:
    """Why a process failed: its last line, or how it ended."""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode < 0 or not lines:
        return f"eSpeak NG ended with code {done.returncode}"
    return lines[-1][:PROBLEM_CHARACTERS_MAX]
