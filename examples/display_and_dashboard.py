"""What an app can draw: texts, cards, pictures, a text that goes by itself, and the dashboard.

With the venv active (`. .venv/bin/activate`):

    python examples/display_and_dashboard.py      ends by itself after a few seconds
"""

from __future__ import annotations

import base64

import trio

import mentra_trio
from mentra_trio.clients import App, AppSession, Glasses, open_glasses
from mentra_trio.wire import from_glasses, parts, to_glasses

USER = "ada@example.org"
DOT = base64.b64encode(b"BM: here be the bytes of a bitmap file").decode()

app = App("com.example.draw", api_key="draw-secret")


@app.session
async def begin(session: AppSession) -> None:
    """Runs once per user. Each press of the button shows something else."""
    presses = 0

    async def draw(_: from_glasses.ButtonPress) -> None:
        nonlocal presses
        presses += 1
        match presses:
            case 1:
                await session.show_two_texts("Bus 7", "in 4 minutes")
            case 2:
                await session.show_card("Tea", "Three minutes, 80 degrees")
            case 3:
                await session.show_columns("Milk\nBread", "1 l\n2")
            case 4:
                await session.show_bitmap(DOT)
            case 5:
                await session.show_text("Seen this?", duration_ms=400)  # then it is gone
            case _:
                await session.clear()

    async def look(_: from_glasses.HeadPosition) -> None:
        await session.dashboard.write("3 mails")

    session.on_button_press(draw)
    session.on_head_position(look)
    await session.show_text("Press the button")


def told(display: to_glasses.DisplayEvent) -> str:
    """A display in one line."""
    match display.layout:
        case parts.TextWall(text=text):
            return repr(text)
        case parts.DoubleTextWall(top_text=top, bottom_text=bottom):
            return f"{top!r} above {bottom!r}"
        case parts.ReferenceCard(title=title, text=text):
            return f"a card {title!r}: {text!r}"
        case parts.DashboardCard(left_text=left, right_text=right):
            return f"{left!r} beside {right!r}"
        case parts.BitmapView(data=data):
            return f"a picture of {len(base64.b64decode(data))} bytes"
        case other:
            return type(other).__name__


async def next_of(glasses: Glasses, view: str) -> to_glasses.DisplayEvent:
    """The next display on that view, ``main`` or ``dashboard``."""
    while (display := await glasses.next_display()).view != view:
        pass
    return display


async def main() -> None:
    async with (
        mentra_trio.open_server(mentra_trio.Config(port=0)) as server,
        app.serve() as serving,
        open_glasses(server.url, server.token(USER)) as glasses,
    ):
        await server.apps.add(app.package, url=serving.url, api_key=app.api_key)
        result = await server.start_app(USER, app.package)
        assert result.success, result.message
        await glasses.until_shown("Press the button")
        await glasses.head("up")
        await glasses.until_shown("3 mails")
        print("the dashboard has: 3 mails")
        await glasses.battery(80)
        await glasses.until_shown("80%")
        print("and, by the server itself, the battery: 80%")
        for _ in range(5):
            await glasses.press_button()
            print("the glasses show", told(await next_of(glasses, "main")))
        gone = await next_of(glasses, "main")
        print("and after a moment", told(gone))


if __name__ == "__main__":
    trio.run(main)
