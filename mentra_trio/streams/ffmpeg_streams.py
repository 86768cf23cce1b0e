"""A streaming engine of this machine: one RTMP port for all glasses, an ffmpeg for each stream.

Whoever publishes must know the key of an ingest, which is in the URL that the glasses get;
whoever watches must know the name of its folder, which is in the URLs that apps get. Neither
follows from the other. Glasses that lose their connection may publish again under the same key.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from ..concurrency.bulkhead import contain
from ..concurrency.race import race
from ..concurrency.watched import Watched
from ..domain.errors import LiveStreamFailed
from ..domain.facts import Crashed
from ..domain.ids import UserId
from ..domain.live_streams import Playback
from ..ports import Telemetry
from . import flv
from .ffmpeg import MANIFEST, PLAYLIST, SEGMENT_S, open_ffmpeg, packaging, sending
from .folders import REMOVE_S
from .outputs import Destinations
from .rtmp import Media, PublishAsked, RtmpError, RtmpReceiver, Unpublished
from .segments import Segment

APP: Final = "live"
PIECE: Final = 16_384
STRANGERS_PIECE: Final = 4_096
"""So many bytes are read at once: what can be said in few bytes takes time to understand."""
PUBLISH_S: Final = 10.0
"""From a connection to the wish to publish."""
SILENCE_S: Final = 30.0
"""A publisher that sends nothing for so long is gone; so is an ffmpeg that takes nothing."""
CONNECTIONS_PER_STREAM: Final = 4
"""Connections at once, for each stream that there may be: glasses that come again leave some."""
FILE: Final = re.compile(
    r"master\.m3u8|manifest\.mpd|media_\d+\.m3u8|(init|chunk)-stream\d+(-\d+)?\.m4s"
)
"""What ffmpeg writes for viewers."""


@attrs.define(eq=False, kw_only=True, repr=False)
class FfmpegIngest:
    """Implements ``engines.Ingest``.

    Attributes:
        url: where the glasses send.
        playback: where it can be watched.
        folder: what viewers get.
        live: whether there is something to see now.
    """

    url: str
    playback: Playback
    folder: Path
    program: Path
    destinations: Destinations
    live: Watched[bool] = attrs.field(factory=lambda: Watched(False), init=False)
    trouble: Watched[str] = attrs.field(factory=lambda: Watched(""), init=False)
    publisher: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    turn: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def until_live(self) -> Playback:
        """See ``engines.Ingest``."""
        problem = await race(partial(self.live.until, bool), self.until_ended)
        if isinstance(problem, str):
            raise LiveStreamFailed(problem)
        return self.playback

    async def until_ended(self) -> str:
        """See ``engines.Ingest``."""
        return await self.trouble.until(bool)

    async def send_to(self, url: str) -> str:
        """See ``engines.Ingest``."""
        if not await self.destinations.allowed(url):
            return "cloud: this server does not send to that address"
        while True:
            await self.live.until(bool)
            async with open_ffmpeg(self.program, sending(self.folder, url)) as process:
                code = await process.wait()
            if code != 0:
                return "cloud: the destination does not take the stream"
            await self.live.until(lambda live: not live)  # the glasses were gone, and come again


@attrs.define(eq=False, kw_only=True, repr=False)
class FfmpegStreams:
    """Implements ``engines.LiveStreams``; made by ``open_ffmpeg_streams``.

    Attributes:
        rtmp_base: what glasses put before the key, such as ``rtmp://host:1935/live``.
        http_base: what viewers put before ``/streams``.
        most: streams at the same time.
    """

    program: Path
    root: Path
    rtmp_base: str
    http_base: str
    most: int
    destinations: Destinations
    telemetry: Telemetry
    new_token: Callable[[], str]
    _by_key: dict[str, FfmpegIngest] = attrs.field(factory=dict, init=False)
    _by_name: dict[str, FfmpegIngest] = attrs.field(factory=dict, init=False)
    _connections: int = attrs.field(default=0, init=False)
    _strangers: dict[trio.CancelScope, None] = attrs.field(factory=dict, init=False)
    """Of connections that have not said yet what they want, the oldest first."""

    # -- for sessions ----------------------------------------------------------------

    @asynccontextmanager
    async def open(self, user: UserId, stream_id: str) -> AsyncGenerator[FfmpegIngest]:
        """See ``engines.LiveStreams``."""
        if len(self._by_key) >= self.most:
            raise LiveStreamFailed(f"cloud: all {self.most} streams of this server are in use")
        key, name = self.new_token(), self.new_token()
        at = f"{self.http_base}/streams/{name}"
        ingest = FfmpegIngest(
            url=f"{self.rtmp_base}/{key}",
            playback=Playback(hls_url=f"{at}/{PLAYLIST}", dash_url=f"{at}/{MANIFEST}"),
            folder=self.root / name,
            program=self.program,
            destinations=self.destinations,
        )
        self._by_key[key] = self._by_name[name] = ingest
        try:
            yield ingest
        finally:
            del self._by_key[key]
            del self._by_name[name]
            ingest.publisher.cancel("ingest closed")
            with trio.move_on_after(REMOVE_S, shield=True):
                await ingest.turn.acquire()  # for good: its ffmpeg is over, and none follows
                await trio.to_thread.run_sync(partial(shutil.rmtree, ingest.folder, True))

    # -- for viewers -----------------------------------------------------------------

    def file(self, name: str, file: str) -> Path | None:
        """The file that a viewer may have; ``None`` where there is no such stream or file."""
        ingest = self._by_name.get(name)
        if ingest is None or FILE.fullmatch(file) is None:
            return None
        return ingest.folder / file

    # -- for glasses -----------------------------------------------------------------

    async def serve(self, stream: trio.abc.Stream) -> None:
        """One connection at the RTMP port, from its first byte to its end."""
        async with stream:
            if not self._has_room():
                return
            self._connections += 1
            try:
                with contain(self._crashed), _ends_expected():
                    await self._publish(_Publisher(stream))
            finally:
                self._connections -= 1

    async def _publish(self, publisher: _Publisher) -> None:
        with trio.move_on_after(PUBLISH_S) as limit:
            self._strangers[limit] = None
            try:
                key = await publisher.key()
            finally:
                self._strangers.pop(limit, None)
        ingest = None if limit.cancelled_caught else self._by_key.get(key)
        if ingest is None:
            with trio.move_on_after(SILENCE_S):
                await publisher.refuse()
            return
        ingest.publisher.cancel("the glasses have come again")
        with trio.CancelScope() as ingest.publisher:
            async with ingest.turn:  # the one before has written its last
                await _package(ingest, publisher)

    def _has_room(self) -> bool:
        """Whether one more may come. Where there are too many, the one goes that has been there
        longest and has still not said under which key it publishes."""
        if self._connections < self.most * CONNECTIONS_PER_STREAM:
            return True
        longest = next(iter(self._strangers), None)
        if longest is None:
            return False
        del self._strangers[longest]
        longest.cancel("others want to publish")
        return True

    def _crashed(self, error: BaseException) -> None:
        self.telemetry.emit(Crashed(bulkhead="connection", who="rtmp", error=error))


@attrs.define(eq=False)
class _Publisher:
    """One connection of glasses, once they speak RTMP."""

    stream: trio.abc.Stream
    _rtmp: RtmpReceiver = attrs.field(factory=RtmpReceiver, init=False)
    _waiting: list[Media | PublishAsked | Unpublished] = attrs.field(factory=list, init=False)
    _segment: Segment = attrs.field(factory=lambda: Segment(SEGMENT_S), init=False)

    async def key(self) -> str:
        """The key under which it wants to publish; empty if it went away instead."""
        while True:
            for number, event in enumerate(self._waiting):
                if isinstance(event, PublishAsked):
                    del self._waiting[: number + 1]
                    return event.key
            if not await self._receive():
                return ""

    async def accept(self) -> None:
        """Let it send."""
        self._rtmp.accept()
        await self.stream.send_all(self._rtmp.to_send())

    async def refuse(self) -> None:
        """Tell it that it may not."""
        self._rtmp.refuse()
        await self.stream.send_all(self._rtmp.to_send())

    async def tags(self) -> bytes:
        """The next FLV tags; empty at the end of the stream, or where it is no camera's."""
        while True:
            found, self._waiting = self._waiting, []
            media = [event for event in found if isinstance(event, Media)]
            if not all(self._segment.takes(one.tag) for one in media):
                return b""
            if media:
                return b"".join(one.tag for one in media)
            if any(isinstance(event, Unpublished) for event in found):
                return b""
            with trio.move_on_after(SILENCE_S) as limit:
                if not await self._receive():
                    return b""
            if limit.cancelled_caught:
                return b""

    async def _receive(self) -> bool:
        piece = PIECE if self._rtmp.publishing else STRANGERS_PIECE
        data = await self.stream.receive_some(piece)
        self._waiting += self._rtmp.receive(bytes(data))
        if out := self._rtmp.to_send():
            await self.stream.send_all(out)
        return bool(data)


@contextmanager
def _ends_expected() -> Iterator[None]:
    """Glasses go away, and what comes to an open port is not always RTMP: nothing to report.

    They may come again; whether they are missed is for others to notice.
    """
    try:
        yield
    except* (trio.BrokenResourceError, RtmpError):
        pass


async def _package(ingest: FfmpegIngest, publisher: _Publisher) -> None:
    """Have an ffmpeg make of the publisher's stream what viewers get, until it ends."""
    try:
        await _make(ingest.folder)
        await _run_ffmpeg(ingest, publisher)
    except LiveStreamFailed as error:
        ingest.trouble.set(str(error))


async def _run_ffmpeg(ingest: FfmpegIngest, publisher: _Publisher) -> None:
    async with open_ffmpeg(ingest.program, packaging(ingest.folder), fed=True) as process:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_notice, ingest, process, nursery.cancel_scope)
                await publisher.accept()
                await _feed(process, publisher)
                nursery.cancel_scope.cancel("the glasses are gone")
        finally:
            ingest.live.set(False)


async def _feed(process: trio.Process, publisher: _Publisher) -> None:
    assert process.stdin is not None
    tags = flv.HEADER
    while tags:
        with trio.move_on_after(SILENCE_S) as limit:
            await process.stdin.send_all(tags)
        if limit.cancelled_caught:
            return
        tags = await publisher.tags()


async def _notice(ingest: FfmpegIngest, process: trio.Process, feeding: trio.CancelScope) -> None:
    """Read the log of ffmpeg: it says of every file that it writes, so that is when to look."""
    assert process.stderr is not None
    wanted = [ingest.folder / name for name in (PLAYLIST, MANIFEST)]
    async for _ in process.stderr:
        if not ingest.live.value and all(path.exists() for path in wanted):
            ingest.live.set(True)
    feeding.cancel("ffmpeg has ended")


async def _make(folder: Path) -> None:
    """Have ``folder`` empty: what is in it is of glasses that are gone."""

    def make() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)

    try:
        await trio.to_thread.run_sync(make)
    except OSError as error:
        problem = f"cloud: the server's folder for streams cannot be used: {error.strerror}"
        raise LiveStreamFailed(problem) from None
