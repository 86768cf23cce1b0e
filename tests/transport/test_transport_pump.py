"""The pump: whom it calls, what becomes of what is said, and how long others wait for it."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from mentra_trio.config_sources import load_config
from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.domain.errors import ConfigError
from mentra_trio.transport.pump import EVENTS_AT_ONCE, GAP_MAX_S, STRETCH_S, TICK_S, Pump, pump_for

from .carriers import PumpedWire
from .linked_peer import linked
from .raw_peer import TEXT, Facts, Rig, frame

Call = Callable[[float], object]


@attrs.define(eq=False)
class HandClock(trio.abc.Clock):
    """Time passes when the test says so. A test must ask for it by itself to run on it."""

    now: float = 100.0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return max(0.0, deadline - self.now)


@attrs.define(eq=False)
class CountedEpoll:
    """An epoll that remembers how long it was to wait each time, and what was then said to it."""

    epoll: select.epoll
    waits: list[float] = attrs.field(factory=list)
    before: Callable[[float], None] = lambda wait: None

    def poll(self, wait: float, events: int) -> list[tuple[int, int]]:
        self.waits.append(wait)
        self.before(wait)
        return self.epoll.poll(0, events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.epoll, name)

    @property
    def lingers(self) -> int:
        """How often it was to wait at all."""
        return sum(wait > 0 for wait in self.waits)


@attrs.define(eq=False)
class Pair:
    """A socket to be watched, and what can be sent to it."""

    ours: socket.socket = attrs.field(init=False)
    theirs: socket.socket = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)

    @property
    def fd(self) -> int:
        return self.ours.fileno()

    def say(self, text: str = "x") -> None:
        self.theirs.send(text.encode())

    def hear(self) -> str:
        return self.ours.recv(100).decode()

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    pairs = [Pair() for _ in range(40)]
    yield pairs
    for pair in pairs:
        pair.close()


@pytest.fixture
def pair(pairs: list[Pair]) -> Pair:
    return pairs[0]


@pytest.fixture
async def pump(nursery: trio.Nursery, clock: HandClock) -> AsyncIterator[Pump]:
    pump = Pump()
    pumping = trio.CancelScope()

    async def run() -> None:
        with pumping:
            await pump.run()

    nursery.start_soon(run)
    await trio.testing.wait_all_tasks_blocked()
    yield pump
    pumping.cancel()


@attrs.define(eq=False)
class Watcher:
    """A task that watches, and what came of it."""

    heard: list[Any] = attrs.field(factory=list)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def watch(self, pump: Pump, pair: Pair, call: Call) -> None:
        with self.scope:
            try:
                self.heard.append(await pump.watch(pair.fd, call))
            except (ValueError, trio.ClosedResourceError) as error:
                self.heard.append(error)


async def turns() -> None:
    """Until nobody has anything to do any more."""
    await trio.testing.wait_all_tasks_blocked(0.01)


# -- who is called, and what becomes of it --------------------------------------------------------


async def test_it_calls_until_there_is_a_result(
    pump: Pump, pair: Pair, clock: HandClock, nursery: trio.Nursery
) -> None:
    heard: list[tuple[str, float]] = []

    def call(now: float) -> str | None:
        heard.append((pair.hear(), now))
        return "enough" if len(heard) == 3 else None

    watcher = Watcher()
    nursery.start_soon(watcher.watch, pump, pair, call)
    for number in range(4):
        clock.now = 200.0 + number
        pair.say(str(number))
        await turns()
    assert heard == [("0", 200.0), ("1", 201.0), ("2", 202.0)]
    assert watcher.heard == ["enough"]
    assert pair.hear() == "3"


async def test_an_error_ends_the_watch_of_one_and_no_other(
    pump: Pump, pairs: list[Pair], nursery: trio.Nursery
) -> None:
    one, other = pairs[:2]

    def fail(now: float) -> None:
        one.hear()
        raise ValueError("a bug")

    failing, watching = Watcher(), Watcher()
    nursery.start_soon(failing.watch, pump, one, fail)
    nursery.start_soon(watching.watch, pump, other, lambda now: other.hear())
    await turns()
    one.say()
    await turns()
    assert [str(error) for error in failing.heard] == ["a bug"]
    assert watching.heard == []
    other.say("still here")
    await turns()
    assert watching.heard == ["still here"]


async def test_whoever_is_cancelled_is_not_called_nor_is_who_gets_its_number(
    pump: Pump, pairs: list[Pair], nursery: trio.Nursery
) -> None:
    first, second = pairs[:2]
    calls: list[str] = []
    watcher = Watcher()
    nursery.start_soon(watcher.watch, pump, first, lambda now: calls.append(first.hear()))
    await turns()
    watcher.scope.cancel()
    first.say("to nobody")
    await turns()
    number = first.fd
    first.ours.close()
    os.dup2(second.fd, number)
    try:
        reborn = socket.socket(fileno=os.dup(number))
        with trio.move_on_after(1):
            nursery.start_soon(Watcher().watch, pump, second, lambda now: calls.append("second"))
            await turns()
            assert calls == []
        reborn.close()
    finally:
        os.close(number)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("says", ["result", "error", "nothing"])
async def test_what_a_call_says_that_has_its_own_task_cancelled(
    pump: Pump, pair: Pair, nursery: trio.Nursery, says: str
) -> None:
    watcher = Watcher()

    def call(now: float) -> str | None:
        pair.hear()
        watcher.scope.cancel()
        watcher.scope.cancel()
        if says == "error":
            raise ValueError("a bug")
        return "a result" if says == "result" else None

    nursery.start_soon(watcher.watch, pump, pair, call)
    await turns()
    pair.say()
    await turns()
    wanted = {"result": ["a result"], "error": ["a bug"], "nothing": []}
    assert [str(heard) for heard in watcher.heard] == wanted[says]
    assert watcher.scope.cancelled_caught == (says == "nothing")
    again = Watcher()
    nursery.start_soon(again.watch, pump, pair, lambda now: pair.hear())
    await turns()
    pair.say("again")
    await turns()
    assert again.heard == ["again"]


async def test_a_call_may_have_another_watcher_cancelled_whose_turn_it_would_be(
    pump: Pump, pairs: list[Pair], nursery: trio.Nursery
) -> None:
    calls: list[int] = []
    watchers = [Watcher(), Watcher()]

    def call(me: int) -> Call:
        def heard(now: float) -> None:
            calls.append(me)
            pairs[me].hear()
            watchers[1 - me].scope.cancel()

        return heard

    for me in (0, 1):
        nursery.start_soon(watchers[me].watch, pump, pairs[me], call(me))
    await turns()
    pairs[0].say()
    pairs[1].say()
    await turns()
    assert len(calls) == 1
    watchers[calls[0]].scope.cancel()


async def test_a_socket_is_watched_by_one_task_at_a_time(
    pump: Pump, pair: Pair, nursery: trio.Nursery
) -> None:
    first = Watcher()
    nursery.start_soon(first.watch, pump, pair, lambda now: pair.hear())
    await turns()
    with pytest.raises(trio.BusyResourceError):
        await pump.watch(pair.fd, lambda now: "second")
    pair.say("to the first")
    await turns()
    assert first.heard == ["to the first"]


async def test_one_that_cannot_be_watched_leaves_nothing_behind(pump: Pump) -> None:
    gone = Pair()
    number = gone.fd
    gone.close()
    for _ in range(2):
        with pytest.raises(OSError, match="Bad file descriptor"):
            await pump.watch(number, lambda now: None)


async def test_at_its_end_everybody_learns_that_nobody_reads(
    pairs: list[Pair], nursery: trio.Nursery, clock: HandClock
) -> None:
    pump, watchers = Pump(), [Watcher(), Watcher()]
    async with trio.open_nursery() as pumping:
        pumping.start_soon(pump.run)
        for watcher, pair in zip(watchers, pairs, strict=False):
            nursery.start_soon(watcher.watch, pump, pair, lambda now: None)
        await turns()
        pumping.cancel_scope.cancel()
    await turns()
    assert [type(one.heard[0]) for one in watchers] == [trio.ClosedResourceError] * 2
    with pytest.raises(trio.ClosedResourceError):
        await pump.watch(pairs[0].fd, lambda now: None)
    with pytest.raises(KeyError):
        trio.lowlevel.remove_instrument(pump)
    with pytest.raises(ValueError, match="closed epoll"):
        pump._epoll.fileno()


# -- how long others wait -------------------------------------------------------------------------


async def test_whoever_waits_has_its_turn_in_time(
    pump: Pump, pairs: list[Pair], clock: HandClock, nursery: trio.Nursery
) -> None:
    called: list[Pair] = []
    turns_of_another: list[int] = []

    def call(pair: Pair) -> Call:
        def heard(now: float) -> None:
            pair.hear()
            clock.now += STRETCH_S * 0.3
            called.append(pair)

        return heard

    for pair in pairs:
        nursery.start_soon(Watcher().watch, pump, pair, call(pair))
    await turns()
    for pair in pairs:
        pair.say()
    while len(called) < len(pairs):
        await trio.lowlevel.checkpoint()
        turns_of_another.append(len(called))
    between = [b - a for a, b in zip([0, *turns_of_another], turns_of_another, strict=False)]
    assert set(between) <= {0, 4, 8}, "Trio may let it have its turn before and after another's"
    assert len(set(map(id, called))) == len(pairs), "each had its turn once"
    nursery.cancel_scope.cancel()


@attrs.define(eq=False)
class Traffic:
    """One watched socket to which something is said at intervals, in the time of the test."""

    pump: Pump
    pair: Pair
    clock: HandClock
    epoll: CountedEpoll = attrs.field(init=False)
    left: int = 0
    gap: float = 0.0
    after: Callable[[], None] = lambda: None

    def __attrs_post_init__(self) -> None:
        self.epoll = CountedEpoll(self.pump._epoll)
        self.epoll.before = self._between
        self.pump._epoll = self.epoll  # type: ignore[assignment]

    async def run(self) -> None:
        await self.pump.watch(self.pair.fd, self._heard)

    def _heard(self, now: float) -> None:
        self.pair.hear()
        self.after()

    def _between(self, wait: float) -> None:
        """While the pump lingers, the next message comes, or time passes."""
        if not wait:
            return
        self.clock.now += min(self.gap, wait)
        if self.gap <= wait and self.left:
            self.left -= 1
            self.pair.say()

    async def come(self, number: int, gap: float) -> int:
        """So many messages at such intervals; how often the pump lingered meanwhile."""
        before, self.gap, self.left = self.epoll.lingers, gap, number
        while self.left:
            self.left -= 1
            self.clock.now += gap
            self.pair.say()
            await turns()
        return self.epoll.lingers - before


@pytest.fixture
async def traffic(
    pump: Pump, pair: Pair, clock: HandClock, nursery: trio.Nursery
) -> AsyncIterator[Traffic]:
    traffic = Traffic(pump, pair, clock)
    nursery.start_soon(traffic.run)
    await turns()
    yield traffic
    nursery.cancel_scope.cancel()


async def test_it_lingers_where_messages_come_in_quick_succession(
    traffic: Traffic, clock: HandClock
) -> None:
    assert await traffic.come(100, 0.0001) > 60
    assert {wait for wait in traffic.epoll.waits if wait} <= {TICK_S * n for n in (1, 2, 3)}


@pytest.mark.parametrize("gap", [STRETCH_S * 1.01, 0.02, 10.0])
async def test_it_does_not_linger_where_they_do_not(
    traffic: Traffic, clock: HandClock, gap: float
) -> None:
    assert await traffic.come(50, gap) == 0


async def test_a_pause_is_no_message(traffic: Traffic, clock: HandClock) -> None:
    assert await traffic.come(100, 0.0001) > 0
    assert await traffic.come(20, STRETCH_S * 1.5) < 10
    assert await traffic.come(20, STRETCH_S * 1.5) == 0


async def test_after_a_long_pause_it_soon_lingers_again(traffic: Traffic, clock: HandClock) -> None:
    traffic.clock.now += 86_400
    assert await traffic.come(30, 0.0001) > 0
    assert traffic.pump._gap < GAP_MAX_S


async def test_it_does_not_linger_when_another_has_something_to_do(
    traffic: Traffic, clock: HandClock, nursery: trio.Nursery
) -> None:
    await traffic.come(100, 0.0001)
    waiting = trio.Event()
    turns_had: list[int] = []

    async def another() -> None:
        nonlocal waiting
        while True:
            await waiting.wait()
            waiting = trio.Event()
            turns_had.append(traffic.epoll.lingers)

    nursery.start_soon(another)
    await turns()
    traffic.after = lambda: waiting.set()
    assert await traffic.come(10, 0.0001) == 0
    assert len(turns_had) == 10


async def test_it_does_not_linger_when_the_time_of_another_is_near(
    traffic: Traffic, clock: HandClock, nursery: trio.Nursery
) -> None:
    await traffic.come(100, 0.0001)
    nursery.start_soon(trio.sleep_until, traffic.clock.now + TICK_S * 0.9)
    lingers, waits = traffic.epoll.lingers, len(traffic.epoll.waits)

    def say_while_nobody_else_does_anything() -> None:
        time.sleep(0.01)
        traffic.pair.say()
        time.sleep(0.02)

    await trio.to_thread.run_sync(say_while_nobody_else_does_anything)
    assert len(traffic.epoll.waits) > waits
    assert traffic.epoll.lingers == lingers


async def test_many_at_once(nursery: trio.Nursery) -> None:
    """More than one look at the kernel shows, and each of them again and again."""
    pump, heard = Pump(), [0] * (EVENTS_AT_ONCE + 40)
    pairs = [Pair() for _ in heard]

    def call(number: int) -> Call:
        def one(now: float) -> object:
            pairs[number].hear()
            heard[number] += 1
            return "done" if heard[number] == 3 else None

        return one

    async with trio.open_nursery() as pumping:
        pumping.start_soon(pump.run)
        async with trio.open_nursery() as watching:
            for number, pair in enumerate(pairs):
                watching.start_soon(Watcher().watch, pump, pair, call(number))
            for _ in range(3):
                await turns()
                for pair in pairs:
                    pair.say()
        pumping.cancel_scope.cancel()
    assert set(heard) == {3}
    for pair in pairs:
        pair.close()


# -- where there is none --------------------------------------------------------------------------


def test_where_there_is_a_pump(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(pump_for("auto", real_time=True), Pump)
    assert isinstance(pump_for("pump", real_time=True), Pump)
    assert pump_for("trio", real_time=True) is None
    assert pump_for("auto", real_time=False) is None
    assert pump_for("pump", real_time=False) is None
    monkeypatch.delattr(select, "epoll")
    assert pump_for("auto", real_time=True) is None


def test_settings_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"driver must be one of auto, trio, pump"):
        load_config(environ={}, overrides=["server.driver=epoll"])
    monkeypatch.delattr(select, "epoll")
    with pytest.raises(ConfigError, match=r"driver cannot be pump here: this system has no epoll"):
        load_config(environ={}, overrides=["server.driver=pump"])
    assert load_config(environ={}, overrides=["server.driver=auto"]).driver == "auto"


async def test_a_link_whose_pump_has_ended_reads_for_itself(nursery: trio.Nursery) -> None:
    rig = Rig(nursery, Facts(), wire=PumpedWire)
    async with linked(rig) as it:
        heard: list[str | bytes] = []
        reasons: list[CloseReason | None] = []

        async def listen() -> None:
            reasons.append(await it.link.listen(heard.append, trio.current_time() + 60))

        nursery.start_soon(listen)
        await it.peer.send(frame(TEXT, b"one"))
        await turns()
        rig._pumping[0].cancel()
        await turns()
        await it.peer.send(frame(TEXT, b"two"))
        await turns()
        assert heard == ["one", "two"]
        it.link.wake()
        await turns()
        assert reasons == [None]
        nursery.start_soon(listen)
        await it.peer.send(frame(TEXT, b"three"))
        await it.peer.stream.aclose()
        await turns()
        assert heard[2:] == ["three"]
        assert len(reasons) == 2
    rig.discard()
