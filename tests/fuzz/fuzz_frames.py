"""Fuzzes the parser of WebSocket frames with random streams, well and badly formed.

    python tests/fuzz/fuzz_frames.py [--seed N] [--inputs N] [--first N]

Each input is fed whole, and again in pieces with few frames at once: no exception may come out,
both must be judged alike, what is well formed must be read as it was meant, and no more may be
held than the limits allow. Input number N depends on the seed and on N alone: ``--first`` begins
there. Ends with 1 at the first input that breaks a promise, and says how to repeat it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle, pairwise
from operator import xor
from typing import Final

import attrs

from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.wire.frames import FrameReader

FIRST_MAX, MESSAGE_MAX = 200, 1_000
HEADER_BYTES: Final = 14
FRAMES_MAX: Final = 100_000
TEXTS: Final = ("", "{}", '{"type":"ping"}', "grüß", "漢字", "a😀b", "x" * 124, "é" * 64)
BAD_TEXTS: Final = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\xe6\xbc")
CODES: Final = (0, 999, 1000, 1001, 1004, 1005, 1006, 1008, 1014, 1015, 2999, 3000, 4999, 5000)


@attrs.define
class Input:
    """A stream, and what it was meant to say; ``None`` where it was spoilt."""

    data: bytes
    messages: list[str | bytes] | None


@attrs.define
class Outcome:
    """What the parser made of a stream."""

    messages: list[str | bytes]
    pings: list[bytes]
    close: CloseReason | None
    failure: CloseReason | None

    @property
    def end(self) -> str:
        """In one word."""
        if self.failure is not None:
            return str(self.failure.code)
        return "goes on" if self.close is None else "closed"


def frame(rnd: random.Random, opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """One well-formed frame with a random key."""
    size, key = len(payload), rnd.randbytes(4)
    if size < 126:
        head = bytes((fin << 7 | opcode, 0x80 | size))
    elif size < 65_536:
        head = bytes((fin << 7 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((fin << 7 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + key + bytes(map(xor, payload, cycle(key)))


def control(rnd: random.Random) -> bytes:
    """A ping or a pong."""
    return frame(rnd, rnd.choice((9, 10)), rnd.randbytes(rnd.choice((0, 0, 4, 125))))


def fragments(rnd: random.Random, opcode: int, payload: bytes) -> Iterator[bytes]:
    """A message in one frame or in several, perhaps with control frames between them."""
    ends = sorted(rnd.randrange(len(payload) + 1) for _ in range(rnd.choice((0, 0, 0, 1, 3))))
    at = 0
    for end in [*ends, len(payload)]:
        last = end == len(payload) and at >= (ends[-1] if ends else 0)
        yield frame(rnd, opcode, payload[at:end], fin=last)
        if last:
            return
        at, opcode = end, 0
        if rnd.random() < 0.3:
            yield control(rnd)


def well_formed(rnd: random.Random) -> Input:
    """Messages within the limits, control frames, and perhaps a close."""
    pieces, messages = list[bytes](), list[str | bytes]()
    for _ in range(rnd.randrange(5)):
        text, sound = rnd.choice(TEXTS), rnd.randbytes(rnd.choice((0, 1, 3, 50, 126, FIRST_MAX)))
        if rnd.random() < 0.5:
            pieces += fragments(rnd, 1, text.encode())
            messages.append(text)
        else:
            pieces += fragments(rnd, 2, sound)
            messages.append(sound)
        if rnd.random() < 0.3:
            pieces.append(control(rnd))
    if rnd.random() < 0.2:
        pieces.append(frame(rnd, 8, (1000).to_bytes(2, "big") + b"bye"))
    return Input(b"".join(pieces), messages)


def odd_frame(rnd: random.Random) -> bytes:
    """A frame that may well be refused."""
    match rnd.randrange(5):
        case 0:
            return frame(rnd, 1, rnd.choice(BAD_TEXTS), fin=rnd.random() < 0.5)
        case 1:
            code = rnd.choice(CODES).to_bytes(2, "big")
            return frame(rnd, 8, (code + rnd.choice((b"", b"ok", b"\xff")))[rnd.randrange(2) :])
        case 2:
            return frame(
                rnd, rnd.choice((0, 1, 2)), bytes(rnd.choice((FIRST_MAX, MESSAGE_MAX)) + 1)
            )
        case 3:
            size = rnd.choice((0, 125, 126, 65_535, 65_536, 1 << 40, 1 << 63))
            width = 8 if size > 65_535 else rnd.choice((2, 8))
            head = bytes((0x80 | rnd.randrange(16), 0x80 | (126 if width == 2 else 127)))
            return head + size.to_bytes(width, "big") + rnd.randbytes(20)
        case _:
            return rnd.randbytes(2) + frame(rnd, rnd.randrange(16), b"x", fin=rnd.random() < 0.5)


def spoilt(rnd: random.Random) -> Input:
    """A stream that was well formed until bits were turned, or something was put in or left out."""
    data = bytearray(well_formed(rnd).data)
    for _ in range(rnd.choice((1, 1, 2, 5))):
        place = rnd.randrange(len(data) + 1)
        match rnd.randrange(4):
            case 0:
                data[place:place] = odd_frame(rnd)
            case 1:
                del data[place : place + rnd.randrange(1, 8)]
            case 2:
                data += odd_frame(rnd)
            case _ if place < len(data):
                data[place] ^= 1 << rnd.randrange(8)
    return Input(bytes(data), None)


def noise(rnd: random.Random) -> Input:
    """Bytes that mean nothing, but may begin like a frame."""
    begin = rnd.choice((b"", b"", b"\x81", b"\x82\xfe", b"\x01\x80", b"\x89\x80"))
    return Input(begin + rnd.randbytes(rnd.randrange(80)), None)


def made(seed: int, number: int) -> tuple[random.Random, Input]:
    """The input of that number, and what goes on choosing for it."""
    rnd = random.Random(f"{seed}/{number}")
    return rnd, rnd.choice((well_formed, spoilt, spoilt, spoilt, noise))(rnd)


def pieces_of(rnd: random.Random, data: bytes) -> list[bytes]:
    """The stream as it may arrive: in pieces of about one size."""
    size = rnd.choice((1, 2, 7, 50, 200))
    cuts = [0]
    while cuts[-1] < len(data):
        cuts.append(cuts[-1] + rnd.randrange(1, 2 * size))
    return [data[start:end] for start, end in pairwise(cuts)]


def outcome(pieces: Sequence[bytes], frames_max: int) -> Outcome:
    """Feed a fresh parser, and look after it at each step."""
    reader, messages = FrameReader(FIRST_MAX, MESSAGE_MAX), list[str | bytes]()
    for piece in pieces:
        left, turns = piece, 0
        while left or reader.has_more:
            new = reader.feed(left, frames_max)
            messages, left, turns = messages + new, b"", turns + 1
            assert len(new) <= frames_max, "more frames than allowed"
            assert turns <= 2_000, "it goes on for ever"
        held = reader._held
        assert held is None or len(held) < HEADER_BYTES + MESSAGE_MAX, "more is held than allowed"
        assert held is None or not reader.over, "something is held although it is over"
    assert reader.close is None or reader.failure is None
    assert reader.attention == bool(reader.pings or reader.close or reader.failure)
    return Outcome(messages, reader.pings, reader.close, reader.failure)


def check(seed: int, number: int) -> str:
    """Try one input, and say how it ended. Raises whatever is wrong."""
    rnd, tried = made(seed, number)
    whole = outcome([tried.data], FRAMES_MAX)
    in_pieces = outcome(pieces_of(rnd, tried.data), rnd.choice((1, 2, 5, FRAMES_MAX)))
    assert in_pieces == whole, f"whole: {whole}, in pieces: {in_pieces}"
    sizes = [len(m.encode() if isinstance(m, str) else m) for m in whole.messages]
    assert all(size <= MESSAGE_MAX for size in sizes) and max(sizes[:1], default=0) <= FIRST_MAX
    if tried.messages is not None:
        assert whole.messages == tried.messages and whole.failure is None, f"misread: {whole}"
    return whole.end


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; 0 if every promise was kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0)
    order = parser.parse_args(arguments)
    print(f"seed {order.seed}", flush=True)
    ends = Counter[str]()
    for number in range(order.first, order.first + order.inputs):
        try:
            ends[check(order.seed, number)] += 1
        except BaseException:
            print(f"repeat with: --seed {order.seed} --first {number} --inputs 1", flush=True)
            raise
        if number % 100_000 == 99_999:
            print(f"{number + 1} inputs: {dict(ends.most_common())}", flush=True)
    print(f"{order.inputs} inputs, no promise broken: {dict(ends.most_common())}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
