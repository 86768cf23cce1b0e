"""The server dies or is told to end, and another takes its place: the real SDK must not mind."""

from __future__ import annotations

import logging
import signal
from contextlib import ExitStack
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from mentra_trio.domain.close_reasons import FINAL_FOR_SDK

from .conftest import QUICK, MakeServer
from .other_cloud import OtherCloud
from .real_app import RealApp, on
from .running_server import RunningServer
from .sockets import Socket, open_phone
from .steps import register, say, start, subscribed
from .stub_app import StubApp
from .timeline import eventually

STREAM = "transcription:en-US"
PATIENCE_S = 1.0
MANY = 30
logger = logging.getLogger(__name__)


@attrs.define(eq=False)
class Scene:
    """A server, an app of the real SDK that listens to speech, and the glasses of one user."""

    server: RunningServer
    app: RealApp
    user: str
    nursery: trio.Nursery
    phone: Socket

    async def start_server_again(self, *others: RealApp) -> None:
        """Start another server in the place of the one that is gone.

        Apps of the SDK try again for 3 s after a loss, so they stand still while a start takes
        longer than on a machine that has nothing else to do.
        """
        async with trio.open_nursery() as starting:
            starting.start_soon(stand_still, self.app, *others)
            await self.server.start_again()
            starting.cancel_scope.cancel("started")

    async def replace_glasses(self) -> None:
        """The glasses come back, with a new connection."""
        self.phone = await open_phone(self.nursery, self.server, self.user)

    async def look(self) -> dict[str, Any] | None:
        """What the admin route says of the app."""
        return await self.server.app(self.user, self.app.package)

    async def in_state(self, *states: str, within_s: float = 5.0) -> dict[str, Any]:
        """Wait until the app is in one of ``states``."""
        found = await eventually(
            self.look, lambda app: app is not None and app["state"] in states, within_s=within_s
        )
        assert found is not None
        return found

    async def hears(self, text: str) -> None:
        """Speech reaches the app's handler, and exactly once."""
        await say(self.phone, text)
        await self.app.seen.first(
            event="fired",
            session=self.app.session_of(self.user),
            handler="speech",
            data=lambda data: data["text"] == text,
        )
        assert [data["text"] for data in self.app.fired(self.user, "speech")].count(text) == 1

    def closes(self, since: int, user: str | None = None) -> list[int]:
        """The codes with which the app's sockets were closed."""
        session = self.app.session_of(user or self.user)
        closed = self.app.seen.all(since=since, event="closed", session=session)
        return [one["code"] for one in closed]


async def stand_still(*apps: RealApp) -> None:
    """Freeze the apps' processes in a moment, until cancelled."""
    await trio.sleep(PATIENCE_S)
    with ExitStack() as stack:
        for app in apps:
            stack.enter_context(app.frozen())
        await trio.sleep_forever()


@pytest.fixture
async def scene(
    make_server: MakeServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> Scene:
    """The app runs, and the server knows what it wants."""
    server = await make_server(*QUICK[2:3])
    await register(server, lone_app)
    await lone_app.script(user, on("onTranscription", "speech"))
    phone = await open_phone(nursery, server, user)
    scene = Scene(server, lone_app, user, nursery, phone)
    await start(phone, lone_app, user)
    await lone_app.seen.first(event="answered", path="/webhook")
    await subscribed(server, user, lone_app, STREAM)
    await scene.hears("before")
    # What sessions remember is written within a moment; what is tested is not that moment.
    await trio.sleep(0.3)
    return scene


async def known_but_away(scene: Scene) -> None:
    """The new server knows the user, who is away, and the app, which may come back."""
    look = partial(scene.server.user, scene.user)
    found = await eventually(look, lambda user: user and user["apps"])  # once all is read
    assert found is not None
    assert (found["state"], found["connected"]) == ("DISCONNECTED", False)
    (app,) = found["apps"]
    assert app["packageName"] == scene.app.package
    assert app["subscriptions"] == [STREAM]


async def back_by_itself(scene: Scene, since: int) -> None:
    """The app came back without a webhook, before its user's glasses did."""
    app = await scene.in_state("running", within_s=10)
    assert app["subscriptions"] == [STREAM]
    assert FINAL_FOR_SDK.isdisjoint(scene.closes(since))
    await scene.replace_glasses()
    await scene.hears("after")
    assert len(scene.app.webhooks(scene.user)) == 1
    assert scene.app.sessions(scene.user) == 1
    assert scene.app.stops(scene.user) == []


async def test_killed_while_all_is_quiet(scene: Scene) -> None:
    since = len(scene.app.seen.records)
    scene.server.kill()
    await scene.start_server_again()
    await known_but_away(scene)
    await back_by_itself(scene, since)


async def test_killed_while_an_app_is_in_grace(scene: Scene) -> None:
    since = len(scene.app.seen.records)
    await scene.app.reset_socket(scene.user)
    await scene.in_state("grace_period")
    await say(scene.phone, "meanwhile")
    await eventually(scene.look, lambda app: app and app["outbox"] == 1)
    await trio.sleep(0.3)  # the loss window
    scene.server.kill()
    await scene.start_server_again()
    await known_but_away(scene)
    await back_by_itself(scene, since)
    heard = [data["text"] for data in scene.app.fired(scene.user, "speech")]
    assert heard == ["before", "meanwhile", "after"]


async def test_killed_while_a_call_is_out_and_the_app_never_comes_by_itself(
    scene: Scene, stub_app: StubApp
) -> None:
    """The process that was called is gone, too: another one is called once the user is there."""
    await scene.app.go_down(signal.SIGKILL)
    await scene.server.add_app_later(scene.app.package, url=stub_app.url, api_key=scene.app.api_key)
    await stub_app.calls.first(type="session_request", within_s=10)
    await scene.in_state("resurrecting")
    scene.server.kill()
    await scene.start_server_again()
    await known_but_away(scene)
    await scene.in_state("grace_period", "dormant")

    await register(scene.server, scene.app)
    await scene.app.come_back()
    await scene.in_state("dormant", within_s=10)
    assert len(scene.app.webhooks(scene.user)) == 1, "nobody is there to see the app"
    await scene.replace_glasses()
    await scene.app.running(scene.user, number=2)
    await scene.hears("after")
    assert len(scene.app.webhooks(scene.user)) == 2
    assert scene.app.stops(scene.user) == []


async def test_killed_at_the_moment_of_a_resurrection(scene: Scene) -> None:
    """Whatever the app had got from the server before: its attempt is known to the next one."""
    await scene.app.go_down(signal.SIGKILL)
    await scene.in_state("grace_period")
    await scene.app.come_back()
    await scene.app.command("hold", inits=1)
    held = await scene.app.seen.first(event="held", within_s=10)
    scene.server.kill()
    since = len(scene.app.seen.records)
    await scene.start_server_again()
    await known_but_away(scene)
    await scene.app.running(scene.user, number=2)
    assert scene.app.inits(scene.user)[-1]["url"] == held["url"], "the token of that attempt"
    assert FINAL_FOR_SDK.isdisjoint(scene.closes(since))
    await scene.replace_glasses()
    await scene.hears("after")
    assert len(scene.app.webhooks(scene.user)) == 2
    assert scene.app.sessions(scene.user) == 2
    await scene.in_state("running")


async def test_killed_after_the_app_went_to_another_cloud(
    scene: Scene, other_cloud: OtherCloud
) -> None:
    assert await scene.app.call_webhook(scene.user, other_cloud.url) == 200
    await scene.in_state("dormant")
    await trio.sleep(0.3)  # the loss window
    scene.server.kill()
    await scene.start_server_again()
    await known_but_away(scene)
    await scene.in_state("dormant")
    assert len(scene.app.webhooks(scene.user)) == 2, "the user's start and the other cloud's"
    await scene.replace_glasses()
    await scene.app.running(scene.user, number=3)
    await scene.hears("after")
    assert len(scene.app.webhooks(scene.user)) == 3


async def test_a_late_socket_of_an_older_attempt_is_known_to_the_next_server(
    make_server: MakeServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    server = await make_server(*QUICK[1:3], "lifecycle.connect_s=1.5", "lifecycle.probe_s=0.3")
    await register(server, lone_app)
    await lone_app.script(user, on("onTranscription", "speech"))
    scene = Scene(server, lone_app, user, nursery, await open_phone(nursery, server, user))
    await start(scene.phone, lone_app, user)
    await lone_app.command("hold", inits=2)  # of the SDK's own return, and of the first call
    await lone_app.reset_socket(user)
    older = (await lone_app.seen.first(event="held", number=2))["url"]
    await lone_app.command("hold", inits=9, url=older)
    position = len(lone_app.seen.records)
    newer = await lone_app.seen.first(
        event="sent", since=position, url=lambda url: url != older, within_s=10
    )
    server.kill()
    since = len(lone_app.seen.records)
    await scene.start_server_again()
    await scene.in_state("running", within_s=10)
    back = len(lone_app.seen.records)
    await lone_app.seen.first(event="held", url=older, since=since)
    await lone_app.command("release")
    closed = await lone_app.seen.first(event="closed", url=older, code=1008)
    assert closed["reason"] == "Superseded"
    await scene.replace_glasses()
    await scene.hears("after")
    assert lone_app.seen.count(event="closed", url=newer["url"], since=back) == 0
    assert await lone_app.reached_by_settings(user) == 1
    assert lone_app.stops(user) == []


async def test_killed_right_after_a_write_was_acknowledged(scene: Scene) -> None:
    path = "/api/client/user/settings"
    for brightness in (11, 22, 33):
        answer = await scene.server.post(path, scene.user, {"brightness": brightness})
        assert answer.status_code == 200
        scene.server.kill()
        await scene.start_server_again()
        stored = (await scene.server.get(path, scene.user)).json()["data"]
        assert stored["brightness"] == brightness


async def test_killed_right_after_a_stop_was_acknowledged(scene: Scene) -> None:
    await scene.app.command("configure", keepSocketOnStop=True)
    stopped = f"/apps/{scene.app.package}/stop"
    answer = await scene.server.post(stopped, scene.user)
    assert answer.json()["data"]["status"] == "stopped"
    scene.server.kill()
    await scene.start_server_again()
    await scene.replace_glasses()
    await scene.phone.message("connection_ack")
    await trio.sleep(2)  # a wanted app would have been called at once
    found = await scene.server.user(scene.user)
    assert found is not None
    assert found["apps"] == []
    assert len(scene.app.webhooks(scene.user)) == 1


async def test_killed_right_after_a_start_was_acknowledged(scene: Scene, app_b: RealApp) -> None:
    await register(scene.server, app_b, kind="background")
    answer = await scene.server.post(f"/apps/{app_b.package}/start", scene.user)
    assert answer.json()["data"]["status"] == "started"
    scene.server.kill()
    await scene.start_server_again(app_b)
    await scene.replace_glasses()
    look = partial(scene.server.app, scene.user, app_b.package)
    await eventually(look, lambda app: app and app["state"] == "running", within_s=10)
    await scene.in_state("running")
    for app in (scene.app, app_b):
        assert app.stops(scene.user) == []
        assert len(app.webhooks(scene.user)) == app.sessions(scene.user) == 1


async def test_told_to_end_while_many_are_connected(scene: Scene) -> None:
    wearers = [f"wearer-{number}@x.org" for number in range(MANY)]
    phones: list[Socket] = []
    for wearer in wearers:
        await scene.app.script(wearer, on("onTranscription", "speech"))
        phones.append(await open_phone(scene.nursery, scene.server, wearer))
        await phones[-1].send("start_app", packageName=scene.app.package)
    for wearer in wearers:
        await scene.app.running(wearer)
    since = len(scene.app.seen.records)

    began = trio.current_time()
    first_close = await seconds_to_first_close(scene, since)
    exited = trio.current_time() - began
    figures = "%.2f s from SIGTERM to the first close, and %.2f s from there to the exit"
    logger.info(figures, first_close, exited - first_close)  # shown with --log-cli-level=INFO
    for wearer, phone in zip(wearers, phones, strict=True):
        closed = await scene.app.seen.first(
            since=since, event="closed", session=scene.app.session_of(wearer)
        )
        assert (closed["code"], closed["reason"]) == (1012, "Server restarting")
        assert (await phone.end())["closed"] == 1012

    await scene.start_server_again()
    look = partial(scene.server.app, package=scene.app.package)
    for wearer in wearers:
        await eventually(
            partial(look, wearer), lambda app: app and app["state"] == "running", within_s=10
        )
    for wearer in wearers:
        assert scene.closes(since, wearer) == [1012]
        assert scene.app.sessions(wearer) == len(scene.app.webhooks(wearer)) == 1
        assert scene.app.stops(wearer) == []
    await back_by_itself(scene, since)


async def test_told_to_end_while_one_app_does_not_answer(scene: Scene, app_b: RealApp) -> None:
    """It keeps nobody else waiting: their apps try for 3 s and no longer."""
    await register(scene.server, app_b, kind="background")
    await start(scene.phone, app_b, scene.user)
    with scene.app.frozen():
        await trio.to_thread.run_sync(scene.server.end)
        with app_b.frozen():
            await scene.server.start_again()
        look = partial(scene.server.app, scene.user, app_b.package)
        await eventually(look, lambda app: app and app["state"] == "running")
    assert app_b.sessions(scene.user) == len(app_b.webhooks(scene.user)) == 1
    assert app_b.stops(scene.user) == []
    await scene.in_state("running", within_s=10)


async def seconds_to_first_close(scene: Scene, since: int) -> float:
    """Tell the server to end, and wait for that; when the first app saw its link closed."""
    began = trio.current_time()
    seen: list[float] = []

    async def watch() -> None:
        await scene.app.seen.first(since=since, event="closed", within_s=20)
        seen.append(trio.current_time() - began)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await trio.to_thread.run_sync(scene.server.end)  # the exit code must be 0
    return seen[0]
