"""The simulated SDK says on the wire what the real one says, in the same scripts."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from mentra_trio.testing.app_server import SdkApp, SdkAppServer
from mentra_trio.testing.checks import run_checked
from mentra_trio.testing.sdk_diary import Closed, Sent
from mentra_trio.testing.sdk_script import (
    Draw,
    Script,
    Step,
    Subscribe,
    SwitchLanguage,
    Unsubscribe,
)

from .both_sdks import API_KEY, PACKAGE, RealSide, SimulatedSide, http_client, simulated_side
from .real_app import RealApp
from .running_server import RunningServer
from .scripted_cloud import ScriptedCloud, Seen
from .sdk_scenarios import SCENARIOS, Outcomes, play_all
from .sockets import open_phone
from .timeline import Record, eventually

pytestmark = pytest.mark.timeout(120)  # whichever test comes first plays all the scenarios

SIM = "com.t.simulated"
HANDLERS: tuple[Step, ...] = (Subscribe("button_press"), Subscribe("VAD"), Draw("ready"))
MORE: tuple[Step, ...] = (Subscribe("head_position"), Unsubscribe("VAD"), SwitchLanguage("en-US"))
ENGLISH_NO_MORE: tuple[Step, ...] = (SwitchLanguage("de-DE"),)


@attrs.frozen
class Played:
    """What came of each scenario with each side, and of its connections at a SIGTERM after it."""

    probes: dict[str, list[Any]]
    outcomes: Outcomes
    ends: dict[str, dict[str, list[Any]]]


async def _play(app: RealApp) -> Played:
    cloud = ScriptedCloud()
    async with http_client() as http, trio.open_nursery() as nursery:
        await nursery.start(cloud.serve)
        await nursery.start(app.watch)
        real = RealSide(app, http)
        async with simulated_side(http) as simulated:
            probes = {side.name: await probe(side) for side in (real, simulated)}
            outcomes = await play_all([real, simulated], cloud)
            before = {name: len(case.seen) for name, case in cloud.cases.items()}
        await app.go_down(signal.SIGTERM)
        await eventually(partial(_after, cloud, before), _all_are_over)
        nursery.cancel_scope.cancel()
    seen = {name: case.seen[before[name] :] for name, case in cloud.cases.items()}
    ends = {
        name: {side: _untimed(seen[outcome.case]) for side, outcome in of_both.items()}
        for name, of_both in outcomes.items()
    }
    return Played(probes, outcomes, ends)


PROBES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/health", None),
    ("GET", "/tool", None),
    ("POST", "/tool", {"toolId": "t", "toolParameters": {}, "userId": "nobody@x.org"}),
    ("POST", "/settings", {"userIdForSettings": "nobody@x.org", "settings": []}),
    ("POST", "/settings", {"settings": []}),
    ("POST", "/settings", {"userIdForSettings": "nobody@x.org", "settings": {}}),
    ("POST", "/webhook", {"type": "other"}),
    ("POST", "/webhook", {}),
)


async def probe(side: RealSide | SimulatedSide) -> list[Any]:
    """What the routes of an app server answer when there is no session."""
    answers = []
    for method, path, body in PROBES:
        answer = await side.http.request(method, side.url + path, json=body)
        answers.append((path, answer.status_code, answer.json()))
    return answers


async def _after(cloud: ScriptedCloud, before: dict[str, int]) -> int:
    """How many connections are still open."""
    await trio.lowlevel.checkpoint()
    return sum(case.open for case in cloud.cases.values())


def _all_are_over(still_open: int) -> bool:
    return still_open == 0


def _untimed(seen: Sequence[Seen]) -> list[Any]:
    return sorted(one.untimed for one in seen)


@pytest.fixture(scope="module")
def played(node: None, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All scenarios, with both sides."""
    app = RealApp(PACKAGE, API_KEY, tmp_path_factory.mktemp("both") / "both.log")
    app.start()
    try:
        result: Played = run_checked(partial(_play, app))
    finally:
        app.end()
    return result


def test_both_answer_the_same_without_a_session(played: Played) -> None:
    assert played.probes["simulated"] == played.probes["real"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_say_the_same(played: Played, name: str) -> None:
    real, simulated = played.outcomes[name]["real"], played.outcomes[name]["simulated"]
    assert simulated.connections == real.connections
    assert simulated.order == real.order or SCENARIOS[name].races
    assert sorted(simulated.order) == sorted(real.order)
    assert simulated.answers == real.answers
    assert simulated.stops == real.stops
    assert simulated.reached == real.reached
    assert simulated.times == real.about


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_sigterm_ends_what_is_open_in_the_same_way(played: Played, name: str) -> None:
    assert played.ends[name]["simulated"] == played.ends[name]["real"]


def test_a_sigterm_closes_without_a_code_and_ghosts_without_a_close(played: Played) -> None:
    assert played.ends["one_handler"]["real"] == [(1, "closed", (1005, ""))]
    assert (4, "closed", (1006, "")) in played.ends["two_refused_overriding"]["real"]


# ---- with our own server -----------------------------------------------------------------


def _said(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs between any two apps and users."""
    own = {"timestamp", "sessionId", "packageName", "apiKey"}
    return {key: value for key, value in message.items() if key not in own}


def _life_of(record: Record) -> Any:
    if record["event"] == "sent":
        return _said(record["message"])
    return record["code"], record["reason"]


def real_life(app: RealApp, user: str) -> list[Any]:
    """What was sent and how connections ended, with the real SDK."""
    seen = app.seen.all(event=lambda it: it in {"sent", "closed"}, session=app.session_of(user))
    return [_life_of(record) for record in seen]


def simulated_life(server: SdkAppServer, user: str) -> list[Any]:
    """The same, with the simulated one."""
    of_user = [one for one in server.diary if one.session_id == f"{user}-{SIM}"]
    return [
        _said(dict(one.message)) if isinstance(one, Sent) else (one.reason.code, one.reason.text)
        for one in of_user
        if isinstance(one, Sent | Closed)
    ]


async def _settled(server: RunningServer, user: str, package: str, *streams: str) -> None:
    await eventually(
        partial(server.app, user, package),
        lambda it: (
            it and it["state"] == "running" and sorted(it["subscriptions"]) == sorted(streams)
        ),
    )


async def _live(
    server: RunningServer, side: RealSide | SimulatedSide, package: str, user: str
) -> None:
    """Start, change the handlers and the language, lose the connection, stop."""
    async with trio.open_nursery() as nursery:
        phone = await open_phone(nursery, server, user)
        await side.prepare(user, Script(steps=HANDLERS))
        await phone.send("start_app", packageName=package)
        await _settled(server, user, package, "button_press", "VAD")
        await side.carry_out(user, MORE)
        wanted = ("button_press", "head_position")
        await _settled(server, user, package, *wanted, "transcription:en-US")
        await side.carry_out(user, ENGLISH_NO_MORE)
        await _settled(server, user, package, *wanted, "transcription:de-DE")
        await side.cut(user)
        await eventually(
            partial(server.app, user, package), lambda it: it and it["state"] == "grace_period"
        )
        await _settled(server, user, package, *wanted, "transcription:de-DE")
        await phone.close()


async def test_both_live_the_same_with_our_server(
    quick_server: RunningServer, app_a: RealApp, user: str
) -> None:
    scripts: dict[str, Script] = {}
    async with http_client() as http, SdkApp(SIM, API_KEY, scripts=scripts).serve() as simulated:
        await quick_server.add_app_later(SIM, url=simulated.url, api_key=API_KEY)
        sides: list[tuple[RealSide | SimulatedSide, str, str]] = [
            (RealSide(app_a, http), app_a.package, f"real-{user}"),
            (SimulatedSide(simulated, scripts, http, SIM), SIM, f"sim-{user}"),
        ]
        async with trio.open_nursery() as nursery:
            for side, package, wearer in sides:
                nursery.start_soon(_live, quick_server, side, package, wearer)
        for _, _, wearer in sides:  # until the user session has ended, and the app's with it
            await eventually(partial(quick_server.user, wearer), lambda it: it is None)
        real = real_life(app_a, f"real-{user}")
        await eventually(_look(simulated, f"sim-{user}"), lambda it: len(it) >= len(real))
    assert simulated_life(simulated, f"sim-{user}") == real
    stops = simulated.diary.stops(f"sim-{user}-{SIM}")
    assert stops == app_a.stops(f"real-{user}") == ["User session ended"]


def _look(server: SdkAppServer, user: str) -> Any:
    async def look() -> list[Any]:
        await trio.lowlevel.checkpoint()
        return simulated_life(server, user)

    return look
