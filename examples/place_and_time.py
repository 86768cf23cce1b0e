"""What the phone knows: where its user is, the calendar, the notifications, the time.

With the venv active (`. .venv/bin/activate`):

    python examples/place_and_time.py             ends by itself
"""

from __future__ import annotations

from typing import Any

import trio

import mentra_trio
from mentra_trio.clients import App, AppSession, Glasses, RequestFailed, open_glasses
from mentra_trio.wire import from_glasses, to_glasses

USER = "ada@example.org"
PERMISSIONS = ("LOCATION", "CALENDAR", "READ_NOTIFICATIONS")

app = App("com.example.guide", api_key="guide-secret")


@app.session
async def begin(session: AppSession) -> None:
    """Runs once per user."""

    async def walked(place: from_glasses.LocationUpdate) -> None:
        await session.show_text(f"walked to {place.lat:.2f}, {place.lng:.2f}")

    async def due(entry: from_glasses.CalendarEvent) -> None:
        await session.show_text(f"{entry.title} at {entry.dt_start}")

    async def written(note: from_glasses.PhoneNotification) -> None:
        await session.show_text(f"{note.app}: {note.title}")

    async def read(note: from_glasses.PhoneNotificationDismissed) -> None:
        await session.show_text(f"{note.notification_id} was read")

    async def told_the_time(told: Any) -> None:
        await session.show_text(f"it is {told['datetime'][11:16]}")

    async def where_am_i() -> None:
        try:
            place = await session.location.latest("high")
        except RequestFailed as failed:
            await session.show_text(f"Nobody knows: {failed}")
        else:
            await session.show_text(f"asked, and found at {place.lat:.2f}, {place.lng:.2f}")

    session.location.watch(walked, "tenMeters")
    session.on_calendar_event(due)
    session.on_notification(written)
    session.on_notification_dismissed(read)
    session.on_datetime(told_the_time)
    session.on_button_press(lambda _: session.nursery.start_soon(where_am_i))
    await session.show_text("Off we go")


async def expect(glasses: Glasses, text: str) -> None:
    """Wait until it is shown, and say so."""
    await glasses.until_shown(text, package=app.package)
    print("the glasses show:", text)


async def live_through_a_day(glasses: Glasses) -> None:
    """What the phone of a user tells, one after the other."""
    while (tier := await glasses.next(to_glasses.SetLocationTier)).tier != "tenMeters":
        pass
    print("the phone is to watch its location:", tier.tier)
    await glasses.press_button()
    question = await glasses.next(to_glasses.RequestSingleLocation)
    await glasses.answer.location(question, 52.5163, 13.3777, accuracy=4)
    await expect(glasses, "asked, and found at 52.52, 13.38")
    await glasses.location(52.5186, 13.3762)
    await expect(glasses, "walked to 52.52, 13.38")
    await glasses.calendar_event("e-1", "Tea with Grace", "2031-05-01T16:00:00Z")
    await expect(glasses, "Tea with Grace at 2031-05-01T16:00:00Z")
    await glasses.notify("Grace: I am late", app="mail", notification_id="n-1")
    await expect(glasses, "mail: Grace: I am late")
    await glasses.dismiss("n-1")
    await expect(glasses, "n-1 was read")
    now = {"datetime": "2031-05-01T15:58:00+02:00"}
    await glasses.door.call("POST", "/api/user-data/set-datetime", now)
    await expect(glasses, "it is 15:58")


async def main() -> None:
    async with (
        mentra_trio.open_server(mentra_trio.Config(port=0)) as server,
        app.serve() as serving,
        open_glasses(server.url, server.token(USER)) as glasses,
    ):
        await server.apps.add(
            app.package, url=serving.url, api_key=app.api_key, permissions=PERMISSIONS
        )
        result = await server.start_app(USER, app.package)
        assert result.success, result.message
        await expect(glasses, "Off we go")
        await live_through_a_day(glasses)


if __name__ == "__main__":
    trio.run(main)
