"""How apps hear of a camera stream: its own ones directly, others if they subscribed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from ..domain.streams import StreamEvent
from ..wire.codec import encode
from ..wire.message import Message
from ..wire.parts import StreamStats
from ..wire.to_app import RtmpStreamStatus
from .fan_out import fan_out
from .running_stream import ManagedStream, RunningStream
from .subsystem import Workplace

if TYPE_CHECKING:
    from .app_session import AppSession

RTMP_STATUS: Final = StreamEvent(stream="rtmp_stream_status")


@attrs.frozen(eq=False, repr=False)
class StreamNews:
    """Tells the apps of one user."""

    place: Workplace

    def report(
        self, stream: RunningStream, problem: str = "", stats: StreamStats | None = None
    ) -> None:
        """Tell those whom it concerns how ``stream`` is, each once and in one way.

        A data stream for the owner as well would have its handler called twice (6.6).
        """
        if isinstance(stream, ManagedStream):
            for app in list(self.place.apps()):
                self._tell_viewer(stream, app, problem)
            return
        message = RtmpStreamStatus(
            status=stream.status.value,
            stream_id=stream.stream_id,
            error_details=problem or None,
            app_id=stream.package,
            stats=stats,
            timestamp=self.place.timestamp(),
        )
        apps = list(self.place.apps())
        for app in apps:
            if app.package == stream.package:
                self.tell(app, message)
        others = [app for app in apps if app.package != stream.package]
        fan_out(others, RTMP_STATUS, encode(message), self.place.surroundings.environment)

    def tell(self, app: AppSession, message: Message) -> None:
        """Send ``message`` to ``app``."""
        timestamp = self.place.timestamp()
        stamped = msgspec.structs.replace(message, session_id=app.session_id, timestamp=timestamp)
        app.send(encode(stamped))

    def _tell_viewer(self, stream: ManagedStream, app: AppSession, problem: str) -> None:
        """Tell a viewer what is news.

        What it missed while it was away stays untold: it may be another runtime by now, whose
        SDK takes what it has not asked for for a stream of its own.
        """
        if app.package not in stream.viewers:
            return
        message = stream.status_for(app.package, problem)
        if stream.viewers[app.package] != message:
            stream.viewers[app.package] = message
            self.tell(app, message)
