"""One event of the glasses to every subscribed app, within the same turn; its body as it came."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ..domain.streams import StreamEvent
from ..environment import Environment
from ..wire.frames import Sound, payload_of, text_header
from ..wire.spliced import ENDING, OPENING
from .delivery import free_link, keep
from .routes import routes_of
from .sending import tell_dropped

if TYPE_CHECKING:
    from .app_session import AppSession

LAGS: Final = "audio for a peer that lags"


def fan_out(
    apps: Iterable[AppSession], event: StreamEvent, body: str, environment: Environment
) -> None:
    """Deliver ``body``, JSON text, to each app, once per subscription that matches ``event``.

    The stream type is the app's own text, verbatim (protocol.md 4.8). An app that lags or is
    away delays nobody: what is sent to it is kept, or not, as ``deliver`` says. This runs for
    every event: nothing in it is written, encoded or looked up twice.
    """
    beginning = end = b""
    key, common = event.key, 0
    for app in apps:
        routes = routes_of(app)
        ways = routes.known.get(key)
        if ways is None:
            ways = routes.find(event)
        for stream, address in ways:
            if not end:
                beginning = OPENING + environment.stamp().encoded
                end = body.encode() + ENDING
                common = len(beginning) + len(end)
            frame = b"".join((text_header(common + len(address)), beginning, address, end))
            link = free_link(app)
            if link is None or not link.push_encoded(frame):
                keep(app, stream, payload_of(frame).decode())


def fan_out_audio(apps: Iterable[AppSession], frame: bytes) -> None:
    """Send ``frame`` as it is to each attached app that listens; never queued for a lost one.

    ``frame`` must not be empty: that is an error event in the SDK (protocol.md 4.9).
    """
    sound = None
    for app in apps:
        link = app.link
        if link is not None and routes_of(app).listens:
            sound = sound or Sound(frame)
            if not link.push_audio(sound):
                tell_dropped(app.surroundings.telemetry, "app", link, LAGS)
