from __future__ import annotations

import pytest

from mentra_trio.clients.refusals import refused_with


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"3", 3),
        (b" 0 ", 0),
        (b"", None),
        (b"-1", None),
        (b"1.5", None),
        (b"\xb2", None),
        (b"Wed, 25 Nov 2026 17:00:00 GMT", None),
        (b"999999999", 999_999_999),
        (b"9" * 5000, None),
    ],
)
def test_after_how_many_seconds_a_server_wants_us_back(value: bytes, seconds: int | None) -> None:
    headers = [(b"Server", b"x"), (b"Retry-After", value)]
    assert refused_with(503, b"", headers).retry_after_s == seconds


def test_only_a_server_that_cannot_serve_us_now_is_heard() -> None:
    assert refused_with(401, b"", [(b"retry-after", b"3")]).retry_after_s is None
    assert refused_with(503, b"").retry_after_s is None
