"""Look-ups of host names, few at once, so that no name server can hold up those of others.

A look-up runs in a thread that nothing can interrupt: where a name server is silent it stays
there for half a minute, long after the call that wanted it. Trio's own threads are shared with
everything else; these here have a bound for each name, and one for all of them together.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, cast
from weakref import WeakValueDictionary

import attrs
import trio

LOOK_UPS_MAX: Final = 64
"""So many at once."""
OF_ONE_NAME_MAX: Final = 4
"""So many of them for the same name."""

Infos: TypeAlias = Sequence[tuple[Any, ...]]
Address: TypeAlias = "tuple[int, tuple[Any, ...]]"
"""Family, and what a socket of that family connects to."""


@attrs.define(eq=False)
class LookUp:
    """Finds the addresses of names. ``ask`` replaces ``socket.getaddrinfo``."""

    ask: Callable[..., Infos] = socket.getaddrinfo
    _all: trio.CapacityLimiter = attrs.field(
        factory=partial(trio.CapacityLimiter, LOOK_UPS_MAX), init=False
    )
    _turns: WeakValueDictionary[str, _Turns] = attrs.field(factory=WeakValueDictionary, init=False)

    async def __call__(self, host: str, port: int) -> list[Address]:
        """The addresses of ``host``, in the resolver's order, without repetitions.

        Raises:
            OSError: there are none.
            ValueError: ``host`` is not a name.
        """
        await trio.lowlevel.checkpoint()
        ask = partial(self.ask, host, port, type=socket.SOCK_STREAM)
        try:
            infos = ask(flags=socket.AI_NUMERICHOST)  # asks nobody
        except OSError:
            infos = await self._in_thread(host, ask)
        return list(dict.fromkeys((int(info[0]), info[4]) for info in infos))

    async def _in_thread(self, host: str, ask: Callable[[], Infos]) -> Infos:
        turns = self._turns.get(host) or _Turns(self._all)
        self._turns[host] = turns  # for as long as somebody looks it up, or waits for that
        return await trio.to_thread.run_sync(
            ask, abandon_on_cancel=True, limiter=cast("trio.CapacityLimiter", turns)
        )


@attrs.define(eq=False)
class _Turns:
    """A limiter as Trio's threads use it: one turn of a name, and one of all.

    Both are given back when the thread ends, which may be after its caller is gone.
    """

    _all: trio.CapacityLimiter
    _own: trio.CapacityLimiter = attrs.field(
        factory=partial(trio.CapacityLimiter, OF_ONE_NAME_MAX), init=False
    )

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Wait for both turns."""
        await self._own.acquire_on_behalf_of(borrower)
        try:
            await self._all.acquire_on_behalf_of(borrower)
        except BaseException:
            self._own.release_on_behalf_of(borrower)
            raise

    def release_on_behalf_of(self, borrower: object) -> None:
        """Give both turns back."""
        self._all.release_on_behalf_of(borrower)
        self._own.release_on_behalf_of(borrower)
