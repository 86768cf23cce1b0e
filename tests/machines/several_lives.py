"""A machine whose server may be killed and begin again, over what outlives it."""

from __future__ import annotations

from collections.abc import Callable

import trio

from mentra_trio.testing.links import MemoryLink
from mentra_trio.testing.machine import TrioMachine


class SeveralLives(TrioMachine):
    """A subclass makes in ``prepare`` what outlives a server, and serves in ``live``."""

    async def world(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.links: list[MemoryLink] = []
        self.glasses: list[MemoryLink] = []
        self.waiting = self.lives = 0
        self.reborn = trio.Event()
        self.prepare()
        async with trio.open_nursery() as lives:
            lives.start_soon(self.one_life_after_the_other)
            await self.reborn.wait()
            task_status.started()

    def prepare(self) -> None:
        raise NotImplementedError

    async def live(self) -> None:
        """One life of the server, until it is cancelled; it sets ``reborn`` once it serves."""
        raise NotImplementedError

    async def one_life_after_the_other(self) -> None:
        while True:
            self.lives += 1
            with trio.CancelScope() as self.life:
                await self.live()

    def kill_the_server(self, first: Callable[[], None]) -> None:
        """Do ``first``, and end this life; return in the next one. Links die without a word."""

        async def job() -> None:
            first()
            self.reborn = trio.Event()
            self.life.cancel()
            await self.reborn.wait()
            for link in (*self.links, *self.glasses):
                link.cut()

        self.do(job)
        self.waiting = 0
