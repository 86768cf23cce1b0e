"""Camera streams: whoever gives up leaves no process, no file, no key and no question behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

import attrs
import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock, memory_stream_pair

from mentra_trio.domain.ids import user_id
from mentra_trio.domain.stream_settings import StreamSettings
from mentra_trio.sessions.running_stream import Presence, Pulse
from mentra_trio.streams.ffmpeg import open_ffmpeg
from mentra_trio.streams.ffmpeg_streams import FfmpegIngest, FfmpegStreams
from mentra_trio.streams.folders import open_root
from mentra_trio.streams.opening import open_ffmpeg_streams
from mentra_trio.streams.outputs import Destinations
from mentra_trio.streams.rtmp import RtmpReceiver
from mentra_trio.testing.live_streams import ScriptedIngest, ScriptedStreams
from mentra_trio.testing.recording import RecordingTelemetry

USER = user_id("u@x.org")


@asynccontextmanager
async def a_pulse() -> AsyncGenerator[Pulse]:
    presence = Presence()
    presence.here.set(True)
    names = count()
    yield Pulse(presence=presence, new_id=lambda: str(next(names)), ask=lambda _: None)


@cancels(Pulse.until_lost)
async def test_a_pulse_that_was_given_up_can_be_felt_again(autojump_clock: MockClock) -> None:
    async def check(pulse: Pulse) -> None:
        began = trio.current_time()
        await pulse.until_lost()
        assert trio.current_time() - began == pytest.approx(55)

    assert await cancel_at_every_moment(a_pulse, Pulse.until_lost, check) > 4


async def watch(engine: ScriptedStreams) -> None:
    async with engine.open(USER, "s") as ingest, trio.open_nursery() as nursery:
        await ingest.until_live()
        nursery.start_soon(ingest.send_to, "rtmp://a.test/x")
        nursery.start_soon(ingest.until_ended)
        await trio.sleep(1)
        ingest.fail("enough")


@cancels(
    ScriptedStreams.open,
    ScriptedIngest.until_live,
    ScriptedIngest.until_ended,
    ScriptedIngest.send_to,
)
async def test_a_scripted_ingest_that_was_given_up_is_closed(autojump_clock: MockClock) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[ScriptedStreams]:
        yield ScriptedStreams(live_after=1.0)

    async def check(engine: ScriptedStreams) -> None:
        await trio.lowlevel.checkpoint()
        assert not any(ingest.is_open or ingest.sending for ingest in engine.ingests)

    assert await cancel_at_every_moment(world, watch, check) > 4


# -- the engine of this machine: real processes and files, so in real time -------------------


@attrs.define
class Machine:
    """An engine whose ffmpeg is a program that ends at once, and where its files are."""

    engine: FfmpegStreams
    folder: Path

    def is_clean(self) -> bool:
        return not list(self.folder.iterdir()) and not self.engine._by_key


@asynccontextmanager
async def a_machine(folder: Path, *, program: str = "/bin/false") -> AsyncGenerator[Machine]:
    names = count()
    engine = FfmpegStreams(
        program=Path(program),
        root=folder,
        rtmp_base="rtmp://h/live",
        http_base="http://h",
        most=2,
        destinations=Destinations(allow_private_networks=False),
        telemetry=RecordingTelemetry(),
        new_token=lambda: f"t{next(names)}",
    )
    yield Machine(engine, folder)


def asking(key: str) -> bytes:
    """A publisher's wish, in the fewest bytes."""
    name = len(key).to_bytes(2, "big") + key.encode()
    body = b"\2\0\7publish\0" + bytes(8) + b"\5\2" + name
    head = b"\3\0\0\0" + len(body).to_bytes(3, "big") + b"\x14\1\0\0\0"
    return b"\3" + bytes(3_072) + head + body


async def publish(machine: Machine) -> None:
    async with machine.engine.open(USER, "s") as ingest, trio.open_nursery() as nursery:
        ours, theirs = memory_stream_pair()
        nursery.start_soon(machine.engine.serve, theirs)
        with suppress(trio.BrokenResourceError):
            await ours.send_all(asking(ingest.url.rpartition("/")[2]))
            async for _ in ours:
                pass


@pytest.mark.timeout(60)
@cancels(FfmpegStreams.serve, open_ffmpeg)
async def test_a_publisher_leaves_nothing_behind(tmp_path: Path) -> None:
    async def check(machine: Machine) -> None:
        await trio.lowlevel.checkpoint()
        assert machine.is_clean()
        assert machine.engine._connections == 0

    world = partial(a_machine, tmp_path)
    assert await cancel_at_every_moment(world, publish, check) > 4
    assert RtmpReceiver().receive(asking("k")), "it asks as publishers do"


async def busy_for_a_moment(
    ingest: FfmpegIngest, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    async with ingest.turn:
        task_status.started()
        for _ in range(5):
            await trio.sleep(0.001)


async def close_while_its_ffmpeg_ends(machine: Machine) -> None:
    async with trio.open_nursery() as nursery, machine.engine.open(USER, "s") as ingest:
        await nursery.start(busy_for_a_moment, ingest)


@pytest.mark.timeout(60)
@cancels(FfmpegStreams.open)
async def test_an_ingest_that_is_being_closed_leaves_nothing_behind(tmp_path: Path) -> None:
    async def check(machine: Machine) -> None:
        await trio.lowlevel.checkpoint()
        assert machine.is_clean()

    world = partial(a_machine, tmp_path)
    assert await cancel_at_every_moment(world, close_while_its_ffmpeg_ends, check) > 4


async def until_live(ingest: FfmpegIngest) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ingest.until_live)
        await trio.sleep(0.01)
        ingest.live.set(True)


async def until_ended(ingest: FfmpegIngest) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ingest.until_ended)
        await trio.sleep(0.01)
        ingest.trouble.set("enough")


async def send(ingest: FfmpegIngest) -> None:
    ingest.live.set(True)
    await ingest.send_to("rtmp://93.184.216.34/live/x")


WAITS: dict[Callable[..., object], Callable[[FfmpegIngest], Awaitable[object]]] = {
    FfmpegIngest.until_live: until_live,
    FfmpegIngest.until_ended: until_ended,
    FfmpegIngest.send_to: send,
}


@pytest.mark.parametrize("function", WAITS, ids=lambda function: function.__qualname__)
@cancels(*WAITS)
async def test_who_waits_at_an_ingest_may_give_up(
    function: Callable[..., object], tmp_path: Path
) -> None:
    async def call(machine: Machine) -> None:
        async with machine.engine.open(USER, "s") as ingest:
            await WAITS[function](ingest)

    async def check(machine: Machine) -> None:
        await trio.lowlevel.checkpoint()
        assert machine.is_clean()

    assert await cancel_at_every_moment(partial(a_machine, tmp_path), call, check) > 1


@pytest.mark.parametrize("public", [True, False])
@cancels(Destinations.allowed)
async def test_whether_an_address_is_allowed_may_be_asked_again(public: bool) -> None:
    address = "93.184.216.34" if public else "127.0.0.1"

    @asynccontextmanager
    async def world() -> AsyncGenerator[Destinations]:
        yield Destinations(allow_private_networks=False)

    async def call(destinations: Destinations) -> None:
        await destinations.allowed(f"rtmp://{address}/x")

    async def check(destinations: Destinations) -> None:
        assert await destinations.allowed(f"rtmp://{address}/x") is public

    assert await cancel_at_every_moment(world, call, check) >= 1


@cancels(open_ffmpeg_streams, open_root)
async def test_an_engine_that_was_not_even_opened_leaves_nothing(tmp_path: Path) -> None:
    settings = StreamSettings(engine="ffmpeg", program=Path("/bin/false"), port=0, folder=tmp_path)

    @asynccontextmanager
    async def world() -> AsyncGenerator[None]:
        yield

    async def call(_: None) -> None:
        async with open_ffmpeg_streams(
            settings,
            host="127.0.0.1",
            public_host="127.0.0.1",
            http_base="http://h",
            allow_private_networks=True,
            telemetry=RecordingTelemetry(),
            new_token=lambda: "t",
        ):
            await trio.sleep(0.01)

    async def check(_: None) -> None:
        await trio.lowlevel.checkpoint()
        assert nothing_in(tmp_path)

    assert await cancel_at_every_moment(world, call, check) > 2


def nothing_in(folder: Path) -> bool:
    return not list(folder.iterdir())
