"""The engine without ffmpeg: who is let in, for how long, and what viewers may have."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from publisher import GREETING, asking
from trio.testing import MemoryReceiveStream, MockClock, memory_stream_pair, wait_all_tasks_blocked

from mentra_trio.domain.errors import ConfigError, LiveStreamFailed
from mentra_trio.domain.facts import Crashed
from mentra_trio.domain.ids import user_id
from mentra_trio.domain.stream_settings import StreamSettings
from mentra_trio.streams.ffmpeg import find_ffmpeg, sending
from mentra_trio.streams.ffmpeg_streams import (
    CONNECTIONS_PER_STREAM,
    PUBLISH_S,
    SILENCE_S,
    FfmpegStreams,
)
from mentra_trio.streams.opening import outside
from mentra_trio.streams.outputs import LOOK_UP_S, Destinations
from mentra_trio.streams.rtmp import RtmpReceiver
from mentra_trio.testing.recording import RecordingTelemetry

USER = user_id("u@x.org")
Peer = trio.StapledStream[trio.abc.SendStream, MemoryReceiveStream]


@attrs.define
class Rig:
    engine: FfmpegStreams
    telemetry: RecordingTelemetry
    nursery: trio.Nursery

    def connect(self) -> Peer:
        ours, theirs = memory_stream_pair()
        self.nursery.start_soon(self.engine.serve, theirs)
        return ours  # type: ignore[return-value]


@asynccontextmanager
async def rig(folder: Path, *, most: int = 2) -> AsyncGenerator[Rig]:
    telemetry, tokens = RecordingTelemetry(), count(1)
    engine = FfmpegStreams(
        program=folder / "no-ffmpeg",
        root=folder,
        rtmp_base="rtmp://h.test:1935/live",
        http_base="http://h.test",
        most=most,
        destinations=Destinations(allow_private_networks=True),
        telemetry=telemetry,
        new_token=lambda: f"token{next(tokens)}",
    )
    async with trio.open_nursery() as nursery:
        yield Rig(engine, telemetry, nursery)
        nursery.cancel_scope.cancel("rig ends")


async def all_said(peer: Peer) -> bytes:
    """Everything that the engine says until it closes."""
    said = bytearray()
    async for data in peer:
        said += data
    return bytes(said)


async def test_only_who_knows_the_key_may_publish(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rig(tmp_path) as here, here.engine.open(USER, "s") as ingest:
        name = ingest.playback.hls_url.split("/")[-2]
        assert ingest.url.rpartition("/")[2] != name
        for wrong in (name, "", "token"):
            peer = here.connect()
            await peer.send_all(asking(wrong))
            assert b"NetStream.Publish.BadName" in await all_said(peer)
        assert not ingest.live.value


@pytest.mark.parametrize("said", [b"", b"\3", GREETING], ids=["nothing", "a byte", "hello"])
async def test_who_does_not_ask_is_let_go(
    said: bytes, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rig(tmp_path) as here:
        began, peer = trio.current_time(), here.connect()
        if said:
            await peer.send_all(said)
        await all_said(peer)
        assert trio.current_time() - began == pytest.approx(PUBLISH_S)


async def test_what_is_no_rtmp_is_let_go_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rig(tmp_path) as here:
        began, peer = trio.current_time(), here.connect()
        await peer.send_all(b"GET / HTTP/1.1\r\n".ljust(2_000))
        assert await all_said(peer) == b""
        assert trio.current_time() == began
        gone = here.connect()
        await gone.aclose()
        await wait_all_tasks_blocked()
        assert here.telemetry.of(Crashed) == []


async def test_there_are_so_many_connections(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rig(tmp_path, most=1) as here:
        began = trio.current_time()
        peers = []
        for _ in range(CONNECTIONS_PER_STREAM):
            peers.append(here.connect())
            await wait_all_tasks_blocked()
        again = here.connect()
        assert b"BadName" in await all_said(peers[0]), "who has said nothing for longest, goes"
        await again.send_all(asking("x"))
        assert b"BadName" in await all_said(again)
        assert trio.current_time() == began
        for peer in peers[1:]:
            await all_said(peer)
        assert trio.current_time() - began == pytest.approx(PUBLISH_S), "the others may stay"


async def test_who_publishes_is_not_sent_away_for_strangers(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rig(tmp_path, most=1) as here, here.engine.open(USER, "s") as ingest:
        here.engine._by_key[ingest.url.rpartition("/")[2]].turn.acquire_nowait()
        publishers = [here.connect() for _ in range(CONNECTIONS_PER_STREAM)]
        for publisher in publishers:
            await publisher.send_all(asking(ingest.url.rpartition("/")[2]))
            await wait_all_tasks_blocked()
        assert here.engine._connections == 1, "those that came before have given way"
        for publisher in publishers[:-1]:
            await all_said(publisher)
        here.engine._connections += CONNECTIONS_PER_STREAM - 1
        assert await all_said(here.connect()) == b"", "there is nobody else to send away"
        here.engine._connections -= CONNECTIONS_PER_STREAM - 1
        assert here.engine._connections == 1
        await publishers[-1].aclose()
        ingest.turn.release()
        await wait_all_tasks_blocked()


async def test_there_are_so_many_streams(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rig(tmp_path, most=1) as here:
        async with here.engine.open(USER, "one"):
            with pytest.raises(LiveStreamFailed, match=r"cloud: all 1 streams"):
                async with here.engine.open(USER, "two"):
                    pass
        async with here.engine.open(USER, "two"):
            pass


async def test_a_program_that_cannot_be_started_is_told(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rig(tmp_path) as here, here.engine.open(USER, "s") as ingest:
        await here.connect().send_all(asking(ingest.url.rpartition("/")[2]))
        with pytest.raises(LiveStreamFailed, match="cloud: ffmpeg cannot be started"):
            await ingest.until_live()
        assert (await ingest.until_ended()).startswith("cloud: ")


async def test_a_crash_is_contained_and_reported(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(tmp_path) as here:
        here.telemetry.expects_crashes = True
        monkeypatch.setattr(RtmpReceiver, "receive", lambda *_: 1 / 0)
        peer = here.connect()
        await peer.send_all(b"x")
        assert await all_said(peer) == b""
        (crash,) = here.telemetry.of(Crashed)
        assert crash.bulkhead == "connection"


async def test_viewers_get_what_ffmpeg_writes_and_nothing_else(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rig(tmp_path) as here:
        async with here.engine.open(USER, "s") as ingest:
            name = ingest.playback.hls_url.split("/")[-2]
            for file in ("master.m3u8", "manifest.mpd", "media_0.m3u8", "init-stream1.m4s"):
                assert here.engine.file(name, file) == ingest.folder / file
            assert here.engine.file(name, "chunk-stream0-00001.m4s") is not None
            for file in ("..", "../x", "x/../master.m3u8", "master.m3u8\n", "a.mpd", "/etc/passwd"):
                assert here.engine.file(name, file) is None
            assert here.engine.file("other", "master.m3u8") is None
        assert here.engine.file(name, "master.m3u8") is None, "it is closed"


def test_a_program_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"streams\.program"):
        find_ffmpeg(tmp_path / "nothing")
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    assert find_ffmpeg(program) == program
    monkeypatch.setattr("mentra_trio.streams.ffmpeg.import_module", _missing)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg(None) == program
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match=r"mentra-trio\[streams\]"):
        find_ffmpeg(None)


def _missing(name: str) -> None:
    raise ImportError(name)


@pytest.mark.parametrize(
    ("named", "host", "shown"),
    [
        (None, "127.0.0.1", "127.0.0.1:9"),
        (None, "::1", "[::1]:9"),
        ("rtmp.example.com", "x", "rtmp.example.com:9"),
        ("rtmp.example.com:1936", "x", "rtmp.example.com:1936"),
        ("[::1]", "x", "[::1]:9"),
    ],
)
def test_how_glasses_are_told_the_port(named: str | None, host: str, shown: str) -> None:
    assert outside(StreamSettings(public_host=named), host, 9) == shown


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("rtmp://127.0.0.1/live/x", False),
        ("rtmp://[::1]:1935/live/x", False),
        ("rtmp://10.0.0.7/live/x", False),
        ("rtmp://169.254.169.254/latest", False),
        ("rtmp://93.184.216.34/live/x", True),
    ],
)
async def test_outputs_stay_in_the_public_internet(url: str, allowed: bool) -> None:
    assert await Destinations(allow_private_networks=False).allowed(url) is allowed
    assert await Destinations(allow_private_networks=True).allowed(url)


async def test_an_output_that_may_not_be_is_refused(tmp_path: Path) -> None:
    async with rig(tmp_path) as here:
        here.engine.destinations = Destinations(allow_private_networks=False)
        async with here.engine.open(USER, "s") as ingest:
            refused = await ingest.send_to("rtmp://127.0.0.1/live/x")
            assert refused == "cloud: this server does not send to that address"


def test_an_address_is_an_argument_of_its_own(tmp_path: Path) -> None:
    assert (
        sending(tmp_path, "rtmp://a.test/live/x y -i /etc")[-1] == "rtmp://a.test/live/x y -i /etc"
    )


@pytest.mark.parametrize("changes", [{"engine": "vlc"}, {"port": 70_000}, {"most": 0}])
def test_settings_are_checked(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        StreamSettings(**changes)  # type: ignore[arg-type]
    assert SILENCE_S > PUBLISH_S


class Names(trio.abc.HostnameResolver):
    """Every name is of a public and a private machine; the one of ``slow.test`` is not known."""

    async def getaddrinfo(self, host: Any, *_: Any, **__: Any) -> Any:
        await trio.sleep(3_600 if host == b"slow.test" else 0)
        return [(2, 1, 6, "", (address, 0)) for address in ("93.184.216.34", "10.0.0.7")]

    async def getnameinfo(self, *_: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("host", ["both.test", "slow.test"])
async def test_a_name_must_be_public_in_all_its_addresses_and_in_time(
    host: str, autojump_clock: MockClock
) -> None:
    trio.socket.set_custom_hostname_resolver(Names())
    assert not await Destinations(allow_private_networks=False).allowed(f"rtmp://{host}/live/x")
    assert trio.current_time() <= LOOK_UP_S
