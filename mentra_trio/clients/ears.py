"""What an app hears: handlers by stream and by message, called one event at a time."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import attrs
import trio

from ..concurrency.bulkhead import contain
from ..domain.streams import LOCATION_TIERS, finest_tier
from ..wire import to_app
from ..wire.message import Unrecognized
from .events import decode_event
from .inbox import Inbox

log: Final = logging.getLogger(__name__)

Handler = Callable[[Any], Awaitable[object] | None]
"""Is called with each event of a stream, one event at a time; may be ``async``."""

Off = Callable[[], None]
"""Takes a handler away again."""

FromServer = to_app.ToApp | Unrecognized | bytes
"""What the server sends to an app: a message, or a frame of audio."""

AUDIO: Final = "audio_chunk"


@attrs.frozen
class Noticed:
    """What a session has noticed by itself in what came, for those who listen to ``name``."""

    name: str
    value: Any


@attrs.define(eq=False)
class Ears:
    """The handlers of one session.

    Attributes:
        crashes: what the handlers raised; the session goes on after it.
        changed: set while the list of subscriptions is another one than was sent.
    """

    package: str
    _crashed: Callable[[BaseException], None] = attrs.field(
        default=lambda error: None, repr=False, kw_only=True
    )
    """Is told as well of what is added to ``crashes``."""
    crashes: list[BaseException] = attrs.field(factory=list, init=False)
    changed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _handlers: dict[str, list[Handler]] = attrs.field(factory=dict, init=False)
    _rates: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    _listeners: dict[str, list[Handler]] = attrs.field(factory=dict, init=False)
    _work: Inbox[FromServer | Noticed] = attrs.field(factory=Inbox, init=False)

    def on_stream(self, stream: str, handler: Handler, *, rate: str | None = None) -> Off:
        """Any stream, by the name of its subscription (protocol.md 4.1).

        Args:
            rate: how exact a location stream is to be, from ``reduced`` to ``realtime``; of
                several the finest is asked for.

        Raises:
            ValueError: there is no such rate.
        """
        if rate is not None and rate not in LOCATION_TIERS:
            raise ValueError(f"{rate!r} is not one of {', '.join(LOCATION_TIERS)}")
        self._handlers.setdefault(stream, []).append(handler)
        rates = self._rates.setdefault(stream, [])
        rates += [rate] if rate is not None else []
        self.ask()

        def off() -> None:
            handlers = self._handlers[stream]
            handlers.remove(handler)
            if rate is not None:
                rates.remove(rate)
            if not handlers:
                del self._handlers[stream], self._rates[stream]
            if not handlers or rate is not None:
                self.ask()

        return off

    def on_message(self, message_type: str, handler: Handler) -> Off:
        """A message that is no stream, such as ``settings_update`` or ``permission_error``.

        The session's own attributes are already up to date when the handler is called.
        """
        return self.listen(message_type, handler)

    def listen(self, name: str, handler: Handler) -> Off:
        """Call ``handler`` with every message of that type, and with what was noticed so."""
        self._listeners.setdefault(name, []).append(handler)
        return partial(self._listeners[name].remove, handler)

    @property
    def subscriptions(self) -> list[str]:
        """The streams that have a handler, in the order in which they got one."""
        return list(self._handlers)

    def wire_subscriptions(self) -> list[Any]:
        """The same as they are asked for: with the finest rate where there is one."""
        return [
            stream
            if (rate := finest_tier(self._rates[stream])) is None
            else {"stream": stream, "rate": rate}
            for stream in self._handlers
        ]

    def ask(self) -> None:
        """Have the list sent, changed or not."""
        self.changed.set()

    def put(self, event: FromServer | Noticed) -> None:
        """Have the handlers called for ``event``, after those of what came before."""
        self._work.put(event)

    def notice(self, name: str, value: Any) -> None:
        """As ``put``, for what the session itself has to say."""
        self._work.put(Noticed(name, value))

    async def handle_events(self) -> None:
        """Call handlers, one event after the other, until cancelled."""
        while True:
            event = await self._work.take()
            stream, handlers = self._handlers_of(event)
            for handler in handlers:
                with contain(self._note_crash):
                    result = handler(_event_of(stream, event))
                    if inspect.isawaitable(result):
                        await result

    def _handlers_of(self, event: FromServer | Noticed) -> tuple[str, Sequence[Handler]]:
        match event:
            case bytes():
                return AUDIO, tuple(self._handlers.get(AUDIO, ()))
            case to_app.DataStream():
                # Streams are told apart by the exact string that was subscribed (4.8).
                return event.stream_type, tuple(self._handlers.get(event.stream_type, ()))
            case Noticed():
                name = event.name
            case Unrecognized():
                name = event.type
            case _:
                name = str(event.__struct_config__.tag)
        return name, tuple(self._listeners.get(name, ()))

    def _note_crash(self, error: BaseException) -> None:
        self.crashes.append(error)
        self._crashed(error)
        log.error("a handler of %s failed", self.package, exc_info=error)


def _event_of(stream: str, event: FromServer | Noticed) -> Any:
    match event:
        case to_app.DataStream():
            return decode_event(stream, event.data)
        case Noticed():
            return event.value
        case _:
            return event
