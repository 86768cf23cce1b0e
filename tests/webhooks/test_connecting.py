"""Dialling: one look-up, every address checked, and the checked address is the one used."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio

from mentra_trio.domain.errors import WebhookFailed, WebhookFailure
from mentra_trio.webhooks.connecting import CheckedDial
from mentra_trio.webhooks.look_up import LookUp


class Resolver:
    """Answers with one list of addresses per look-up; the last one repeats.

    It knows them without asking anybody, so no thread is needed, for which virtual time would
    not wait.
    """

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *, type: int, flags: int = 0) -> list[Any]:  # noqa: A002
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [self._info(address, port) for address in found]

    def _info(self, address: str, port: Any) -> Any:
        if ":" in address:
            return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
        return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


class Sockets(trio.abc.SocketFactory):
    """Makes sockets that connect nowhere and remember where they were sent."""

    def __init__(self, *, accepting: str = "", silent: str = "") -> None:
        self.accepting, self.silent = accepting, silent
        self.connected: list[str] = []
        self.open = 0

    def socket(self, family: int = -1, type: int = -1, proto: int = -1) -> Any:  # noqa: A002
        self.open += 1
        return _Socket(self)


class _Socket(trio.socket.SocketType):
    def __init__(self, factory: Sockets) -> None:
        self.factory = factory

    @property
    def type(self) -> socket.SocketKind:
        return socket.SOCK_STREAM

    async def connect(self, address: Any) -> None:
        self.factory.connected.append(address[0])
        await trio.lowlevel.checkpoint()
        if address[0] == self.factory.silent:
            await trio.sleep_forever()
        if address[0] != self.factory.accepting:
            raise ConnectionRefusedError(111, "refused")

    def setsockopt(self, *args: Any) -> None:
        pass

    def getpeername(self) -> Any:
        return ("", 0)

    def close(self) -> None:
        self.factory.open -= 1


async def dial(resolver: Resolver, sockets: Sockets, host: str = "app.example", **k: Any) -> Any:
    trio.socket.set_custom_socket_factory(sockets)
    dial = CheckedDial(allow_private_networks=k.pop("private", False), look_up=LookUp(resolver))
    with trio.fail_after(k.pop("limit", 5)):
        return await dial(host, 443)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%2"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
    ],
)
async def test_a_private_address_is_never_connected_to(
    addresses: list[str], autojump_clock: object
) -> None:
    sockets = Sockets(accepting="127.0.0.1")
    with pytest.raises(WebhookFailed) as caught:
        await dial(Resolver(addresses), sockets)
    assert caught.value.failure is WebhookFailure.BLOCKED
    assert not caught.value.delivered
    assert sockets.connected == []


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "017700000001", "127.1"])
async def test_other_spellings_of_loopback_are_seen_through(host: str) -> None:
    trio.socket.set_custom_socket_factory(sockets := Sockets(accepting="127.0.0.1"))
    with pytest.raises(WebhookFailed) as caught:
        await CheckedDial(allow_private_networks=False)(host, 80)
    assert caught.value.failure is WebhookFailure.BLOCKED
    assert sockets.connected == []


async def test_a_name_that_changes_its_address_gains_nothing(autojump_clock: object) -> None:
    resolver = Resolver(["93.184.216.34"], ["127.0.0.1"])
    sockets = Sockets(accepting="93.184.216.34")
    await dial(resolver, sockets)
    assert len(resolver.asked) == 1
    assert sockets.connected == ["93.184.216.34"]


async def test_private_addresses_are_used_where_allowed(autojump_clock: object) -> None:
    sockets = Sockets(accepting="10.0.0.7")
    await dial(Resolver(["10.0.0.7"]), sockets, private=True)
    assert sockets.connected == ["10.0.0.7"]


async def test_the_next_address_is_tried(autojump_clock: object) -> None:
    sockets = Sockets(accepting="93.184.216.34", silent="2606:4700::1111")
    await dial(Resolver(["2606:4700::1111", "1.1.1.1", "93.184.216.34"]), sockets)
    assert sockets.connected == ["2606:4700::1111", "1.1.1.1", "93.184.216.34"]
    assert trio.current_time() == pytest.approx(5 / 3)
    assert sockets.open == 1


async def test_when_nobody_accepts_it_is_refused_and_nothing_stays_open(
    autojump_clock: object,
) -> None:
    sockets = Sockets()
    with pytest.raises(WebhookFailed) as caught:
        await dial(Resolver(["93.184.216.34", "1.1.1.1"]), sockets)
    assert caught.value.failure is WebhookFailure.REFUSED
    assert "refused" in str(caught.value)
    assert sockets.open == 0


@pytest.mark.parametrize("host", ["app.example", "x" * 64 + ".example"])
async def test_a_name_that_does_not_resolve(host: str) -> None:
    with pytest.raises(WebhookFailed) as caught:
        await dial(Resolver([]), Sockets(), host)
    assert caught.value.failure is WebhookFailure.UNRESOLVED
