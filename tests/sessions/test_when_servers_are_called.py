"""When the server of an app is called, and when not: twice at once, or for an absent user."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.errors import WebhookFailed, WebhookFailure
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.testing.household import APP, USER, open_one_app
from mentra_trio.testing.links import MemoryLink, WebhookScript

REFUSED = WebhookFailed(WebhookFailure.REFUSED, "connection refused", delivered=False)


async def test_an_answer_that_is_outstanding_from_the_call_before_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(answer_after=1_000))
        link.cut()
        again = house.answer(await house.webhooks.next_start())
        await again.expect("tpa_connection_ack")
        assert house.webhooks.in_flight == 1, "its answer may come long after the app is up"
        again.cut()
        await house.webhooks.next_start()
        assert house.webhooks.in_flight == 1
        await trio.sleep(0.1)
        assert house.state() == "resurrecting"


async def test_a_server_that_was_restarted_is_not_called_for_a_user_who_is_away(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app(lifecycle=Lifecycle(health_s=0)) as (house, glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await glasses.expect("app_stopped", within=400)
        glasses.cut()
        await wait_all_tasks_blocked()
        before = len(house.webhooks.starts)
        links: list[MemoryLink] = []
        back = WebhookScript(on_delivered=lambda call: links.append(house.answer(call)))
        house.webhooks.plan(APP, back)
        assert await house.directory.recover_app(APP) == 0
        await trio.sleep(20)
        assert len(house.webhooks.starts) == before
        assert house.state() == "evicted"
        await house.attached_glasses()
        await wait_all_tasks_blocked()
        assert house.state() == "running", "as soon as its user is back"


async def test_for_a_user_who_is_away_it_is_called_if_somebody_asks_for_the_app(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        link.cut()
        glasses.cut()
        links: list[MemoryLink] = []
        back = WebhookScript(on_delivered=lambda call: links.append(house.answer(call)))
        house.webhooks.plan(APP, back)
        await trio.sleep(1)
        began = trio.current_time()
        assert (await house.directory.start_app(USER, APP)).success
        assert trio.current_time() - began >= 4, "within grace nobody is called, whoever asks"
        assert house.state() == "running"
