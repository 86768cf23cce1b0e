"""Audio cut into pieces: no sample is ever torn apart by where a piece ends."""

from __future__ import annotations

from typing import Final

SAMPLE_BYTES: Final = 2
"""16-bit samples (protocol.md 4.9)."""


def whole_samples(rest: bytes, frame: bytes) -> tuple[bytes, bytes]:
    """The whole samples of ``rest`` and ``frame`` together, and what is left over.

    ``rest`` is what was left over the time before: nothing, or the first byte of a sample. A
    frame that fits comes out as the very object that it is.

    Source: protocol.md 4.9 (an odd trailing byte is carried into the next frame).
    """
    joined = rest + frame if rest else frame
    odd = len(joined) % SAMPLE_BYTES
    return (joined[:-odd], joined[-odd:]) if odd else (joined, b"")
