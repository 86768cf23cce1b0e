"""Glasses with a real video stream: a test pattern that ffmpeg makes, and a look at what comes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from mentra_trio.domain.errors import ConfigError
from mentra_trio.streams.ffmpeg import find_ffmpeg

QUIET = ("-hide_banner", "-loglevel", "error", "-nostdin")
PATTERN = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15", "-f", "lavfi", "-i", "sine")
ENCODED = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "15")


def ffmpeg_or_skip() -> Path:
    """The program; without it the test is skipped, or fails in CI."""
    try:
        return find_ffmpeg(None)
    except ConfigError as error:
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(str(error))
        pytest.skip(str(error))


async def publish(program: Path, url: str, *, seconds: float) -> int:
    """Stream a test pattern with sound to ``url`` for so long; the exit code."""
    limits = ("-t", str(seconds), "-pix_fmt", "yuv420p", "-c:a", "aac")
    command = [str(program), *QUIET, "-re", *PATTERN, *ENCODED, *limits, "-f", "flv", url]
    done = await trio.run_process(command, check=False, capture_stderr=True)
    return done.returncode


async def frames_in(program: Path, url: str) -> int:
    """How many pictures a player finds at ``url``, up to five; it must find sound as well."""
    maps = ("-map", "0:v:0", "-map", "0:a:0", "-frames:v", "5", "-f", "null")
    command = [str(program), *QUIET, "-stats", "-i", url, *maps, "-"]
    done = await trio.run_process(command, check=False, capture_stderr=True)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    return int(done.stderr.decode().rpartition("frame=")[2].split()[0])
