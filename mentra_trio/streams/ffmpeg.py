"""ffmpeg as a program: where it is, how it is called, and how it ends."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

import trio

from ..concurrency.children import apart
from ..domain.errors import ConfigError, LiveStreamFailed

SEGMENT_S: Final = 1
WINDOW: Final = 8
"""Segments in a playlist, and half as many more on disk, for viewers that lag."""
MANIFEST: Final = "manifest.mpd"
PLAYLIST: Final = "master.m3u8"
ANALYSIS_US: Final = 1_500_000
"""How long, in microseconds of the stream, ffmpeg waits for sound that may never come."""
SEND_US: Final = 15_000_000
"""How long, in microseconds, a destination may take nothing. Nobody else would end it if the
server were killed meanwhile."""
LOADS_IN_VAIN: Final = 30
"""A playlist that is not continued is loaded again so often, every half second."""
END_S: Final = 1.0
"""How long ffmpeg may take to end by itself; then to end when told to. Then it is killed."""
INSTALL: Final = "install ffmpeg, or: pip install 'mentra-trio[streams]'"


def find_ffmpeg(wanted: Path | None) -> Path:
    """The program: ``wanted``, or that of the package imageio-ffmpeg, or of the PATH.

    Raises:
        ConfigError: there is none.
    """
    if wanted is not None:
        found = shutil.which(str(wanted))
        if found is None:
            raise ConfigError(f"streams.program: {wanted} is no program")
        return Path(found)
    try:
        packaged: str = import_module("imageio_ffmpeg").get_ffmpeg_exe()
        return Path(packaged)
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if found is None:
        raise ConfigError(f"streams.engine is ffmpeg, but there is none; {INSTALL}")
    return Path(found)


def packaging(folder: Path) -> list[str]:
    """Arguments: FLV on standard input becomes HLS and DASH in ``folder``, nothing encoded anew."""
    return [
        *("-hide_banner", "-nostats", "-loglevel", "info"),
        *("-analyzeduration", str(ANALYSIS_US), "-f", "flv", "-i", "pipe:0"),
        *("-map", "0:v?", "-map", "0:a?", "-c", "copy"),
        *("-f", "dash", "-seg_duration", str(SEGMENT_S), "-hls_playlist", "1"),
        *("-window_size", str(WINDOW), "-extra_window_size", str(WINDOW // 2)),
        *("-hls_master_name", PLAYLIST, str(folder / MANIFEST)),
    ]


def sending(folder: Path, url: str) -> list[str]:
    """Arguments: what is watched from ``folder`` goes to ``url`` as it is."""
    return [
        *("-hide_banner", "-nostats", "-nostdin", "-loglevel", "quiet"),
        *("-re", "-live_start_index", "-2", "-m3u8_hold_counters", str(LOADS_IN_VAIN)),
        *("-i", str(folder / PLAYLIST), "-c", "copy"),
        *("-rw_timeout", str(SEND_US), "-f", "flv", url),
    ]


@asynccontextmanager
async def open_ffmpeg(
    program: Path, arguments: Sequence[str], *, fed: bool = False
) -> AsyncGenerator[trio.Process]:
    """A running ffmpeg. At the end of the block it is given a moment to end, and is ended.

    With ``fed`` it has a standard input, and its log can be read from ``stderr``.

    Raises:
        LiveStreamFailed: it cannot be started.
    """
    pipe = subprocess.PIPE if fed else subprocess.DEVNULL
    try:
        process = await trio.lowlevel.open_process(
            [str(program), *arguments],
            stdin=pipe,
            stdout=subprocess.DEVNULL,
            stderr=pipe,
            **apart(),
        )
    except OSError as error:
        raise LiveStreamFailed(f"cloud: ffmpeg cannot be started: {error.strerror}") from None
    try:
        yield process
    finally:
        with trio.move_on_after(4 * END_S, shield=True):
            await _end(process)


async def _end(process: trio.Process) -> None:
    """Its input ends; what is then not over is terminated, and what still is not, killed."""
    if process.stdin is not None:
        await trio.aclose_forcefully(process.stdin)
        with trio.move_on_after(END_S):
            await process.wait()
    for end in (process.terminate, process.kill):
        if process.returncode is None:
            end()
            with trio.move_on_after(END_S):
                await process.wait()
    if process.stderr is not None:
        await trio.aclose_forcefully(process.stderr)
