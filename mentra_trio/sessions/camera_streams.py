"""Streams of the glasses' camera: to an address of an app, or through this server to viewers.

A user has one stream at a time. It belongs to apps and not to their links: while one of them
reconnects the stream goes on, and what happened meanwhile it learns by ``stream_status_check``.
Nothing is told unasked after a reconnect, because SDK 2.1.29 could then not start a stream of
its own (protocol.md 6.6, 6.7).
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import attrs
import msgspec
import trio

from ..concurrency.watched import Watched
from ..domain.camera import CAMERA
from ..domain.errors import LiveStreamFailed
from ..domain.facts import StreamChanged
from ..domain.hops import said_by_phone
from ..domain.ids import PackageName
from ..domain.live_streams import (
    MANAGED_APP,
    NO_ENGINE,
    OUTPUTS_ASKED_MAX,
    OVER,
    StreamKind,
    StreamStatus,
    new_outputs,
    start_problem,
    status_said,
)
from ..domain.permissions import holds
from ..domain.timings import MANAGED_START_S
from ..engines import Ingest, LiveStreams
from ..wire import from_app, to_app
from ..wire import from_glasses as said
from ..wire.codec import encode
from ..wire.parts import StreamStats
from ..wire.to_glasses import KeepRtmpStreamAlive, StartRtmpStream, StopRtmpStream
from .camera import camera_of
from .ignored import ignore_glasses
from .running_stream import ManagedStream, Presence, Pulse, RunningOutput, RunningStream
from .stream_news import StreamNews
from .subsystem import AppHandlers, GlassesHandlers, Subsystem

if TYPE_CHECKING:
    from .app_session import AppSession

LOST: Final = "phone: no answer to three questions whether the stream is alive"

Wish: TypeAlias = from_app.RtmpStreamRequest | from_app.ManagedStreamRequest


@attrs.define(eq=False, repr=False)
class CameraStreams(Subsystem):
    """The stream that one user has, if there is one."""

    _stream: RunningStream | None = attrs.field(default=None, init=False)
    _presence: Presence = attrs.field(init=False)
    _news: StreamNews = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._news = StreamNews(self.place)
        self._presence = Presence(Watched(self.place.eyepiece.attached))

    ON_DEMAND: ClassVar[bool] = True

    # -- unmanaged: what the app says ------------------------------------------------

    def rtmp_stream_request(self, app: AppSession, request: from_app.RtmpStreamRequest) -> None:
        """Have the glasses stream to the app's own address; it replaces the stream before."""
        problem = self._problem(app, StreamKind.UNMANAGED, request.rtmp_url)
        if problem is not None:
            self._news.tell(app, _refusal(app, problem))
            return
        if self._stream is not None:
            self._end(self._stream, StreamStatus.STOPPED)
        stream = RunningStream(
            **self._new_stream(StreamKind.UNMANAGED, app), app_id=app.package, url=request.rtmp_url
        )
        self._begin(stream)
        self._ask_phone(stream, request)
        self._news.report(stream)

    def rtmp_stream_stop(self, app: AppSession, message: from_app.RtmpStreamStop) -> None:
        """End the app's stream; one that is over already is stopped."""
        stream = self._owned_by(app.package)
        if stream is not None and message.stream_id in {None, stream.stream_id}:
            self._end(stream, StreamStatus.STOPPED)
            return
        over = StreamStatus.STOPPED.value
        told = to_app.RtmpStreamStatus(status=over, stream_id=message.stream_id, app_id=app.package)
        self._news.tell(app, told)

    # -- managed: what the app says --------------------------------------------------

    def managed_stream_request(
        self, app: AppSession, request: from_app.ManagedStreamRequest
    ) -> None:
        """Let the app watch; for the first that wants to the glasses begin."""
        engine = self.place.surroundings.live_streams
        problem = self._problem(app, StreamKind.MANAGED)
        if problem is None and engine is None:
            problem = NO_ENGINE
        if problem is not None or engine is None:
            self._news.tell(app, to_app.ManagedStreamStatus(status="error", message=problem))
            return
        stream = self._stream
        if not isinstance(stream, ManagedStream):
            stream = ManagedStream(
                **self._new_stream(StreamKind.MANAGED, app), app_id=MANAGED_APP, url=""
            )
            self._begin(stream)
            provide = partial(self._provide, stream, engine, request)
            stream.tasks.append(self.place.errands.begin(provide, name="managed stream"))
        stream.viewers[app.package] = None  # whatever it was told before, it asks now
        self._add_outputs(stream, app.package, request)
        self._news.report(stream)

    def managed_stream_stop(self, app: AppSession, message: from_app.ManagedStreamStop) -> None:
        """Let the app watch no more; the last one that leaves ends the stream."""
        stream = self._stream
        told = to_app.ManagedStreamStatus(status=StreamStatus.STOPPED.value)
        if isinstance(stream, ManagedStream) and app.package in stream.viewers:
            told = msgspec.structs.replace(told, stream_id=stream.stream_id)
            self._leave(stream, app.package)
        self._news.tell(app, told)

    # -- what every app may ask ------------------------------------------------------

    def stream_status_check(self, app: AppSession, message: from_app.StreamStatusCheck) -> None:
        """Whether the user streams, from memory. Where to, only its app is told; where it can be
        watched, only an app that may use the camera."""
        stream = self._stream
        info = None
        if stream is not None:
            info = stream.info_for(app.package, may_watch=holds(CAMERA, app.granted))
        answer = to_app.StreamStatusCheckResponse(
            has_active_stream=info is not None,
            stream_info=info,
            session_id=app.session_id,
            timestamp=self.place.timestamp(),
        )
        app.send(encode(answer))

    # -- what the phone says ---------------------------------------------------------

    def rtmp_stream_status(self, message: said.RtmpStreamStatus) -> bool:
        """How the glasses' stream is. One that is not wanted is stopped, so that a phone that
        lost touch does not stream for ever."""
        status, stream = status_said(message.status), self._stream
        if status is None:
            ignore_glasses(self.place, "a status of a stream that is not known here, at $.status")
        elif stream is None or message.stream_id not in {None, stream.stream_id}:
            if message.stream_id is not None and status not in OVER | {StreamStatus.STOPPING}:
                self._stop_phone(message.app_id or "", message.stream_id)
        elif status in OVER:
            self._end(stream, status, _reason(message), message.stats, phone_knows=True)
        elif isinstance(stream, ManagedStream):
            pass  # it is live for its viewers when the engine says so
        else:
            self._set(stream, status)
            self._news.report(stream, _reason(message), message.stats)
        return True

    def keep_alive_ack(self, message: said.KeepAliveAck) -> bool:
        """The phone says that a stream is alive."""
        stream = self._stream
        if stream is not None and stream.stream_id == message.stream_id:
            stream.pulse.answered(message.ack_id)
        else:
            app_id = stream.app_id if stream is not None else ""
            self._stop_phone(app_id, message.stream_id)
        return True

    # -- hooks -----------------------------------------------------------------------

    def glasses_attached(self) -> None:
        """The phone can be asked again."""
        self._presence.here.set(True)

    def glasses_detached(self) -> None:
        """The phone may come back, and its stream need not even have noticed."""
        self._presence.left()

    def app_rests(self, package: PackageName) -> None:
        """Nobody waits for the app: nobody watches for it."""
        self.app_over(package)

    def app_over(self, package: PackageName) -> None:
        """The app's stream, or its share in one, ends with it."""
        stream = self._stream
        if isinstance(stream, ManagedStream):
            self._leave(stream, package)
        elif (owned := self._owned_by(package)) is not None:
            self._end(owned, StreamStatus.STOPPED)

    # -- one stream ------------------------------------------------------------------

    def _owned_by(self, package: PackageName) -> RunningStream | None:
        """The unmanaged stream, if it is that app's. A managed one is nobody's."""
        stream = self._stream
        owned = stream is not None and not isinstance(stream, ManagedStream)
        return stream if stream is not None and owned and stream.package == package else None

    def _problem(self, app: AppSession, kind: StreamKind, url: str | None = None) -> str | None:
        running = self._stream.kind if self._stream is not None else None
        return start_problem(kind, app.granted, camera_of(self.place), running=running, url=url)

    def _new_stream(self, kind: StreamKind, app: AppSession) -> dict[str, Any]:
        new_id = self.place.surroundings.environment.new_token
        stream_id = new_id()

        def ask(ack_id: str) -> None:
            eyepiece = self.place.eyepiece
            eyepiece.send(KeepRtmpStreamAlive(stream_id=stream_id, ack_id=ack_id))

        return {
            "stream_id": stream_id,
            "kind": kind,
            "package": app.package,
            "created_at": self.place.timestamp(),
            "pulse": Pulse(presence=self._presence, new_id=new_id, ask=ask),
        }

    def _begin(self, stream: RunningStream) -> None:
        self._stream = stream
        self._set(stream, StreamStatus.INITIALIZING)
        follow = partial(self._follow, stream)
        stream.tasks.append(self.place.errands.begin(follow, name="keep-alive of a stream"))

    async def _follow(self, stream: RunningStream) -> None:
        await stream.pulse.until_lost()
        self._end(stream, StreamStatus.TIMEOUT, LOST)

    def _ask_phone(self, stream: RunningStream, wish: Wish) -> None:
        self.place.eyepiece.send(
            StartRtmpStream(
                session_id=self.place.user,
                rtmp_url=stream.url,
                app_id=stream.app_id,
                stream_id=stream.stream_id,
                video=wish.video,
                audio=wish.audio,
                stream=wish.stream,
                timestamp=self.place.timestamp(),
            )
        )

    def _stop_phone(self, app_id: str, stream_id: str) -> None:
        self.place.eyepiece.send(
            StopRtmpStream(
                session_id=self.place.user,
                app_id=app_id,
                stream_id=stream_id,
                timestamp=self.place.timestamp(),
            )
        )

    def _set(self, stream: RunningStream, status: StreamStatus) -> None:
        """Note a status that is news. Everything that happens to a stream comes by here."""
        if stream.status is status and status is not StreamStatus.INITIALIZING:
            return
        stream.status = status
        self.place.surroundings.telemetry.emit(
            StreamChanged(
                user=self.place.user,
                package=stream.package,
                kind=stream.kind.value,
                status=status.value,
            )
        )

    def _end(
        self,
        stream: RunningStream,
        status: StreamStatus,
        problem: str = "",
        stats: StreamStats | None = None,
        *,
        phone_knows: bool = False,
    ) -> None:
        """End ``stream``, which may be over already; its apps are told, and so is the phone."""
        if self._stream is not stream:
            return
        self._stream = None
        stream.end(status.value)
        if not phone_knows:
            self._stop_phone(stream.app_id, stream.stream_id)
        self._set(stream, status)
        self._news.report(stream, problem, stats)

    # -- a managed stream ------------------------------------------------------------

    async def _provide(self, stream: ManagedStream, engine: LiveStreams, wish: Wish) -> None:
        """Have the engine take the stream in, for as long as anybody watches."""
        due = trio.current_time() + MANAGED_START_S
        try:
            async with engine.open(self.place.user, stream.stream_id) as ingest:
                stream.url, stream.ingest = ingest.url, ingest
                self._ask_phone(stream, wish)
                problem = await self._until_useless(stream, ingest, due)
        except LiveStreamFailed as error:
            problem = str(error)
        self._end(stream, StreamStatus.ERROR, problem)

    async def _until_useless(self, stream: ManagedStream, ingest: Ingest, due: float) -> str:
        """Why there is nothing to watch at ``ingest``, or nothing any more."""
        try:
            with trio.CancelScope(deadline=due) as limit:
                stream.playback = await ingest.until_live()
        except LiveStreamFailed as error:
            return str(error)
        if limit.cancelled_caught:
            return f"glasses: no stream has come from them within {MANAGED_START_S:g} s"
        self._set(stream, StreamStatus.ACTIVE)
        for output in stream.outputs:
            self._begin_output(stream, ingest, output)
        self._news.report(stream)
        return await ingest.until_ended()

    def _add_outputs(
        self, stream: ManagedStream, package: PackageName, request: from_app.ManagedStreamRequest
    ) -> None:
        wanted = list(request.restream_destinations or ())[:OUTPUTS_ASKED_MAX]
        wishes = [(one.url, one.name) for one in wanted]
        stream.forget_failures(package)  # it may try again
        mine = [one.output.url for one in stream.outputs if one.output.package == package]
        fresh = [(url, name) for url, name in wishes if url not in mine]  # it may ask twice
        for output in new_outputs(stream.served(), package, fresh):
            running = RunningOutput(output=output)
            stream.outputs.append(running)
            if output.problem is not None:
                running.failure = output.problem.value
            elif stream.playback is not None and stream.ingest is not None:
                self._begin_output(stream, stream.ingest, running)

    def _begin_output(self, stream: ManagedStream, ingest: Ingest, output: RunningOutput) -> None:
        if output.failure:
            return

        async def send() -> None:
            output.failure = await ingest.send_to(output.output.url)
            self._news.report(stream)

        output.task = self.place.errands.begin(send, name="output of a stream")
        stream.tasks.append(output.task)

    def _leave(self, stream: ManagedStream, package: PackageName) -> None:
        if stream.leave(package) and not stream.viewers:
            self._end(stream, StreamStatus.STOPPED)

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType(
        {
            from_app.RtmpStreamRequest: rtmp_stream_request,
            from_app.RtmpStreamStop: rtmp_stream_stop,
            from_app.ManagedStreamRequest: managed_stream_request,
            from_app.ManagedStreamStop: managed_stream_stop,
            from_app.StreamStatusCheck: stream_status_check,
        }
    )
    FROM_GLASSES: ClassVar[GlassesHandlers] = MappingProxyType(
        {said.RtmpStreamStatus: rtmp_stream_status, said.KeepAliveAck: keep_alive_ack}
    )


def _refusal(app: AppSession, problem: str) -> to_app.RtmpStreamStatus:
    return to_app.RtmpStreamStatus(
        status=StreamStatus.ERROR.value, error_details=problem, app_id=app.package
    )


def _reason(message: said.RtmpStreamStatus) -> str:
    return said_by_phone(message.error_details) if message.error_details else ""
