"""Messages between users of the same app: who hears what, who is told what, and what is bounded."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import FrameIgnored, MessageRefused
from mentra_trio.domain.ids import PackageName, UserId, user_id
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.timings import MESSAGES_BURST, Lifecycle
from mentra_trio.testing.household import APP, Household, open_household
from mentra_trio.testing.links import MemoryLink, Message

ANN, BEN, CAT = (user_id(f"{name}@x.org") for name in ("ann", "ben", "cat"))
OTHER = PackageName("com.t.b")


@attrs.define(eq=False)
class Company:
    """Three users with the same app."""

    house: Household
    links: dict[UserId, MemoryLink]

    def heard(self, user: UserId, *types: str) -> list[Message]:
        return self.links[user].of_type(*types)

    def payloads(self, user: UserId) -> list[Any]:
        return [one["payload"] for one in self.heard(user, "app_message_received")]

    async def says(self, user: UserId, *messages: Message) -> None:
        self.links[user].say(*messages)
        await wait_all_tasks_blocked()

    @property
    def nothing_is_left(self) -> bool:
        neighbours = self.house.directory.surroundings.neighbours
        return len(neighbours.rooms) == 0 and not neighbours._by_package


@asynccontextmanager
async def company(**settings: Any) -> AsyncGenerator[Company]:
    async with open_household(**settings) as house:
        await house.add_app()
        await house.add_app(OTHER, kind="background")
        found = Company(house, await house.running_apps([ANN, BEN, CAT]))
        yield found
        for user in (ANN, BEN, CAT):
            await house.directory.stop_app(user, APP)
            await house.directory.stop_app(user, OTHER)
        assert found.nothing_is_left


def broadcast(payload: Any, **more: Any) -> Message:
    return {"type": "app_broadcast_message", "payload": payload, "messageId": "m", **more}


def direct(target: str, payload: Any = "hi") -> Message:
    return {
        "type": "app_direct_message",
        "targetUserId": target,
        "payload": payload,
        "messageId": "d",
        "senderUserId": "somebody else",
    }


def join(room_id: str, **config: Any) -> Message:
    wanted = {"roomConfig": config} if config else {}
    return {"type": "app_room_join", "roomId": room_id, **wanted}


def leave(room_id: str) -> Message:
    return {"type": "app_room_leave", "roomId": room_id}


async def test_a_broadcast_reaches_every_other_user_of_that_app_and_says_who_sent_it(
    autojump_clock: MockClock,
) -> None:
    async with company() as all_three:
        other_app = await all_three.house.running_app(BEN, OTHER)
        payload = {"n": [1, 2.5, None, "ü"]}
        lie = {"senderUserId": BEN, "sessionId": "x", "packageName": "com.t.b"}
        await all_three.says(ANN, broadcast(payload, **lie))
        for user in (BEN, CAT):
            [received] = all_three.heard(user, "app_message_received")
            assert received["payload"] == payload
            assert received["senderUserId"] == ANN
            assert received["senderSessionId"] == f"{ANN}-{APP}"
            assert received["messageId"] == "m"
            assert "roomId" not in received
        assert all_three.payloads(ANN) == []
        assert other_app.of_type("app_message_received") == []


async def test_a_direct_message_reaches_one_user_and_the_sender_is_told(
    autojump_clock: MockClock,
) -> None:
    async with company() as all_three:
        await all_three.says(ANN, direct("BEN@x.org "))
        assert all_three.payloads(BEN) == ["hi"]
        assert all_three.payloads(CAT) == []
        [answer] = all_three.heard(ANN, "app_direct_message_response")
        assert answer["success"] is True
        assert (answer["messageId"], answer["targetUserId"]) == ("d", "BEN@x.org ")
        assert "error" not in answer


@pytest.mark.parametrize("target", ["nobody@x.org", "", "\x00", "x" * 3_000])
async def test_whoever_is_not_there_is_an_answer_at_once(
    target: str, autojump_clock: MockClock
) -> None:
    async with company() as all_three:
        began = trio.current_time()
        await all_three.says(ANN, direct(target))
        [answer] = all_three.heard(ANN, "app_direct_message_response")
        assert (answer["success"], answer["targetUserId"]) == (False, target)
        assert answer["error"].startswith("app: ")
        assert trio.current_time() == began


async def test_a_user_whose_app_was_stopped_is_not_there(autojump_clock: MockClock) -> None:
    async with company() as all_three:
        await all_three.house.directory.stop_app(BEN, APP)
        await all_three.says(ANN, direct(BEN))
        [answer] = all_three.heard(ANN, "app_direct_message_response")
        assert answer["success"] is False


async def test_an_app_that_is_away_for_a_moment_gets_it_afterwards(
    autojump_clock: MockClock,
) -> None:
    async with company() as all_three:
        await all_three.says(BEN, join("r"))
        await all_three.says(ANN, join("r"))
        all_three.links[BEN].cut()
        await all_three.says(ANN, direct(BEN, 1), broadcast(2), broadcast(3, roomId="r"))
        [answer] = all_three.heard(ANN, "app_direct_message_response")
        assert answer["success"] is True
        assert all_three.heard(ANN, "app_user_left") == []
        await trio.sleep(1)
        all_three.links[BEN] = all_three.house.app(BEN, token="t2")
        await all_three.links[BEN].expect("tpa_connection_ack")
        assert all_three.payloads(BEN) == [1, 2, 3]
        [third] = [one for one in all_three.heard(BEN, "app_message_received") if "roomId" in one]
        assert third["roomId"] == "r"


async def test_a_flood_for_an_app_that_is_away_costs_it_none_of_its_own_streams(
    autojump_clock: MockClock,
) -> None:
    async with company(lifecycle=Lifecycle(kept_messages=8)) as all_three:
        await all_three.says(
            BEN, {"type": "subscription_update", "subscriptions": ["button_press"]}
        )
        all_three.links[BEN].cut()
        glasses = all_three.house.glasses(BEN, name="new glasses")
        await glasses.expect("connection_ack")
        for number in range(6):
            glasses.say({"type": "button_press", "buttonId": str(number)})
            await wait_all_tasks_blocked()
        await all_three.says(ANN, *(broadcast(number) for number in range(50)))
        await trio.sleep(1)
        all_three.links[BEN] = all_three.house.app(BEN, token="t2")
        await all_three.links[BEN].expect("tpa_connection_ack")
        assert len(all_three.heard(BEN, "data_stream")) == 6
        assert all_three.payloads(BEN) == [48, 49]
        [gap] = all_three.heard(BEN, "custom_message")
        assert gap["payload"]["count"] == 48


async def test_who_cannot_keep_it_is_an_answer(autojump_clock: MockClock) -> None:
    async with company(lifecycle=Lifecycle(kept_bytes=1_000)) as all_three:
        all_three.links[BEN].cut()
        await all_three.says(ANN, direct(BEN, "x" * 500))
        [answer] = all_three.heard(ANN, "app_direct_message_response")
        assert answer["success"] is False
        assert answer["error"] == "app: it is away, and too much waits for it already"
        assert all_three.house.telemetry.of(MessageRefused)[-1].problem == "NO_ROOM"


async def test_whoever_floods_is_not_heard_for_a_while_and_is_told(
    autojump_clock: MockClock,
) -> None:
    async with company() as all_three:
        most = int(MESSAGES_BURST)
        await all_three.says(ANN, *(broadcast(number) for number in range(most)))
        assert len(all_three.payloads(BEN)) == len(all_three.payloads(CAT)) == most // 2
        assert len(all_three.heard(ANN, "tpa_connection_error")) == most // 2
        assert all_three.heard(ANN, "tpa_connection_error")[0]["code"] == "TOO_MANY_MESSAGES"
        await all_three.says(ANN, direct(BEN), join("r"))
        [answer] = all_three.heard(ANN, "app_direct_message_response")
        assert answer["success"] is False
        assert answer["error"].startswith("cloud: ")
        assert all_three.heard(ANN, "app_room_updated") == []
        refused = all_three.house.telemetry.of(MessageRefused)
        assert len(refused) == most // 2 + 2
        assert {(fact.user, fact.problem) for fact in refused} == {(ANN, "TOO_MANY_MESSAGES")}
        await all_three.says(BEN, broadcast("others are heard"))
        assert all_three.payloads(CAT)[-1] == "others are heard"
        assert all_three.links[ANN].is_open
        await trio.sleep(1)
        await all_three.says(ANN, direct(BEN, "again"))
        assert all_three.payloads(BEN)[-1] == "again"


async def test_a_long_message_costs_more(autojump_clock: MockClock) -> None:
    async with company() as all_three:
        long = broadcast("x" * 800_000)
        await all_three.says(ANN, *[long] * 20)
        assert 5 <= len(all_three.payloads(BEN)) < 10


async def test_who_joins_a_room_is_announced_to_those_inside(autojump_clock: MockClock) -> None:
    async with company() as all_three:
        await all_three.says(ANN, join("r", maxUsers=5, isPrivate=True, metadata={"topic": 1}))
        await all_three.says(BEN, join("r", maxUsers=1))
        [joined] = all_three.heard(ANN, "app_user_joined")
        assert (joined["userId"], joined["roomId"]) == (BEN, "r")
        assert joined["sessionId"] == f"{BEN}-{APP}"
        assert joined["joinedAt"]
        assert all_three.heard(BEN, "app_user_joined") == []
        room = {"maxUsers": 5, "isPrivate": True, "metadata": {"topic": 1}}
        updates = all_three.heard(ANN, "app_room_updated")
        assert [one["roomData"] for one in updates] == [
            {"memberCount": 1, **room},
            {"memberCount": 2, **room},
        ]
        [update] = all_three.heard(BEN, "app_room_updated")
        assert (update["updateType"], update["roomId"]) == ("user_joined", "r")
        assert update["roomData"]["memberCount"] == 2
        assert all_three.heard(CAT, "app_room_updated") == []


async def test_a_full_room_says_so_and_nobody_else_hears_of_it(autojump_clock: MockClock) -> None:
    async with company() as all_three:
        await all_three.says(ANN, join("r", maxUsers=1))
        await all_three.says(BEN, join("r"))
        [error] = all_three.heard(BEN, "tpa_connection_error")
        assert error["code"] == "ROOM_FULL"
        assert error["message"].startswith("cloud: ")
        assert len(all_three.heard(ANN, "app_room_updated")) == 1
        assert all_three.links[BEN].is_open
        await all_three.says(ANN, leave("r"))
        await all_three.says(BEN, join("r"))
        [update] = all_three.heard(BEN, "app_room_updated")
        assert update["roomData"] == {"memberCount": 1}, "another room of that name"


async def test_joining_again_is_answered_and_told_to_nobody_else(
    autojump_clock: MockClock,
) -> None:
    async with company() as all_three:
        await all_three.says(ANN, join("r"))
        await all_three.says(BEN, join("r"), join("r"))
        assert len(all_three.heard(BEN, "app_room_updated")) == 2
        assert len(all_three.heard(ANN, "app_user_joined")) == 1
        assert len(all_three.heard(ANN, "app_room_updated")) == 2


async def test_a_message_to_a_room_reaches_its_other_members_only(
    autojump_clock: MockClock,
) -> None:
    async with company() as all_three:
        await all_three.says(ANN, join("r"))
        await all_three.says(BEN, join("r"))
        await all_three.says(ANN, broadcast("inside", roomId="r"))
        await all_three.says(CAT, broadcast("from outside", roomId="r"))
        assert [all_three.payloads(user) for user in (ANN, BEN, CAT)] == [[], ["inside"], []]
        [error] = all_three.heard(CAT, "tpa_connection_error")
        assert error["code"] == "NOT_IN_ROOM"


async def test_two_apps_do_not_meet_in_a_room_of_the_same_name(
    autojump_clock: MockClock,
) -> None:
    async with company() as all_three:
        other = await all_three.house.running_app(BEN, OTHER)
        await all_three.says(ANN, join("r"))
        other.say(join("r"))
        await wait_all_tasks_blocked()
        assert all_three.heard(ANN, "app_user_joined") == []
        await all_three.says(ANN, broadcast("ours", roomId="r"))
        assert other.of_type("app_message_received") == []
        await all_three.house.directory.stop_app(BEN, OTHER)
        assert all_three.heard(ANN, "app_user_left") == []


async def test_who_leaves_is_announced_to_those_who_stay(autojump_clock: MockClock) -> None:
    async with company() as all_three:
        await all_three.says(ANN, join("r"))
        await all_three.says(BEN, join("r"))
        await all_three.says(BEN, leave("r"), leave("r"), leave("never there"))
        [left] = all_three.heard(ANN, "app_user_left")
        assert (left["userId"], left["roomId"]) == (BEN, "r")
        assert left["leftAt"]
        update = all_three.heard(ANN, "app_room_updated")[-1]
        assert update["updateType"] == "user_left"
        assert update["roomData"]["memberCount"] == 1
        assert all_three.heard(BEN, "app_user_left") == []


async def goes_by_stop(all_three: Company) -> None:
    await all_three.house.directory.stop_app(BEN, APP)


async def goes_for_good(all_three: Company) -> None:
    all_three.links[BEN].say({"type": "ownership_release", "reason": "user_logout"})
    await wait_all_tasks_blocked()
    all_three.links[BEN].hang_up()
    await wait_all_tasks_blocked()


async def goes_with_its_user(all_three: Company) -> None:
    all_three.house.directory._users[BEN].end(StopCause.USER_SESSION_ENDED)
    await wait_all_tasks_blocked()


async def goes_in_a_crash_of_its_user(all_three: Company) -> None:
    all_three.house.directory._users[BEN].end(StopCause.CRASHED)
    await wait_all_tasks_blocked()


@pytest.mark.parametrize(
    "goes", [goes_by_stop, goes_for_good, goes_with_its_user, goes_in_a_crash_of_its_user]
)
async def test_who_is_gone_in_whatever_way_is_out_of_every_room(
    goes: Any, autojump_clock: MockClock
) -> None:
    async with open_household() as house:
        await house.add_app()
        all_three = Company(house, await house.running_apps([ANN, BEN]))
        await all_three.says(ANN, join("r"), join("s"))
        await all_three.says(BEN, join("r"), join("s"), join("mine alone"))
        await goes(all_three)
        left = all_three.heard(ANN, "app_user_left")
        assert [(one["userId"], one["roomId"]) for one in left] == [(BEN, "r"), (BEN, "s")]
        neighbours = house.directory.surroundings.neighbours
        assert list(neighbours.of(APP)) == [ANN]
        assert len(neighbours.rooms) == 2
        await house.directory.stop_app(ANN, APP)
        assert all_three.nothing_is_left


async def test_a_server_that_closes_tells_nobody_that_others_leave(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.add_app()
        all_three = Company(house, await house.running_apps([ANN, BEN, CAT]))
        for user in (ANN, BEN, CAT):
            await all_three.says(user, join("r"))
        house.directory.drain()
        await wait_all_tasks_blocked()
        for user in (ANN, BEN, CAT):
            assert all_three.heard(user, "app_user_left") == []
        assert all_three.nothing_is_left


async def test_an_app_whose_session_crashes_is_out_of_its_rooms(
    autojump_clock: MockClock,
) -> None:
    async with company() as all_three:
        await all_three.says(ANN, join("r"))
        await all_three.says(BEN, join("r"))
        all_three.house.directory._users[BEN].roster.apps[APP].stop(StopCause.CRASHED)
        await wait_all_tasks_blocked()
        assert len(all_three.heard(ANN, "app_user_left")) == 1
        neighbours = all_three.house.directory.surroundings.neighbours
        assert BEN not in neighbours.of(APP)


async def test_evicted_it_is_out_of_its_rooms(autojump_clock: MockClock) -> None:
    lifecycle = Lifecycle(resurrection_budget_s=1.0, connect_s=0.5)
    async with company(lifecycle=lifecycle) as all_three:
        await all_three.says(ANN, join("r"))
        await all_three.says(BEN, join("r"))
        all_three.links[BEN].cut()
        await trio.sleep(4)
        assert all_three.heard(ANN, "app_user_left") == []
        await trio.sleep(60)
        assert all_three.house.state(BEN) == "evicted"
        assert len(all_three.heard(ANN, "app_user_left")) == 1
        await all_three.says(ANN, direct(BEN))
        [answer] = all_three.heard(ANN, "app_direct_message_response")
        assert answer["success"] is False


async def test_what_is_too_deep_to_be_handed_on_is_refused_and_harms_nobody(
    autojump_clock: MockClock,
) -> None:
    async with company() as all_three:
        for depth in (*range(90, 110), *range(900, 1_000, 3)):
            deep = "[" * depth + "]" * depth
            config = f'{{"metadata":{{"a":{deep}}}}}'
            room = f'{{"type":"app_room_join","roomId":"r","roomConfig":{config}}}'
            all_three.links[ANN].say(room.replace('"r"', f'"r{depth % 7}"'))
            await trio.sleep(1)
        assert all_three.links[ANN].is_open
        ignored = all_three.house.telemetry.of(FrameIgnored)
        assert {fact.problem for fact in ignored} == {"nested too deeply at $"}
