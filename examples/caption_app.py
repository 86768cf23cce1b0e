"""An app server in Python: shows on the glasses what is said near them.

With the venv active (`. .venv/bin/activate`):

    python examples/caption_app.py                serves on http://127.0.0.1:7010 until Ctrl-C
    python examples/caption_app.py --rehearse     tries itself with a server and glasses, and ends

Register it with a running server by

    mentra-trio apps add com.example.captions --url http://127.0.0.1:7010 \
        --api-key captions-secret --permission MICROPHONE
"""

from __future__ import annotations

import sys

import trio

import mentra_trio
from mentra_trio.clients import App, AppSession, Transcription, open_glasses

app = App("com.example.captions", api_key="captions-secret")


@app.session
async def begin(session: AppSession) -> None:
    """Runs once per user, as soon as the app is connected."""

    async def show(said: Transcription) -> None:
        await session.show_text(said.text if said.is_final else f"{said.text} ...")

    session.on_transcription(show)
    await session.show_text("Captions are on")


@app.on_stop
def end(session: AppSession, reason: str) -> None:
    """Runs once when a user's session is over."""
    print(f"captions of {session.user} are over: {reason}")


async def serve() -> None:
    async with app.serve("127.0.0.1", 7010) as serving:
        print("captions are served on", serving.url)
        await trio.sleep_forever()


async def rehearse() -> None:
    async with (
        mentra_trio.open_server(mentra_trio.Config(port=0)) as server,
        app.serve() as serving,  # any free port
        open_glasses(server.url, server.token("ada@example.org")) as glasses,
    ):
        await server.apps.add(
            app.package, url=serving.url, api_key=app.api_key, permissions=["MICROPHONE"]
        )
        result = await server.start_app("ada@example.org", app.package)
        assert result.success, result.message
        await glasses.until_shown("Captions are on")
        await glasses.say("Hello from the real world")
        await glasses.until_shown("Hello from the real world")
        print("the glasses show: Hello from the real world")


if __name__ == "__main__":
    try:
        trio.run(rehearse if "--rehearse" in sys.argv else serve)
    except* KeyboardInterrupt:
        print("bye")
