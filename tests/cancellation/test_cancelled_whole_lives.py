"""All sessions of a server are cancelled at once, whatever they do: the next server goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock
from whole_house import SlowStore, nothing_is_left

from mentra_trio.domain.ids import package_name
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions import (
    app_greeting,
    app_handlers,
    app_phases,
    app_returning,
    app_webhooks,
    health,
    link_service,
    store_trouble,
    system_dashboard,
    user_phases,
    wishes,
)
from mentra_trio.sessions.directory import Directory
from mentra_trio.sessions.display import Display
from mentra_trio.sessions.foreground import Foreground
from mentra_trio.sessions.keeper import Keeper
from mentra_trio.sessions.microphone import Microphone
from mentra_trio.sessions.returns import Returns
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    open_one_app,
    open_wearer,
)
from mentra_trio.testing.links import FakeWebhooks, WebhookScript
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.testing.trouble import REFUSED

OLDER = package_name("com.t.b")
"""An app that was wanted before another took the foreground."""
SHORT = Lifecycle(resurrection_budget_s=4, user_grace_s=20, health_s=3)


@attrs.define(eq=False)
class Before:
    """What outlives the server that is cancelled."""

    store: SlowStore = attrs.field(factory=SlowStore)
    telemetry: list[RecordingTelemetry] = attrs.field(factory=list)
    webhooks: list[FakeWebhooks] = attrs.field(factory=list)


@asynccontextmanager
async def before() -> AsyncGenerator[Before]:
    yield Before()


async def another_server_goes_on(before: Before) -> None:
    """Whatever was written down: the app can be used, and what nobody wants is gone."""
    assert all(one.crashes == [] for one in before.telemetry)
    assert all(one.in_flight == 0 for one in before.webhooks)
    async with open_household(store=before.store) as house:
        await house.add_app()
        await nothing_is_left(house)


def note(before: Before, house: Household) -> None:
    before.telemetry.append(house.telemetry)
    before.webhooks.append(house.webhooks)


async def lost_and_brought_back(before: Before) -> None:
    """An app starts, talks, is lost, comes back, is called, is given up, and heals."""
    webhooks = FakeWebhooks(health_after=0.1)
    opening = open_one_app(store=before.store, lifecycle=SHORT, webhooks=webhooks)
    async with opening as (house, glasses, app):
        note(before, house)
        app.say({"type": "subscription_update", "subscriptions": ["button_press", "audio_chunk"]})
        app.say(*(text(word) for word in ("one", "two")))
        await trio.sleep(0.5)
        app.cut()
        again = house.app(token="t1")
        await again.expect("tpa_connection_ack")
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED), WebhookScript(answer_after=100))
        again.cut()
        await trio.sleep(30)
        glasses.cut()
        glasses = await house.attached_glasses()
        house.connect_when_called(after=0.1)
        assert await house.directory.start_app(USER, APP)
        assert await house.directory.stop_app(USER, APP)
        glasses.cut()
        await trio.sleep(25)


def text(word: str) -> dict[str, object]:
    layout = {"layoutType": "text_wall", "text": word}
    return {"type": "display_event", "view": "main", "layout": layout}


async def talks(before: Before) -> None:
    """An app starts, says what it wants, hears something, and is stopped."""
    webhooks = FakeWebhooks(stop_after=0.1)
    async with open_one_app(store=before.store, webhooks=webhooks) as (house, glasses, app):
        note(before, house)
        app.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await trio.sleep(0.1)
        glasses.say({"type": "button_press", "buttonId": "main", "pressType": "short"})
        await app.expect("data_stream")
        assert await house.directory.stop_app(USER, APP)


@cancels(
    open_household,
    open_wearer,
    open_one_app,
    FakeWebhooks.start,
    FakeWebhooks.stop,
    app_greeting.greet,
    app_handlers.apply_subscriptions,
    app_phases.run_app,
    app_phases.connect,
    app_phases.serve_link,
    app_returning.try_once,
    app_webhooks.call_until_delivered,
    app_webhooks.call_stop,
    link_service.use_link,
    user_phases.attached,
    wishes.until_written,
    wishes.Wishes.all,
    Directory.recall,
    Returns.start_wanted,
)
async def test_a_short_life(autojump_clock: MockClock) -> None:
    assert await cancel_at_every_moment(before, talks, another_server_goes_on, every=1) > 100


@cancels(
    Directory.run,
    Keeper.run,
    Display.run,
    Microphone.run,
    FakeWebhooks.health,
    user_phases.run_user,
    user_phases.waiting,
    app_phases.grace,
    app_returning.disconnected,
    app_returning.resurrecting,
    app_returning.backoff,
    health.watch_health,
    health.ask_for_health,
    Returns.until_healed,
)
async def test_a_long_life(autojump_clock: MockClock) -> None:
    moments = await cancel_at_every_moment(
        before, lost_and_brought_back, another_server_goes_on, every=7
    )
    assert moments > 300


@cancels(
    store_trouble.registration_of,
    system_dashboard.system_dashboard,
    Foreground.only_one_of,
)
async def test_a_life_that_goes_on_from_another(autojump_clock: MockClock) -> None:
    async def go_on(before: Before) -> None:
        webhooks = FakeWebhooks()
        async with open_household(store=before.store, webhooks=webhooks) as house:
            note(before, house)
            house.connect_when_called(after=0.1)
            await house.attached_glasses()
            await trio.sleep(10)
            assert house.state() == "running"

    @asynccontextmanager
    async def after_a_crash() -> AsyncGenerator[Before]:
        opened = Before()
        with trio.CancelScope() as server:
            async with open_one_app(store=opened.store) as (house, _, _):
                await house.add_app(OLDER)
                for package, wanted in ((APP, False), (OLDER, True), (APP, True)):
                    await house.store.set_wanted(USER, package, wanted=wanted)
                await house.directory.surroundings.keeper.finish()
                server.cancel("killed")
        yield opened

    assert await cancel_at_every_moment(after_a_crash, go_on, another_server_goes_on, every=3) > 50
