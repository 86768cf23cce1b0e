"""The use of one borrowed link, from its attachment until one of its parts says why it is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ..concurrency.offers import Offers
from ..concurrency.race import race
from ..domain.close_reasons import CloseReason
from ..ports import Link
from .heartbeat import heartbeat
from .link_reader import read_until_closed


async def use_link(
    link: Link,
    *,
    handle: Callable[[str | bytes], CloseReason | None],
    interval: float,
    silence: float,
    silent: CloseReason,
    offers: Offers[Any, CloseReason],
    until_disproved: Callable[[], Awaitable[CloseReason]] | None = None,
) -> CloseReason:
    """Read ``link`` and watch its life until it ends, fails, or a newer one is offered.

    Args:
        handle: takes every frame; see ``read_until_closed``.
        interval, silence: of the heartbeat, in seconds.
        silent: the reason if the peer was silent for so long.
        offers: where a newer link would be offered.
        until_disproved: returns if something else shows that the link is dead, where anything
            may.

    Returns:
        Why the link is over. Two things may happen in one turn: if a newer link waits, it is
        ``offers.replaced``, whatever else was the case.
    """

    async def until_replaced() -> CloseReason:
        await offers.until_offered()
        return offers.replaced

    parts: list[Callable[[], Awaitable[CloseReason]]] = [
        partial(read_until_closed, link, handle),
        partial(heartbeat, link, interval=interval, silence=silence, verdict=silent),
        until_replaced,
        link.until_failed,
    ]
    if until_disproved is not None:
        parts.append(until_disproved)
    reason = await race(*parts)
    return offers.replaced if offers.waiting else reason
