"""What strangers can do at the port of an app: little, and not for long."""

from __future__ import annotations

import pytest
import trio
from app_rig import Rig, stream
from trio.testing import MockClock

from mentra_trio.clients.app_webhook import BODY_S, UPLOADS_AT_ONCE
from mentra_trio.clients.http_calls import call_http
from mentra_trio.clients.questions import RequestFailed

UPLOAD = b"POST /photo-upload HTTP/1.1\r\nHost: app\r\nContent-Length: 1000000\r\n\r\n"


async def status_of(peer: trio.abc.Stream) -> bytes:
    return bytes(await peer.receive_some()).partition(b"\r\n")[0]


async def drip(peer: trio.abc.Stream) -> None:
    try:
        while True:
            await peer.send_all(b"x")
            await trio.sleep(5)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


async def test_an_upload_that_drips_in_is_given_up(rig: Rig, autojump_clock: MockClock) -> None:
    async with await rig.cloud.network.dial("app", 80) as peer:
        began = trio.current_time()
        await peer.send_all(UPLOAD)
        rig.nursery.start_soon(drip, peer)
        assert b" 408" in await status_of(peer)
        assert trio.current_time() - began == pytest.approx(BODY_S)


async def test_so_many_uploads_at_once_and_no_more(rig: Rig, autojump_clock: MockClock) -> None:
    peers = [await rig.cloud.network.dial("app", 80) for _ in range(UPLOADS_AT_ONCE)]
    for peer in peers:
        await peer.send_all(UPLOAD)
    await trio.sleep(1)
    async with await rig.cloud.network.dial("app", 80) as one_more:
        await one_more.send_all(UPLOAD)
        assert b" 503" in await status_of(one_more)
    assert (await rig.cloud.get("app", "/health"))[0] == 200
    await peers[0].aclose()
    await trio.sleep(1)
    assert (await rig.cloud.post("app", "/photo-upload", b"{}"))[0] == 400, "there is room again"
    for peer in peers[1:]:
        await peer.aclose()


@pytest.mark.parametrize(
    "url",
    ["", "http://cloud:8002/app-ws", "ws://", "ws://[x", "ws://h:port/", 'ws://h"', "nonsense"],
)
async def test_a_webhook_that_names_no_server_is_refused(
    url: str, rig: Rig, autojump_clock: MockClock
) -> None:
    call = {"type": "session_request", "sessionId": "s", "userId": "u@x.org"}
    status, answer = await rig.cloud.post("app", "/webhook", {**call, "mentraOSWebsocketUrl": url})
    assert (status, answer["message"]) == (500, "Failed to connect")
    assert rig.server.crashes == []


@pytest.mark.parametrize("path", ["/webhook", "/settings", "/tool", "/photo-upload"])
async def test_what_is_nested_too_deeply_is_refused(
    path: str, rig: Rig, autojump_clock: MockClock
) -> None:
    for levels in (900, 950, 5_000):
        body = b'{"x":' + b"[" * levels + b"]" * levels + b"}"
        assert (await rig.cloud.post("app", path, body))[0] in {200, 400}
    assert rig.server.crashes == []


async def test_a_location_that_nobody_can_read_is_no_answer(
    rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    caller.say(stream("location_update", lat="x", lng=None))
    caller.say(stream("location_update", lat=1, lng=2, correlationId="nobody's"))
    await trio.sleep(0.1)
    assert session.location is not None
    assert rig.server.crashes == []
    caller.leave()


async def test_a_name_that_no_host_can_have_is_not_reached() -> None:
    with pytest.raises(RequestFailed, match="no name of a host") as caught:
        await call_http("GET", f"http://{'a' * 70}.test/")
    assert caught.value.code == "UNREACHABLE"
