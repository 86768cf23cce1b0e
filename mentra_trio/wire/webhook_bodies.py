"""What the server says in a webhook (protocol.md 1.5)."""

from __future__ import annotations

import msgspec

from .message import Message


class SessionRequest(Message, frozen=True, kw_only=True):
    """Open a session. Both URL fields carry the same address: SDKs read one or the other."""

    session_id: str
    user_id: str
    timestamp: str
    mentraos_websocket_url: str = msgspec.field(name="mentraOSWebsocketUrl")
    augmentos_websocket_url: str = msgspec.field(name="augmentOSWebsocketUrl")


class StopRequest(Message, frozen=True, kw_only=True):
    """The session is over: ``user_disabled``, ``system_stop`` or ``error``."""

    session_id: str
    user_id: str
    timestamp: str
    reason: str
