"""A message that is put together is the one that would have been written whole."""

from __future__ import annotations

import json

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from mentra_trio.wire.codec import encode
from mentra_trio.wire.spliced import ENDING, OPENING, address
from mentra_trio.wire.to_app import DataStream

TEXTS = st.text(st.characters(codec="utf-8"))
BODIES = st.builds(
    lambda content, ascii_only: json.dumps(content, ensure_ascii=ascii_only),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
        max_leaves=10,
    ),
    st.booleans(),
)


@given(session_id=TEXTS, stream_type=TEXTS, body=BODIES)
@example(session_id='a"b\\', stream_type='","data":{"', body=' {"a" : 1}\n')
@example(
    session_id="\u2028é\x00\x7f/", stream_type="transcription:en-US?hints=\U0001f642", body="0"
)
def test_it_is_the_same_to_the_byte(session_id: str, stream_type: str, body: str) -> None:
    timestamp = "2026-01-31T12:00:00.000Z"
    whole = DataStream(
        session_id=session_id,
        stream_type=stream_type,
        data=msgspec.Raw(body.encode()),
        timestamp=timestamp,
    )
    beginning = OPENING + timestamp.encode()
    spliced = beginning + address(session_id, stream_type) + body.encode() + ENDING
    assert spliced == encode(whole).encode()
