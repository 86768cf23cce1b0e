"""What tests of camera streams have in common."""

from __future__ import annotations

from typing import Any

from trio.testing import wait_all_tasks_blocked

from mentra_trio.testing.household import Household
from mentra_trio.testing.links import MemoryLink

URL = "rtmp://a.test/live/key"
OTHER = "com.t.b"
MANAGED: dict[str, Any] = {"type": "managed_stream_request"}
STOP_MANAGED = {"type": "managed_stream_stop"}
CHECK = {"type": "stream_status_check"}


def rtmp(url: str = URL, **fields: Any) -> dict[str, Any]:
    return {"type": "rtmp_stream_request", "rtmpUrl": url, **fields}


def status(stream: str | None, text: str, **fields: Any) -> dict[str, Any]:
    named = {} if stream is None else {"streamId": stream}
    return {"type": "rtmp_stream_status", "status": text, **named, **fields}


def device(model: str = "Mentra Live", **fields: Any) -> dict[str, Any]:
    said = {"type": "glasses_connection_state", "modelName": model, "status": "CONNECTED"}
    return {**said, **fields}


async def say(link: MemoryLink, *messages: dict[str, Any]) -> None:
    """Say them, and let everybody act on them."""
    link.say(*messages)
    await wait_all_tasks_blocked()


def told(link: MemoryLink, kind: str = "rtmp_stream_status") -> list[str]:
    """The statuses in which a link was told that its stream is."""
    return [message["status"] for message in link.of_type(kind)]


async def two_apps(house: Household) -> tuple[MemoryLink, MemoryLink, MemoryLink]:
    """Attached glasses and two running apps with every permission: their links."""
    await house.add_app()
    other = await house.add_app(OTHER, kind="background")
    glasses = await house.attached_glasses()
    return glasses, await house.running_app(), await house.running_app(package=other)
