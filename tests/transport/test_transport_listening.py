"""Listening to a link: the part of the contract that every kind of it keeps, the fake one too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from mentra_trio.domain.close_reasons import APP_STOPPED, LINK_LOST, CloseReason
from mentra_trio.ports import Link
from mentra_trio.testing.links import MemoryLink
from mentra_trio.testing.schedule import seeded_schedule
from mentra_trio.wire.frames import encode_message

from .carriers import WIRES
from .linked_peer import Linked, linked
from .raw_peer import TEXT, Facts, Rig, close_frame, frame

BYE: Final = CloseReason(4_321, "bye")


class Talk(Protocol):
    """A link, and the peer at its other end."""

    @property
    def link(self) -> Link: ...

    async def say(self, *texts: str) -> None: ...

    async def hang_up(self) -> None: ...

    async def vanish(self) -> None: ...


@attrs.define(eq=False)
class WireTalk:
    it: Linked
    link: Link = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.link = self.it.link

    async def say(self, *texts: str) -> None:
        await self.it.peer.send(b"".join(frame(TEXT, text.encode()) for text in texts))

    async def hang_up(self) -> None:
        await self.it.peer.send(close_frame(BYE.code, BYE.text))

    async def vanish(self) -> None:
        await self.it.peer.stream.aclose()


@attrs.define(eq=False)
class MemoryTalk:
    link: MemoryLink = attrs.field(factory=MemoryLink)

    async def say(self, *texts: str) -> None:
        self.link.say(*texts)
        await trio.lowlevel.checkpoint()

    async def hang_up(self) -> None:
        self.link.hang_up(BYE.code, BYE.text)
        await trio.lowlevel.checkpoint()

    async def vanish(self) -> None:
        self.link.cut()
        await trio.lowlevel.checkpoint()


@asynccontextmanager
async def talking(kind: str) -> AsyncIterator[Talk]:
    if kind == "link":
        talk = MemoryTalk()
        yield talk
        talk.link.close(APP_STOPPED)
        return
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, Facts(), wire=WIRES[kind])
        async with linked(rig) as it:
            yield WireTalk(it)
            await it.peer.stream.aclose()
        rig.discard()
        assert rig.facts.crashes == []


KINDS: Final = ("link", *WIRES)
every_kind = pytest.mark.parametrize("kind", KINDS)
Heard = list[str | bytes]


async def listen(talk: Talk, heard: Heard, seconds: float = 60) -> CloseReason | None:
    return await talk.link.listen(heard.append, trio.current_time() + seconds)


@every_kind
@pytest.mark.parametrize("seconds", [-1, 0, 0.5, 3])
async def test_it_ends_at_the_time_and_not_before(
    kind: str, seconds: float, autojump_clock: MockClock
) -> None:
    async with talking(kind) as talk:
        heard: Heard = []
        began = trio.current_time()
        assert await listen(talk, heard, seconds) is None
        assert trio.current_time() == pytest.approx(began + max(0, seconds))
        await talk.say("one", "two")
        assert await listen(talk, heard, 1) is None
        assert heard == ["one", "two"]


@every_kind
async def test_a_verdict_ends_it_at_once(kind: str, autojump_clock: MockClock) -> None:
    async with talking(kind) as talk:
        heard: Heard = []

        def handle(message: str | bytes) -> CloseReason | None:
            heard.append(message)
            return APP_STOPPED if message == "two" else None

        await talk.say("one", "two", "three")
        assert await talk.link.listen(handle, trio.current_time() + 60) == APP_STOPPED
        assert heard == ["one", "two"]


@every_kind
async def test_what_was_said_before_the_end_comes_before_the_reason(
    kind: str, autojump_clock: MockClock
) -> None:
    async with talking(kind) as talk:
        heard: Heard = []
        await talk.say("one")
        await talk.hang_up()
        assert await listen(talk, heard) == BYE
        assert await listen(talk, heard) == BYE
        assert heard == ["one"]
        assert not talk.link.push("too late")
        assert not talk.link.push_encoded(encode_message("too late"))
        talk.link.ping()


@every_kind
async def test_one_that_vanishes(kind: str, autojump_clock: MockClock) -> None:
    async with talking(kind) as talk:
        heard: Heard = []
        await talk.say("one")
        await talk.vanish()
        assert await listen(talk, heard) == LINK_LOST
        assert heard == ["one"]
        assert not talk.link.push("too late")


@every_kind
async def test_a_call_wakes_who_listens_and_is_not_remembered(
    kind: str, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with talking(kind) as talk:
        heard: Heard = []
        began = trio.current_time()
        talk.link.wake()
        assert await listen(talk, heard, 5) is None
        assert trio.current_time() == pytest.approx(began + 5)

        async def wake() -> None:
            await trio.sleep(2)
            talk.link.wake()
            talk.link.wake()

        nursery.start_soon(wake)
        assert await listen(talk, heard, 5) is None
        assert trio.current_time() == pytest.approx(began + 7)


@every_kind
async def test_a_handler_may_wake_its_own_link(kind: str, autojump_clock: MockClock) -> None:
    async with talking(kind) as talk:
        heard: Heard = []

        def handle(message: str | bytes) -> None:
            heard.append(message)
            talk.link.wake()

        await talk.say(*map(str, range(5)))
        calls = 0
        while len(heard) < 5:
            assert await talk.link.listen(handle, trio.current_time() + 60) is None
            calls += 1
        assert heard == list("01234")
        assert trio.current_time() == pytest.approx(0)
        assert 1 <= calls <= 5


@every_kind
@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_handler_says_that_wakes_its_own_link_is_not_lost(
    kind: str, autojump_clock: MockClock, *, fails: bool
) -> None:
    async with talking(kind) as talk:

        def handle(message: str | bytes) -> CloseReason | None:
            talk.link.wake()
            if fails:
                raise ValueError("a bug")
            return APP_STOPPED

        async def say() -> None:
            await trio.sleep(1)
            await talk.say("one")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(say)
            if fails:
                with pytest.raises(ValueError, match="a bug"):
                    await talk.link.listen(handle, trio.current_time() + 60)
            else:
                assert await talk.link.listen(handle, trio.current_time() + 60) == APP_STOPPED
        assert trio.current_time() == pytest.approx(1)


@every_kind
async def test_an_error_of_the_handler_goes_to_who_listens(
    kind: str, autojump_clock: MockClock
) -> None:
    async with talking(kind) as talk:

        def handle(message: str | bytes) -> None:
            raise ValueError("a bug")

        await talk.say("one")
        with pytest.raises(ValueError, match="a bug"):
            await talk.link.listen(handle, trio.current_time() + 60)
        await talk.say("two")
        heard: Heard = []
        assert await listen(talk, heard, 1) is None, "nothing is left of the call that failed"
        assert heard[-1:] == ["two"]


DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 600)),
        st.tuples(st.sampled_from(["wake", "cancel", "time", "turn"]), st.just(1)),
    ),
    max_size=25,
)


@every_kind
@given(deeds=DEEDS, seed=st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_whoever_interrupts_it_nothing_is_lost_and_nothing_comes_twice(
    kind: str, deeds: list[tuple[str, int]], seed: int
) -> None:
    with seeded_schedule(seed):
        trio.run(interrupt, kind, deeds, clock=MockClock(autojump_threshold=0))


async def interrupt(kind: str, deeds: list[tuple[str, int]]) -> None:
    heard: Heard = []
    said = 0
    async with talking(kind) as talk, trio.open_nursery() as session:
        scopes = [trio.CancelScope()]
        session.start_soon(listen_again_and_again, talk.link, heard, scopes)
        for what, number in deeds:
            if what == "say":
                await talk.say(*(str(n) for n in range(said, said + number)))
                said += number
            elif what == "wake":
                talk.link.wake()
            elif what == "cancel":
                scopes[0].cancel()
            elif what == "time":
                await trio.sleep(1.5)
            else:
                await trio.lowlevel.checkpoint()
        await talk.hang_up()
    assert heard == [str(n) for n in range(said)]


async def listen_again_and_again(link: Link, heard: Heard, scopes: list[trio.CancelScope]) -> None:
    reason = None
    while reason is None:
        with trio.CancelScope() as scopes[0]:
            reason = await link.listen(heard.append, trio.current_time() + 1)
    assert reason == BYE
