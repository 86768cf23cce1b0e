"""The head of an upgrade, read in one go: whatever is read, h11 reads in the same way."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mentra_trio.wire.upgrade_head import HEAD_BYTES_MAX, UpgradeHead, read_upgrade_head

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PLAIN = {
    "Host": "cloud.example.org",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def head(lines: dict[str, str] | None = None, start: str = "GET /app-ws?a=b HTTP/1.1") -> bytes:
    fields = [f"{name}: {value}" for name, value in {**PLAIN, **(lines or {})}.items()]
    return "\r\n".join([start, *fields, "", ""]).encode("latin-1")


def without(name: str) -> bytes:
    return b"".join(
        line for line in head().splitlines(True) if not line.startswith(name.encode() + b":")
    )


def as_h11_reads_it(data: bytes) -> tuple[bytes, dict[str, str], bytes] | None:
    """Target, headers and what follows, of an upgrade that has no body; ``None`` if it is none."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=65_536)
    parser.receive_data(data)
    try:
        request = parser.next_event()
        if not isinstance(request, h11.Request) or request.http_version != b"1.1":
            return None
        if not isinstance(parser.next_event(), h11.EndOfMessage):
            return None
    except h11.RemoteProtocolError:
        return None
    headers: dict[str, str] = {}
    for name, value in request.headers:
        headers.setdefault(name.decode("ascii"), value.decode("latin-1"))
    assert request.method == b"GET"
    return request.target, headers, parser.trailing_data[0]


def agrees_with_h11(data: bytes) -> UpgradeHead | None:
    found = read_upgrade_head(data)
    if found is not None:
        assert (found.target, found.headers, data[found.size :]) == as_h11_reads_it(data)
        assert found.key == found.headers["sec-websocket-key"].encode()
        assert found.headers["upgrade"].lower() == "websocket"
        assert found.headers["sec-websocket-version"] == "13"
        assert "upgrade" in found.headers["connection"].lower()
    return found


def test_an_upgrade_as_sdk_and_phones_write_it() -> None:
    found = agrees_with_h11(head({"Authorization": "Bearer a.b.c", "X-Empty": ""}) + b"\x81\x80")
    assert found is not None
    assert found.target == b"/app-ws?a=b"
    assert found.headers["authorization"] == "Bearer a.b.c"
    assert found.headers["x-empty"] == ""
    assert found.key == KEY.encode()


@pytest.mark.parametrize(
    "lines",
    [
        {"Upgrade": "WebSocket"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "UPGRADE\t,\tkeep-alive"},
        {"X-Wide": "  a \t b\t  "},
        {"!#$%&'*+-.^_`|~": "~ \t!"},
        {"Cookie": "x" * 10_000},
    ],
)
def test_further_ways_to_write_it(lines: dict[str, str]) -> None:
    assert agrees_with_h11(head(lines)) is not None


NOT_FOR_HERE: dict[str, bytes] = {
    "nothing": b"",
    "not complete": head()[:-1],
    "not complete, and more than enough": head()[:-2] + b"X: " + b"a" * HEAD_BYTES_MAX,
    "too long": head({"X": "a" * HEAD_BYTES_MAX}),
    "another method": head(start="POST /app-ws HTTP/1.1"),
    "a method in lower case": head(start="get /app-ws HTTP/1.1"),
    "another version": head(start="GET /app-ws HTTP/1.0"),
    "no version": head(start="GET /app-ws"),
    "a space in the target": head(start="GET /app ws HTTP/1.1"),
    "two spaces": head(start="GET  /app-ws HTTP/1.1"),
    "a target that is not ASCII": head(start="GET /\xe9 HTTP/1.1"),
    "an empty line first": b"\r\n" + head(),
    "lines without CR": head().replace(b"\r\n", b"\n"),
    "one line without CR": head().replace(b"\r\nUpgrade", b"\nUpgrade"),
    "a LF in a value": head({"X": "a\nY: b"}),
    "a CR in a value": head({"X": "a\rb"}),
    "a NUL in a value": head({"X": "a\0b"}),
    "a value that is not ASCII": head({"X": "\xe9"}),
    "a folded line": head({"X": "a\r\n b"}),
    "a space before a colon": head({"X ": "a"}),
    "a line without a colon": head().replace(b"Host: ", b"Host"),
    "a name of nothing": head({"": "a"}),
    "a name that is not a token": head({"X(": "a"}),
    "a header twice": head({"X": "a", "x": "a"}),
    "two hosts": head({"host": "b"}),
    "no host": without("Host"),
    "no upgrade": without("Upgrade"),
    "another upgrade": head({"Upgrade": "h2c"}),
    "two upgrades": head({"Upgrade": "websocket, h2c"}),
    "no connection": without("Connection"),
    "another connection": head({"Connection": "keep-alive"}),
    "a connection that has it in a word": head({"Connection": "no-upgrade"}),
    "no version of the protocol": without("Sec-WebSocket-Version"),
    "another version of the protocol": head({"Sec-WebSocket-Version": "8"}),
    "two versions of the protocol": head({"Sec-WebSocket-Version": "13, 8"}),
    "no key": without("Sec-WebSocket-Key"),
    "a short key": head({"Sec-WebSocket-Key": "c2hvcnQ="}),
    "a long key": head({"Sec-WebSocket-Key": "A" + KEY}),
    "a key that is not base64": head({"Sec-WebSocket-Key": KEY.replace("G", "!")}),
    "a key with a bit too many": head({"Sec-WebSocket-Key": KEY.replace("Q==", "R==")}),
    "a key with a tail": head({"Sec-WebSocket-Key": KEY + "\tx"}),
    "a body": head({"Content-Length": "3"}) + b"abc",
    "a body of nothing": head({"Content-Length": "0"}),
    "a chunked body": head({"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n",
    "who waits to send a body": head({"Expect": "100-continue"}),
}


@pytest.mark.parametrize("data", NOT_FOR_HERE.values(), ids=NOT_FOR_HERE)
def test_what_the_parser_of_all_of_http_decides(data: bytes) -> None:
    assert read_upgrade_head(data) is None


NAMES = st.sampled_from(
    [
        *("Host", "host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"),
        *("Content-Length", "Transfer-Encoding", "Expect", "Authorization", "X-User-Id", "Te", ""),
    ]
) | st.text(st.characters(max_codepoint=255), max_size=8)
VALUES = st.sampled_from(
    ["websocket", "Upgrade", "keep-alive, Upgrade", KEY, "13", "0", "3", "chunked", "100-continue"]
) | st.text(st.characters(max_codepoint=255), max_size=12)
ENDS = st.sampled_from(["\r\n"] * 8 + ["\n", "\r", "\r\n ", ""])
AFTER = st.binary(max_size=8)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Mostly an upgrade, with lines added, changed, left out and ended in odd ways."""
    lines = [(name, value) for name, value in PLAIN.items() if draw(st.integers(0, 19))]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines)))
        lines.insert(at, (draw(NAMES), draw(VALUES)))
    target = draw(st.just("/glasses-ws?x=%20") | st.text(st.characters(max_codepoint=255)))
    method = draw(st.sampled_from(["GET"] * 9 + ["POST"]))
    version = draw(st.sampled_from(["1.1"] * 9 + ["1.0", "2.0"]))
    text = f"{method} {target} HTTP/{version}\r\n"
    odd = not draw(st.integers(0, 3))
    for name, value in lines:
        colon = draw(st.sampled_from([": ", ":", ":\t", " : ", ":\t "])) if odd else ": "
        text += name + colon + value + (draw(ENDS) if odd else "\r\n")
    return (text + "\r\n").encode("latin-1") + draw(AFTER)


@given(heads())
@example(head() + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
def test_whatever_is_read_h11_reads_in_the_same_way(data: bytes) -> None:
    agrees_with_h11(data)


@given(st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=4), AFTER)
def test_bytes_that_were_changed_anywhere(changes: list[tuple[int, bytes]], after: bytes) -> None:
    data = head({"Authorization": "Bearer a.b.c"}) + after
    for at, piece in changes:
        at %= len(data)
        data = data[:at] + piece + data[at + len(piece) :]
    agrees_with_h11(data)


@given(st.binary(max_size=200))
def test_any_bytes_at_all(data: bytes) -> None:
    agrees_with_h11(data)


@given(st.integers(0, len(head()) - 1))
def test_an_upgrade_that_is_not_all_there(cut: int) -> None:
    assert read_upgrade_head(head()[:cut]) is None


def test_long_runs_of_anything_take_no_time() -> None:
    """Each of these would take minutes, were there two ways to read it."""
    for piece in (b" ", b"\t", b"a", b"X: \r\n", b": ", b"a:"):
        assert read_upgrade_head(head()[:-2] + b"X:" + piece * 30_000) is None
        assert read_upgrade_head(b"GET /" + piece * 30_000) is None
