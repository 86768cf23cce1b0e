"""What all sessions of one server share."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..concurrency.watched import Watched
from ..domain.timings import Heartbeat, Lifecycle, Limits
from ..engines import LiveStreams, Transcriber
from ..environment import Environment
from ..ports import Store, Telemetry, Webhooks
from .endpoint import Endpoints
from .keeper import Keeper
from .neighbours import Neighbours
from .pulse import Pulse


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Surroundings:
    """The ports, settings and names that a session is given; one object per server.

    ``websocket_url`` makes the URL of a start attempt from its token (protocol.md 1.7).
    ``crowded_until`` is until when (Trio time) many peers are coming back at once.
    ``live_streams`` is the streaming engine, where there is one.
    ``transcriber`` recognises speech; without one only phones do.
    ``endpoints`` are the app servers, ``keeper`` writes down what sessions are, ``neighbours``
    are the users of each app who have it running, ``pulse`` has links pinged.
    """

    store: Store
    webhooks: Webhooks
    telemetry: Telemetry
    environment: Environment
    lifecycle: Lifecycle
    heartbeat: Heartbeat
    limits: Limits
    websocket_url: Callable[[str], str]
    dashboard_package: str
    transcriber: Transcriber | None = None
    live_streams: LiveStreams | None = None
    crowded_until: Watched[float] = attrs.field(factory=lambda: Watched(0.0))
    endpoints: Endpoints = attrs.field(init=False)
    keeper: Keeper = attrs.field(init=False)
    neighbours: Neighbours = attrs.field(factory=Neighbours, init=False)
    pulse: Pulse = attrs.field(factory=Pulse, init=False)

    @endpoints.default
    def _make_endpoints(self) -> Endpoints:
        return Endpoints(
            lifecycle=self.lifecycle, environment=self.environment, telemetry=self.telemetry
        )

    @keeper.default
    def _make_keeper(self) -> Keeper:
        return Keeper(store=self.store, telemetry=self.telemetry)
