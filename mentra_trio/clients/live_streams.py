"""Live pictures: to an RTMP address of the app's own, or through a provider that serves viewers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from ..wire import from_app, to_app
from ..wire.parts import AudioConfig, StreamConfig, VideoConfig
from .ability import Ability, failure, new_id
from .ears import FromServer, Off
from .hearing import Hears

STREAM_S: Final = 30.0
"""How long it is awaited that a stream runs (protocol.md 6.7)."""

CHECK_S: Final = 5.0
"""How long the answer to a check is awaited (protocol.md 3.1)."""

RTMP: Final = "rtmp stream"
MANAGED: Final = "managed stream"
CHECK: Final = "stream check"

RUNNING: Final = "active"
STOPPED: Final = "stopped"
OVER: Final = frozenset({"stopped", "error", "timeout"})
FAILED: Final = "STREAM_FAILED"


@attrs.frozen(kw_only=True)
class ManagedStream:
    """A stream that viewers can see, and where."""

    stream_id: str
    hls_url: str
    dash_url: str
    webrtc_url: str | None = None
    preview_url: str | None = None
    thumbnail_url: str | None = None


@attrs.define(eq=False)
class _Start:
    """Which statuses are about the stream that is asked for, and which about the one before.

    ``shared``: it may be one that runs already.
    """

    shared: bool = False
    _before: str | None = attrs.field(default=None, init=False)
    _begun: bool = attrs.field(default=False, init=False)

    def asked(self, latest: str | None) -> None:
        """A stream is asked for; ``latest`` is the id of the one that there was."""
        self._before, self._begun = latest, False

    def is_meant(self, status: str, stream_id: str | None) -> bool:
        """Whether ``status`` is about the stream that is asked for.

        What is stopped just before a start is told to be over just after it.
        """
        old = stream_id is not None and stream_id == self._before
        if status not in OVER:
            meant = self.shared or not old
            self._begun = self._begun or meant
            return meant
        if self._begun:
            return self.shared or not old
        return not old and status != STOPPED


@attrs.define(eq=False, repr=False)
class LiveStreams(Ability):
    """The camera, live. Needs the permission ``CAMERA``.

    Attributes:
        rtmp: how the app's own stream is, as the server told it last; ``None`` while there was
            none.
        managed: the same of the managed stream.
    """

    rtmp: to_app.RtmpStreamStatus | None = attrs.field(default=None, init=False)
    managed: to_app.ManagedStreamStatus | None = attrs.field(default=None, init=False)
    _own_start: _Start = attrs.field(factory=_Start, init=False)
    _shared_start: _Start = attrs.field(factory=lambda: _Start(shared=True), init=False)

    async def start_rtmp(
        self,
        url: str,
        *,
        video: VideoConfig | None = None,
        audio: AudioConfig | None = None,
        duration_limit_s: float | None = None,
        within_s: float = STREAM_S,
    ) -> str:
        """Stream to ``url``, and wait until it runs; returns the id of the stream.

        Raises:
            RequestFailed: with ``STREAM_FAILED``, if it does not come to run; or as
                ``Questions.ask``.
        """
        self._own_start.asked(self.rtmp.stream_id if self.rtmp is not None else None)
        status = await self.ask(
            RTMP,
            new_id("stream"),
            from_app.RtmpStreamRequest,
            rtmp_url=url,
            video=video,
            audio=audio,
            stream=_limit(duration_limit_s),
            within_s=within_s,
        )
        assert isinstance(status, to_app.RtmpStreamStatus)
        return status.stream_id or ""

    async def stop_rtmp(self, stream_id: str | None = None) -> bool:
        """End the app's stream; ``False`` if there is no connection."""
        return await self.tell(from_app.RtmpStreamStop, stream_id=stream_id)

    async def start_managed(
        self,
        *,
        quality: str | None = None,
        webrtc: bool | None = None,
        video: VideoConfig | None = None,
        audio: AudioConfig | None = None,
        duration_limit_s: float | None = None,
        restream_to: Sequence[from_app.RestreamDestination] = (),
        within_s: float = STREAM_S,
    ) -> ManagedStream:
        """Stream, or join the stream that there is, and wait until viewers can see it.

        Args:
            quality: ``720p`` or ``1080p``.
            webrtc: whether viewers may use WebRTC as well.
            restream_to: further places.

        Raises:
            RequestFailed: as ``start_rtmp``.
        """
        self._shared_start.asked(self.managed.stream_id if self.managed is not None else None)
        status = await self.ask(
            MANAGED,
            new_id("stream"),
            from_app.ManagedStreamRequest,
            quality=quality,
            enable_webrtc=webrtc,
            video=video,
            audio=audio,
            stream=_limit(duration_limit_s),
            restream_destinations=list(restream_to) or None,
            within_s=within_s,
        )
        assert isinstance(status, to_app.ManagedStreamStatus)
        return ManagedStream(
            stream_id=status.stream_id or "",
            hls_url=status.hls_url or "",
            dash_url=status.dash_url or "",
            webrtc_url=status.webrtc_url,
            preview_url=status.preview_url,
            thumbnail_url=status.thumbnail_url,
        )

    async def stop_managed(self) -> bool:
        """Leave the managed stream, which ends with its last app; ``False`` as above."""
        return await self.tell(from_app.ManagedStreamStop)

    async def check(self, *, within_s: float = CHECK_S) -> to_app.StreamInfo | None:
        """The stream that the user has now, of whatever app; ``None`` if there is none.

        Raises:
            RequestFailed: as ``Questions.ask``.
        """
        answer = await self.ask(
            CHECK, new_id("check"), from_app.StreamStatusCheck, within_s=within_s
        )
        assert isinstance(answer, to_app.StreamStatusCheckResponse)
        return answer.stream_info if answer.has_active_stream else None

    def on_rtmp_status(self, handler: Hears[to_app.RtmpStreamStatus]) -> Off:
        """How the app's own stream is, whenever that changes."""
        return self.session.on_message("rtmp_stream_status", handler)

    def on_managed_status(self, handler: Hears[to_app.ManagedStreamStatus]) -> Off:
        """How the managed stream is, whenever that changes."""
        return self.session.on_message("managed_stream_status", handler)

    def take(self, message: FromServer) -> None:
        """Know how the streams are, and tell those who wait for one."""
        match message:
            case to_app.RtmpStreamStatus():
                self.rtmp = message
                self._rtmp(message)
            case to_app.ManagedStreamStatus():
                self.managed = message
                self._managed(message)
            case to_app.StreamStatusCheckResponse():
                self.session.questions.answer_all(CHECK, message)

    def _rtmp(self, status: to_app.RtmpStreamStatus) -> None:
        if not self._own_start.is_meant(status.status, status.stream_id):
            return
        if status.status == RUNNING:
            self.session.questions.answer_all(RTMP, status)
        elif status.status in OVER:
            problem = failure(status.error_details, code=FAILED, otherwise=_ended(status.status))
            self.session.questions.answer_all(RTMP, problem)

    def _managed(self, status: to_app.ManagedStreamStatus) -> None:
        if not self._shared_start.is_meant(status.status, status.stream_id):
            return
        if status.status == RUNNING and status.hls_url and status.dash_url:
            self.session.questions.answer_all(MANAGED, status)
        elif status.status in OVER:
            problem = failure(status.message, code=FAILED, otherwise=_ended(status.status))
            self.session.questions.answer_all(MANAGED, problem)


def _limit(seconds: float | None) -> StreamConfig | None:
    return None if seconds is None else StreamConfig(duration_limit=seconds)


def _ended(status: str) -> str:
    return f"the stream did not come to run: {status}"
