"""What every store must do, whatever it is made of (the contract of ``ports.Store``)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import attrs
import pytest
import trio

from mentra_trio.domain.apps import AppKind, AppRegistration
from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.hardware import HardwareLevel, HardwareRequirement, HardwareType
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.ports import Store

OpenStore: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]

ANN, BOB = user_id("ann@example.com"), user_id("bob-o'neil@example.com")
CAPTIONS, NOTES = package_name("com.example.captions"), package_name("com.example.notes")


def registration(package: str = "com.example.captions", **changes: Any) -> AppRegistration:
    app = AppRegistration(
        package=package_name(package), url="http://127.0.0.1:7010", key_hash="ab" * 32
    )
    return attrs.evolve(app, **changes)


async def test_an_app_is_returned_as_it_was_put(open_store: OpenStore) -> None:
    app = registration(
        name="Live „Captions“ 字幕",
        kind=AppKind.BACKGROUND,
        permissions=frozenset({"MICROPHONE", "LOCATION"}),
        settings=({"key": "size", "defaultValue": 3, "options": [{"a": None}]},),
        registration_id="reg_1",
        server_urls=("https://b.example", "https://a.example"),
        allowed_networks=("10.0.0.0/8", "::1/128"),
        hardware=(
            HardwareRequirement(type=HardwareType.CAMERA, description="to „see“"),
            HardwareRequirement(type=HardwareType.IMU, level=HardwareLevel.OPTIONAL),
        ),
        tools=({"id": "note", "parameters": {"text": {"type": "string"}}},),
        description="Writes down what is said",
        version="1.2.0",
        permission_texts={"MICROPHONE": "to hear"},
    )
    async with open_store() as store:
        assert await store.app(CAPTIONS) is None
        await store.put_app(app)
        assert await store.app(CAPTIONS) == app
        assert await store.app(NOTES) is None


async def test_nobody_reaches_into_what_was_put(open_store: OpenStore) -> None:
    tool: dict[str, Any] = {"id": "note", "parameters": {}}
    texts = {"CAMERA": "to see"}
    async with open_store() as store:
        await store.put_app(registration(tools=(tool,), permission_texts=texts))
        tool["parameters"]["x"] = texts["CAMERA"] = "changed"
        for _ in range(2):
            found = await store.app(CAPTIONS)
            assert found is not None
            assert found.tools == ({"id": "note", "parameters": {}},)
            assert found.permission_texts == {"CAMERA": "to see"}
            found.tools[0]["parameters"]["y"] = 1  # type: ignore[index]


async def test_putting_again_replaces(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.put_app(registration(name="old"))
        await store.put_app(registration(name="new"))
        assert [app.name for app in await store.apps()] == ["new"]


async def test_an_app_is_found_by_its_registration_id(open_store: OpenStore) -> None:
    captions = registration(registration_id="reg_1", settings=({"key": "size"},))
    async with open_store() as store:
        await store.put_app(captions)
        await store.put_app(registration("com.example.notes"))
        assert await store.registration("reg_1") == captions
        for unknown in ("reg_2", "REG_1", "reg_", "", "com.example.notes"):
            assert await store.registration(unknown) is None
        await store.put_app(registration(registration_id="reg_2"))
        assert await store.registration("reg_1") is None
        assert await store.registration("reg_2") is not None
        await store.remove_app(CAPTIONS)
        assert await store.registration("reg_2") is None


async def test_apps_are_ordered_by_package(open_store: OpenStore) -> None:
    async with open_store() as store:
        for package in ("org.b", "com.z", "Com.a", "com.a"):
            await store.put_app(registration(package))
        assert [app.package for app in await store.apps()] == ["Com.a", "com.a", "com.z", "org.b"]


async def test_removing_an_app_forgets_what_users_stored_for_it(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.put_app(registration())
        for user in (ANN, BOB):
            await store.set_wanted(user, CAPTIONS, wanted=True)
            await store.set_wanted(user, NOTES, wanted=True)
            await store.put_app_settings(user, CAPTIONS, {"size": 1})
            await store.put_app_settings(user, NOTES, {"size": 2})
        assert await store.remove_app(CAPTIONS) is True
        assert await store.remove_app(CAPTIONS) is False
        assert await store.app(CAPTIONS) is None
        for user in (ANN, BOB):
            assert list(await store.wanted_apps(user)) == [NOTES]
            assert await store.app_settings(user, CAPTIONS) == {}
            assert await store.app_settings(user, NOTES) == {"size": 2}


async def test_wanted_apps_keep_the_order_in_which_they_were_asked_for(
    open_store: OpenStore,
) -> None:
    names = [package_name(name) for name in ("c", "a", "b")]
    async with open_store() as store:
        for name in names:
            await store.set_wanted(ANN, name, wanted=True)
        assert list(await store.wanted_apps(ANN)) == names
        await store.set_wanted(ANN, names[0], wanted=True)
        assert list(await store.wanted_apps(ANN)) == names, "it was wanted already"
        await store.set_wanted(ANN, names[0], wanted=False)
        await store.set_wanted(ANN, names[0], wanted=False)
        await store.set_wanted(ANN, names[0], wanted=True)
        assert list(await store.wanted_apps(ANN)) == ["a", "b", "c"]
        assert list(await store.wanted_apps(BOB)) == []


async def test_settings_are_merged_by_key(open_store: OpenStore) -> None:
    async with open_store() as store:
        assert await store.app_settings(ANN, CAPTIONS) == {}
        await store.put_app_settings(ANN, CAPTIONS, {"size": 1, "more": {"x": 1, "y": 2}})
        await store.put_app_settings(ANN, CAPTIONS, {"more": {"x": 3}, "on": True})
        assert await store.app_settings(ANN, CAPTIONS) == {"size": 1, "more": {"x": 3}, "on": True}
        assert await store.app_settings(ANN, NOTES) == {}
        assert await store.app_settings(BOB, CAPTIONS) == {}


async def test_user_settings_are_merged_by_key(open_store: OpenStore) -> None:
    values = {"metricSystem": True, "brightness": 0.5, "name": "ä\u2028", "none": None, "l": []}
    async with open_store() as store:
        assert await store.user_settings(ANN) == {}
        await store.put_user_settings(ANN, values)
        await store.put_user_settings(ANN, {})
        await store.put_user_settings(ANN, {"brightness": 1})
        assert await store.user_settings(ANN) == values | {"brightness": 1}
        assert await store.user_settings(BOB) == {}


async def test_callers_cannot_reach_into_the_store(open_store: OpenStore) -> None:
    given: dict[str, Any] = {"list": [1]}
    schema: dict[str, Any] = {"key": "k", "defaultValue": []}
    async with open_store() as store:
        await store.put_user_settings(ANN, given)
        await store.put_app(registration(settings=(schema,)))
        given["list"].append(2)
        schema["defaultValue"].append(2)
        first = dict(await store.user_settings(ANN))
        first["list"].append(3)
        assert await store.user_settings(ANN) == {"list": [1]}
        app = await store.app(CAPTIONS)
        assert app is not None
        assert app.settings[0]["defaultValue"] == []


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, b"bytes"])
async def test_only_json_is_stored_and_a_failed_write_changes_nothing(
    open_store: OpenStore, value: object
) -> None:
    async with open_store() as store:
        await store.put_app_settings(ANN, CAPTIONS, {"a": 1})
        with pytest.raises(StoreFailed) as caught:
            await store.put_app_settings(ANN, CAPTIONS, {"a": 2, "secret": value})
        assert "secret" not in str(caught.value)
        assert await store.app_settings(ANN, CAPTIONS) == {"a": 1}


async def test_many_writers_at_once(open_store: OpenStore) -> None:
    users = [user_id(f"user{number}") for number in range(50)]

    async def write(user: Any) -> None:
        for number in range(4):
            await store.put_user_settings(user, {f"k{number}": number})
            assert (await store.user_settings(user))[f"k{number}"] == number

    async with open_store() as store:
        async with trio.open_nursery() as nursery:
            for user in users:
                nursery.start_soon(write, user)
        for user in users:
            assert await store.user_settings(user) == {f"k{n}": n for n in range(4)}


async def test_a_cancelled_call_is_done_or_not_done_and_the_store_goes_on(
    open_store: OpenStore,
) -> None:
    async with open_store() as store:
        for _ in range(10):
            with trio.CancelScope() as scope:
                scope.cancel("test")
                await store.set_wanted(ANN, CAPTIONS, wanted=True)
        await store.set_wanted(ANN, NOTES, wanted=True)
        assert list(await store.wanted_apps(ANN))[-1] == NOTES
