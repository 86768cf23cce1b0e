"""A household whose store takes its time, and the proof that it is whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import trio

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.domain.ids import PackageName, UserId, user_id
from mentra_trio.domain.starting import StartResult
from mentra_trio.ports import SavedUser, SessionChange
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import APP, USER, Household
from mentra_trio.testing.links import MemoryLink

OTHER = user_id("u-2@x.org")


class SlowStore(MemoryStore):
    """Takes its time, and writes in several steps."""

    async def app(self, package: PackageName) -> AppRegistration | None:
        await trio.sleep(0.01)
        return await super().app(package)

    async def registration(self, registration_id: str) -> AppRegistration | None:
        await trio.sleep(0.01)
        return await super().registration(registration_id)

    async def apps(self) -> Sequence[AppRegistration]:
        await trio.sleep(0.01)
        return await super().apps()

    async def put_app(self, registration: AppRegistration) -> None:
        await trio.sleep(0.01)
        await super().put_app(registration)

    async def remove_app(self, package: PackageName) -> bool:
        await trio.sleep(0.01)
        return await super().remove_app(package)

    async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
        await trio.sleep(0.01)
        return await super().wanted_apps(user)

    async def set_wanted(self, user: UserId, package: PackageName, *, wanted: bool) -> None:
        await trio.sleep(0.02)
        await super().set_wanted(user, package, wanted=wanted)

    async def app_settings(self, user: UserId, package: PackageName) -> Mapping[str, Any]:
        await trio.sleep(0.01)
        return await super().app_settings(user, package)

    async def user_settings(self, user: UserId) -> Mapping[str, Any]:
        await trio.sleep(0.01)
        return await super().user_settings(user)

    async def put_user_settings(self, user: UserId, changes: Mapping[str, Any]) -> None:
        await trio.sleep(0.01)
        await super().put_user_settings(user, changes)

    async def save_sessions(self, changes: Sequence[SessionChange]) -> None:
        for _ in range(3):
            await trio.sleep(0.02)
        await super().save_sessions(changes)

    async def saved_users(self) -> Sequence[UserId]:
        await trio.sleep(0.01)
        return await super().saved_users()

    async def saved_session(self, user: UserId) -> SavedUser | None:
        await trio.sleep(0.01)
        return await super().saved_session(user)


async def nothing_is_left(house: Household) -> None:
    """The world is whole: the app can be used, and when nobody is there, nothing is."""
    glasses = house.glasses()
    await glasses.expect("connection_ack")
    links = house.connect_when_called(after=0.05)
    with trio.fail_after(60):
        assert await house.directory.start_app(USER, APP) == StartResult(success=True)
    assert house.state() == "running"
    assert USER in house.directory._users
    roster = house.directory._users[USER].roster
    assert not +roster._awaited
    endpoint = house.directory.surroundings.endpoints.known(APP)
    assert endpoint is not None
    assert (endpoint.snapshot().waiting, endpoint.snapshot().trial) == (0, False)
    assert await house.store.wanted_apps(USER) == [APP]
    glasses.cut()
    for link in links:
        link.cut()
    await trio.sleep(200)
    assert house.directory.users() == []
    assert await house.store.saved_users() == []
    assert house.webhooks.in_flight == 0
    assert house.telemetry.crashes == []


async def lend_until_greeted(
    link: MemoryLink, serve: Callable[[MemoryLink], Awaitable[CloseReason]], greeting: str
) -> None:
    """Play a connection whose peer is gone as soon as it was greeted."""

    async def cut_when_greeted() -> None:
        await link.expect(greeting)
        link.cut()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cut_when_greeted)
        await link.lend(serve)
