"""An app that is away and comes back: checks 22, 23, 26 and 27 of protocol.md section 8.2."""

from __future__ import annotations

import re
import signal
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any

import trio

from .conftest import QUICK, MakeServer
from .other_cloud import OtherCloud
from .real_app import RealApp, on
from .running_server import RunningServer
from .sockets import open_phone
from .steps import press, register, say, start, subscribed
from .timeline import eventually

GRACE_S, JITTER_S = 5.0, 0.8
LAG_S = 0.7
"""How much later than planned something may be on a busy machine."""


async def in_state(server: RunningServer, user: str, app: RealApp, *states: str) -> None:
    look = partial(server.app, user, app.package)
    await eventually(look, lambda found: found is not None and found["state"] in states)


def texts(app: RealApp, user: str) -> list[str]:
    return [data["text"] for data in app.fired(user, "speech")]


def moments(journal: list[dict[str, Any]], fact: str, **fields: Any) -> list[float]:
    """When facts of that name were noted, in seconds."""
    return [
        datetime.fromisoformat(entry["at"]).timestamp()
        for entry in journal
        if entry["fact"] == fact and fields.items() <= entry.items()
    ]


def asked_in_vain(server: RunningServer) -> list[float]:
    """When an app server was asked for its health and did not answer, in seconds."""
    lines = [line for line in server.log.read_text().splitlines() if "health checked" in line]
    found = [re.match(r"timestamp=(\S+)", line) for line in lines]
    return [datetime.fromisoformat(one[1]).timestamp() for one in found if one is not None]


async def test_22_a_killed_process_is_called_when_its_grace_is_over(
    server: RunningServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await register(server, lone_app)
    await lone_app.script(user, on("onButtonPress", "button"))
    phone = await open_phone(nursery, server, user)
    await start(phone, lone_app, user)
    await subscribed(server, user, lone_app, "button_press")

    await lone_app.go_down(signal.SIGKILL)
    await in_state(server, user, lone_app, "grace_period")
    await trio.sleep(2)
    await lone_app.come_back()  # a process takes its time until it listens: about 3 s are over
    inits = len(lone_app.inits(user))
    await in_state(server, user, lone_app, "grace_period")
    await lone_app.running(user, number=2)
    assert len(lone_app.inits(user)) == inits + 1

    journal = await server.journal(user)
    (lost,) = moments(journal, "AppStateChanged", new="grace_period")
    _, called = moments(journal, "AttemptBegan")
    assert GRACE_S <= called - lost <= GRACE_S + JITTER_S + LAG_S
    await press(phone)
    await lone_app.first_fired(user, "button")
    assert len(lone_app.webhooks(user)) == 2, "one for the start and one for the return"
    assert lone_app.sessions(user) == 2


async def test_23_a_process_that_is_away_for_long_is_called_ever_more_seldom(
    make_server: MakeServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    # Absence and schedule are shorter than those in the check: 10 s instead of 40.
    server = await make_server(
        *QUICK[1:3],
        "lifecycle.probe_s=0.6",
        "lifecycle.probe_fast_for_s=2.4",
        "lifecycle.probe_slow_s=2.0",
        "lifecycle.health_s=0",
    )
    await register(server, lone_app)
    phone = await open_phone(nursery, server, user)
    await start(phone, lone_app, user)
    await lone_app.seen.first(event="answered", path="/webhook")
    await lone_app.go_down(signal.SIGKILL)
    await trio.sleep(10)
    await lone_app.come_back()
    await lone_app.running(user, number=2)

    journal = await server.journal(user)
    attempts = moments(journal, "AttemptBegan")[1:]
    trials = sorted([*attempts, *asked_in_vain(server)])
    gaps = [later - earlier for earlier, later in pairwise(trials)]
    fast = [gap for gap in gaps if gap < 1.5]
    slow = gaps[len(fast) :]
    assert len(fast) >= 3, gaps
    assert len(slow) >= 2, gaps
    assert min(slow) > max(fast) + 0.5
    assert len({round(gap, 3) for gap in gaps}) > 2, "they are jittered"
    failed = [one for one in journal if one["fact"] == "WebhookCalled" and one["result"] != "ok"]
    assert len(failed) == len(attempts) - 1, "each attempt is one call, and the last one succeeded"
    assert len(failed) < len(trials) / 2, "mostly it was only asked whether it is there"
    assert len(lone_app.webhooks(user)) == 2
    assert phone.seen.count(type="app_stopped") == 0, "the user was never told that it is gone"


async def test_26_a_process_that_is_told_to_end_is_called_all_the_same(
    make_server: MakeServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    server = await make_server(*QUICK[1:3])
    await register(server, lone_app)
    await lone_app.script(user, on("onButtonPress", "button"))
    phone = await open_phone(nursery, server, user)
    await start(phone, lone_app, user)
    await lone_app.go_down(signal.SIGTERM)
    await in_state(server, user, lone_app, "grace_period")
    await lone_app.come_back()
    await lone_app.running(user, number=2)
    await press(phone)
    await lone_app.first_fired(user, "button")

    journal = await server.journal(user)
    ends = [one for one in journal if one["fact"] == "LinkEnded" and one["endpoint"] == "app"]
    assert "1005" in str(ends[0]["reason"])
    assert lone_app.stops(user) == [], "nobody wanted it stopped"
    assert lone_app.webhooks(user, "stop_request") == []
    assert len(lone_app.webhooks(user)) == 2


async def test_27_an_app_that_went_to_another_cloud_is_called_when_its_user_returns(
    quick_server: RunningServer,
    app_a: RealApp,
    other_cloud: OtherCloud,
    nursery: trio.Nursery,
    user: str,
) -> None:
    await app_a.script(user, on("onButtonPress", "button"))
    phone = await open_phone(nursery, quick_server, user)
    await start(phone, app_a, user)
    await subscribed(quick_server, user, app_a, "button_press")

    assert await app_a.call_webhook(user, other_cloud.url) == 200
    released = [
        one["message"]
        for one in app_a.seen.all(event="sent", session=app_a.session_of(user))
        if one["message"] and one["message"]["type"] == "ownership_release"
    ]
    assert [message["reason"] for message in released] == ["switching_clouds"]
    await in_state(quick_server, user, app_a, "dormant")
    await trio.sleep(3)  # much more than grace and jitter
    await in_state(quick_server, user, app_a, "dormant")
    assert len(app_a.webhooks(user)) == 2, "the user's start and the other cloud's"
    assert app_a.stops(user) == []

    await phone.close()
    phone = await open_phone(nursery, quick_server, user)
    await app_a.running(user, number=3)
    await press(phone)
    await app_a.first_fired(user, "button")
    await other_cloud.seen.first(type="ownership_release")
    states = [
        one["new"]
        for one in await quick_server.journal(user)
        if one["fact"] == "AppStateChanged" and one["packageName"] == app_a.package
    ]
    assert states[states.index("dormant") :] == [
        "dormant",
        "disconnected",
        "resurrecting",
        "running",
    ]
    await trio.sleep(1)
    assert len(app_a.webhooks(user)) == 3
    assert app_a.sessions(user) == 3
    await in_state(quick_server, user, app_a, "running")


async def test_what_came_meanwhile_is_there_after_a_reconnect(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onTranscription", "speech"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, "transcription:en-US")
    ack = await app_a.received(user, "tpa_connection_ack")
    assert ack["reconnectToken"], "fields that this SDK does not know do it no harm"

    position = len(app_a.seen.records)
    await app_a.reset_socket(user)
    await in_state(server, user, app_a, "grace_period")
    said = [f"number {number}" for number in range(40)]
    for text in said[:20]:
        await say(phone, text)
    assert texts(app_a, user) == []
    again = await app_a.received(user, "tpa_connection_ack", since=position)
    assert again["reconnectToken"] not in {"", ack["reconnectToken"]}
    for text in said[20:]:
        await say(phone, text)
    await app_a.first_fired(user, "speech", number=len(said))
    assert texts(app_a, user) == said
    assert app_a.sessions(user) == 1
    assert len(app_a.webhooks(user)) == 1
    errors = app_a.seen.all(event="error", session=app_a.session_of(user))
    assert [one["message"] for one in errors if "Unrecognized" in one["message"]] == []


async def test_what_came_meanwhile_is_there_for_a_new_process(
    make_server: MakeServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    server = await make_server(*QUICK[1:3])
    await register(server, lone_app)
    # Other handlers come first: nothing may be sent before the one for speech is there.
    await lone_app.script(
        user,
        on("onButtonPress", "button"),
        {"wait": 40},
        on("onHeadPosition", "head"),
        {"wait": 40},
        on("onTranscription", "speech"),
    )
    phone = await open_phone(nursery, server, user)
    await start(phone, lone_app, user)
    streams = ("button_press", "head_position", "transcription:en-US")
    await subscribed(server, user, lone_app, *streams)
    await lone_app.go_down(signal.SIGKILL)
    await in_state(server, user, lone_app, "grace_period")
    said: list[str] = []
    enough = trio.Event()

    async def talk() -> None:
        while not enough.is_set():
            said.append(f"number {len(said)}")
            await say(phone, said[-1])
            await trio.sleep(0.02)

    async with trio.open_nursery() as talking:
        talking.start_soon(talk)
        await lone_app.come_back()
        await lone_app.running(user, number=2)
        newer = len(said) + 20
        await lone_app.first_fired(user, "speech", number=newer)
        enough.set()
    with trio.move_on_after(2):
        await lone_app.first_fired(user, "speech", number=len(said))
    assert texts(lone_app, user) == said
    assert len(lone_app.webhooks(user)) == 2


async def test_an_app_is_told_of_what_it_missed(
    make_server: MakeServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    server = await make_server("lifecycle.kept_messages=3")
    await register(server, lone_app)
    await lone_app.script(
        user,
        on("onButtonPress", "button"),
        on("onCustomMessage", "missed", "messages_missed"),
    )
    phone = await open_phone(nursery, server, user)
    await start(phone, lone_app, user)
    await eventually(
        partial(server.app, user, lone_app.package),
        lambda found: found and "button_press" in found["subscriptions"],
    )
    await lone_app.reset_socket(user)
    await in_state(server, user, lone_app, "grace_period")
    for number in range(5):
        await press(phone, f"button {number}")
    await lone_app.first_fired(user, "button", number=3)
    missed = await lone_app.first_fired(user, "missed")
    assert (missed["count"], missed["reason"]) == (2, "too many messages")
    pressed = [data["buttonId"] for data in lone_app.fired(user, "button")]
    assert pressed == ["button 2", "button 3", "button 4"]
    names = [one["handler"] for one in lone_app.seen.all(event="fired")]
    assert names[0] == "missed", "of the gap first, then what came after it"
    errors = lone_app.seen.all(event="error", session=lone_app.session_of(user))
    assert [one["message"] for one in errors] == []
