"""Seed 002: the subscription updates of one app are applied in arrival order."""

from __future__ import annotations

from functools import partial

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.sessions.update_queue import UpdateQueue
from mentra_trio.testing.household import open_household, open_one_app


async def test_enqueue_processes_operations_in_arrival_order(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    queue = UpdateQueue(16, lambda error: None)
    queue.open(nursery)
    results: list[int] = []

    async def operation(delay_ms: int, number: int) -> int:
        await trio.sleep(delay_ms / 1000)
        results.append(number)
        return number

    returned: list[int] = []

    async def ask(delay_ms: int, number: int) -> None:
        returned.append(await queue.enqueue(partial(operation, delay_ms, number)))

    async with trio.open_nursery() as callers:
        for delay_ms, number in ((50, 1), (10, 2), (1, 3)):
            callers.start_soon(ask, delay_ms, number)
            await wait_all_tasks_blocked()
    # Despite different delays, they complete in arrival order.
    assert results == [1, 2, 3]
    assert returned == [1, 2, 3]


async def test_subscription_updates_are_processed_in_arrival_order(
    autojump_clock: MockClock,
) -> None:
    updates = [[], ["audio_chunk"], ["audio_chunk", "transcription:en-US"]]
    async with open_one_app() as (house, glasses, app):
        app.say(*({"type": "subscription_update", "subscriptions": list_} for list_ in updates))
        await wait_all_tasks_blocked()
        snapshot = house.snapshot()
        assert snapshot is not None
        assert set(snapshot.subscriptions) == {"audio_chunk", "transcription:en-US"}
        glasses.say(b"pcm.")
        glasses.say({"type": "local_transcription", "text": "hi", "transcribeLanguage": "en-US"})
        await app.expect("data_stream")
        assert app.audio == [b"pcm."]


@given(
    updates=st.lists(
        st.lists(st.sampled_from(["audio_chunk", "button_press", "transcription:de-DE", "VAD"])),
        min_size=1,
        max_size=12,
    ),
    turns=st.lists(st.booleans(), min_size=12, max_size=12),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_burst_ends_in_its_last_update(
    updates: list[list[str]], turns: list[bool], autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, _glasses, app):
        for update, give_turn in zip(updates, turns, strict=False):
            app.say({"type": "subscription_update", "subscriptions": update})
            if give_turn:
                await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        snapshot = house.snapshot()
        assert snapshot is not None
        assert set(snapshot.subscriptions) == set(updates[min(len(updates), len(turns)) - 1])


async def test_the_queue_belongs_to_the_app_session_and_ends_with_it(
    autojump_clock: MockClock,
) -> None:
    """Two apps do not wait for each other's updates."""
    async with open_household() as house:
        one = await house.add_app("com.t.one")
        two = await house.add_app("com.t.two", kind="background")
        await house.attached_glasses()
        first, second = await house.running_app(package=one), await house.running_app(package=two)
        first.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        second.say({"type": "subscription_update", "subscriptions": ["head_position"]})
        await wait_all_tasks_blocked()
        snapshots = [house.snapshot(package=package) for package in (one, two)]
        assert [s.subscriptions for s in snapshots if s] == [("button_press",), ("head_position",)]
