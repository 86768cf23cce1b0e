"""When the server of an app is not called: twice at once, or for a user who is away."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.errors import WebhookFailed, WebhookFailure
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.testing.household import APP, open_one_app
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
