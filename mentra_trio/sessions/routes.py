"""Under which names an app hears an event: worked out once, and not for every event.

What is known holds for the subscriptions, the permissions and the hand-over of the moment. It
remembers of which ones it holds, and whoever asks compares: so nobody who changes one of them
has to remember that there is something to forget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from ..domain.apps import AppRegistration
from ..domain.permissions import permits
from ..domain.streams import AUDIO_CHUNK, StreamEvent
from ..domain.subscriptions import SubscriptionSet
from ..wire.spliced import address

if TYPE_CHECKING:
    from .app_session import AppSession

AUDIO: Final = StreamEvent(stream=AUDIO_CHUNK)

ROOM: Final = 512
"""So many events and ways are known of one app; then it is begun anew. Names of events are the
glasses' choice, and how many streams match one event is the app's."""
NAME_MAX: Final = 512
"""Events with longer names are not remembered."""

Ways: TypeAlias = tuple[tuple[str, bytes], ...]
"""The streams, named as the app subscribed to them, as which it hears an event, each with the
``wire.spliced.address`` of its messages; in the order in which they are sent."""


@attrs.define(eq=False, kw_only=True)
class Routes:
    """What is known of one app's ways while the three things stay as they are."""

    subscriptions: SubscriptionSet
    settling: SubscriptionSet | None = None
    registration: AppRegistration | None = None
    session_id: str = ""
    listens: bool = False
    """Whether audio is for the app. What only the runtime before wanted does not count: it
    cannot be kept until the new one has said what it wants."""
    known: dict[object, Ways] = attrs.field(factory=dict, init=False)
    _room: int = attrs.field(default=ROOM, init=False)

    def find(self, event: StreamEvent) -> Ways:
        """The ways of ``event``, which is not ``known`` yet."""
        ways = self._work_out(event)
        if event.name_size <= NAME_MAX:
            size = 1 + len(ways)
            if size > self._room:
                self.known.clear()
                self._room = ROOM
            self._room -= size
            self.known[event.key] = ways
        return ways

    def _work_out(self, event: StreamEvent) -> Ways:
        if self.registration is None or not permits(event, self.registration.permissions):
            return ()
        streams = heard_as(self.subscriptions, self.settling, event)
        return tuple((stream, address(self.session_id, stream)) for stream in streams)


NO_ROUTES: Final = Routes(subscriptions=SubscriptionSet())
"""Of an app for which there was no event yet."""


def routes_of(app: AppSession) -> Routes:
    """What is known of the ways of ``app`` as it is now."""
    routes = app.routes
    if (
        routes.subscriptions is not app.subscriptions
        or routes.settling is not app.settling
        or routes.registration is not app.registration
    ):
        routes = app.routes = _routes_as_it_is(app)
    return routes


def _routes_as_it_is(app: AppSession) -> Routes:
    registration = app.registration
    return Routes(
        subscriptions=app.subscriptions,
        settling=app.settling,
        registration=registration,
        session_id=app.session_id,
        # A wildcard is nobody's permission: it is looked at for every event (protocol.md 4.6).
        listens=registration is not None
        and app.subscriptions.wants_audio
        and permits(AUDIO, registration.permissions),
    )


def heard_as(
    wanted: SubscriptionSet, before: SubscriptionSet | None, event: StreamEvent
) -> tuple[str, ...]:
    """The streams as which an app may want ``event``, each as the app wrote it.

    A new runtime asks for one stream after the other. What the one ``before`` had asked for is
    kept for it meanwhile; ``delivery.flush`` leaves out what it does not ask for in the end.
    """
    now = wanted.matching(event)
    if before is None:
        return now
    return (*now, *(stream for stream in before.matching(event) if stream not in now))


def awaited(app: AppSession, event: StreamEvent) -> bool:
    """Whether ``app`` asks for ``event``, be it there or away, and allowed to hear it or not."""
    return bool(heard_as(app.subscriptions, app.settling, event))
