"""Seed 003: restarts of the cloud and of app servers, hints and tokens of an init, and metrics."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import trio
from evidence import counted, log_of, moves_in
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.breaker import BreakerState
from mentra_trio.domain.close_reasons import NOT_STARTED, RESTARTING, STALE_TOKEN
from mentra_trio.domain.ids import user_id
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.ports import SessionCall
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    open_one_app,
    open_wearer,
    virtual_environment,
)
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import ERROR, REFUSED

STREAM = "button_press"
LONG_JITTER = Lifecycle(grace_jitter_s=100)


async def subscribe(link: MemoryLink) -> None:
    link.say({"type": "subscription_update", "subscriptions": [STREAM]})
    await wait_all_tasks_blocked()


def subscriptions(house: Household) -> tuple[str, ...]:
    snapshot = house.snapshot()
    assert snapshot is not None
    return snapshot.subscriptions


async def the_cloud_before(store: MemoryStore) -> str:
    """A cloud in which the app runs and subscribes, and which is restarted; its last token."""
    async with open_one_app(store=store) as (_house, _glasses, link):
        await subscribe(link)
        [ack] = link.of_type("tpa_connection_ack")
    assert link.closed_with == RESTARTING, "a code after which the SDK reconnects"
    token: str = ack["reconnectToken"]
    return token


# -- scenario 1: cloud restarts ----------------------------------------------------------------


@pytest.mark.parametrize("after", [0.0, 1.0, 3.0])
async def test_scenario_1_cloud_restarts_the_server_stays_in_grace_period(
    after: float, autojump_clock: MockClock
) -> None:
    """SDK reconnects quickly, no resurrection; no subscriptions are lost by the restart."""
    store = MemoryStore()
    token = await the_cloud_before(store)
    after_it = virtual_environment(tokens="next")
    async with open_household(store=store, environment=after_it) as house:
        await house.attached_glasses()
        await trio.sleep(after)
        assert house.state() == "grace_period"
        assert subscriptions(house) == (STREAM,)
        back = house.app(reconnect=True, reconnect_token=token)
        await back.expect("tpa_connection_ack")
        await trio.sleep(100)
        assert house.state() == "running"
        assert subscriptions(house) == (STREAM,)
        assert house.webhooks.starts == []
        facts = house.telemetry.facts
        assert counted(facts, "mentra_reconnects_total", package=APP, result="in_grace") == 1
        assert counted(facts, "mentra_resurrections_total") == 0


# -- scenario 2: app server restarts -----------------------------------------------------------


async def test_scenario_2_app_server_restarts_and_does_not_reconnect_in_time(
    autojump_clock: MockClock,
) -> None:
    """The process knows nothing of before and requires a fresh connect: RESURRECTING."""
    async with open_one_app() as (house, _glasses, link):
        await subscribe(link)
        links = house.connect_when_called()
        began = len(house.telemetry.facts)
        link.hang_up(1005)
        await trio.sleep(8)
        assert moves_in(log_of(house.telemetry.facts[began:])) == [
            "running -> grace_period",
            "grace_period -> disconnected",
            "disconnected -> resurrecting",
            "resurrecting -> running",
        ]
        assert len(house.webhooks.starts) == 2
        assert len(links) == 1
        assert subscriptions(house) == (STREAM,), "until the new process says what it wants"


async def test_scenario_2_app_server_restarts_and_reconnects_in_time(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.hang_up(1005)
        await trio.sleep(3)
        await house.app(reconnect=True).expect("tpa_connection_ack")
        await trio.sleep(60)
        assert house.state() == "running"
        assert len(house.webhooks.starts) == 1


# -- terms --------------------------------------------------------------------------------------


async def test_terms_connect_reconnect_and_resurrection_are_told_apart(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        facts = house.telemetry.facts

        def told() -> tuple[float, float]:
            reconnects = counted(facts, "mentra_reconnects_total", result="in_grace")
            return reconnects, counted(facts, "mentra_resurrections_total", result="ok")

        assert told() == (0, 0), "a first attach is a connect, and neither of the others"
        link.cut()
        await trio.sleep(1)
        back = house.app()
        await back.expect("tpa_connection_ack")
        assert told() == (1, 0)
        house.connect_when_called()
        back.cut()
        await trio.sleep(8)
        assert told() == (1, 1)


# -- low-risk improvements ------------------------------------------------------------------------


def test_reconnect_grace_is_5_to_8_seconds() -> None:
    default = Lifecycle()
    assert default.grace_s >= 5
    assert default.grace_s + default.grace_jitter_s <= 8


async def test_after_grace_the_state_is_disconnected_then_resurrection_comes_with_jitter(
    autojump_clock: MockClock,
) -> None:
    delays = set()
    for seed in range(8):
        async with open_one_app(environment=virtual_environment(seed)) as (house, _glasses, link):
            link.cut()
            began = trio.current_time()
            await trio.sleep(5.0)
            await wait_all_tasks_blocked()
            assert house.state() in {"disconnected", "resurrecting"}
            await house.webhooks.next_start()
            delays.add(trio.current_time() - began)
    assert len(delays) == 8
    assert min(delays) >= 5.0
    assert max(delays) <= 5.8


async def test_thundering_herds_are_avoided(autojump_clock: MockClock) -> None:
    """The server of 120 users' app restarts: they are called one after the other, each once."""
    users = [user_id(f"u-{n}@x.org") for n in range(120)]
    calls: Counter[int] = Counter()
    async with open_household() as house:
        await house.add_app()
        links = await house.running_apps(users)
        began = trio.current_time()

        def connect(call: SessionCall) -> None:
            calls[int((trio.current_time() - began) * 10)] += 1
            house.answer(call)

        house.webhooks.plan(APP, WebhookScript(on_delivered=connect))
        for link in links.values():
            link.cut()
        await trio.sleep(15)
        assert {house.state(user) for user in users} == {"running"}
        assert calls.total() == len(users)
        assert min(calls) >= 50, "none within grace, in tenths of a second"
        assert max(calls.values()) <= 0.1 * Lifecycle().release_per_s + 1


async def test_jittered_backoff(autojump_clock: MockClock) -> None:
    """An app that fails although its server answers is called at growing, random gaps."""
    gaps = []
    for seed in (1, 2):
        async with open_one_app(environment=virtual_environment(seed)) as (house, _glasses, link):
            house.webhooks.plan(APP, WebhookScript(failure=ERROR))
            link.cut()
            at = []
            for _ in range(3):
                await house.webhooks.next_start()
                at.append(trio.current_time())
            gaps.append([later - earlier for earlier, later in pairwise(at)])
    assert gaps[0] != gaps[1]
    assert all(0.5 <= first <= 1.0 and 1.0 <= second <= 2.0 for first, second in gaps)


# -- on init --------------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", [True, False])
async def test_on_init_within_grace_the_existing_session_is_attached(
    hint: bool, autojump_clock: MockClock
) -> None:
    """`init.reconnect`, or inferred from the grace period: per-app state is kept, timers go."""
    async with open_one_app() as (house, glasses, link):
        await subscribe(link)
        link.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "A"}})
        await glasses.expect("display_event", packageName=APP)
        before, shown = house.directory._users[USER].roster.apps[APP], len(glasses.messages)
        link.cut()
        glasses.say({"type": STREAM, "buttonId": "meanwhile", "pressType": "short"})
        await trio.sleep(2)
        back = house.app(reconnect=hint)
        ack = await back.expect("tpa_connection_ack")
        session = house.directory._users[USER].roster.apps[APP]
        assert session is before
        assert (session.state.value, session.epoch) == ("running", 1)
        assert ack["sessionId"] == f"{USER}-{APP}"
        assert subscriptions(house) == (STREAM,)
        assert (await back.expect("data_stream"))["data"]["buttonId"] == "meanwhile"
        later = glasses.messages[shown:]
        assert "display_event" not in {message["type"] for message in later}, "it still shows A"
        await trio.sleep(100)
        assert len(house.webhooks.starts) == 1


@pytest.mark.parametrize("hint", [True, False])
@pytest.mark.parametrize("state", ["disconnected", "resurrecting", "backoff"])
async def test_on_init_after_grace_a_reconnect_still_attaches_the_existing_session(
    state: str, hint: bool, autojump_clock: MockClock
) -> None:
    lifecycle = LONG_JITTER if state == "disconnected" else Lifecycle()
    async with open_one_app(lifecycle=lifecycle) as (house, _glasses, link):
        await subscribe(link)
        never_delivered = WebhookScript(deliver_after=600)
        script = never_delivered if state == "resurrecting" else WebhookScript(failure=REFUSED)
        house.webhooks.plan(APP, script)
        before = house.directory._users[USER].roster.apps[APP]
        link.cut()
        await trio.sleep(6.5)
        assert house.state() == state
        await house.app(reconnect=hint).expect("tpa_connection_ack")
        calls = len(house.webhooks.starts)
        assert house.directory._users[USER].roster.apps[APP] is before
        assert subscriptions(house) == (STREAM,)
        await trio.sleep(300)
        assert house.state() == "running"
        assert len(house.webhooks.starts) == calls, "its timers are cancelled"


async def test_on_init_without_a_session_there_is_nothing_to_reconnect_to(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        assert await house.app(reconnect=True).closed() == NOT_STARTED
        assert house.state() is None


async def test_on_init_of_a_dormant_app_a_new_session_is_created(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        await subscribe(link)
        link.say({"type": "ownership_release", "reason": "switching_clouds"})
        link.hang_up(1005)
        await trio.sleep(20)
        await house.app(reconnect=True).expect("tpa_connection_ack")
        snapshot = house.snapshot()
        assert snapshot is not None
        assert (snapshot.state, snapshot.epoch) == ("running", 2)
        assert snapshot.subscriptions == (STREAM,)


# -- future: explicit reconnect tokens ------------------------------------------------------------


async def test_reconnect_tokens_are_issued_with_every_ack_and_used_once(
    autojump_clock: MockClock,
) -> None:
    """Issued by us, presented by the SDK: bind reconnects tightly and reject stale connections."""
    async with open_one_app() as (house, _glasses, link):
        tokens = [link.of_type("tpa_connection_ack")[0]["reconnectToken"]]
        for _ in range(4):
            link.cut()
            await trio.sleep(1)
            link = house.app(reconnect_token=tokens[-1])
            tokens.append((await link.expect("tpa_connection_ack"))["reconnectToken"])
        assert len(set(tokens)) == 5
        for stale in (*tokens[:-1], "made up"):
            assert await house.app(reconnect=True, reconnect_token=stale).closed() == STALE_TOKEN
            assert link.is_open, "whoever comes late does not disturb the one that is there"
        link.cut()
        await wait_all_tasks_blocked()
        assert await house.app(reconnect_token=tokens[0]).closed() == STALE_TOKEN
        assert house.state() == "grace_period", "and does not end the grace of the rightful one"
        written = str(log_of(house.telemetry.facts, "debug"))
        assert not any(f"'{token}'" in written for token in tokens)


async def test_reconnect_tokens_bind_to_one_user_and_app(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        other, someone = await house.add_app("com.t.b", kind="background"), user_id("u-2@x.org")
        await house.add_app()
        await house.attached_glasses()
        await house.attached_glasses(someone)
        link = await house.running_app()
        await house.running_app(package=other)
        await house.running_app(someone)
        token = link.of_type("tpa_connection_ack")[0]["reconnectToken"]
        assert await house.app(someone, reconnect_token=token).closed() == STALE_TOKEN
        assert await house.app(package=other, reconnect_token=token).closed() == STALE_TOKEN
        assert link.is_open


# -- future: more granular states, and a per-app circuit breaker ----------------------------------


async def test_backoff_then_evicted_and_the_circuit_breaker_is_per_app(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        sibling = await house.add_app("com.t.b", kind="background")
        neighbour = await house.running_app(package=sibling)
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        began = len(house.telemetry.facts)
        link.cut()
        await trio.sleep(250)
        moves = moves_in(log_of(house.telemetry.facts[began:]))
        assert moves[3] == "resurrecting -> backoff"
        assert moves[-1] == "backoff -> evicted"
        broken, whole = house.directory.endpoint(APP), house.directory.endpoint(sibling)
        assert broken is not None
        assert whole is not None
        assert (broken.state, whole.state) == (BreakerState.OPEN, BreakerState.CLOSED)
        failed = counted(house.telemetry.facts, "mentra_resurrections_total", result="failed")
        assert broken.failures == failed == len(house.webhooks.starts) - 2
        assert counted(house.telemetry.facts, "mentra_resurrections_total", result="evicted") == 1
        neighbour.cut()
        house.connect_when_called(sibling)
        await trio.sleep(8)
        assert house.state(package=sibling) == "running", "its own breaker is closed"


# -- future: metrics ------------------------------------------------------------------------------


async def test_metrics_reconnect_success_rate_and_average_reconnect_latency(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        for away in (1.0, 3.0):
            link.cut()
            await trio.sleep(away)
            link = house.app()
            await link.expect("tpa_connection_ack")
        house.connect_when_called()
        link.cut()
        await trio.sleep(8)
        facts = house.telemetry.facts
        name = "mentra_reconnects_total"
        assert counted(facts, name, package=APP, result="in_grace") == 2
        assert counted(facts, name, package=APP) == 3, "a success rate of two in three"
        assert counted(facts, "mentra_reconnect_seconds_count") == 2
        assert counted(facts, "mentra_reconnect_seconds_sum") == pytest.approx(1.0 + 3.0)


async def test_metrics_resurrection_rate_and_false_resurrection_rate(
    autojump_clock: MockClock,
) -> None:
    """False: the old runtime was alive all the time, and comes when another has taken over."""
    async with open_one_app() as (house, _glasses, link):
        for back_too_late in (True, False):
            link.cut()
            link = house.answer(await house.webhooks.next_start())
            await link.expect("tpa_connection_ack")
            if back_too_late:
                await house.app(token="t1").closed()
        facts = house.telemetry.facts
        assert counted(facts, "mentra_resurrections_total", package=APP, result="ok") == 2
        assert counted(facts, "mentra_false_resurrections_total", package=APP) == 1


async def test_an_evicted_app_is_not_called_because_its_users_glasses_come_back(
    autojump_clock: MockClock,
) -> None:
    """The circuit breaker stops the attempts; glasses that drop and return close no breaker."""
    async with open_one_app(lifecycle=Lifecycle(resurrection_budget_s=10)) as (house, glasses, app):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        app.cut()
        await trio.sleep(20)
        assert house.state() == "evicted"
        called = len(house.webhooks.starts)
        glasses.cut()
        await trio.sleep(5)
        await house.attached_glasses()
        await trio.sleep(5)
        assert house.state() == "evicted"
        assert len(house.webhooks.starts) == called
