"""Of what ended it is told whether it was a user's start or a return of ours."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from mentra_trio.domain.facts import StartEnded
from mentra_trio.testing.household import APP, USER, open_one_app
from mentra_trio.testing.links import WebhookScript
from mentra_trio.testing.trouble import REFUSED


async def test_a_start_is_no_resurrection_and_a_return_is_one(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await trio.sleep(6)
        house.connect_when_called()
        await trio.sleep(6)
        assert house.state() == "running"
        await house.directory.stop_app(USER, APP)
        await house.directory.start_app(USER, APP)
        told = [(one.resurrection, not one.stage) for one in house.telemetry.of(StartEnded)]
    assert told[0] == (False, True), "the user's start, which succeeded"
    assert told[1:-1] == [(True, False)] * (len(told) - 3) + [(True, True)]
    assert told[-1] == (False, True), "the user's next start"
