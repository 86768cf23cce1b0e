"""Messages between users: check 81 of protocol.md section 8.5, and what section 6.12 says."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from .real_app import RealApp, Step, handler
from .running_server import RunningServer
from .sockets import open_phone
from .steps import start

SETTLE_S = 0.4

HEARS: tuple[Step, ...] = (
    {"call": "onAppMessage", "args": [handler("message")]},
    {"call": "onAppUserJoined", "args": [handler("joined")]},
    {"call": "onAppUserLeft", "args": [handler("left")]},
    {"call": "onAppRoomUpdated", "args": [handler("room")]},
)


@pytest.fixture
def other(user: str) -> str:
    """Another user of this test alone."""
    return f"other-{user}"


@pytest.fixture
async def both(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str, other: str
) -> tuple[str, str]:
    """Two users who run app A and hear everything that others say."""
    for one in (user, other):
        await app_a.script(one, *HEARS)
        await start(await open_phone(nursery, server, one), app_a, one)
    return user, other


async def test_81_discovery_wants_the_key_and_lists_the_others_only(
    server: RunningServer, app_a: RealApp, both: tuple[str, str]
) -> None:
    user, other = both
    found = await app_a.run(user, {"call": "discoverAppUsers", "args": [server.url, True]})
    listed = {one["userId"]: one for one in found["users"]}
    assert user not in listed
    assert listed[other]["sessionId"] == app_a.session_of(other)
    assert listed[other]["userProfile"] == {"userId": other}
    assert found["totalUsers"] == len(found["users"])
    count = await app_a.run(user, {"call": "getUserCount", "args": [server.url]})
    assert count == found["totalUsers"]
    answer = await server.post(
        "/api/app-communication/discover-users",
        user,  # its core token is no API key
        {"packageName": app_a.package, "userId": user},
    )
    assert answer.status_code == 401


async def test_a_broadcast_reaches_the_others_and_not_its_sender(
    app_a: RealApp, both: tuple[str, str]
) -> None:
    user, other = both
    payload: Any = {"move": "e4", "n": 1}
    await app_a.run(user, {"call": "broadcastToAppUsers", "args": [payload]})
    heard = await app_a.first_fired(other, "message")
    assert heard["payload"] == payload
    assert heard["senderUserId"] == user
    assert heard["senderSessionId"] == app_a.session_of(user)
    await trio.sleep(SETTLE_S)
    assert app_a.fired(user, "message") == []


async def test_a_direct_message_resolves_with_what_became_of_it(
    app_a: RealApp, both: tuple[str, str]
) -> None:
    user, other = both
    direct: Step = {"call": "sendDirectMessage", "args": [other, "psst"]}
    assert await app_a.run(user, direct) is True
    assert (await app_a.first_fired(other, "message"))["payload"] == "psst"
    began = trio.current_time()
    assert await app_a.run(user, {**direct, "args": ["nobody@x.org", "psst"]}) is False
    assert trio.current_time() - began < 2, "the SDK's own time-out is 15 s"


async def test_a_room_tells_its_members_who_comes_and_goes(
    server: RunningServer, app_a: RealApp, both: tuple[str, str]
) -> None:
    user, other = both
    await app_a.run(user, {"call": "joinAppRoom", "args": ["chess", {"maxUsers": 2}]})
    first = await app_a.first_fired(user, "room")
    assert first["roomData"] == {"memberCount": 1, "maxUsers": 2}
    await app_a.run(other, {"call": "joinAppRoom", "args": ["chess"]})
    joined = await app_a.first_fired(user, "joined")
    assert (joined["userId"], joined["roomId"]) == (other, "chess")
    assert (await app_a.first_fired(other, "room"))["roomData"]["memberCount"] == 2
    await server.post(f"/apps/{app_a.package}/stop", other)
    left = await app_a.first_fired(user, "left")
    assert (left["userId"], left["roomId"]) == (other, "chess")
    assert (await app_a.first_fired(user, "room", number=3))["updateType"] == "user_left"


async def test_a_full_room_is_an_error_event_and_closes_nothing(
    app_a: RealApp, both: tuple[str, str]
) -> None:
    user, other = both
    await app_a.run(user, {"call": "joinAppRoom", "args": ["alone", {"maxUsers": 1}]})
    await app_a.first_fired(user, "room")
    await app_a.run(other, {"call": "joinAppRoom", "args": ["alone"]})
    error = await app_a.seen.first(event="error", session=app_a.session_of(other))
    assert error["message"] == "cloud: the room is full"
    await app_a.run(other, {"call": "broadcastToAppUsers", "args": ["still here"]})
    assert (await app_a.first_fired(user, "message"))["payload"] == "still here"
    assert app_a.fired(other, "room") == []
