"""Real video over real sockets: RTMP in, HLS and DASH out, and nothing left afterwards."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from video import ffmpeg_or_skip, frames_in, publish

from mentra_trio.config import Config
from mentra_trio.domain.errors import ConfigError
from mentra_trio.domain.ids import user_id
from mentra_trio.domain.stream_settings import StreamSettings
from mentra_trio.server import open_server
from mentra_trio.streams import ffmpeg
from mentra_trio.streams.ffmpeg import open_ffmpeg
from mentra_trio.streams.ffmpeg_streams import FfmpegStreams
from mentra_trio.testing.recording import RecordingTelemetry

pytestmark = pytest.mark.real_sockets
USER = user_id("u@x.org")
PATIENCE_S = 15.0


def config_in(folder: Path, program: Path) -> Config:
    streams = StreamSettings(engine="ffmpeg", program=program, port=0, folder=folder)
    return Config(port=0, streams=streams)


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_pattern_is_seen_by_players_of_both_kinds(tmp_path: Path) -> None:
    program = ffmpeg_or_skip()
    async with open_server(config_in(tmp_path, program)) as server:
        engine = server.directory.surroundings.live_streams
        assert isinstance(engine, FfmpegStreams)
        async with engine.open(USER, "s") as ingest, trio.open_nursery() as nursery:
            assert await publish(program, ingest.url + "x", seconds=1) != 0, "a wrong key"
            nursery.start_soon(partial(publish, program, ingest.url, seconds=20))
            with trio.fail_after(PATIENCE_S):
                playback = await ingest.until_live()
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(playback.hls_url)
                assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
                assert answer.headers["access-control-allow-origin"] == "*"
                assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
                answer = await client.get(playback.dash_url)
                assert answer.headers["content-type"] == "application/dash+xml"
                secret = playback.hls_url.replace("master.m3u8", "..%2f..%2fpasswd")
                assert (await client.get(secret)).status_code == 404
            assert await frames_in(program, playback.hls_url) == 5
            assert await frames_in(program, playback.dash_url) == 5
            nursery.cancel_scope.cancel("seen")
        assert left_in(engine.root) == []
    assert left_in(tmp_path) == []


async def test_glasses_come_again_and_an_output_follows(tmp_path: Path) -> None:
    program = ffmpeg_or_skip()
    async with open_server(config_in(tmp_path, program)) as server, trio.open_nursery() as nursery:
        engine = server.directory.surroundings.live_streams
        assert isinstance(engine, FfmpegStreams)
        async with engine.open(USER, "one") as ingest, engine.open(USER, "two") as copy:
            with trio.fail_after(PATIENCE_S):
                assert await publish(program, ingest.url, seconds=2) == 0
                await ingest.live.until(lambda live: not live)
                nursery.start_soon(partial(publish, program, ingest.url, seconds=20))
                await ingest.until_live()
                nursery.start_soon(ingest.send_to, copy.url)
                await copy.until_live()
            refused = await ingest.send_to("rtmp://127.0.0.1:1/live/nobody")
            assert refused == "cloud: the destination does not take the stream"
            nursery.cancel_scope.cancel("seen")


async def test_a_program_that_ends_at_once_hurts_nobody(tmp_path: Path) -> None:
    program = ffmpeg_or_skip()
    telemetry = RecordingTelemetry()
    config = config_in(tmp_path, Path("/bin/false"))
    async with open_server(config, telemetry=telemetry) as server:
        engine = server.directory.surroundings.live_streams
        assert isinstance(engine, FfmpegStreams)
        async with engine.open(USER, "s") as ingest:
            await publish(program, ingest.url, seconds=1)
            assert not ingest.live.value
        assert telemetry.crashes == []


LINGERS = """#!/bin/sh
for last; do :; done
cat > /dev/null
sleep 0.2
mkdir -p "$(dirname "$last")" && echo > "$last"
"""
"""A program that writes its last when its input is over."""


async def test_files_go_when_nobody_writes_any_more(tmp_path: Path) -> None:
    program, lingering = ffmpeg_or_skip(), tmp_path / "lingers"
    make_program(lingering, LINGERS)
    async with open_server(config_in(tmp_path / "streams", lingering)) as server:
        engine = server.directory.surroundings.live_streams
        assert isinstance(engine, FfmpegStreams)
        async with engine.open(USER, "s") as ingest, trio.open_nursery() as nursery:
            nursery.start_soon(partial(publish, program, ingest.url, seconds=20))
            with trio.fail_after(PATIENCE_S):
                while not ingest.turn.locked():  # noqa: ASYNC110  nothing tells of that
                    await trio.sleep(0.02)
                await trio.sleep(0.3)
            nursery.cancel_scope.cancel("enough")
        await trio.sleep(0.5)
        assert left_in(engine.root) == []


def make_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)


TELLS = """#!/bin/sh
(env; ps -o sid= -p $$) > {told}
cat > /dev/null
"""


async def test_ffmpeg_knows_and_hears_nothing_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENTRA_TRIO_JWT_SECRET", "x")
    told, telling = tmp_path / "told", tmp_path / "tells"
    make_program(telling, TELLS.format(told=told))
    async with open_ffmpeg(telling, [], fed=True) as process:
        pid = process.pid
    *environment, session = told.read_text().split("\n")[:-1]
    assert any(line.startswith("PATH=") for line in environment)
    assert not [line for line in environment if "MENTRA" in line]
    assert int(session) == pid, "an interrupt from the terminal is not for it"


STAYS = """#!/bin/sh
trap '' TERM INT
while :; do sleep 0.05; done
"""


async def test_an_ffmpeg_that_does_not_want_to_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "END_S", 0.2)
    staying = tmp_path / "stays"
    make_program(staying, STAYS)
    async with open_ffmpeg(staying, [], fed=True) as process:
        os.kill(process.pid, 0)
    assert process.returncode == -signal.SIGKILL


async def test_a_destination_that_takes_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would end its ffmpeg if the server were killed meanwhile."""
    program = ffmpeg_or_skip()
    monkeypatch.setattr(ffmpeg, "SEND_US", 500_000)
    (silent,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = silent.socket.getsockname()[1]
    async with open_server(config_in(tmp_path, program)) as server, trio.open_nursery() as nursery:
        engine = server.directory.surroundings.live_streams
        assert isinstance(engine, FfmpegStreams)
        async with engine.open(USER, "s") as ingest:
            nursery.start_soon(partial(publish, program, ingest.url, seconds=20))
            with trio.fail_after(PATIENCE_S):
                refused = await ingest.send_to(f"rtmp://127.0.0.1:{port}/live/x")
            assert refused == "cloud: the destination does not take the stream"
            nursery.cancel_scope.cancel("seen")
    await silent.aclose()


async def test_a_port_or_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    for settings, key in (
        (StreamSettings(engine="ffmpeg", program=Path("/bin/true"), port=port), "port"),
        (StreamSettings(engine="ffmpeg", program=Path("/bin/true"), folder=blocked), "folder"),
        (StreamSettings(engine="ffmpeg", program=blocked), "program"),
    ):
        with pytest.raises(ConfigError, match=rf"streams\.{key}"):
            async with open_server(Config(port=0, streams=settings)):
                pass
    await listeners[0].aclose()
