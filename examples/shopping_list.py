"""What lasts: texts that the server keeps for an app, settings of the user, tools for assistants.

With the venv active (`. .venv/bin/activate`):

    python examples/shopping_list.py              ends by itself
"""

from __future__ import annotations

from typing import Any

import trio

import mentra_trio
from mentra_trio.clients import App, AppSession, Glasses, ToolCall, ToolFailed, open_glasses

USER = "ada@example.org"
SETTINGS = [{"key": "title", "type": "text", "label": "Title", "defaultValue": "To buy"}]
TOOLS = [{"id": "add", "description": "Put something on the list", "parameters": {}}]
LIST = "list"

app = App("com.example.shopping", api_key="shopping-secret")


async def show(session: AppSession) -> None:
    """Draw the list, under the title that the user has set."""
    text = await session.storage.get(LIST, "nothing")
    await session.show_card(str(session.settings["title"]), text or "")


@app.session
async def begin(session: AppSession) -> None:
    """Runs once per user: what was on the list before is there again."""

    async def retitled(title: str) -> None:
        await show(session)

    async def other_units(metric: bool) -> None:
        await session.show_text("in grams" if metric else "in ounces")

    session.on_setting("title", retitled)
    session.on_mentraos_setting("metricSystemEnabled", other_units)
    await show(session)


@app.on_tool
async def add(call: ToolCall) -> str:
    """Called for an assistant, also where the app does not run: then there is no session."""
    if call.tool_id != "add":
        raise ToolFailed(f"there is no tool {call.tool_id}")
    if call.session is None:
        return "start the app first"
    storage, thing = call.session.storage, str(call.parameters["what"])
    before = await storage.get(LIST)
    await storage.set(LIST, thing if before is None else f"{before}, {thing}")
    await show(call.session)
    return f"{thing} is on the list"


async def ask_for_tool(glasses: Glasses, what: str) -> None:
    """What an assistant of the user does."""
    path = f"/api/tools/apps/{app.package}/tool"
    call: dict[str, Any] = {"toolId": "add", "userId": USER, "toolParameters": {"what": what}}
    answer = await glasses.door.call("POST", path, call)
    print(f"the assistant wants {what}, and hears: {answer['reply']}")


async def expect(glasses: Glasses, text: str) -> None:
    """Wait until it is shown, and say so."""
    await glasses.until_shown(text, package=app.package)
    print("the glasses show:", text.replace("\n", ": "))


async def main() -> None:
    async with (
        mentra_trio.open_server(mentra_trio.Config(port=0)) as server,
        app.serve() as serving,
        open_glasses(server.url, server.token(USER)) as glasses,
    ):
        await server.apps.add(
            app.package, url=serving.url, api_key=app.api_key, settings=SETTINGS, tools=TOOLS
        )
        await ask_for_tool(glasses, "salt")
        assert (await server.start_app(USER, app.package)).success
        await expect(glasses, "To buy\nnothing")
        await ask_for_tool(glasses, "milk")
        await expect(glasses, "To buy\nmilk")
        await ask_for_tool(glasses, "tea")
        await expect(glasses, "To buy\nmilk, tea")

        changed = [{"key": "title", "value": "Groceries"}]
        await glasses.door.call("POST", f"/appsettings/{app.package}", changed)
        await expect(glasses, "Groceries\nmilk, tea")
        await glasses.change_settings(metric_system_enabled=True)
        await expect(glasses, "in grams")

        await server.stop_app(USER, app.package)
        assert (await server.start_app(USER, app.package)).success
        await expect(glasses, "Groceries\nmilk, tea")  # another session; nothing is forgotten


if __name__ == "__main__":
    trio.run(main)
