"""After the death of a server the next one knows what was: users, apps, attempts, messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.close_reasons import APP_STOPPED, NOT_HERE_YET, SUPERSEDED
from mentra_trio.domain.ids import user_id
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.ports import SessionChange, Store
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import APP, USER, Household, open_household, virtual_environment
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED


@asynccontextmanager
async def until_killed(
    store: Store, lifecycle: Lifecycle | None = None
) -> AsyncGenerator[Household]:
    """A household that ends without a word to anybody, its last changes written down."""
    async with open_household(store=store, lifecycle=lifecycle or Lifecycle()) as house:
        yield house
        await house.directory.surroundings.keeper.finish()


@asynccontextmanager
async def the_next_server(store: Store) -> AsyncGenerator[Household]:
    async with open_household(store=store, environment=virtual_environment(tokens="next")) as house:
        yield house


async def running(house: Household, *streams: str) -> tuple[MemoryLink, MemoryLink]:
    await house.add_app()
    glasses = await house.attached_glasses()
    link = await house.running_app()
    link.say({"type": "subscription_update", "subscriptions": list(streams)})
    await wait_all_tasks_blocked()
    return glasses, link


async def test_users_are_known_and_their_apps_are_in_grace(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with until_killed(store) as house:
        await running(house, "button_press")
    async with the_next_server(store) as house:
        await trio.sleep(0.1)
        [user] = house.directory.users()
        assert (user.state, user.connected) == ("DISCONNECTED", False)
        [app] = user.apps
        assert app.state == "grace_period"
        assert app.subscriptions == ("button_press",)
        await trio.sleep(61)
        assert house.directory.users() == [], "the user's grace is over as ever"


@pytest.mark.parametrize("first", ["app", "glasses"])
async def test_whoever_comes_first_the_app_attaches_without_a_webhook(
    first: str, autojump_clock: MockClock
) -> None:
    store = MemoryStore()
    async with until_killed(store) as house:
        await running(house, "button_press")
    async with the_next_server(store) as house:
        comers: list[Callable[[], MemoryLink]] = [lambda: house.app(token="t1"), house.glasses]
        links = [comer() for comer in (comers if first == "app" else reversed(comers))]
        await wait_all_tasks_blocked()
        app, glasses = links if first == "app" else reversed(links)
        await app.expect("tpa_connection_ack")
        await glasses.expect("connection_ack")
        glasses.say({"type": "button_press", "buttonId": "b", "pressType": "short"})
        assert (await app.expect("data_stream"))["streamType"] == "button_press"
        await trio.sleep(100)
        assert house.webhooks.starts == []


async def test_an_app_that_does_not_come_back_is_called_once_its_user_is_there(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    async with until_killed(store) as house:
        await running(house, "button_press")
    async with the_next_server(store) as house:
        await trio.sleep(20)
        assert house.state() == "dormant"
        assert house.webhooks.starts == []
        await house.attached_glasses()
        call = await house.webhooks.next_start()
        assert await house.app(token="t1").closed() == SUPERSEDED
        await house.answer(call).expect("tpa_connection_ack")
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == ("button_press",)


async def test_an_older_attempt_is_known_as_such_after_a_restart(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    async with until_killed(store) as house:
        _, link = await running(house)
        link.cut()
        await house.answer(await house.webhooks.next_start()).expect("tpa_connection_ack")
    async with the_next_server(store) as house:
        await house.attached_glasses()
        assert await house.app(token="t1").closed() == SUPERSEDED
        await house.app(token="t2").expect("tpa_connection_ack")


async def test_an_attempt_is_on_disk_before_the_app_can_use_it(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_household(store=store) as house:
        await house.add_app()
        await house.attached_glasses()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.directory.start_app, USER, APP)
            call = await house.webhooks.next_start()
            saved = await store.saved_session(USER)
            assert saved is not None
            assert saved.apps[APP].record["tokens"] == [["t1", 1]]
            house.answer(call)


async def test_what_the_user_stopped_stays_stopped(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_household(store=store) as house:
        await running(house)
        await trio.sleep(1)
        house.directory.surroundings.keeper._open = False  # dies before it could forget the app
        await house.directory.stop_app(USER, APP)
    async with the_next_server(store) as house:
        await trio.sleep(1)
        assert house.state() is None
        assert await house.app(token="t1").closed() in (APP_STOPPED, NOT_HERE_YET)
        await house.attached_glasses()
        await trio.sleep(60)
        assert house.webhooks.starts == []


async def test_what_was_evicted_stays_evicted(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with until_killed(store) as house:
        glasses, link = await running(house)
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await glasses.expect("app_stopped", within=400)
    async with the_next_server(store) as house:
        glasses = await house.attached_glasses()
        await trio.sleep(60)
        assert house.state() == "evicted"
        assert house.webhooks.starts == []
        assert glasses.of_type("app_stopped") == []


async def test_messages_that_were_kept_arrive_after_the_restart(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with until_killed(store) as house:
        glasses, link = await running(house, "button_press")
        link.cut()
        for n in range(3):
            glasses.say({"type": "button_press", "buttonId": str(n), "pressType": "short"})
        await wait_all_tasks_blocked()
    async with the_next_server(store) as house:
        glasses = await house.attached_glasses()
        link = house.app(token="t1")
        await link.expect("tpa_connection_ack")
        glasses.say({"type": "button_press", "buttonId": "3", "pressType": "short"})
        await wait_all_tasks_blocked()
        assert [m["data"]["buttonId"] for m in link.of_type("data_stream")] == list("0123")
    async with the_next_server(store) as house:
        await house.attached_glasses()
        link = house.app(token="t1")
        await link.expect("tpa_connection_ack")
        assert link.of_type("data_stream") == [], "nothing twice"


@pytest.mark.parametrize("damage", [{}, {"missed": 7}, {"missed": {"count": 1, "reasons": ["?"]}}])
async def test_what_was_missed_is_told_after_the_restart(
    damage: dict[str, Any], autojump_clock: MockClock
) -> None:
    store = MemoryStore()
    async with until_killed(store, Lifecycle(kept_messages=2)) as house:
        glasses, link = await running(house, "button_press")
        link.cut()
        await wait_all_tasks_blocked()
        glasses.say(*({"type": "button_press", "buttonId": str(n)} for n in range(5)))
        await wait_all_tasks_blocked()
    saved = await store.saved_session(USER)
    assert saved is not None
    record = {**saved.apps[APP].record, **damage}
    await store.save_sessions([SessionChange(user=USER, package=APP, record=record)])
    async with the_next_server(store) as house:
        await house.attached_glasses()
        back = house.app(token="t1")
        await back.expect("tpa_connection_ack")
        await wait_all_tasks_blocked()
        told = [message["payload"]["count"] for message in back.of_type("custom_message")]
        assert told == ([] if damage else [3])


async def test_an_ended_session_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_household(store=store) as house:
        glasses, _ = await running(house, "button_press")
        await trio.sleep(1)
        assert await store.saved_users() == [USER]
        glasses.cut()
        await trio.sleep(62)
        assert house.directory.users() == []
        assert await store.saved_users() == []
        assert await store.wanted_apps(USER) == [APP], "intent is not erased"


async def test_a_damaged_record_costs_only_itself(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with until_killed(store) as house:
        await running(house)
    await store.save_sessions([SessionChange(user=USER, package=APP, record={"state": "?"})])
    async with the_next_server(store) as house:
        await house.attached_glasses()
        await house.answer(await house.webhooks.next_start()).expect("tpa_connection_ack")
        assert house.state() == "running", "it is wanted, so it is brought up"


async def test_many_sessions_are_begun_in_the_background(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    users = [user_id(f"u-{n}@x.org") for n in range(100)]
    async with until_killed(store) as house:
        for user in users:
            await house.attached_glasses(user)
    async with the_next_server(store) as house:
        await house.attached_glasses(users[70])
        await trio.sleep(1)
        assert len(house.directory.users()) == 100


async def test_a_session_that_has_just_ended_is_not_taken_for_one_of_before(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses, _link = await running(house, "button_press")
        await trio.sleep(1)
        glasses.cut()
        await trio.sleep(60)
        await wait_all_tasks_blocked()
        assert house.directory.users() == []
        house.connect_when_called()
        await house.attached_glasses()
        await wait_all_tasks_blocked()
        [app] = house.directory.users()[0].apps
        assert app.state == "running", "it was started at once, and not awaited"
        assert app.subscriptions == ()
