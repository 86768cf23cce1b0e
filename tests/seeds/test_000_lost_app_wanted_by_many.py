"""Seed 000: an app's connection fails, and many want it at once: services that send, and users."""

from __future__ import annotations

import gc
from random import Random

import attrs
import pytest
import trio
from evidence import counted
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.breaker import BreakerState
from mentra_trio.domain.errors import WebhookFailed
from mentra_trio.domain.ids import PackageName
from mentra_trio.domain.starting import STARTED, StartResult, StartStage
from mentra_trio.ports import SessionCall
from mentra_trio.sessions.attempts import Attempt
from mentra_trio.sessions.delivery import QUEUED, SENT, Delivery, deliver
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import APP, USER, Household, open_one_app, open_wearer
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import ERROR, GONE, MISCONFIGURED, REFUSED, UNAVAILABLE

STREAM = "button_press"
HANGS = WebhookScript(answer_after=600)


@attrs.define(eq=False)
class Crowd:
    """Services that send and callers that start, and what each of them was told."""

    house: Household
    sent: list[Delivery] = attrs.field(factory=list, init=False)
    started: list[StartResult] = attrs.field(factory=list, init=False)
    told_at: set[float] = attrs.field(factory=set, init=False)

    def send(self) -> None:
        """A service sends its message, which carries the number of the messages before it."""
        session = self.house.directory._users[USER].roster.apps[APP]
        frame = f'{{"type": "data_stream", "number": {len(self.sent)}}}'
        self.sent.append(deliver(session, STREAM, frame))

    async def send_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.send()

    async def start_after(self, seconds: float = 0.0) -> None:
        await trio.sleep(seconds)
        self.started.append(await self.house.directory.start_app(USER, APP))
        self.told_at.add(trio.current_time())


def numbers(*links: MemoryLink) -> list[int]:
    """Which of a crowd's messages have arrived at the app, in their order."""
    return [message["number"] for link in links for message in link.of_type("data_stream")]


def attempts_kept() -> int:
    gc.collect()
    return sum(isinstance(thing, Attempt) for thing in gc.get_objects())


async def subscribed(link: MemoryLink) -> None:
    link.say({"type": "subscription_update", "subscriptions": [STREAM, "transcription:en-US"]})
    await wait_all_tasks_blocked()


async def until_called(house: Household, link: MemoryLink) -> SessionCall:
    """The app loses its connection and does not come back: its server is being called."""
    await subscribed(link)
    link.cut()
    call = await house.webhooks.next_start()
    assert house.state() == "resurrecting"
    return call


# -- scenario: App disconnects, then 3 services try to send messages simultaneously ------------


@pytest.mark.parametrize("away", [0.0, 4.0, 6.0])
async def test_three_services_send_and_a_user_starts_it_but_only_one_webhook_is_sent(
    away: float, autojump_clock: MockClock
) -> None:
    """A at once, B 100 ms later, C 200 ms later: just after the loss, in grace, or after it."""
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(answer_after=10))
        crowd = Crowd(house)
        await subscribed(link)
        link.cut()
        await trio.sleep(away)
        async with trio.open_nursery() as nursery:
            for n in range(3):
                nursery.start_soon(crowd.send_after, n * 0.1)
            nursery.start_soon(crowd.start_after, 0.15)
            call = await house.webhooks.next_start()
            assert trio.current_time() >= 5.0, "whoever asks, the app may first come back by itself"
            await trio.sleep(max(0.3, away + 0.3 - trio.current_time()))
            back = house.answer(call)
        assert len(house.webhooks.starts) == 2, "the start, and one resurrection"
        assert crowd.sent == [QUEUED] * 3, "all three services are told the same"
        assert crowd.started == [STARTED]
        back.say({"type": "subscription_update", "subscriptions": [STREAM]})
        await trio.sleep(1)
        assert numbers(back) == [0, 1, 2], "the original messages arrive, in their order"


@pytest.mark.parametrize("seed", range(5))
async def test_of_1000_concurrent_senders_and_starters_only_one_calls_the_app(
    seed: int, autojump_clock: MockClock
) -> None:
    """They come from the loss until after the return: no resurrection spam, whatever the order."""
    random = Random(seed)
    async with open_one_app() as (house, _glasses, link):
        await subscribed(link)
        links: list[MemoryLink] = []

        def connect(call: SessionCall) -> None:
            links.append(house.answer(call))
            links[0].say({"type": "subscription_update", "subscriptions": [STREAM]})

        script = WebhookScript(deliver_after=0.2, answer_after=0.5, on_answered=connect)
        house.webhooks.plan(APP, script)
        link.cut()
        crowd = Crowd(house)
        async with trio.open_nursery() as nursery:
            for _ in range(500):
                nursery.start_soon(crowd.send_after, random.uniform(0, 8))
                nursery.start_soon(crowd.start_after, random.uniform(0, 8))
        assert len(house.webhooks.starts) == 2, "the start, and one resurrection"
        assert all(result is STARTED for result in crowd.started)
        assert len(crowd.started) == 500
        assert {delivery.outcome for delivery in crowd.sent} == {SENT.outcome, QUEUED.outcome}
        await trio.sleep(1)
        assert numbers(*links) == list(range(500)), "each message once, in order"


@pytest.mark.parametrize(("away", "state"), [(70, "backoff"), (400, "evicted")])
async def test_a_dead_app_that_1000_want_at_the_same_moment_is_called_once(
    away: float, state: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        await subscribed(link)
        link.cut()
        await trio.sleep(away)
        assert house.state() == state
        house.connect_when_called()
        before, crowd = len(house.webhooks.starts), Crowd(house)
        async with trio.open_nursery() as nursery:
            for n in range(1000):
                if n % 2 and state == "backoff":
                    crowd.send()
                else:
                    nursery.start_soon(crowd.start_after)
        assert len(house.webhooks.starts) == before + 1
        assert all(result is STARTED for result in crowd.started)
        assert set(crowd.sent) <= {QUEUED}
        assert len(crowd.told_at) == 1, "all of them at the same moment"


# -- key benefits -------------------------------------------------------------------------------


class CountingStore(MemoryStore):
    """Counts how often somebody looks an app up."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = 0

    async def app(self, package: PackageName) -> AppRegistration | None:
        self.queries += 1
        return await super().app(package)


async def test_waiting_for_an_attempt_costs_no_network_call_and_no_database_query(
    autojump_clock: MockClock,
) -> None:
    """Only one pending connection tracked; no duplicate network calls or database queries."""
    store = CountingStore()
    async with open_wearer(store=store) as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(answer_after=1))
        pending, crowd = attempts_kept(), Crowd(house)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd.start_after)
            call = await house.webhooks.next_start()
            await wait_all_tasks_blocked()
            queries = store.queries
            for _ in range(100):
                nursery.start_soon(crowd.start_after)
            await wait_all_tasks_blocked()
            assert store.queries <= queries + 1, "their wish is written down once for all"
            assert house.webhooks.in_flight == 1
            assert attempts_kept() == pending + 1
            house.answer(call)
        assert crowd.started == [STARTED] * 101


@pytest.mark.parametrize("failure", [REFUSED, UNAVAILABLE, GONE, MISCONFIGURED, ERROR])
@pytest.mark.parametrize("lost", [False, True])
async def test_when_the_webhook_fails_all_are_told_the_same_reason(
    lost: bool, failure: WebhookFailed, autojump_clock: MockClock
) -> None:
    """Edge case 2, App fails to connect: whoever waits hears what A hears, at the same moment."""
    async with open_wearer() as (house, _glasses):
        if lost:
            link = await house.running_app()
            link.cut()
            await trio.sleep(1)
        house.webhooks.plan(
            APP, WebhookScript(deliver_after=0.5, failure=failure), WebhookScript(failure=failure)
        )
        crowd = Crowd(house)
        async with trio.open_nursery() as nursery:
            for n in range(50):
                nursery.start_soon(crowd.start_after, n / 200)
        [told] = set(crowd.started)
        assert all(result is crowd.started[0] for result in crowd.started)
        assert (told.success, told.stage) == (False, StartStage.WEBHOOK)
        assert str(failure) in told.message
        assert len(crowd.told_at) == 1
        calls = {call.websocket_url for call in house.webhooks.starts}
        assert len(calls) == 1 + lost, "one attempt for all of them"


# -- edge cases ---------------------------------------------------------------------------------


async def test_edge_case_3_multiple_transcription_messages_arrive_while_it_is_brought_back(
    autojump_clock: MockClock,
) -> None:
    """Subsequent messages wait (no spam); once connected, all messages flow normally."""
    async with open_one_app() as (house, glasses, link):
        call = await until_called(house, link)
        for n in range(300):
            glasses.say({"type": "local_transcription", "text": str(n), "isFinal": True})
        await trio.sleep(1)
        back = house.answer(call)
        back.say({"type": "subscription_update", "subscriptions": ["transcription:en-US"]})
        await trio.sleep(1)
        glasses.say({"type": "local_transcription", "text": "live", "isFinal": True})
        await wait_all_tasks_blocked()
        heard = [message["data"]["text"] for message in back.of_type("data_stream")]
        assert heard == [*map(str, range(300)), "live"]
        assert len(house.webhooks.starts) == 2


async def test_edge_case_4_session_cleanup_during_resurrection(
    autojump_clock: MockClock,
) -> None:
    """Waiting services get failure results, all at once; no hanging waits, no memory leaks."""
    async with open_one_app() as (house, glasses, link):
        house.webhooks.plan(APP, HANGS)
        await until_called(house, link)
        pending, crowd = attempts_kept(), Crowd(house)
        async with trio.open_nursery() as nursery:
            for _ in range(500):
                crowd.send()
                nursery.start_soon(crowd.start_after)
            await wait_all_tasks_blocked()
            assert crowd.started == []
            ended_at = trio.current_time()
            glasses.cut()
            house.directory.drain()
        assert crowd.told_at == {ended_at}
        assert {result.stage for result in crowd.started} == {StartStage.CONNECTION}
        assert len(crowd.started) == 500
        await wait_all_tasks_blocked()
        assert house.directory.users() == []
        assert house.webhooks.in_flight == 0
        await trio.sleep(1)  # until what it was is written down
        assert attempts_kept() < pending


async def test_edge_case_4_the_users_grace_ends_during_a_start(autojump_clock: MockClock) -> None:
    """User session ending while an attempt is in progress: its pending attempts are cleared."""
    async with open_wearer() as (house, glasses):
        house.webhooks.plan(APP, HANGS)
        glasses.cut()
        await trio.sleep(55)
        crowd = Crowd(house)
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(crowd.start_after)
        assert crowd.told_at == {60.0}
        assert {result.stage for result in crowd.started} == {StartStage.CONNECTION}
        await wait_all_tasks_blocked()
        assert house.directory.users() == []
        assert house.webhooks.in_flight == 0
        assert len(house.webhooks.starts) == 1
        await trio.sleep(1)
        assert await house.store.saved_users() == []


# -- memory management --------------------------------------------------------------------------


@pytest.mark.parametrize("connects", [True, False])
async def test_an_attempt_is_cleaned_up_when_the_connection_succeeds_or_fails(
    connects: bool, autojump_clock: MockClock
) -> None:
    """Automatic cleanup; timeout handling prevents memory leaks."""
    async with open_wearer() as (house, _glasses):
        if connects:
            house.connect_when_called()
        before = attempts_kept()
        for _ in range(20):
            result = await house.directory.start_app(USER, APP)
            assert result.success is connects
            await house.directory.stop_app(USER, APP)
            await wait_all_tasks_blocked()
        assert attempts_kept() == before
        assert house.webhooks.in_flight == 0


async def test_a_resurrection_that_times_out_leaves_no_call_behind(
    autojump_clock: MockClock,
) -> None:
    """Only one pending connection tracked, also while an app server never answers its webhook."""
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, HANGS)
        link.cut()
        await trio.sleep(5.8 + 10.0)
        assert house.state() == "backoff"
        assert house.webhooks.in_flight == 0


# -- future improvements ------------------------------------------------------------------------


async def test_resurrection_queue_is_bounded_and_its_gap_is_told(
    autojump_clock: MockClock,
) -> None:
    """Queuing messages during resurrection: the newest 1,024 are kept, the rest is a known gap."""
    async with open_one_app() as (house, _glasses, link):
        call = await until_called(house, link)
        crowd = Crowd(house)
        for _ in range(1_100):
            crowd.send()
        back = house.answer(call)
        back.say({"type": "subscription_update", "subscriptions": [STREAM]})
        await trio.sleep(1)
        assert numbers(back) == list(range(76, 1_100))
        [gap] = back.of_type("custom_message")
        assert (gap["action"], gap["payload"]["count"]) == ("messages_missed", 76)
        assert counted(house.telemetry.facts, "mentra_messages_missed_total", package=APP) == 76


async def test_circuit_breaker_stops_attempts_for_an_app_that_consistently_fails(
    autojump_clock: MockClock,
) -> None:
    """Failures are counted and the last one remembered; a success closes it again."""
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await trio.sleep(250)
        endpoint = house.directory.endpoint(APP)
        assert endpoint is not None
        assert endpoint.state is BreakerState.OPEN
        calls = len(house.webhooks.starts)
        assert endpoint.failures == calls - 1 <= 45
        await trio.sleep(600)
        assert len(house.webhooks.starts) == calls, "temporarily, nobody is called at all"
        assert counted(house.telemetry.facts, "mentra_endpoint_down", package=APP) == 1
        house.connect_when_called()
        assert (await house.directory.start_app(USER, APP)).success, "a user's start is tried"
        endpoint = house.directory.endpoint(APP)
        assert endpoint is not None
        assert (endpoint.state, endpoint.failures) == (BreakerState.CLOSED, 0)
        assert counted(house.telemetry.facts, "mentra_endpoint_down", package=APP) == 0
