"""``data_stream`` messages put together from pieces, so that nobody writes the same thing twice.

In what order a ``DataStream`` is written decides what can be shared: ``OPENING`` and the time
are the same for all who hear an event, the address is the same for every event that one app
hears as one stream, and the body, with ``ENDING``, is the same for all again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .to_app import DataStream

_ENCODER: Final = msgspec.json.Encoder()
_NO_BODY: Final = msgspec.Raw()

ENDING: Final = b"}"


def _whole(session_id: str, stream_type: str) -> bytes:
    return _ENCODER.encode(
        DataStream(timestamp="", session_id=session_id, stream_type=stream_type, data=_NO_BODY)
    )


OPENING: Final = _whole("", "").partition(b'","sessionId')[0]
"""Up to the time."""


def address(session_id: str, stream_type: str) -> bytes:
    """What stands between the time and the body in messages for that session and stream."""
    return _whole(session_id, stream_type)[len(OPENING) : -len(ENDING)]
