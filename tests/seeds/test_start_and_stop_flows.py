"""protocol.md 2.13: "app type standard: stop the running standard app first", at every door."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
import trio
from evidence import lines_named, log_of
from on_the_wire import ask

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.glasses import Glasses
from mentra_trio.testing.world import ADMIN_TOKEN, APP_PORT, USER, World

MAPS, NOTES, CAPTIONS = "com.t.maps", "com.t.notes", "com.t.captions"
Start: TypeAlias = Callable[[World, Glasses, str], Awaitable[None]]


def an_app(package: str, ends: list[str]) -> App:
    """An app that shows its name, and notes that it was stopped."""
    app = App(package, api_key=f"key of {package}")

    @app.session
    async def begin(session: AppSession) -> None:
        await session.show_text(package)

    @app.on_stop
    def end(session: AppSession, reason: str) -> None:
        ends.append(package)

    return app


async def from_the_phone(world: World, glasses: Glasses, package: str) -> None:
    await glasses.start_app(package)


async def over_the_phone_route(world: World, glasses: Glasses, package: str) -> None:
    await told(world, f"/apps/{package}/start", world.server.token(USER))


async def over_the_newer_phone_route(world: World, glasses: Glasses, package: str) -> None:
    await told(world, f"/api/apps/{package}/start", world.server.token(USER))


async def by_an_operator(world: World, glasses: Glasses, package: str) -> None:
    await told(world, f"/api/admin/users/{USER}/apps/{package}/start", ADMIN_TOKEN)


async def from_the_program(world: World, glasses: Glasses, package: str) -> None:
    assert (await world.server.start_app(USER, package)).success


async def told(world: World, path: str, bearer: str) -> None:
    status, body = await ask(world, "POST", path, bearer)
    assert (status, json.loads(body)["success"]) == (200, True), body


@pytest.mark.parametrize(
    "start",
    [
        from_the_phone,
        over_the_phone_route,
        over_the_newer_phone_route,
        by_an_operator,
        from_the_program,
    ],
)
async def test_a_standard_app_stops_the_running_standard_app_first(
    world: World, start: Start
) -> None:
    ends: list[str] = []
    for package in (MAPS, NOTES):
        await world.add(an_app(package, ends))
    await world.add(an_app(CAPTIONS, ends), kind="background")
    async with world.glasses() as glasses:
        for package in (CAPTIONS, MAPS):
            await world.server.start_app(USER, package)
            await glasses.until_shown(package, package=package)
        await start(world, glasses, NOTES)
        await glasses.until_shown(NOTES, package=NOTES)
        await trio.sleep(30)
        running = {package: world.state(package) for package in (MAPS, NOTES, CAPTIONS)}
        assert running == {MAPS: None, NOTES: "running", CAPTIONS: "running"}
        assert ends == [MAPS]
        (line,) = lines_named(log_of(world.telemetry.facts), "app gave way")
        assert (line["package"], line["to"]) == (MAPS, NOTES)
        path = f"/api/admin/users/{USER}/apps/{MAPS}/why"
        _status, body = await ask(world, "GET", path, ADMIN_TOKEN)
        assert f"stopped: {NOTES} took the foreground" in body.decode()


async def test_a_start_that_lost_is_answered_with_its_stage_and_who_won(world: World) -> None:
    ends: list[str] = []
    await world.server.apps.add(MAPS, url=f"http://{MAPS}", api_key="key")  # nobody is there
    await world.add(an_app(NOTES, ends))
    async with world.glasses(), trio.open_nursery() as nursery:
        answers: list[bytes] = []

        async def start_maps() -> None:
            path = f"/apps/{MAPS}/start"
            answers.append((await ask(world, "POST", path, world.server.token(USER)))[1])

        world.network.black_hole(f"{MAPS}:{APP_PORT}")
        nursery.start_soon(start_maps)
        await trio.sleep(1)
        assert world.state(MAPS) == "connecting"
        assert (await world.server.start_app(USER, NOTES)).success
        await trio.sleep(1)
        (answer,) = answers
        body = json.loads(answer)
        assert (body["success"], body["code"]) == (False, "CONNECTION")
        assert body["message"] == f"App {MAPS}: {NOTES} took the foreground"
