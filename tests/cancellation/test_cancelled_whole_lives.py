"""All sessions of a server are cancelled at once, whatever they are doing: a next server goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock
from whole_house import SlowStore, nothing_is_left

from mentra_trio.concurrency.coalesced import Coalesced
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions import (
    app_greeting,
    app_handlers,
    app_phases,
    app_returning,
    app_webhooks,
    health,
    heartbeat,
    link_reader,
    link_service,
    store_trouble,
    user_phases,
    wishes,
)
from mentra_trio.sessions.directory import Directory
from mentra_trio.sessions.endpoint import Endpoint
from mentra_trio.sessions.keeper import Keeper
from mentra_trio.sessions.microphone import Microphone
from mentra_trio.sessions.returns import Returns
from mentra_trio.sessions.screen import Screen
from mentra_trio.sessions.update_queue import UpdateQueue
from mentra_trio.testing.household import APP, USER, Household, open_household, open_one_app
from mentra_trio.testing.links import FakeWebhooks, MemoryLink, RecordingTelemetry, WebhookScript
from mentra_trio.testing.trouble import REFUSED

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
    async with open_one_app(store=before.store, lifecycle=SHORT) as (house, glasses, app):
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
    return {"type": "display_event", "view": "main", "layout": {"layoutType": "text_wall", "text": word}}


@cancels(
    Directory.run,
    Keeper.run,
    Screen.run,
    Microphone.run,
    Coalesced.run,
    UpdateQueue.run,
    user_phases.run_user,
)
async def test_the_whole_life(autojump_clock: MockClock) -> None:
    moments = await cancel_at_every_moment(
        before, lost_and_brought_back, another_server_goes_on, every=7
    )
    assert moments > 300
