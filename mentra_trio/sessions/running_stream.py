"""A camera stream that is under way: what it is, who watches it, and whether it is alive."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from ..concurrency.watched import Watched
from ..domain.ids import PackageName
from ..domain.live_streams import (
    KEEP_ALIVE_MISSES,
    Output,
    Playback,
    StreamKind,
    StreamStatus,
    missed_after,
)
from ..domain.timings import KEEP_ALIVE_ANSWER_S, KEEP_ALIVE_S
from ..engines import Ingest
from ..wire.to_app import ManagedStreamStatus, StreamInfo, StreamOutput


@attrs.define(eq=False)
class Presence:
    """Whether the phone is there, and how often it has gone."""

    here: Watched[bool] = attrs.field(factory=lambda: Watched(False))
    departures: int = 0

    def left(self) -> None:
        """The phone's link is gone."""
        self.departures += 1
        self.here.set(False)


@attrs.define(eq=False, kw_only=True, repr=False)
class Pulse:
    """Asks the phone every 15 s whether a stream is alive.

    ``ask`` sends the question with the id that the answer repeats.
    """

    presence: Presence
    new_id: Callable[[], str]
    ask: Callable[[str], object]
    _asked: set[str] = attrs.field(factory=set, init=False)
    _answer: trio.Event = attrs.field(factory=trio.Event, init=False)

    def answered(self, ack_id: str) -> None:
        """Take an answer, late or not; one to nothing that was asked is none."""
        if ack_id in self._asked:
            self._asked.clear()
            self._answer.set()

    async def until_lost(self) -> None:
        """Ask on and on; returns when three questions in a row were not answered.

        While the phone is away nothing is asked, and nothing counted.
        """
        missed = 0
        due = trio.current_time() + KEEP_ALIVE_S
        while missed < KEEP_ALIVE_MISSES:
            await trio.sleep_until(due)
            await self.presence.here.until(bool)
            due = trio.current_time() + KEEP_ALIVE_S
            if self._answer.is_set():  # after its time, but before it was asked again
                missed = 0
            departures = self.presence.departures
            answered = await self._ask()
            away = self.presence.departures != departures
            missed = missed_after(missed, answered=answered, phone_away=away)

    async def _ask(self) -> bool:
        ack_id, self._answer = self.new_id(), trio.Event()
        self._asked.add(ack_id)
        self.ask(ack_id)
        with trio.move_on_after(KEEP_ALIVE_ANSWER_S):
            await self._answer.wait()
        return self._answer.is_set()


@attrs.define(eq=False, kw_only=True, repr=False)
class RunningStream:
    """One stream of the user's glasses.

    Attributes:
        package: the app whose stream it is; of a managed one the first that asked for it.
        app_id: what the phone is told in the place of that.
        url: where the glasses send; empty until it is known. It has a key in it.
        tasks: what ends with the stream.
    """

    stream_id: str
    kind: StreamKind
    package: PackageName
    app_id: str
    pulse: Pulse
    created_at: str
    url: str = ""
    status: StreamStatus = StreamStatus.INITIALIZING
    tasks: list[trio.CancelScope] = attrs.field(factory=list)

    def info_for(self, package: PackageName, *, may_watch: bool) -> StreamInfo:
        """What ``package`` is told of it. The address is its owner's secret."""
        mine = package == self.package
        return StreamInfo(
            kind=self.kind.value,
            stream_id=self.stream_id,
            status=self.status.value,
            created_at=self.created_at,
            rtmp_url=self.url if mine else None,
            requesting_app_id=self.package,
        )

    def end(self, why: str) -> None:
        """End everything that is done for it."""
        for task in self.tasks:
            task.cancel(why)


@attrs.define(eq=False, kw_only=True, repr=False)
class RunningOutput:
    """A further place that a managed stream is sent to; ``failure`` says why it is not."""

    output: Output
    failure: str = ""
    task: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def part(self) -> StreamOutput:
        """As its app is told of it."""
        return StreamOutput(
            url=self.output.url,
            name=self.output.name,
            status="error" if self.failure else "active",
            error=self.failure or None,
        )


@attrs.define(eq=False, kw_only=True, repr=False)
class ManagedStream(RunningStream):
    """A stream through the engine.

    Attributes:
        viewers: the apps that watch, and what each was told last, or would have been while away.
        playback: where it can be watched, from then on.
        outputs: all that were asked for by present viewers.
    """

    viewers: dict[PackageName, ManagedStreamStatus | None] = attrs.field(factory=dict)
    playback: Playback | None = None
    ingest: Ingest | None = None
    outputs: list[RunningOutput] = attrs.field(factory=list)

    def info_for(self, package: PackageName, *, may_watch: bool) -> StreamInfo:
        """What ``package`` is told of it; ``may_watch``: also where it can be watched."""
        at = self.playback if may_watch else None
        return StreamInfo(
            kind=self.kind.value,
            stream_id=self.stream_id,
            status=self.status.value,
            created_at=self.created_at,
            active_viewers=len(self.viewers),
            **(attrs.asdict(at) if at is not None else {}),
        )

    def served(self) -> list[Output]:
        """The outputs that count against the limits."""
        return [one.output for one in self.outputs if not one.failure]

    def status_for(self, package: PackageName, problem: str = "") -> ManagedStreamStatus:
        """What ``package`` is told: its own outputs only, for their URLs have keys in them."""
        mine = [one.part() for one in self.outputs if one.output.package == package]
        at = self.playback if self.status is StreamStatus.ACTIVE else None
        lost = self.status is StreamStatus.TIMEOUT  # SDKs know of no such end of a managed stream
        return ManagedStreamStatus(
            status=(StreamStatus.ERROR if lost else self.status).value,
            stream_id=self.stream_id,
            **(attrs.asdict(at) if at is not None else {}),
            message=problem or None,
            outputs=mine if mine and at is not None else None,
        )

    def forget_failures(self, package: PackageName) -> None:
        """Take the outputs of ``package`` out that are not served."""
        self.outputs = [
            one for one in self.outputs if one.output.package != package or not one.failure
        ]

    def leave(self, package: PackageName) -> bool:
        """Take a viewer and its outputs out; ``False`` if it was none."""
        for one in self.outputs:
            if one.output.package == package:
                one.task.cancel("its app watches no more")
        self.outputs = [one for one in self.outputs if one.output.package != package]
        if package not in self.viewers:
            return False
        del self.viewers[package]
        return True
