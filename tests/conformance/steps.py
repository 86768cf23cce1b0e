"""What most scenarios begin with, and what is said in them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from .real_app import RealApp, Step
from .running_server import RunningServer
from .sockets import Socket
from .timeline import eventually


async def register(server: RunningServer, app: RealApp, *, kind: str = "standard") -> None:
    """Have ``server`` know ``app``, with every permission."""
    await server.add_app_later(app.package, url=app.url, api_key=app.api_key, kind=kind)


async def start(phone: Socket, app: RealApp, user: str) -> None:
    """Start ``app`` from the phone, and wait until its ``onSession`` has been carried out."""
    await phone.send("start_app", packageName=app.package)
    await app.running(user)


async def subscribed(server: RunningServer, user: str, app: RealApp, *streams: str) -> None:
    """Wait until the server knows of exactly these subscriptions."""
    wanted = sorted(streams)
    look = partial(server.app, user, app.package)
    await eventually(look, lambda found: found and sorted(found["subscriptions"]) == wanted)


async def say(phone: Socket, text: str, language: str = "en-US") -> None:
    """Have the phone hear ``text``."""
    await phone.send(
        "local_transcription",
        text=text,
        isFinal=True,
        startTime=0,
        endTime=900,
        speakerId="s",
        transcribeLanguage=language,
        provider="test",
    )


async def press(phone: Socket, button: str = "main") -> None:
    """Press a button of the glasses shortly."""
    await phone.send("button_press", buttonId=button, pressType="short")


async def wear(phone: Socket, model: str, **fields: Any) -> None:
    """Put on glasses of that model."""
    await phone.send("glasses_connection_state", status="CONNECTED", modelName=model, **fields)


async def pending(app: RealApp, user: str, step: Step, ends: list[str]) -> None:
    """Run a step that is to fail, and note with what."""
    with pytest.raises(AssertionError) as failed:
        await app.run(user, step)
    ends.append(str(failed.value))


def untouched(app: RealApp, user: str) -> bool:
    """Whether the socket of the app was neither closed nor opened anew."""
    closed = app.seen.count(event="closed", session=app.session_of(user))
    return closed == 0 and len(app.inits(user)) == 1
