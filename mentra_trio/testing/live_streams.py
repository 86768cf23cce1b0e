"""A streaming engine that does what a test says: no video, but every URL and every failure."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs
import trio

from ..concurrency.oneshot import OneShot
from ..domain.errors import LiveStreamFailed
from ..domain.ids import UserId
from ..domain.live_streams import Playback


@attrs.define(eq=False)
class ScriptedIngest:
    """A ``engines.Ingest`` whose glasses and viewers are the test.

    Attributes:
        url: where the glasses are told to stream.
        playback: where the stream is said to be watched, once it is live.
        is_open: whether its block still runs.
        sending: the outputs that it is sent to now.
        refused_outputs: what is said of outputs that do not work, by URL.
    """

    user: UserId
    stream_id: str
    is_open: bool = attrs.field(default=True, init=False)
    sending: list[str] = attrs.field(factory=list, init=False)
    refused_outputs: dict[str, str] = attrs.field(factory=dict)
    _live: OneShot[Playback | str] = attrs.field(factory=OneShot, init=False)
    _ended: OneShot[str] = attrs.field(factory=OneShot, init=False)

    @property
    def url(self) -> str:
        """Where the glasses send."""
        return f"rtmp://ingest.test/live/{self.stream_id}"

    @property
    def playback(self) -> Playback:
        """Where others watch."""
        at = f"http://streams.test/streams/{self.stream_id}"
        return Playback(hls_url=f"{at}/master.m3u8", dash_url=f"{at}/manifest.mpd")

    def go_live(self) -> None:
        """The glasses' stream has come, and there is something to watch."""
        self._live.settle(self.playback)

    def fail(self, why: str) -> None:
        """The ingest is of no use any more."""
        self._live.settle(why)
        self._ended.settle(why)

    async def until_live(self) -> Playback:
        """See ``engines.Ingest``."""
        outcome = await self._live.wait()
        if isinstance(outcome, str):
            raise LiveStreamFailed(outcome)
        return outcome

    async def until_ended(self) -> str:
        """See ``engines.Ingest``."""
        return await self._ended.wait()

    async def send_to(self, url: str) -> str:
        """See ``engines.Ingest``."""
        if url in self.refused_outputs:
            await trio.lowlevel.checkpoint()
            return self.refused_outputs[url]
        self.sending.append(url)
        try:
            return await self._ended.wait()
        finally:
            self.sending.remove(url)


@attrs.define(eq=False)
class ScriptedStreams:
    """A ``engines.LiveStreams`` that keeps every ingest.

    Attributes:
        live_after: seconds until an ingest is live; ``None``: when the test says so.
        refusal: with a text, no ingest is to be had, for that reason.
        refused_outputs: given to every ingest.
        ingests: all of them, in order.
    """

    live_after: float | None = None
    refusal: str = ""
    refused_outputs: dict[str, str] = attrs.field(factory=dict)
    ingests: list[ScriptedIngest] = attrs.field(factory=list, init=False)

    @asynccontextmanager
    async def open(self, user: UserId, stream_id: str) -> AsyncGenerator[ScriptedIngest]:
        """See ``engines.LiveStreams``."""
        await trio.lowlevel.checkpoint()
        if self.refusal:
            raise LiveStreamFailed(self.refusal)
        ingest = ScriptedIngest(user, stream_id, self.refused_outputs)
        self.ingests.append(ingest)
        try:
            async with trio.open_nursery() as nursery:
                if self.live_after is not None:
                    nursery.start_soon(self._go_live, ingest, self.live_after)
                yield ingest
                nursery.cancel_scope.cancel("ingest closed")
        finally:
            ingest.is_open = False

    async def _go_live(self, ingest: ScriptedIngest, after: float) -> None:
        await trio.sleep(after)
        ingest.go_live()
