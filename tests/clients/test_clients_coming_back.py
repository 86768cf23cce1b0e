"""A session whose connection is lost: when it is tried again, and what the author learns."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from stub_cloud import APP_URL, SESSION, Caller, StubCloud, open_cloud

from mentra_trio.clients.app import App, AppServer
from mentra_trio.clients.app_connection import AppConnection
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.events import MissedMessages, Reconnected
from mentra_trio.clients.reconnecting import Comeback
from mentra_trio.domain.close_reasons import APP_STOPPED, LINK_LOST, CloseReason


@pytest.fixture
async def cloud() -> AsyncGenerator[StubCloud]:
    async with open_cloud() as opened:
        yield opened


@attrs.define(eq=False)
class Connected:
    """A session and its connection, without the app server around them."""

    cloud: StubCloud
    nursery: trio.Nursery
    session: AppSession = attrs.field(factory=lambda: AppSession("u-1@x.org", SESSION, "com.t.a"))
    ends: list[CloseReason] = attrs.field(factory=list)

    async def start(self, *, persistent: bool = False, **ack: Any) -> Caller:
        connection = AppConnection(
            session=self.session,
            url=APP_URL,
            api_key="secret",
            comeback=Comeback(persistent=persistent),
            dial=self.cloud.network.dial,
        )

        async def run() -> None:
            self.ends.append(await connection.run())

        self.nursery.start_soon(run)
        self.nursery.start_soon(self.session.handle_events)
        caller = await self.cloud.next()
        await caller.greet(**ack)
        await trio.sleep(1)
        return caller

    def lose(self, caller: Caller) -> float:
        """Lose the connection; when that was."""
        self.cloud.cut()
        caller.leave()
        return trio.current_time()


@pytest.fixture
async def connected(cloud: StubCloud, nursery: trio.Nursery) -> Connected:
    return Connected(cloud, nursery)


async def test_a_server_that_is_busy_is_asked_again_when_it_wants(
    connected: Connected, autojump_clock: object
) -> None:
    caller = await connected.start()
    cloud = connected.cloud
    cloud.refuse_with, cloud.retry_after = 503, b"5"
    lost_at = connected.lose(caller)
    await trio.sleep(22)
    assert [at - lost_at for at in cloud.refused_at] == pytest.approx([1, 6, 11, 16, 21])
    cloud.refuse_with = None
    again = await cloud.next()
    assert again.at - lost_at == pytest.approx(26)
    await again.greet()
    assert connected.ends == []
    await again.close(APP_STOPPED.code, APP_STOPPED.text)


@pytest.mark.parametrize(("status", "retry_after"), [(503, None), (503, b"60"), (401, b"5")])
async def test_other_refusals_are_failures(
    connected: Connected, status: int, retry_after: bytes | None, autojump_clock: object
) -> None:
    caller = await connected.start()
    cloud = connected.cloud
    cloud.refuse_with, cloud.retry_after = status, retry_after
    lost_at = connected.lose(caller)
    await trio.sleep(3600)
    assert [at - lost_at for at in cloud.refused_at] == pytest.approx([1, 3, 7])
    assert connected.ends == [LINK_LOST]


async def test_who_is_persistent_is_back_after_an_hour(
    connected: Connected, autojump_clock: object
) -> None:
    caller = await connected.start(persistent=True, reconnectToken="one")
    cloud = connected.cloud
    cloud.refuse_with = 502
    lost_at = connected.lose(caller)
    await trio.sleep(3600)
    gaps = [later - at for at, later in zip(cloud.refused_at, cloud.refused_at[1:], strict=False)]
    assert [at - lost_at for at in cloud.refused_at[:3]] == pytest.approx([1, 3, 7])
    assert max(gaps) <= 60
    assert len(set(gaps)) > len(gaps) / 2, "not in step with anybody"
    cloud.refuse_with = None
    again = await cloud.next(within=61)
    init = await again.greet()
    assert (init["reconnect"], init["reconnectToken"]) == (True, "one")
    assert connected.ends == []
    await again.close(APP_STOPPED.code, APP_STOPPED.text)
    await trio.sleep(3600)
    assert connected.ends == [APP_STOPPED]


async def test_the_author_learns_of_every_reconnect_and_of_no_first_connect(
    connected: Connected, autojump_clock: object
) -> None:
    told: list[object] = []
    connected.session.on_reconnected(told.append)
    connected.session.on_missed(told.append)
    off = connected.session.on_reconnected(told.append)
    caller = await connected.start(resurrected=True, subscriptions=["button_press"])
    assert told == []
    off()
    connected.lose(caller)
    caller = await connected.cloud.next()
    await caller.greet(resurrected=True, subscriptions=["button_press"])
    gap = {"count": 2, "since": "2026-01-01T00:00:00.000Z", "reason": "too many"}
    caller.say({"type": "custom_message", "action": "messages_missed", "payload": gap})
    await trio.sleep(1)
    connected.lose(caller)
    caller = await connected.cloud.next()
    await caller.greet()
    await trio.sleep(1)
    assert told == [
        Reconnected(resurrected=True, subscriptions=["button_press"]),
        MissedMessages(count=2, since="2026-01-01T00:00:00.000Z", reason="too many"),
        Reconnected(resurrected=False, subscriptions=None),
    ]
    await caller.close(APP_STOPPED.code, APP_STOPPED.text)


@asynccontextmanager
async def lost_for_ten_minutes(
    cloud: StubCloud, nursery: trio.Nursery, *, persistent: bool
) -> AsyncGenerator[AppServer]:
    """An app whose only session has lost its connection, and still cannot have another."""
    app = App("com.t.a", api_key="secret", persistent=persistent)
    network = cloud.network
    listeners = [network.listen("app", 80)]
    async with app.serve("app", 80, listeners=listeners, dial=network.dial) as server:
        nursery.start_soon(cloud.request_session)
        caller = await cloud.next()
        await caller.greet()
        await trio.sleep(1)
        cloud.refuse_with = 502
        cloud.cut()
        caller.leave()
        await trio.sleep(600)
        yield server


async def test_who_is_not_persistent_has_given_up(
    cloud: StubCloud, nursery: trio.Nursery, autojump_clock: object
) -> None:
    async with lost_for_ten_minutes(cloud, nursery, persistent=False) as server:
        assert server.sessions == []


async def test_a_stop_ends_who_is_persistent(
    cloud: StubCloud, nursery: trio.Nursery, autojump_clock: object
) -> None:
    stop = {"type": "stop_request", "sessionId": SESSION, "reason": "user_disabled"}
    async with lost_for_ten_minutes(cloud, nursery, persistent=True) as server:
        assert server.session_count == 1
        assert await cloud.post("app", "/webhook", stop) == (200, {"status": "success"})
        assert server.sessions == []


async def test_a_persistent_session_gives_way_to_the_next(
    cloud: StubCloud, nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The server has given it up and calls the webhook again."""
    async with lost_for_ten_minutes(cloud, nursery, persistent=True) as server:
        (first,) = server.sessions
        nursery.start_soon(cloud.request_session)
        assert await first.ended.wait()
        cloud.refuse_with = None
        caller = await cloud.next()
        await caller.greet()
        await trio.sleep(1)
        (second,) = server.sessions
        assert second is not first
        assert await cloud.nobody_comes(600), "one session, one connection"
        caller.leave()
