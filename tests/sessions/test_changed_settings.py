"""Settings on their way to apps, to their servers, to the phone, and to the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from mentra_trio.domain.app_settings import KEYS_MAX
from mentra_trio.domain.errors import SettingRefused, StoreFailed, WebhookFailed, WebhookFailure
from mentra_trio.domain.facts import FrameIgnored, StoreTrouble, WebhookCalled
from mentra_trio.domain.ids import UserId
from mentra_trio.domain.timings import SETTINGS_ANSWER_S, Limits
from mentra_trio.domain.user_settings import DEFAULTS
from mentra_trio.sessions.app_settings import change_app_settings
from mentra_trio.sessions.settings import SERVERS_AT_ONCE
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import APP, USER, Household, open_one_app, open_wearer
from mentra_trio.testing.links import MemoryLink

SCHEMA = [{"type": "slider", "key": "size", "min": 1, "max": 5, "defaultValue": 3}]


class CountingStore(MemoryStore):
    """Keeps the writes of a user's settings; each ``takes_s``, and ``fails`` of them fail."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[dict[str, Any]] = []
        self.fails = 0
        self.takes_s = 0.0

    async def put_user_settings(self, user: UserId, changes: Mapping[str, Any]) -> None:
        self.writes.append(dict(changes))
        await trio.sleep(self.takes_s)
        if self.fails:
            self.fails -= 1
            raise StoreFailed("the disk is full")
        await super().put_user_settings(user, changes)


async def change(house: Household, values: dict[str, Any]) -> list[dict[str, Any]]:
    registration = await house.store.app(APP)
    assert registration is not None
    return await change_app_settings(house.directory, registration, USER, values)


def updates(app: MemoryLink) -> list[dict[str, Any]]:
    return [one["settings"] for one in app.of_type("augmentos_settings_update")]


def core_status(**settings: Any) -> dict[str, Any]:
    return {"type": "core_status_update", "status": {"status": {"core_info": settings}}}


# -- an app's own ----------------------------------------------------------------------


async def test_the_app_gets_its_settings_and_then_all_of_the_user_s(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _, app):
        await house.add_app(settings=SCHEMA)
        before = len(app.messages)
        settings = await change(house, {"size": 5, "own": [1]})
        own, general = app.messages[before:]
        assert own["type"] == "settings_update"
        assert own["packageName"] == APP
        assert own["sessionId"] == f"{USER}-{APP}"
        assert own["settings"] == settings
        assert {one["key"]: one["value"] for one in settings} == {"size": 5, "own": [1]}
        assert general["type"] == "augmentos_settings_update"
        assert general["settings"] == dict(DEFAULTS)
        call = await house.webhooks.next_post()
        assert (call.url, call.path) == (f"http://{APP}.test", "/settings")
        assert call.body == {"userIdForSettings": USER, "settings": settings}


async def test_an_app_that_does_not_run_has_them_in_its_next_ack(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _):
        await house.add_app(settings=SCHEMA, description="Shows sizes", version="2")
        await change(house, {"size": 4})
        app = await house.running_app()
        (ack,) = app.of_type("tpa_connection_ack")
        assert [one["value"] for one in ack["settings"]] == [4]
        assert ack["config"]["description"] == "Shows sizes"
        assert ack["config"]["settings"] == [{**SCHEMA[0], "label": "size"}]


async def test_nothing_is_called_for_a_user_who_is_not_there(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, _):
        registration = await house.store.app(APP)
        assert registration is not None
        other = UserId("other@x.org")
        settings = await change_app_settings(house.directory, registration, other, {"a": 1})
        await trio.sleep(1)
        assert settings == [{"key": "a", "value": 1}]
        assert house.webhooks.posts == []


async def test_a_server_that_cannot_be_told_is_only_reported(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _, app):
        house.webhooks.post_failure = WebhookFailed(
            WebhookFailure.REFUSED, "connection refused", delivered=False
        )
        await change(house, {"a": 1})
        called = await house.telemetry.next(WebhookCalled)
        while called.kind != "settings":
            called = await house.telemetry.next(WebhookCalled)
        assert (called.package, called.result) == (APP, "refused")
        assert app.is_open
        house.webhooks.post_failure = None
        await change(house, {"a": 2})
        await trio.sleep(1)
        assert len(house.webhooks.posts) == 2


async def test_a_server_that_says_no_is_reported(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _, _):
        house.webhooks.post_answer = type(house.webhooks.post_answer)(status=500, body=b"")
        await change(house, {"a": 1})
        await trio.sleep(1)
        called = [fact for fact in house.telemetry.of(WebhookCalled) if fact.kind == "settings"]
        assert [(fact.result, fact.problem) for fact in called] == [
            ("error", "the app answered 500")
        ]


async def test_a_silent_server_holds_nobody_up_and_hears_the_latest_in_the_end(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _, app):
        house.webhooks.post_after = 1_000.0
        began = trio.current_time()
        for number in range(50):
            await change(house, {"a": number})
        assert trio.current_time() == began
        assert len(app.of_type("settings_update")) == 50
        await trio.sleep(1)
        assert len(house.webhooks.posts) == 1
        await trio.sleep(SETTINGS_ANSWER_S + 5)
        assert [call.body["settings"][0]["value"] for call in house.webhooks.posts] == [0, 49]
        await trio.sleep(SETTINGS_ANSWER_S + 5)
        assert len(house.webhooks.posts) == 2


async def test_there_is_a_bound_on_servers_that_are_told_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _):
        house.webhooks.post_after = 2.0
        for number in range(SERVERS_AT_ONCE + 5):
            package = await house.add_app(f"com.t.a{number}")
            registration = await house.store.app(package)
            assert registration is not None
            await change_app_settings(house.directory, registration, USER, {"a": 1})
        await trio.sleep(1)
        assert len(house.webhooks.posts) == SERVERS_AT_ONCE
        await trio.sleep(5)
        await change(house, {"a": 2})
        await trio.sleep(1)
        assert len(house.webhooks.posts) == SERVERS_AT_ONCE + 1


async def test_there_is_a_bound_on_what_is_stored_for_an_app(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, _):
        await change(house, {f"k{number}": 0 for number in range(1_024)})
        with pytest.raises(SettingRefused):
            await change(house, {"one more": 1})
        await change(house, {"k0": 1})


async def test_an_app_can_always_be_told_all_that_is_stored(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _, app):
        for number in range(100):
            with suppress(SettingRefused):
                await change(house, {f"k{number}": "x" * 65_000})
            with suppress(SettingRefused):
                value = "€" * 16_000
                await house.directory.change_user_settings(USER, {f"k{number}": value})
        app.cut()
        again = house.app()
        ack = await again.expect("tpa_connection_ack")
        assert len(json.dumps(ack, ensure_ascii=False).encode()) < Limits().outbox_bytes
        await change(house, {"k0": 1})
        await house.directory.change_user_settings(USER, {"k0": 1})


# -- the user's own --------------------------------------------------------------------


async def test_a_status_changes_what_differs_and_tells_all_of_it_once(
    autojump_clock: MockClock,
) -> None:
    store = CountingStore()
    async with open_one_app(store=store) as (_, glasses, app):
        for _ in range(100):
            glasses.say(core_status(metric_system_enabled=True, sensing_enabled=True))
        await trio.sleep(1)
        assert store.writes == [{"metricSystemEnabled": True}]
        assert updates(app) == [{**DEFAULTS, "metricSystemEnabled": True}]
        assert glasses.of_type("settings_update") == []


async def test_a_status_may_be_text(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        text = json.dumps({"status": {"glasses_settings": {"brightness": 7}}})
        glasses.say({"type": "core_status_update", "status": text})
        glasses.say({"type": "core_status_update", "status": "{nonsense"})
        glasses.say({"type": "core_status_update", "status": "[" * 100_000})
        glasses.say({"type": "core_status_update", "status": "7"})
        await trio.sleep(1)
        assert [one["brightness"] for one in updates(app)] == [7]
        ignored = {fact.problem for fact in house.telemetry.of(FrameIgnored)}
        assert ignored == {"a core_status_update that is not JSON, at $.status"}


async def test_values_of_the_wrong_kind_in_a_status_are_left_out(
    autojump_clock: MockClock,
) -> None:
    store = CountingStore()
    async with open_one_app(store=store) as (_, glasses, app):
        glasses.say(core_status(metric_system_enabled="yes", always_on_status_bar_enabled=True))
        await trio.sleep(1)
        assert store.writes == [{"alwaysOnStatusBar": True}]
        assert len(updates(app)) == 1


async def test_a_slider_is_written_seldom_and_ends_where_it_stopped(
    autojump_clock: MockClock,
) -> None:
    store = CountingStore()
    async with open_one_app(store=store) as (_, glasses, app):
        for number in range(101):
            glasses.say(
                {
                    "type": "core_status_update",
                    "status": {"glasses_settings": {"brightness": number}},
                }
            )
            await trio.sleep(0.01)
        await trio.sleep(1)
        assert len(store.writes) <= 12
        assert updates(app)[-1]["brightness"] == 100
        assert (await store.user_settings(USER))["brightness"] == 100


async def test_what_is_stated_while_the_store_writes_is_stored_next(
    autojump_clock: MockClock,
) -> None:
    store = CountingStore()
    store.takes_s = 2.0
    async with open_one_app(store=store) as (_, glasses, app):
        glasses.say(core_status(metric_system_enabled=True, sensing_enabled=False))
        await trio.sleep(1)
        glasses.say(core_status(metric_system_enabled=True, sensing_enabled=True))
        await trio.sleep(10)
        assert store.writes == [
            {"metricSystemEnabled": True, "sensingEnabled": False},
            {"sensingEnabled": True},
        ]
        assert [one["sensingEnabled"] for one in updates(app)] == [False, True]


async def test_what_was_stated_and_taken_back_in_time_is_never_written(
    autojump_clock: MockClock,
) -> None:
    store = CountingStore()
    async with open_one_app(store=store) as (_, glasses, app):
        glasses.say(core_status(metric_system_enabled=True))
        glasses.say(core_status(metric_system_enabled=False))
        await trio.sleep(1)
        assert store.writes == []
        assert updates(app) == []


async def test_a_store_that_fails_is_reported_and_the_next_status_is_stored(
    autojump_clock: MockClock,
) -> None:
    store = CountingStore()
    store.fails = 1
    async with open_one_app(store=store) as (house, glasses, app):
        glasses.say(core_status(metric_system_enabled=True))
        await trio.sleep(1)
        assert len(house.telemetry.of(StoreTrouble)) == 1
        assert updates(app) == []
        glasses.say(core_status(metric_system_enabled=True))
        await trio.sleep(1)
        assert updates(app)[-1]["metricSystemEnabled"] is True


async def test_the_phone_asks_in_two_ways(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_, glasses, _):
        glasses.say({"type": "request_settings"})
        plain = await glasses.expect("settings_update")
        assert plain["settings"] == dict(DEFAULTS)
        assert "success" not in plain
        glasses.say({"type": "settings_update_request"})
        answer = await glasses.expect("settings_update")
        assert answer["success"] is True
        assert answer["message"]
        assert answer["settings"] == dict(DEFAULTS)


async def test_a_change_that_the_phone_did_not_make_reaches_it(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        await house.directory.change_user_settings(USER, {"brightness": 9})
        assert (await glasses.expect("settings_update"))["settings"]["brightness"] == 9
        await house.directory.change_user_settings(USER, {"brightness": 8}, by_phone=True)
        assert [one["brightness"] for one in updates(app)] == [9, 8]
        assert len(glasses.of_type("settings_update")) == 1


async def test_what_changes_nothing_is_neither_written_nor_told(autojump_clock: MockClock) -> None:
    store = CountingStore()
    async with open_one_app(store=store) as (house, _, app):
        for _ in range(5):
            await house.directory.change_user_settings(USER, {"brightness": 9, "zone": ["x"]})
        assert len(store.writes) == 1
        assert len(updates(app)) == 1


async def test_there_is_a_bound_on_what_is_stored_for_a_user(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, _):
        change_settings = house.directory.change_user_settings
        for lot in range(KEYS_MAX // 256):
            await change_settings(USER, {f"k{lot}_{number}": 0 for number in range(256)})
        with pytest.raises(SettingRefused):
            await change_settings(USER, {"one more": 1})
        with pytest.raises(SettingRefused):
            await change_settings(USER, {"brightness": "bright"})
