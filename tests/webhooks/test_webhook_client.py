"""Webhooks: what is sent, when it counts as delivered, how failures are classed, no leaks."""

from __future__ import annotations

import gc
import json
import ssl
from functools import partial

import h11
import pytest
import trio
import trio.testing
import trustme
from far_end import (
    Delivered,
    answering,
    client,
    failure,
    network,
    read_request,
    session_call,
    status,
    stop_call,
)

from mentra_trio.domain.errors import WebhookFailure
from mentra_trio.webhooks.client import HttpWebhooks, app_url


async def test_a_session_call_says_what_the_sdk_reads(autojump_clock: object) -> None:
    seen: list[tuple[h11.Request, bytes]] = []
    delivered = Delivered()
    async with network(answering(status(200), seen=seen)) as net:
        await client(net).start(session_call(), delivered=delivered)
    [(request, body)] = seen
    headers = dict(request.headers)
    assert net.dialled == [("app.example", 7010)]
    assert (request.method, request.target) == (b"POST", b"/webhook")
    assert headers[b"host"] == b"app.example:7010"
    assert headers[b"content-type"] == b"application/json"
    assert b"authorization" not in headers
    assert json.loads(body) == {
        "type": "session_request",
        "sessionId": "ann@example.com-com.example.captions",
        "userId": "ann@example.com",
        "timestamp": "2026-01-31T12:00:00.000Z",
        "mentraOSWebsocketUrl": "wss://cloud.example/app-ws",
        "augmentOSWebsocketUrl": "wss://cloud.example/app-ws",
    }
    assert len(delivered.times) == 1


async def test_a_stop_call_says_why(autojump_clock: object) -> None:
    seen: list[tuple[h11.Request, bytes]] = []
    async with network(answering(status(204, b""), seen=seen)) as net:
        await client(net).stop(stop_call())
    assert json.loads(seen[0][1]) == {
        "type": "stop_request",
        "sessionId": "ann@example.com-com.example.captions",
        "userId": "ann@example.com",
        "timestamp": "2026-01-31T12:00:00.000Z",
        "reason": "user_disabled",
    }


async def test_delivery_is_told_long_before_the_answer(autojump_clock: object) -> None:
    delivered = Delivered()
    async with network(answering(status(200), after=29)) as net:
        began = trio.current_time()
        await client(net).start(session_call(), delivered=delivered)
        assert delivered.times == [began]
        assert trio.current_time() - began == pytest.approx(29)


async def test_no_answer_in_time_is_a_timeout_that_was_delivered(autojump_clock: object) -> None:
    delivered = Delivered()
    async with network(answering(status(200), after=31)) as net:
        error = await failure(partial(client(net).start, session_call(), delivered=delivered))
        assert trio.current_time() - delivered.times[0] == pytest.approx(30)
    assert (error.failure, error.delivered) == (WebhookFailure.TIMEOUT, True)


async def test_a_peer_that_does_not_read_was_not_delivered(autojump_clock: object) -> None:
    async def stuck(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async def dial(host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        near, far = trio.testing.lockstep_stream_pair()
        far_ends.append(far)
        return near

    far_ends: list[trio.abc.Stream] = []
    delivered = Delivered()
    async with network(stuck) as net:
        error = await failure(
            partial(client(net, dial=dial).start, session_call(), delivered=delivered)
        )
    assert (error.failure, error.delivered) == (WebhookFailure.TIMEOUT, False)
    assert delivered.times == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (301, WebhookFailure.MISCONFIGURED),
        (307, WebhookFailure.MISCONFIGURED),
        (400, WebhookFailure.MISCONFIGURED),
        (401, WebhookFailure.MISCONFIGURED),
        (404, WebhookFailure.GONE),
        (410, WebhookFailure.GONE),
        (500, WebhookFailure.ERROR),
        (502, WebhookFailure.UNAVAILABLE),
        (503, WebhookFailure.UNAVAILABLE),
        (504, WebhookFailure.UNAVAILABLE),
    ],
)
async def test_an_answer_that_is_not_2xx_is_classed(
    code: int, expected: WebhookFailure, autojump_clock: object
) -> None:
    answer = status(code, b"private words", extra=b"Location: http://127.0.0.1/\r\n")
    async with network(answering(answer)) as net:
        error = await failure(partial(client(net).start, session_call(), delivered=Delivered()))
    assert (error.failure, error.delivered) == (expected, True)
    assert str(code) in str(error)
    assert "private words" not in str(error)
    assert len(net.dialled) == 1, "a redirect must not be followed"


@pytest.mark.parametrize(
    ("code", "extra", "expected"),
    [
        (302, b"Location: http://a/\x7f\r\n", WebhookFailure.MISCONFIGURED),
        (302, b"Location: http://[::1\r\n", WebhookFailure.MISCONFIGURED),
        (302, b"Location: \xff\xfe://\r\n", WebhookFailure.MISCONFIGURED),
        (500, b"Set-Cookie: \xff=\xfe; expires=never\r\n", WebhookFailure.ERROR),
        (500, b"Content-Encoding: gzip\r\n", WebhookFailure.ERROR),
    ],
)
async def test_only_the_status_of_an_answer_is_read(
    code: int, extra: bytes, expected: WebhookFailure, autojump_clock: object
) -> None:
    async with network(answering(status(code, extra=extra))) as net:
        error = await failure(partial(client(net).start, session_call(), delivered=Delivered()))
    assert (error.failure, error.delivered) == (expected, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000,
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        b"\xff" * 3000,
    ],
)
async def test_an_answer_that_is_none_is_a_failure(answer: bytes, autojump_clock: object) -> None:
    async with network(answering(answer)) as net:
        error = await failure(partial(client(net).start, session_call(), delivered=Delivered()))
    assert error.delivered


async def test_a_body_that_is_broken_does_not_take_a_2xx_back(autojump_clock: object) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n"
    async with network(answering(answer)) as net:
        await client(net).start(session_call(), delivered=Delivered())


async def test_a_connection_that_breaks_after_the_request_was_delivered(
    autojump_clock: object,
) -> None:
    async def hang_up(stream: trio.abc.Stream) -> None:
        await read_request(stream)
        await stream.aclose()

    delivered = Delivered()
    async with network(hang_up) as net:
        error = await failure(partial(client(net).start, session_call(), delivered=delivered))
    assert (error.failure, error.delivered) == (WebhookFailure.UNAVAILABLE, True)
    assert len(delivered.times) == 1


async def test_a_connection_that_breaks_before_the_request_was_not_delivered(
    autojump_clock: object,
) -> None:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        near, far = trio.testing.memory_stream_pair()
        await far.aclose()
        return near

    delivered = Delivered()
    webhooks = HttpWebhooks(allow_private_networks=False, connect_s=5, read_s=30, dial=dial)
    error = await failure(partial(webhooks.start, session_call(), delivered=delivered))
    assert (error.failure, error.delivered) == (WebhookFailure.REFUSED, False)
    assert delivered.times == []


async def test_a_peer_that_speaks_something_else_is_a_failure(autojump_clock: object) -> None:
    async with network(answering(b"220 smtp.example ready\r\n\r\n")) as net:
        error = await failure(partial(client(net).stop, stop_call()))
    assert (error.failure, error.delivered) == (WebhookFailure.UNAVAILABLE, True)


@pytest.mark.parametrize("code", [200, 500])
async def test_an_endless_answer_is_read_to_its_bound_only(
    code: int, autojump_clock: object
) -> None:
    sent = 0

    async def flood(stream: trio.abc.Stream) -> None:
        nonlocal sent
        await read_request(stream)
        await stream.send_all(f"HTTP/1.1 {code} OK\r\n\r\n".encode())
        while True:
            await stream.send_all(b"x" * 4096)
            sent += 4096
            await trio.sleep(0.01)

    async with network(flood) as net:
        call = partial(client(net).start, session_call(), delivered=Delivered())
        if code == 200:
            await call()
        else:
            assert (await failure(call)).failure is WebhookFailure.ERROR
    assert sent < 200_000


async def test_a_body_that_never_ends_does_not_take_a_2xx_back(autojump_clock: object) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    async with network(answering(answer)) as net:
        began = trio.current_time()
        await client(net).start(session_call(), delivered=Delivered())
        assert trio.current_time() - began == pytest.approx(30)


async def test_a_slow_connection_ends_at_the_connect_limit(autojump_clock: object) -> None:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        await trio.sleep_forever()

    webhooks = HttpWebhooks(allow_private_networks=False, connect_s=5, read_s=30, dial=dial)
    began = trio.current_time()
    error = await failure(partial(webhooks.stop, stop_call()))
    assert (error.failure, error.delivered) == (WebhookFailure.TIMEOUT, False)
    assert trio.current_time() - began == pytest.approx(5)


async def test_a_refused_connection_says_so(autojump_clock: object) -> None:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError(111, "whatever")

    webhooks = HttpWebhooks(allow_private_networks=False, connect_s=5, read_s=30, dial=dial)
    error = await failure(partial(webhooks.stop, stop_call()))
    assert (error.failure, error.delivered) == (WebhookFailure.REFUSED, False)
    assert "app.example:7010" in str(error)
    assert "refused" in str(error)


@pytest.mark.parametrize("moment", [0.0, 0.5, 1.0, 1.5, 2.5])
async def test_a_cancelled_call_leaks_nothing(moment: float, autojump_clock: object) -> None:
    # The answer comes in pieces from second 1 to second 3, the connection takes half a second.
    async def dripping(stream: trio.abc.Stream) -> None:
        await read_request(stream)
        await trio.sleep(0.5)
        for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 4\r\n\r\n", b"ab", b"cd"):
            await stream.send_all(piece)
            await trio.sleep(0.5)

    async with network(dripping) as net:

        async def slow_dial(host: str, port: int) -> trio.abc.Stream:
            await trio.sleep(0.5)
            return await net.dial(host, port)

        webhooks = client(net, dial=slow_dial)
        for _ in range(20):
            with trio.move_on_after(moment) as scope:
                await webhooks.start(session_call(), delivered=Delivered())
            assert scope.cancelled_caught
        await trio.sleep(10)
        assert net.ended == len(net.dialled)
        with trio.fail_after(10):
            await webhooks.start(session_call(), delivered=Delivered())
    gc.collect()  # an abandoned generator or socket would warn, and warnings are errors


@pytest.mark.parametrize(
    "url",
    [
        "ftp://app.example",
        "app.example",
        "",
        "http://",
        "http://name:pw@app.example",
        "http://app.example/?a=b",
        "http://app.example/#a",
        "http://app.example:99999",
        "http://a b",
        "http://[::1",
        "file:///etc/passwd",
    ],
)
async def test_an_unusable_url_is_not_called(url: str, autojump_clock: object) -> None:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        raise AssertionError("dialled")

    webhooks = HttpWebhooks(allow_private_networks=True, connect_s=5, read_s=30, dial=dial)
    error = await failure(partial(webhooks.start, session_call(url), delivered=Delivered()))
    assert (error.failure, error.delivered) == (WebhookFailure.MISCONFIGURED, False)
    assert "pw" not in str(error)


def test_the_path_of_the_base_is_kept() -> None:
    assert str(app_url("http://h:1/apps/one/", "/webhook")) == "http://h:1/apps/one/webhook"
    assert str(app_url("https://h", "/webhook")) == "https://h/webhook"


async def test_tls_uses_the_name_of_the_url(autojump_clock: object) -> None:
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("app.example").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)

    async def secured(stream: trio.abc.Stream) -> None:
        tls = trio.SSLStream(stream, server_context, server_side=True, https_compatible=True)
        await answering(status(200))(tls)

    async with network(secured) as net:
        webhooks = client(net, ssl_context=client_context)
        await webhooks.start(session_call("https://app.example"), delivered=Delivered())
        other = partial(
            webhooks.start, session_call("https://other.example"), delivered=Delivered()
        )
        error = await failure(other)
    assert net.dialled[0] == ("app.example", 443)
    assert (error.failure, error.delivered) == (WebhookFailure.REFUSED, False)
    assert "certificate" in str(error)


async def test_a_peer_without_tls_is_refused(autojump_clock: object) -> None:
    async def plain(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(status(400))

    async with network(plain) as net:
        call = partial(
            client(net).start, session_call("https://app.example"), delivered=Delivered()
        )
        error = await failure(call)
    assert (error.failure, error.delivered) == (WebhookFailure.REFUSED, False)


async def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    async with network(answering(status(200))) as net:
        await client(net).start(session_call(), delivered=Delivered())
    assert net.dialled == [("app.example", 7010)]


async def test_delivered_that_raises_ends_the_call(autojump_clock: object) -> None:
    def broken() -> None:
        raise LookupError("a bug of the caller")

    async with network(answering(status(200))) as net:
        with pytest.raises(LookupError):
            await client(net).start(session_call(), delivered=broken)


@pytest.mark.real_sockets
async def test_over_real_sockets() -> None:
    seen: list[tuple[h11.Request, bytes]] = []
    delivered = Delivered()
    webhooks = HttpWebhooks(allow_private_networks=True, connect_s=5, read_s=5)
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    async with trio.open_nursery() as nursery, listener:
        handler = answering(status(200), seen=seen)
        nursery.start_soon(trio.serve_listeners, handler, [listener])
        await webhooks.start(session_call(url), delivered=delivered)
        nursery.cancel_scope.cancel()
    assert len(seen) == len(delivered.times) == 1
    error = await failure(partial(webhooks.start, session_call(url), delivered=delivered))
    assert (error.failure, error.delivered) == (WebhookFailure.REFUSED, False)
    public_only = HttpWebhooks(allow_private_networks=False, connect_s=5, read_s=5)
    error = await failure(partial(public_only.start, session_call(url), delivered=delivered))
    assert error.failure is WebhookFailure.BLOCKED
    assert len(delivered.times) == 1
