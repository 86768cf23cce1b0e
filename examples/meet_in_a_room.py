"""An app whose users meet: what one of them says is shown to everybody else in the same room.

With the venv active (`. .venv/bin/activate`):

    python examples/meet_in_a_room.py

It makes a server, and glasses for two users, in the same process.
"""

from __future__ import annotations

import trio

import mentra_trio
from mentra_trio.clients import App, AppSession, RequestFailed, Transcription, open_glasses
from mentra_trio.wire.to_app import AppMessageReceived

ROOM = "tea kitchen"
USERS = ("ada@example.org", "grace@example.org")

app = App("com.example.chatter", api_key="chatter-secret")


@app.session
async def begin(session: AppSession) -> None:
    """Runs once per user: into the room, and show what others say in it."""

    async def show(message: AppMessageReceived) -> None:
        await session.show_text(f"{message.sender_user_id}: {message.payload}")

    async def pass_on(said: Transcription) -> None:
        await session.messages.broadcast(said.text, room=ROOM)

    session.messages.on_message(show)
    session.on_transcription(pass_on)
    try:
        room = await session.messages.join(ROOM, max_users=8)
    except RequestFailed as failed:
        await session.show_text(f"No chat today: {failed}")
    else:
        await session.show_text(f"{room.member_count} in the {ROOM}")


async def main() -> None:
    async with (
        mentra_trio.open_server(mentra_trio.Config(port=0)) as server,
        app.serve() as serving,
    ):
        await server.apps.add(
            app.package, url=serving.url, api_key=app.api_key, permissions=["MICROPHONE"]
        )
        ada, grace = USERS
        async with (
            open_glasses(server.url, server.token(ada)) as first,
            open_glasses(server.url, server.token(grace)) as second,
        ):
            for user, glasses in ((ada, first), (grace, second)):
                assert (await server.start_app(user, app.package)).success
                await glasses.until_shown(f"in the {ROOM}")
            await first.say("Is there tea?")
            await second.until_shown(f"{ada}: Is there tea?")
            print("grace sees what ada said")


if __name__ == "__main__":
    trio.run(main)
