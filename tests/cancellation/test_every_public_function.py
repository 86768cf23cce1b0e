"""No public async function without a case that cancels it, or a reason why it has none."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
from every_moment import CANCELS
from public_functions import name_of, public_functions

FUNCTIONS: Final = public_functions()

PROTOCOL: Final = "a protocol: it has no body, and those who keep it are cancelled"
PROTOCOLS: Final = (
    "engines.",
    "ports.",
    "clients.app_webhook.AppServing.",
    "storage.writer.Runner.",
    "testing.certification.script.Step.",
    "testing.sdk_script.Step.",
    "testing.world.AppServers.",
)
BELOW: Final = "one line around the same function of the stream below, which is cancelled"

EXCEPTIONS: Final = {
    **dict.fromkeys(
        ("opening.listen", "opening.open_store", "opening.open_streams"),
        "a choice between what is cancelled elsewhere, and open_server is cancelled whole",
    ),
    **{name: PROTOCOL for name in FUNCTIONS if name.startswith(PROTOCOLS)},
    "clients.phone.Phone.send_text": "has no body: Glasses.send_text, which is cancelled, is one",
    "clients.noticing_stream.NoticingStream.wait_send_all_might_not_block": BELOW,
    "speech.pocketsphinx_engine.PocketSphinx.transcribe": "starts a process, which has no place in"
    " virtual time: it is cancelled in tests/end_to_end",
    "storage.writer.inline_runner": "waits for nothing: it opens and closes a file",
    "testing.certification.app_socket.Wire.wait_send_all_might_not_block": BELOW,
    "testing.conditions.Conditions.during": "waits for nothing: a fault is on, or it is not",
    "testing.machine.TrioMachine.world": "has no body: every machine has its own",
    "testing.machines.any_network.AnyNetwork.world": "opens a world, which is cancelled, and waits",
    "testing.processes.ServerProcess.kill": "tells of it, and is Process.kill, which is cancelled",
    "testing.trouble.BrokenSettings.app_settings": "is MemoryStore.app_settings, or an error",
    **dict.fromkeys(
        ("testing.links.MemoryLink.attend", "transport.stream_link.StreamLink.attend"),
        "one line around Loan.returned, which is cancelled",
    ),
    **dict.fromkeys(
        (
            "transport.socket_link.SocketLink.__aenter__",
            "transport.websocket_link.WebSocketLink.__aenter__",
        ),
        "waits for nothing: what can be sent at once is sent",
    ),
    "transport.websocket_link.WebSocketLink.attend": "has no body: each kind of link has its own",
    "transport.port.Port.until_quiet": "one line around Watched.until, which is cancelled",
    "transport.upgrade.read_upgrade": "the head is there already: it waits only for a body that"
    " an upgrade must not have, in HttpConnection.next_body_event, which is cancelled",
    "voice.espeak_voice.EspeakVoice.speak": "runs a process, in real time: it is cancelled in"
    " end_to_end/test_espeak_voice.py",
}


def cancelled() -> Iterator[str]:
    """What the tests of this folder say that they cancel, and are checked to."""
    for path in Path(__file__).parent.glob("test_cancelled_*.py"):
        for thing in vars(import_module(path.stem)).values():
            functions: Any = getattr(thing, "__dict__", {}).get(CANCELS, ())
            yield from map(name_of, functions)


CANCELLED: Final = frozenset(cancelled())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_is_cancelled_at_every_moment(name: str) -> None:
    assert name in CANCELLED or name in EXCEPTIONS, (
        f"write a case with @cancels for {name}, or say in EXCEPTIONS why it needs none"
    )


def test_the_exceptions_are_exceptions() -> None:
    assert not set(EXCEPTIONS) - set(FUNCTIONS), "no such function"
    assert not set(EXCEPTIONS) & CANCELLED, "is cancelled all the same"


def test_claims_name_public_functions() -> None:
    assert not CANCELLED - set(FUNCTIONS) - {"clients.inbox.Inbox.take"}
