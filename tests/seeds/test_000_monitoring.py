"""Seed 000, monitoring and debugging: its key log messages and its metrics to monitor."""

from __future__ import annotations

import pytest
import trio
from evidence import Line, counted, lines_named, log_of
from trio.testing import MockClock

from mentra_trio.testing.household import APP, USER, Household, open_one_app, open_wearer
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED

STARTING = "calling the app server"
WAITING = "app already loading, waiting for existing attempt"
ENDED = "start ended"


async def resurrected_while_waited_for(house: Household, link: MemoryLink, waiting: int) -> None:
    """The app is lost and called anew; so many ask for it, and it connects 2 s later."""
    link.cut()
    call = await house.webhooks.next_start()
    async with trio.open_nursery() as nursery:
        for _ in range(waiting):
            nursery.start_soon(house.directory.start_app, USER, APP)
        await trio.sleep(2)
        await house.answer(call).expect("tpa_connection_ack")


def names_user_and_app(line: Line) -> bool:
    return (line["user"], line["package"]) == (USER, APP)


async def test_key_log_messages_of_a_resurrection(autojump_clock: MockClock) -> None:
    """Attempting to resurrect App; App already loading; Successfully resurrected App."""
    async with open_one_app() as (house, _glasses, link):
        began = len(house.telemetry.facts)
        await resurrected_while_waited_for(house, link, 2)
        log = log_of(house.telemetry.facts[began:], "debug")
        told = lines_named(log, STARTING, WAITING, ENDED)
        assert [line["event"] for line in told] == [STARTING, WAITING, WAITING, ENDED]
        assert all(names_user_and_app(line) for line in told)
        assert told[0]["resurrection"] == "true"
        assert told[-1]["resurrection"] == "true"
        assert "stage" not in told[-1], "it was successful"
        assert told[0]["level"] == told[-1]["level"] == "info"


async def test_a_first_start_is_not_logged_as_a_resurrection(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, _link):
        [ended] = lines_named(log_of(house.telemetry.facts), ENDED)
        assert ended.get("resurrection", "false") == "false"


async def test_clean_logging_only_one_set_of_resurrection_logs_per_attempt(
    autojump_clock: MockClock,
) -> None:
    """However many wait: no poor logging, at the usual level not one line more."""
    counts = []
    for waiting in (0, 200):
        async with open_one_app() as (house, _glasses, link):
            began = len(house.telemetry.facts)
            await resurrected_while_waited_for(house, link, waiting)
            log = log_of(house.telemetry.facts[began:])
            assert [len(lines_named(log, event)) for event in (STARTING, ENDED)] == [1, 1]
            counts.append(len(log))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("script", [WebhookScript(failure=REFUSED), WebhookScript(answer_after=60)])
async def test_poor_logging_no_duplicate_error_messages(
    script: WebhookScript, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.cut()
        await trio.sleep(1)
        house.webhooks.plan(APP, script)
        began = len(house.telemetry.facts)
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(house.directory.start_app, USER, APP)
        log = log_of(house.telemetry.facts[began:])
        errors = [line for line in log if line["level"] in {"warning", "error"}]
        [ended] = lines_named(errors, ENDED)
        assert ended["stage"] in {"WEBHOOK", "TIMEOUT"}
        assert len(errors) == len({line["event"] for line in errors}), errors


async def test_metric_resurrection_attempt_frequency_and_success_rate_per_app(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await trio.sleep(12)
        house.connect_when_called()
        await trio.sleep(10)
        facts, attempts = house.telemetry.facts, len(house.webhooks.starts) - 1
        assert house.state() == "running"
        assert attempts > 2
        name = "mentra_resurrections_total"
        assert counted(facts, name, package=APP) == attempts
        assert counted(facts, name, package=APP, result="ok") == 1
        assert counted(facts, name, package=APP, result="failed") == attempts - 1
        assert counted(facts, name, package="com.t.other") == 0


async def test_metric_wait_times_for_concurrent_callers(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        before = house.telemetry.facts[:]
        await resurrected_while_waited_for(house, link, 3)
        facts = house.telemetry.facts
        waits = "mentra_start_wait_seconds"
        assert counted(facts, f"{waits}_count") == counted(before, f"{waits}_count") + 3
        assert counted(facts, f"{waits}_sum") == pytest.approx(3 * 2.0)
        assert counted(facts, "mentra_starts_joined_total", package=APP) == 3


async def test_metric_webhook_response_times_from_apps(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(deliver_after=0.5, answer_after=1.5))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.directory.start_app, USER, APP)
            call = await house.webhooks.next_start()
            await trio.sleep(1)
            house.answer(call)
        await trio.sleep(5)
        facts = house.telemetry.facts
        assert counted(facts, "mentra_webhook_seconds_count") == 1
        assert counted(facts, "mentra_webhook_seconds_sum") == pytest.approx(2.0)
        labels = {"package": APP, "kind": "session", "result": "ok"}
        assert counted(facts, "mentra_webhooks_total", **labels) == 1
