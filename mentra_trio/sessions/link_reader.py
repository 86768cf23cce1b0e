"""Frames in: hand each to a handler that never blocks, until the link is over."""

from __future__ import annotations

from collections.abc import Callable

from ..domain.close_reasons import CloseReason
from ..domain.errors import LinkClosed
from ..ports import Link


async def read_until_closed(
    link: Link, handle: Callable[[str | bytes], CloseReason | None]
) -> CloseReason:
    """Give every frame of ``link`` to ``handle``, in order; return why the link is over.

    ``handle`` is synchronous, so the reader never waits for anything but the network: pongs are
    always read, and no slow consumer makes a healthy link look dead. It returns ``None``, or
    the reason for which this link must be closed.
    """
    while True:
        try:
            frame = await link.receive()
        except LinkClosed as closed:
            return closed.reason
        verdict = handle(frame)
        if verdict is not None:
            return verdict
