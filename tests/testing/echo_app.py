"""An app that shows what is said, and notes when it is called and stopped."""

from __future__ import annotations

import trio

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession

APP = "com.t.a"


def echo(package: str = APP, *, log: list[tuple[str, float]] | None = None) -> App:
    """The app; ``log`` gets its package and the moment of each session's beginning."""
    app = App(package, api_key="key", persistent=True)

    @app.session
    async def begin(session: AppSession) -> None:
        if log is not None:
            log.append((package, trio.current_time()))
        session.on_transcription(lambda said: session.show_text(said.text))
        await session.show_text("ready")

    return app
