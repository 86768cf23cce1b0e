"""Offline recognition of English by PocketSphinx, in a process for each recogniser.

Its library keeps Python's lock while it decodes, up to half a second at the end of a long
utterance (measured): in a thread of this process it would stop every session meanwhile. And what
crashes in it, crashes there (decision 0023).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import attrs
import msgspec
import trio

from ..concurrency.children import apart
from ..concurrency.race import race
from ..domain.errors import TranscriberFailed
from ..domain.speech import SpeechWish
from ..domain.streams import base_language
from ..engines import Audio, Heard

LANGUAGE: Final = "en-US"
PROVIDER: Final = "pocketsphinx"
PROGRAM: Final = Path(__file__).with_name("pocketsphinx_worker.py")
WORKER: Final = (sys.executable, "-P", str(PROGRAM))  # -P: its folder is no place for modules
LENGTH_BYTES: Final = 4
LINE_BYTES_MAX: Final = 65_536
"""More than any utterance is long: the worker is at odds with us."""
END_S: Final = 2.0
"""Bound on the end of a worker that was killed."""


class Line(msgspec.Struct, frozen=True):
    """What a worker writes for each text: one JSON object on a line. Times in milliseconds."""

    text: str
    final: bool
    start: int
    end: int
    number: int


def is_installed() -> bool:
    """Whether the package that brings the engine and its model is there."""
    return find_spec("pocketsphinx") is not None


@attrs.define(eq=False)
class PocketSphinx:
    """Implements ``engines.Transcriber`` for English.

    Attributes:
        processes: so many recognisers run at once; one more fails.
        worker: the command that does the work of one; see ``pocketsphinx_worker``.
    """

    processes: int = 4
    worker: Sequence[str] = WORKER
    _running: int = attrs.field(default=0, init=False)

    def understands(self, language: str) -> bool:
        """English only; which language it is it does not find out."""
        return base_language(language) == base_language(LANGUAGE)

    def translates(self, source: str, target: str) -> bool:
        """It does not."""
        return False

    async def transcribe(
        self, wish: SpeechWish, audio: Audio, heard: Callable[[Heard], None]
    ) -> None:
        """See ``engines.Transcriber``.

        Raises:
            TranscriberFailed: the worker could not be started, or has ended; or too many run.
        """
        if self._running >= self.processes:
            raise TranscriberFailed(f"all {self.processes} recognisers are in use")
        self._running += 1
        try:
            await self._with_worker(audio, heard)
        finally:
            self._running -= 1

    async def _with_worker(self, audio: Audio, heard: Callable[[Heard], None]) -> None:
        try:
            process = await trio.lowlevel.open_process(
                list(self.worker), stdin=subprocess.PIPE, stdout=subprocess.PIPE, **apart()
            )
        except OSError as error:
            raise TranscriberFailed(f"no process: {error.strerror or error}") from None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            problem = await race(
                partial(_feed, audio, process.stdin), partial(_read, process.stdout, heard)
            )
        finally:
            process.kill()  # does nothing to one that has ended
            with trio.move_on_after(END_S, shield=True):
                await process.wait()
                await process.stdin.aclose()
                await process.stdout.aclose()
        raise TranscriberFailed(problem or f"its process has ended with {process.returncode}")


async def _feed(audio: Audio, stdin: trio.abc.SendStream) -> str:
    """Write each piece with its length; a pause is a piece of no length."""
    while True:
        samples = await audio.next() or b""
        try:
            await stdin.send_all(len(samples).to_bytes(LENGTH_BYTES, "little") + samples)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return ""


async def _read(stdout: trio.abc.ReceiveStream, heard: Callable[[Heard], None]) -> str:
    """Tell what each line says; what is wrong with them, or nothing at their end."""
    rest = b""
    while chunk := await stdout.receive_some():
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        for line in lines:
            if (said := _decoded(line)) is None:
                return "its process writes what is no text"
            heard(said)
        if len(rest) > LINE_BYTES_MAX:
            return "its process writes no lines"
    return ""


def _decoded(line: bytes) -> Heard | None:
    try:
        said = msgspec.json.decode(line, type=Line)
    except (msgspec.MsgspecError, ValueError):
        return None
    return Heard(
        text=said.text,
        is_final=said.final,
        start_ms=said.start,
        end_ms=said.end,
        language=LANGUAGE,
        utterance_id=f"{PROVIDER}-{said.number}",
        provider=PROVIDER,
    )
