"""Display and dashboard: checks 55, 56 and 59-63 of protocol.md section 8.4."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import attrs
import trio

from .conftest import MakeServer
from .real_app import RealApp, call, handler, on
from .running_server import RunningServer
from .sockets import Socket, open_phone
from .steps import register, start, subscribed
from .stub_app import StubApp
from .timeline import Record, Timeline

DASHBOARD = "system.augmentos.dashboard"
SLACK_S = 0.15


@attrs.define(eq=False)
class Timed(Timeline):
    """Also knows when each record came."""

    at: list[float] = attrs.field(factory=list)

    def add(self, record: Record) -> None:
        self.at.append(trio.current_time())
        super().add(record)

    def drawn(self, view: str = "main") -> list[tuple[float, Record]]:
        """When what was drawn on a view."""
        return [
            (at, record)
            for at, record in zip(self.at, self.records, strict=True)
            if record.get("type") == "display_event" and record["view"] == view
        ]


def watch_times(phone: Socket) -> Timed:
    """From now on it is known when what comes to ``phone``."""
    timed = Timed()
    phone.seen = timed
    return timed


def wall(text: str, **fields: Any) -> dict[str, Any]:
    """A query for the text wall that says so."""
    layout = {"layoutType": "text_wall", "text": text}
    return {"layout": layout, "view": "main", **fields}


def dashboard(text: str) -> dict[str, Any]:
    """A query for a dashboard on which ``text`` stands at the end of the right side."""

    def says_so(layout: Record) -> bool:
        right: str = layout.get("bottomText", "")
        return layout["layoutType"] == "double_text_wall" and right.endswith(text)

    return {"view": "dashboard", "packageName": DASHBOARD, "layout": says_so}


async def test_55_the_boot_screen_names_the_app_and_ends_with_its_first_frame(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, {"call": "layouts.showTextWall", "args": ["hello"]})
    phone = await open_phone(nursery, server, user)
    timed = watch_times(phone)
    await start(phone, app_a, user)
    boot = await phone.message("display_event")
    assert boot["packageName"] == DASHBOARD
    assert boot["layout"] == {
        "layoutType": "reference_card",
        "title": "// MentraOS - Starting App",
        "text": app_a.package,
    }
    await phone.message("display_event", **wall("hello", packageName=app_a.package))
    ((began, _), (shown, _)) = timed.drawn()
    assert shown - began >= 0.3 - SLACK_S


async def test_55_the_boot_screen_ends_with_a_failure(
    make_server: MakeServer, stub_app: StubApp, nursery: trio.Nursery, user: str
) -> None:
    server = await make_server("lifecycle.connect_s=1.0")
    await server.add_app_later("com.t.stub", url=stub_app.url, api_key="key")
    phone = await open_phone(nursery, server, user)
    timed = watch_times(phone)
    await phone.send("start_app", packageName="com.t.stub")
    await phone.message("display_event", **wall(""))
    ((began, boot), (ended, _)) = timed.drawn()
    assert boot["layout"]["text"] == "com.t.stub"
    assert 0.9 <= ended - began <= 2


async def test_56_ten_frames_within_200_ms(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await app_a.show(user, "before")
    await phone.message("display_event", **wall("before"))
    await trio.sleep(0.5)
    timed = watch_times(phone)
    began = trio.current_time()
    steps = [{"call": "layouts.showTextWall", "args": [str(n)]} for n in range(10)]
    await app_a.run(user, *(step for one in steps for step in (one, {"wait": 15})))
    await phone.message("display_event", **wall("9"))
    await trio.sleep(0.5)
    drawn = timed.drawn()
    assert drawn[0][1]["layout"]["text"] == "0"
    assert drawn[0][0] - began < SLACK_S
    assert drawn[-1][1]["layout"]["text"] == "9"
    assert 0.25 <= drawn[-1][0] - began <= 0.6 + SLACK_S
    assert all(later - earlier >= 0.25 for (earlier, _), (later, _) in pairwise(drawn))


async def test_59_the_foreground_app_is_shown_again_when_the_other_one_stops(
    server: RunningServer, app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await start(phone, app_b, user)
    await app_a.show(user, "of a")
    await phone.message("display_event", **wall("of a"))
    await app_b.show(user, "of b")
    await phone.message("display_event", **wall("of b"))
    await phone.send("stop_app", packageName=app_b.package)
    await phone.message("display_event", number=2, **wall("of a", packageName=app_a.package))
    await phone.send("stop_app", packageName=app_a.package)
    await phone.message("display_event", **wall("", packageName=DASHBOARD))


async def test_60_a_frame_of_one_second_is_cleared_after_it(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await trio.sleep(2)
    timed = watch_times(phone)
    options = {"durationMs": 1000}
    await app_a.run(user, {"call": "layouts.showTextWall", "args": ["brief", options]})
    await phone.message("display_event", **wall("brief", durationMs=1000))
    await phone.message("display_event", **wall(""))
    ((began, _), (ended, _)) = timed.drawn()
    assert 0.9 <= ended - began <= 1.3


async def test_61_the_texts_of_two_apps_take_turns_on_the_dashboard(
    server: RunningServer, app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    for app, text in ((app_a, "from a"), (app_b, "from b")):
        await start(phone, app, user)
        await app.run(user, {"call": "dashboard.content.writeToMain", "args": [text]})
        await phone.message("display_event", **dashboard(text))
    for text in ("from a", "from b"):
        await phone.send("head_position", position="up")
        await phone.message("display_event", number=2, **dashboard(text))


async def test_62_only_the_dashboard_app_writes_sections_and_changes_the_mode(
    make_server: MakeServer, app_a: RealApp, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    server = await make_server()
    await lone_app.become(DASHBOARD, lone_app.api_key)
    await register(server, lone_app, kind="system_dashboard")
    await register(server, app_a)
    await app_a.script(
        user,
        call("dashboard.content.onModeChange", handler("mode")),
        call("events.onDashboardModeChange", handler("event")),
    )
    phone = await open_phone(nursery, server, user)
    await lone_app.running(user)
    await start(phone, app_a, user)

    for kind in ({"section": "topLeft", "content": "no"}, {"mode": "expanded"}):
        type_ = "dashboard_system_update" if "section" in kind else "dashboard_mode_change"
        await app_a.send_raw(user, {"type": type_, "packageName": DASHBOARD, **kind})
    await lone_app.run(user, {"call": "dashboard.system.setTopRight", "args": ["right"]})
    await phone.message("display_event", **dashboard("right"))
    (first,) = phone.seen.all(type="display_event", view="dashboard")
    assert "no" not in first["layout"]["topText"]
    for section in ("TopLeft", "BottomLeft", "BottomRight"):
        await lone_app.run(user, call(f"dashboard.system.set{section}", section))
    full = {
        "layoutType": "double_text_wall",
        "topText": "TopLeft\nBottomLeft",
        "bottomText": "right\nBottomRight",
    }
    await phone.message("display_event", view="dashboard", layout=full)

    await lone_app.run(user, {"call": "dashboard.system.setViewMode", "args": ["expanded"]})
    assert await app_a.first_fired(user, "mode") == "expanded"
    assert (await lone_app.received(user, "dashboard_mode_changed"))["mode"] == "expanded"
    await phone.message(
        "display_event",
        view="dashboard",
        layout=lambda it: it.get("text", "").endswith("No expanded content available"),
    )
    await app_a.run(user, {"call": "dashboard.content.writeToExpanded", "args": ["more"]})
    await phone.message(
        "display_event", view="dashboard", layout=lambda it: it.get("text", "").endswith("more")
    )
    for name in ("mode", "event"):
        await app_a.first_fired(user, name)
    assert app_a.fired(user, "mode") == ["expanded"]
    assert app_a.fired(user, "event") == [{"mode": "expanded"}]
    assert await app_a.run(user, call("dashboard.content.getCurrentMode")) == "expanded"


async def test_63_glasses_that_return_are_shown_both_views_again(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onButtonPress", "button"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, "button_press")
    await app_a.show(user, "on the glasses")
    await app_a.run(user, {"call": "dashboard.content.writeToMain", "args": ["from a"]})
    await phone.message("display_event", **wall("on the glasses"))
    await phone.message("display_event", **dashboard("from a"))
    await phone.close()
    await trio.sleep(0.5)
    back = await open_phone(nursery, server, user)
    await back.message("display_event", **wall("on the glasses", packageName=app_a.package))
    await back.message("display_event", **dashboard("from a"))
    assert back.seen.records[0]["type"] == "connection_ack"
