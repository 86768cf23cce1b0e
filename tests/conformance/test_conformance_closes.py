"""What an app on the real SDK does when its link is closed: protocol.md section 2.8."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Final

import attrs
import pytest
import trio

from mentra_trio.domain import close_reasons
from mentra_trio.domain.close_reasons import FINAL_FOR_SDK, CloseReason

from .conftest import QUICK, MakeServer
from .other_cloud import OtherCloud
from .real_app import RealApp, on
from .running_server import RunningServer
from .sockets import open_phone
from .steps import press, register, start, subscribed
from .timeline import eventually


@attrs.frozen
class Reaction:
    """What the SDK does on a close.

    Attributes:
        returns: whether it connects again by itself.
        stops: the reasons with which the author's ``onStop`` runs.
        kept: whether ``/settings`` still finds the session.
    """

    returns: bool
    stops: tuple[str, ...]
    kept: bool


COMES_BACK: Final = Reaction(returns=True, stops=(), kept=True)
ZOMBIE: Final = Reaction(returns=False, stops=(), kept=True)
"""It takes itself for alive: to be used only where it never had an ack, or was replaced."""

REACTIONS: Final = MappingProxyType(
    {
        "APP_STOPPED": Reaction(
            returns=False, stops=("Clean disconnect: App stopped",), kept=False
        ),
        "USER_SESSION_ENDED": Reaction(returns=False, stops=("User session ended",), kept=False),
        "SUPERSEDED": ZOMBIE,
        "APP_SILENT": COMES_BACK,
        "NOT_YET": COMES_BACK,
        "SLOW_CONSUMER": COMES_BACK,
        "UPDATES_OVERFLOW": COMES_BACK,
        "RESTARTING": COMES_BACK,
        "CRASHED": COMES_BACK,
        "TOO_BIG": COMES_BACK,
        "PROTOCOL_ERROR": COMES_BACK,
        "NOT_UTF8": COMES_BACK,
        "BAD_INIT": ZOMBIE,
        "BAD_API_KEY": ZOMBIE,
        "STALE_TOKEN": ZOMBIE,
        "ADDRESS_NOT_ALLOWED": ZOMBIE,
        "NOT_HERE_YET": COMES_BACK,
        "NO_SETTINGS": COMES_BACK,
        "NO_REGISTRATION": COMES_BACK,
        "NO_SESSION": ZOMBIE,
        "NOT_STARTED": ZOMBIE,
    }
)
NOT_FOR_APPS: Final = frozenset({"GLASSES_REPLACED", "GLASSES_SILENT", "LINK_LOST"})
RETURN_S: Final = 2.0
"""The SDK comes back after 1 s, or not at all."""


def reasons() -> dict[str, CloseReason]:
    """Every reason for which an app's link can be closed, by its name."""
    found = {name: it for name, it in vars(close_reasons).items() if isinstance(it, CloseReason)}
    return {name: reason for name, reason in found.items() if name not in NOT_FOR_APPS}


async def seen_reaction(app: RealApp, user: str, *, inits: int = 1) -> Reaction:
    """What the SDK did within ``RETURN_S``, having sent ``inits`` inits before the close."""
    await trio.sleep(RETURN_S)
    return Reaction(
        returns=len(app.inits(user)) > inits,
        stops=tuple(app.stops(user)),
        kept=await app.reached_by_settings(user) == 1,
    )


async def test_what_the_sdk_does_on_each_of_our_reasons(
    app_a: RealApp, other_cloud: OtherCloud, user: str
) -> None:
    seen: dict[str, Reaction] = {}

    async def close(name: str, reason: CloseReason) -> None:
        wearer = f"{name.lower()}-{user}"
        assert await app_a.call_webhook(wearer, other_cloud.url) == 200
        await other_cloud.end(app_a.session_of(wearer), reason.code, reason.text)
        closed = await app_a.seen.first(event="closed", session=app_a.session_of(wearer))
        assert (closed["code"], closed["reason"]) == (reason.code, reason.text)
        seen[name] = await seen_reaction(app_a, wearer)

    async with trio.open_nursery() as nursery:
        for name, reason in reasons().items():
            nursery.start_soon(close, name, reason)
    assert seen == dict(REACTIONS)
    assert {name for name, seen_one in seen.items() if not seen_one.returns} == {
        name for name, reason in reasons().items() if reason.code in FINAL_FOR_SDK
    }


# -- the same, provoked at the server ----------------------------------------------------


async def test_a_stop_by_the_user(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    answer = await server.post(f"/apps/{app_a.package}/stop", user)
    assert answer.status_code == 200
    await app_a.seen.first(event="closed", session=app_a.session_of(user))
    reaction = await seen_reaction(app_a, user)
    assert (reaction.returns, reaction.kept) == (False, False)
    assert sorted(reaction.stops) in (
        ["Clean disconnect: App stopped", "user_disabled"],
        ["user_disabled"],  # the webhook came before the close, and the SDK closed by itself
    )


async def test_the_end_of_the_user_session(
    quick_server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, quick_server, user)
    await start(phone, app_a, user)
    await phone.close()
    closed = await app_a.seen.first(event="closed", session=app_a.session_of(user))
    assert (closed["code"], closed["reason"]) == (1008, "User session ended")
    assert await seen_reaction(app_a, user) == REACTIONS["USER_SESSION_ENDED"]
    assert app_a.webhooks(user, "stop_request") == [], "one onStop is enough"


async def test_an_app_that_was_silent_is_back_with_all_that_it_wanted(
    make_server: MakeServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    server = await make_server("heartbeat.interval_s=0.3", "heartbeat.app_pong_s=1.2")
    await register(server, lone_app)
    await lone_app.script(user, on("onButtonPress", "button"))
    phone = await open_phone(nursery, server, user)
    await start(phone, lone_app, user)
    await subscribed(server, user, lone_app, "button_press")
    look = partial(server.app, user, lone_app.package)
    with lone_app.frozen():
        await eventually(look, lambda found: found and found["state"] == "grace_period")
    closed = await lone_app.seen.first(event="closed", session=lone_app.session_of(user))
    assert (closed["code"], closed["reason"]) == (1011, "No pong received")
    assert await seen_reaction(lone_app, user) == REACTIONS["APP_SILENT"]
    await press(phone)
    await lone_app.first_fired(user, "button")
    assert (lone_app.sessions(user), len(lone_app.webhooks(user))) == (1, 1)


@pytest.mark.parametrize(
    ("name", "flood"),
    [
        ("UPDATES_OVERFLOW", ['{"type": "subscription_update", "subscriptions": []}'] * 500),
        ("TOO_BIG", [" " * 70_000]),
    ],
)
async def test_an_app_that_is_too_much_may_come_back(
    make_server: MakeServer,
    lone_app: RealApp,
    nursery: trio.Nursery,
    user: str,
    name: str,
    flood: list[str],
) -> None:
    server = await make_server("limits.updates_waiting=8", "limits.message_bytes=65536")
    await register(server, lone_app)
    phone = await open_phone(nursery, server, user)
    await start(phone, lone_app, user)
    await lone_app.send_raw(user, *flood)
    closed = await lone_app.seen.first(event="closed", session=lone_app.session_of(user))
    reason = reasons()[name]
    assert (closed["code"], closed["reason"]) == (reason.code, reason.text)
    assert await seen_reaction(lone_app, user) == REACTIONS[name]
    assert (lone_app.sessions(user), len(lone_app.webhooks(user))) == (1, 1)


async def test_an_init_that_is_late_is_asked_for_again_within_the_same_webhook(
    quick_server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, quick_server, user)
    await app_a.command("hold", inits=1)
    await start(phone, app_a, user)
    closed = await app_a.seen.first(event="closed", code=1013)
    assert closed["reason"] == "No valid init in time"
    answered = await app_a.seen.first(event="answered", path="/webhook")
    assert answered["status"] == 200
    assert (app_a.sessions(user), len(app_a.webhooks(user))) == (1, 1)
    assert app_a.stops(user) == []
    assert await app_a.reached_by_settings(user) == 1


async def test_an_app_of_a_user_who_is_not_here_yet_keeps_trying(
    quick_server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    url = f"{quick_server.websocket_url}/s/of-another-life/app-ws"
    nursery.start_soon(app_a.call_webhook, user, url)
    for number in (1, 2):
        closed = await app_a.seen.first(
            event="closed", session=app_a.session_of(user), number=number
        )
        assert (closed["code"], closed["reason"]) == (1013, "Session not here yet")
    assert app_a.stops(user) == []


async def test_a_late_socket_of_an_older_attempt_is_retired_and_nothing_else_happens(
    make_server: MakeServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    server = await make_server(
        *QUICK[1:3], "lifecycle.connect_s=1.5", "lifecycle.retry_s=0.1", "lifecycle.probe_s=0.3"
    )
    await register(server, lone_app)
    await lone_app.script(user, on("onButtonPress", "button"))
    phone = await open_phone(nursery, server, user)
    await start(phone, lone_app, user)
    await lone_app.command("hold", inits=2)  # of the SDK's own return, and of the first call
    await lone_app.reset_socket(user)
    held = await lone_app.seen.first(event="held", number=2)
    await lone_app.running(user, number=2)
    newest = lone_app.inits(user)[-1]
    assert newest["url"] != held["url"], "each attempt has a URL of its own"

    await lone_app.command("release")
    closed = await lone_app.seen.first(event="closed", url=held["url"])
    assert (closed["code"], closed["reason"]) == (1008, "Superseded")
    inits = len(lone_app.inits(user))
    reaction = await seen_reaction(lone_app, user, inits=inits)
    assert reaction == Reaction(returns=False, stops=(), kept=True)
    assert lone_app.seen.count(event="closed", url=newest["url"]) == 0
    await press(phone)
    await lone_app.first_fired(user, "button")
    await trio.sleep(0.3)
    assert len(lone_app.fired(user, "button")) == 1
    assert lone_app.sessions(user) == 2
