"""Run several parts at once; the first to return ends the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import trio

T = TypeVar("T")


async def race(*parts: Callable[[], Awaitable[T]]) -> T:
    """Run ``parts`` concurrently and return the result of the first to finish.

    The others are cancelled and awaited before this returns. A part that raises cancels the
    rest and the exception propagates, grouped, as from any nursery.
    """
    winners: list[T] = []

    async def run(part: Callable[[], Awaitable[T]]) -> None:
        result = await part()
        winners.append(result)
        nursery.cancel_scope.cancel("race decided")

    async with trio.open_nursery() as nursery:
        for part in parts:
            nursery.start_soon(run, part, name=f"race: {_name_of(part)}")
    return winners[0]


def _name_of(part: Callable[[], object]) -> str:
    """What a task-tree dump shows. Never the arguments: their repr may be large, or secret."""
    function = part.func if isinstance(part, partial) else part
    return str(getattr(function, "__qualname__", type(function).__name__))
