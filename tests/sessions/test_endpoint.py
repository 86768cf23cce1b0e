"""The line in front of one app server: who is tried when, and what cancelling leaves behind."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.breaker import BreakerState, Sign
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.endpoint import Endpoint, Endpoints
from mentra_trio.testing.household import APP, virtual_environment
from mentra_trio.testing.recording import RecordingTelemetry


def endpoints() -> Endpoints:
    return Endpoints(
        lifecycle=Lifecycle(), environment=virtual_environment(), telemetry=RecordingTelemetry()
    )


def endpoint() -> Endpoint:
    return endpoints().of(APP, "http://one.test")


@attrs.define
class Caller:
    """Waits for a turn, says ``sign`` after ``call_s`` seconds, and is done or waits again."""

    server: Endpoint
    sign: Sign = Sign.AWAY
    call_s: float = 0.0
    at: list[float] = attrs.field(factory=list)

    async def call(self) -> None:
        lost_at = trio.current_time()
        while True:
            turn = await self.server.turn(lost_at)
            self.at.append(trio.current_time())
            try:
                await trio.sleep(self.call_s)
                self.server.tell(self.sign)
            finally:
                turn.over()
            if self.sign is Sign.GOOD:
                return


async def test_a_server_that_is_back_within_the_first_minute_is_found_within_two_seconds(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    caller = Caller(endpoint())
    nursery.start_soon(caller.call)
    await trio.sleep(59)
    caller.sign = Sign.GOOD
    await trio.sleep(2)
    assert caller.server.state.value is BreakerState.CLOSED
    assert len(caller.at) <= 33


async def test_after_its_minute_it_is_tried_every_15_seconds_until_the_budget_is_over(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    caller = Caller(endpoint())
    nursery.start_soon(caller.call)
    await trio.sleep(3_000)
    late = [moment for moment in caller.at if 62 < moment < 180]
    assert 7 <= len(late) <= 9
    rare = [moment for moment in caller.at if moment > 180]
    assert [round(moment / 900) for moment in rare] == [1, 2, 3]


async def test_those_behind_the_first_follow_in_their_order_at_the_rate(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    server = endpoint()
    callers = [Caller(server, sign=Sign.GOOD, call_s=1.0) for _ in range(4)]
    for caller in callers:
        nursery.start_soon(caller.call)
        await wait_all_tasks_blocked()
    assert server.snapshot().waiting == 3, "one tries for all"
    assert server.snapshot().trial
    await trio.sleep(5)
    assert [caller.at for caller in callers] == [
        [0.0],
        [pytest.approx(1.0)],
        [pytest.approx(1.005)],
        [pytest.approx(1.01)],
    ]


async def test_one_who_gives_up_while_it_tries_lets_the_next_try_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    server = endpoint()
    first, second = Caller(server, call_s=100), Caller(server, call_s=100)
    with trio.CancelScope() as patience:
        async with trio.open_nursery() as impatient:
            impatient.start_soon(first.call)
            await wait_all_tasks_blocked()
            nursery.start_soon(second.call)
            await trio.sleep(3)
            patience.cancel()
    await wait_all_tasks_blocked()
    assert (first.at, second.at) == ([0.0], [3.0])
    assert server.snapshot().waiting == 0


async def test_one_who_gives_up_at_the_head_of_the_line_makes_room_for_the_next(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    server = endpoint()
    server.tell(Sign.AWAY)
    first, second = Caller(server), Caller(server)
    with trio.move_on_after(1):
        async with trio.open_nursery() as impatient:
            impatient.start_soon(first.call)
            await wait_all_tasks_blocked()
            nursery.start_soon(second.call)
            await trio.sleep(10)
    await trio.sleep(1.1)
    assert first.at == []
    assert len(second.at) == 1


async def test_whoever_is_lost_while_others_wait_goes_to_the_end_of_the_line(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    server = endpoint()
    server.tell(Sign.AWAY)
    caller = Caller(server, sign=Sign.GOOD)
    nursery.start_soon(caller.call)
    await trio.sleep(1)
    server.tell(Sign.GOOD)
    assert server.goes_at_once(0.5) is None, "although it could, if nobody waited"
    await wait_all_tasks_blocked()
    assert caller.at == [1.0]


async def test_one_tries_for_all_also_where_nobody_stands_in_line(
    autojump_clock: MockClock,
) -> None:
    server = endpoint()
    turn = server.goes_at_once(0.0)
    assert turn is not None
    await trio.sleep(1)
    assert server.goes_at_once(0.5) is None, "the first is still trying"
    turn.over()
    second = server.goes_at_once(0.5)
    assert second is not None
    server.tell(Sign.GOOD)
    await trio.sleep(1)
    assert server.goes_at_once(0.5) is not None, "it is known to be there: no trial"


async def test_a_health_check_that_succeeds_again_is_a_reason_to_try_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    caller = Caller(endpoint())
    nursery.start_soon(caller.call)
    await trio.sleep(300)
    caller.server.note_health(well=False)
    caller.sign = Sign.GOOD
    await trio.sleep(10)
    assert caller.server.breaker.is_open
    began = trio.current_time()
    caller.server.note_health(well=True)
    await wait_all_tasks_blocked()
    assert caller.at[-1] == began
    assert not caller.server.breaker.is_open


async def test_a_server_that_has_moved_is_tried_at_its_new_address_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    known = endpoints()
    caller = Caller(known.of(APP, "http://one.test"))
    nursery.start_soon(caller.call)
    await trio.sleep(300)
    caller.sign, began = Sign.GOOD, trio.current_time()
    assert known.found_at(APP, "http://two.test") is caller.server
    await wait_all_tasks_blocked()
    assert caller.at[-1] == began
    assert caller.server.url == "http://two.test"


async def test_an_app_that_was_removed_is_forgotten_with_its_server(
    autojump_clock: MockClock,
) -> None:
    known = endpoints()
    server = known.of(APP, "http://one.test")
    assert known.known(APP) is server
    known.forget(APP)
    assert known.known(APP) is None
    assert known.of(APP, "http://one.test") is not server
