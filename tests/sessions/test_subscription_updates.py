"""Subscription updates: in arrival order, whatever each of them takes."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.close_reasons import UPDATES_OVERFLOW
from mentra_trio.domain.errors import SessionEnded, UpdatesOverflow
from mentra_trio.domain.timings import Limits
from mentra_trio.sessions.update_queue import UpdateQueue
from mentra_trio.testing.household import open_one_app, open_wearer


def update(*streams: str) -> dict[str, object]:
    return {"type": "subscription_update", "subscriptions": list(streams)}


async def test_five_hundred_rapid_updates_end_in_the_last(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(*(update(f"stream_{n}") for n in range(500)))
        await trio.sleep(1)
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == ("stream_499",)
        assert app.is_open
        assert len(glasses.of_type("app_state_change")) <= 3, "coalesced"


async def test_twenty_one_updates_at_start_are_quiet_for_the_glasses(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, glasses):
        await trio.sleep(1)
        before = len(glasses.messages)
        app = await house.running_app()
        streams = ["audio_chunk", *(f"stream_{n}" for n in range(19))]
        app.say(*(update(*streams[:n]) for n in range(21)))
        await trio.sleep(2)
        news = [message["type"] for message in glasses.messages[before:]]
        assert news.count("microphone_state_change") <= 2
        assert news.count("app_state_change") <= 2
        assert "microphone_state_change" in news


async def test_an_empty_list_right_after_a_reattach_is_not_its_wish(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.say(update("button_press"))
        await wait_all_tasks_blocked()
        app.cut()
        await trio.sleep(1)
        back = house.app()
        back.say(update())
        await trio.sleep(0.5)
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == ("button_press",)
        await trio.sleep(0.6)
        back.say(update())
        await trio.sleep(0.1)
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == (), "later it is meant"


async def test_after_its_first_list_a_reattached_app_may_empty_it_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.say(update("button_press"))
        await wait_all_tasks_blocked()
        app.cut()
        await trio.sleep(1)
        house.app().say(update("button_press"), update())
        await trio.sleep(0.2)
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == ()


async def test_malformed_entries_are_dropped_and_the_valid_ones_kept(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (_house, glasses, app):
        entries: list[object] = [
            None,
            7,
            [],
            {"stream": 3},
            "translation:x-to-",
            "button_press",
            {"rate": "high"},
        ]
        app.say({"type": "subscription_update", "subscriptions": entries})
        await wait_all_tasks_blocked()
        glasses.say({"type": "button_press", "buttonId": "b"})
        assert (await app.expect("data_stream"))["streamType"] == "button_press"
        assert app.is_open


async def test_more_waiting_updates_than_the_bound_close_that_link_by_name(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app(limits=Limits(updates_waiting=1)) as (_house, glasses, app):
        # Without a turn of the scheduler in between, the worker cannot take any.
        app.say(*(update("a") for _ in range(2000)))
        await trio.sleep(0.1)
        assert app.closed_with in {None, UPDATES_OVERFLOW}
        assert glasses.is_open


# -- the queue itself, in the words of seed 002 -------------------------------------


@pytest.fixture
async def queue(nursery: trio.Nursery) -> UpdateQueue:
    queue = UpdateQueue(64, lambda error: None)
    queue.open(nursery)
    return queue


async def test_a_failing_operation_is_reported_and_does_not_block_the_next(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    reported: list[BaseException] = []
    queue = UpdateQueue(64, reported.append)
    queue.open(nursery)

    async def fail() -> None:
        await trio.sleep(1)
        raise ValueError("planted")

    async def work() -> str:
        await trio.sleep(1)
        return "done"

    async with trio.open_nursery() as callers:

        async def expect_failure() -> None:
            with pytest.raises(ValueError, match="planted"):
                await queue.enqueue(fail)

        callers.start_soon(expect_failure)
        await wait_all_tasks_blocked()
        assert await queue.enqueue(work) == "done"
    assert [str(error) for error in reported] == ["planted"]


@given(delays=st.lists(st.floats(0, 5), max_size=20))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_operations_complete_in_arrival_order_whatever_each_takes(
    delays: list[float], autojump_clock: MockClock
) -> None:
    done: list[int] = []

    async def operation(number: int, delay: float) -> None:
        await trio.sleep(delay)
        done.append(number)

    async with trio.open_nursery() as nursery:
        queue = UpdateQueue(64, lambda error: None)
        queue.open(nursery)
        for number, delay in enumerate(delays):
            queue.submit(partial(operation, number, delay))
        await queue.enqueue(trio.lowlevel.checkpoint)
        nursery.cancel_scope.cancel()
    assert done == list(range(len(delays)))


async def test_a_full_queue_is_an_error_with_a_name(autojump_clock: MockClock) -> None:
    queue = UpdateQueue(2, lambda error: None)
    queue.submit(trio.lowlevel.checkpoint)
    queue.submit(trio.lowlevel.checkpoint)
    with pytest.raises(UpdatesOverflow):
        queue.submit(trio.lowlevel.checkpoint)


async def test_everybody_waiting_is_told_when_the_worker_ends(autojump_clock: MockClock) -> None:
    refused: list[str] = []
    async with trio.open_nursery() as callers:
        async with trio.open_nursery() as nursery:
            queue = UpdateQueue(8, lambda error: None)
            queue.open(nursery)

            async def wait(operation: str) -> None:
                with pytest.raises(SessionEnded):
                    await queue.enqueue(trio.sleep_forever)
                refused.append(operation)

            callers.start_soon(wait, "the one at work")
            await wait_all_tasks_blocked()
            callers.start_soon(wait, "the one behind it")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        with pytest.raises(SessionEnded):
            queue.submit(trio.lowlevel.checkpoint)
    assert sorted(refused) == ["the one at work", "the one behind it"]


async def test_a_cancelled_caller_leaves_its_operation_in_the_queue(
    queue: UpdateQueue, autojump_clock: MockClock
) -> None:
    done: list[str] = []

    async def slow() -> None:
        await trio.sleep(3)
        done.append("slow")

    with trio.move_on_after(1):
        await queue.enqueue(slow)
    await trio.sleep(5)
    assert done == ["slow"]
