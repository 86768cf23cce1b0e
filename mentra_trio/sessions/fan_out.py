"""One stream message of the glasses to every subscribed app, its body written once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from ..domain.permissions import permits
from ..domain.streams import AUDIO_CHUNK, StreamEvent
from ..wire.codec import encode
from ..wire.frames import Sound
from ..wire.to_app import DataStream
from .delivery import Outcome, awaited, deliver
from .sending import send_sound

if TYPE_CHECKING:
    from .app_session import AppSession

AUDIO: Final = StreamEvent(stream=AUDIO_CHUNK)


def fan_out(
    apps: Iterable[AppSession], event: StreamEvent, body: msgspec.Raw, timestamp: str
) -> int:
    """Deliver ``body`` to each app, once per subscription that matches ``event``.

    The stream type is the app's own text, verbatim (protocol.md 4.8). An app that lags or is
    away delays nobody: what is sent to it is kept, or not, as ``deliver`` says. Returns the
    number of messages that were sent or kept.
    """
    taken = 0
    for app in apps:
        registration = app.registration
        if registration is None:
            continue
        for stream_type in awaited(app, event):
            if not permits(event, registration.permissions):
                break
            message = DataStream(
                session_id=app.session_id,
                stream_type=stream_type,
                data=body,
                timestamp=timestamp,
            )
            delivery = deliver(app, stream_type, encode(message))
            taken += delivery.outcome is not Outcome.DROPPED
    return taken


def fan_out_audio(apps: Iterable[AppSession], frame: bytes) -> int:
    """Send ``frame`` as it is to each attached app that listens; never queued for a lost one."""
    if not frame:
        return 0  # an empty frame is an error event in the SDK (protocol.md 4.9)
    taken = 0
    sound = Sound(frame)
    for app in apps:
        if app.link is not None and app.subscriptions.wants_audio and _may_listen(app):
            taken += send_sound(app.surroundings.telemetry, "app", app.link, sound)
    return taken


def _may_listen(app: AppSession) -> bool:
    """A wildcard is nobody's permission: it is looked at for every event (protocol.md 4.6)."""
    return app.registration is not None and permits(AUDIO, app.registration.permissions)
