"""What sessions remember, on its way to the store: written together, again after a failure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.facts import StoreTrouble
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.domain.timings import SAVE_AGAIN_S, SAVE_DELAY_S, SAVE_WAIT_S, Lifecycle
from mentra_trio.ports import SessionChange
from mentra_trio.sessions.keeper import CHANGES_AT_ONCE, Keeper
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import APP, USER, open_one_app
from mentra_trio.testing.recording import RecordingTelemetry

OTHER_APP = package_name("com.t.b")


class Fickle(MemoryStore):
    """Counts rounds, takes ``slow_s`` for each, and fails as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.slow_s = 0.0
        self.rounds: list[int] = []

    async def save_sessions(self, changes: Sequence[SessionChange]) -> None:
        await trio.sleep(self.slow_s)
        self.rounds.append(len(changes))
        if self.fails:
            raise StoreFailed("disk full")
        await super().save_sessions(changes)


@attrs.define(eq=False)
class Note:
    """Says at any time what it is then; knows what of it is on disk."""

    value: int
    on_disk: int | None = None

    def change(self) -> SessionChange:
        return SessionChange(user=USER, package=APP, record={"value": self.value})

    def written(self, change: SessionChange) -> None:
        assert change.record is not None
        self.on_disk = change.record["value"]


class Other(Note):
    """The same of another app."""

    def change(self) -> SessionChange:
        return attrs.evolve(super().change(), package=OTHER_APP)


@pytest.fixture
def store() -> Fickle:
    return Fickle()


@pytest.fixture
async def keeper(store: Fickle, nursery: trio.Nursery) -> Keeper:
    keeper = Keeper(store=store, telemetry=RecordingTelemetry())
    nursery.start_soon(keeper.run)
    return keeper


async def saved(store: Fickle) -> dict[str, object]:
    found = await store.saved_session(USER)
    return {package: app.record for package, app in found.apps.items()} if found else {}


async def test_a_burst_is_one_round_and_is_written_as_it_is_then(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    note = Note(0)
    for value in range(10):
        note.value = value
        keeper.note(USER, APP, note)
        keeper.note(USER, OTHER_APP, Note(value))
    await trio.sleep(SAVE_DELAY_S + 0.01)
    assert store.rounds == [2]
    assert note.on_disk == 9


async def test_what_could_not_be_written_is_tried_again_unless_something_newer_is_known(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    store.fails, store.slow_s = True, 0.05
    old, new, other = Note(1), Note(2), Note(3)
    keeper.note(USER, APP, old)
    keeper.note(USER, OTHER_APP, other)
    await trio.sleep(SAVE_DELAY_S + 0.01)
    keeper.note(USER, APP, new)
    await trio.sleep(0.1)
    assert isinstance(keeper.telemetry, RecordingTelemetry)
    assert len(keeper.telemetry.of(StoreTrouble)) == 1
    store.fails = False
    await trio.sleep(SAVE_AGAIN_S + SAVE_DELAY_S + 0.1)
    assert (old.on_disk, new.on_disk, other.on_disk) == (None, 2, 3)
    assert store.rounds == [2, 2]


async def test_a_store_that_fails_for_many_is_told_once(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    store.fails = True
    for number in range(3):
        keeper.note(user_id(f"u-{number}@x.org"), APP, Note(number))
    await trio.sleep(SAVE_DELAY_S + 0.01)
    assert isinstance(keeper.telemetry, RecordingTelemetry)
    [trouble] = keeper.telemetry.of(StoreTrouble)
    assert trouble.user == "u-0@x.org"
    assert trouble.problem.endswith("(and so for 2 others)")


async def test_nobody_waits_longer_than_a_moment_for_a_store_that_does_not_answer(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    store.slow_s = 100
    keeper.note(USER, APP, Note(1))
    await keeper.save_now()
    assert trio.current_time() == pytest.approx(SAVE_WAIT_S)


async def test_whoever_waits_is_not_kept_waiting_for_the_delay(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    note = Note(1)
    keeper.note(USER, APP, note)
    await keeper.save_now()
    assert note.on_disk == 1
    assert trio.current_time() == 0


async def test_what_was_noted_while_a_round_was_written_is_waited_for_too(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    store.slow_s = 0.3
    first, second = Note(1), Note(2)
    keeper.note(USER, APP, first)
    await trio.sleep(SAVE_DELAY_S + 0.1)
    keeper.note(USER, OTHER_APP, second)
    await keeper.save_now()
    assert (first.on_disk, second.on_disk) == (1, 2)


async def test_of_a_user_who_is_forgotten_nothing_is_written_any_more(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    keeper.note(USER, APP, Note(1))
    await trio.sleep(1)
    assert await saved(store) == {APP: {"value": 1}}
    keeper.note(USER, OTHER_APP, Note(2))
    keeper.forget(USER)
    await trio.sleep(1)
    assert await saved(store) == {}
    assert store.rounds == [1, 1]


async def test_after_the_end_nothing_is_noted(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    note, late = Note(1), Note(2)
    keeper.note(USER, APP, note)
    await keeper.finish()
    keeper.note(USER, OTHER_APP, late)
    keeper.forget(USER)
    await trio.sleep(1)
    assert (note.on_disk, late.on_disk) == (1, None)
    assert await saved(store) == {APP: {"value": 1}}


async def kept_in(store: object) -> int:
    assert isinstance(store, MemoryStore)
    found = await store.saved_session(USER)
    return len(found.apps[APP].kept) if found is not None else 0


async def test_kept_messages_are_in_the_store_until_the_app_has_them(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app(lifecycle=Lifecycle(settle_s=0.5)) as (house, glasses, link):
        wish = {"type": "subscription_update", "subscriptions": ["button_press"]}
        link.say(wish)
        link.cut()
        await trio.sleep(1)
        glasses.say({"type": "button_press", "buttonId": "1", "pressType": "short"})
        await trio.sleep(1)
        assert await kept_in(house.store) == 1, "also if nothing else was to be written"
        new = house.answer(await house.webhooks.next_start())
        await new.expect("tpa_connection_ack")
        await trio.sleep(1)
        assert await kept_in(house.store) == 1, "it has not said what it wants"
        new.say(wish)
        await new.expect("data_stream")
        await trio.sleep(1)
        assert await kept_in(house.store) == 0


async def test_what_is_kept_after_a_rest_is_written_too_and_what_was_sent_is_gone(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        press = {"type": "button_press", "buttonId": "1", "pressType": "short"}
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        link.cut()
        glasses.say(press, press)
        await trio.sleep(1)
        back = house.app(token="t1")
        await back.expect("data_stream")
        back.say({"type": "ownership_release", "reason": "moving"})
        await wait_all_tasks_blocked()
        back.hang_up(1005)
        await trio.sleep(1)
        assert house.state() == "dormant"
        assert await kept_in(house.store) == 0
        again = house.app(token="t1")
        await again.expect("tpa_connection_ack")
        again.cut()
        glasses.say(press)
        await trio.sleep(1)
        assert await kept_in(house.store) == 1


async def test_what_is_noted_after_a_user_is_forgotten_is_all_that_remains(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    keeper.note(USER, APP, Note(1))
    await trio.sleep(1)
    keeper.forget(USER)
    keeper.note(USER, OTHER_APP, Other(2))
    await trio.sleep(1)
    assert await saved(store) == {OTHER_APP: {"value": 2}}


@pytest.mark.parametrize("again", [False, True], ids=["gone", "and here again"])
async def test_who_is_forgotten_while_the_store_fails_does_not_come_back_with_the_next_round(
    again: bool, keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    keeper.note(USER, APP, Note(1))
    await trio.sleep(1)
    store.fails, store.slow_s = True, 0.05
    keeper.note(USER, APP, Note(2))
    await trio.sleep(SAVE_DELAY_S + 0.01)
    keeper.forget(USER)
    if again:
        keeper.note(USER, OTHER_APP, Other(3))
    await trio.sleep(0.1)
    store.fails = False
    await trio.sleep(5)
    assert await saved(store) == ({OTHER_APP: {"value": 3}} if again else {})


async def test_what_could_not_be_forgotten_is_forgotten_before_what_came_later_is_written(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock
) -> None:
    keeper.note(USER, APP, Note(1))
    await trio.sleep(1)
    store.fails, store.slow_s = True, 0.05
    keeper.forget(USER)
    await trio.sleep(SAVE_DELAY_S + 0.01)
    keeper.note(USER, OTHER_APP, Other(2))
    await trio.sleep(0.1)
    store.fails = False
    await trio.sleep(5)
    assert await saved(store) == {OTHER_APP: {"value": 2}}


async def test_a_session_that_is_over_is_written_as_it_was(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_one_app(store=store) as (house, _glasses, link):
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        house.directory.drain()
        await trio.sleep(1)
    found = await store.saved_session(USER)
    assert found is not None
    assert found.apps[APP].record["subscriptions"] == ["button_press"]


async def test_ten_thousand_changes_are_not_described_in_one_turn(
    keeper: Keeper, store: Fickle, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    described: list[int] = [0]

    @attrs.define(eq=False)
    class Counted(Note):
        def change(self) -> SessionChange:
            described[-1] += 1
            return super().change()

    async def watch() -> None:
        while True:
            await trio.lowlevel.checkpoint()
            described.append(0)

    for number in range(10_000):
        keeper.note(user_id(f"u-{number}@x.org"), APP, Counted(number))
    nursery.start_soon(watch)
    await keeper.save_now()
    assert sum(described) == 10_000
    assert max(described) <= 2 * CHANGES_AT_ONCE, "two turns of one task in a row"
