"""What masked frames mean, with the C code that may be there and without."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.speedups import apply_mask

from mentra_trio.wire import masking
from mentra_trio.wire.masking import AT_ONCE, Unmask, quickest, unmask_here

BOTH = (unmask_here, apply_mask)


def letter_by_letter(masked: bytes, key: bytes) -> bytes:
    """RFC 6455, 5.3, as it is written there."""
    return bytes(one ^ key[at % 4] for at, one in enumerate(masked))


@pytest.mark.parametrize("unmask", BOTH)
@given(
    masked=st.binary(max_size=300), key=st.binary(min_size=4, max_size=4), as_array=st.booleans()
)
def test_it_is_what_the_rfc_says(
    unmask: Unmask, masked: bytes, key: bytes, *, as_array: bool
) -> None:
    what = bytearray(masked) if as_array else masked
    meant = unmask(what, bytearray(key) if as_array else key)
    assert type(meant) is bytes
    assert meant == letter_by_letter(masked, key)


@pytest.mark.parametrize("unmask", BOTH)
@pytest.mark.parametrize("size", [AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE, 3 * AT_ONCE + 7])
def test_long_payloads(unmask: Unmask, size: int) -> None:
    masked = bytes(number * 7 % 256 for number in range(size))
    assert unmask(masked, b"\x01\x80\xff\x7e") == letter_by_letter(masked, b"\x01\x80\xff\x7e")


def test_the_c_code_is_used_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert masking.unmask is apply_mask
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    assert quickest() is unmask_here
