"""Every message of protocol.md section 3 is really said by one side, and heard by the other.

Whoever adds a type to a union adds a leg to the tour that says it, or a line to ``ELSEWHERE``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import tour_legs
import trio
from tour import EVICTED_S, LEGS, PATIENCE_S, open_tour
from trio.testing import MockClock
from wiretap import UNIONS, Kind, Wiretap, kinds_of, name_of

from mentra_trio.clients.questions import RequestFailed
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.wire import to_app, to_glasses

TESTS: Final = Path(__file__).parent
PACKAGE: Final = TESTS.parent / "mentra_trio"
SERVER: Final = ("sessions", "transport", "web", "server.py", "opening.py")
"""Where the server says something."""

NEVER: Final = "test_every_message.py::test_what_is_never_said_is_made_nowhere"

ELSEWHERE: Final[dict[Kind, str]] = {
    # for an app of SDK v3 whose user is away (appendix A)
    to_app.ReconnectDeferred: "transport/test_transport_reconnects.py"
    "::test_while_its_user_may_still_come_an_app_of_v3_is_parked",
    # the body of a 401, never a frame
    to_glasses.ConnectionError: "transport/test_transport_admission.py"
    "::test_glasses_without_a_good_token_get_401",
    # defined, but not to be sent: apps get photos by upload, and the rest is known to no peer
    to_app.PhotoResponse: NEVER,
    to_app.ConnectionError: NEVER,
    to_app.DashboardAlwaysOnChanged: NEVER,
    to_app.WebsocketError: NEVER,
    to_glasses.AuthError: NEVER,
    to_glasses.DashboardModeChange: NEVER,
    to_glasses.DashboardAlwaysOnChange: NEVER,
    to_glasses.LivekitInfo: NEVER,
    to_glasses.UdpPingAck: NEVER,
    to_glasses.Ping: NEVER,
    to_glasses.WebsocketError: NEVER,
}
"""What is not said on the tour, and the test that covers it."""

EVERY: Final = [kind for direction in UNIONS for kind in sorted(kinds_of(direction), key=name_of)]
ON_TOUR: Final = [kind for kind in EVERY if kind not in ELSEWHERE]


@pytest.fixture
def wiretap(monkeypatch: pytest.MonkeyPatch) -> Wiretap:
    tap = Wiretap()
    tap.apply(monkeypatch)
    return tap


async def test_a_tour_says_everything_that_can_be_said(
    wiretap: Wiretap, autojump_clock: MockClock
) -> None:
    async with open_tour() as tour:
        for leg in LEGS:
            with trio.fail_after(EVICTED_S):
                await leg(tour)
    for direction in UNIONS:
        expected = kinds_of(direction) - set(ELSEWHERE)
        assert set(map(name_of, wiretap.crossed & kinds_of(direction))) == set(
            map(name_of, expected)
        )


@pytest.mark.parametrize("kind", ON_TOUR, ids=name_of)
async def test_the_tour_notices_who_does_not_listen(
    kind: Kind, wiretap: Wiretap, autojump_clock: MockClock
) -> None:
    legs = [leg for leg, kinds in LEGS.items() if kind in kinds]
    assert legs, f"no leg says {name_of(kind)}"
    for leg in legs:
        noticed = False
        try:
            async with open_tour() as tour:
                wiretap.deaf_to = kind
                with trio.fail_after(PATIENCE_S):
                    await leg(tour)
        except* (AssertionError, LinkClosed, RequestFailed, trio.TooSlowError):
            noticed = True
        assert noticed, leg
        wiretap.deaf_to = None


def test_what_is_covered_elsewhere_is_covered() -> None:
    for kind, test in ELSEWHERE.items():
        assert kind in EVERY, f"{name_of(kind)} is in no union any more"
        path, _, name = test.partition("::")
        assert f"def {name}(" in (TESTS / path).read_text(), test


def test_every_leg_is_of_this_tour() -> None:
    assert {leg.__module__ for leg in LEGS} == {tour_legs.__name__}


def test_what_is_never_said_is_made_nowhere() -> None:
    never = {kind for kind, test in ELSEWHERE.items() if test == NEVER}
    files = [path for part in SERVER for path in sorted((PACKAGE / part).rglob("*.py"))]
    files += [PACKAGE / part for part in SERVER if part.endswith(".py")]
    made = {name for path in files for name in makes(ast.parse(path.read_text()))}
    assert f"{to_app.__name__}.TpaConnectionAck" in {f"mentra_trio.{name}" for name in made}
    assert not {f"{kind.__module__}.{kind.__name__}" for kind in never} & {
        f"mentra_trio.{name}" for name in made
    }


def makes(tree: ast.Module) -> Iterator[str]:
    """What of ``wire`` a module calls, such as ``wire.to_app.Pong``."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wire"):
            for one in node.names:
                names[one.asname or one.name] = f"{node.module}.{one.name}"
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in names:
                yield names[name]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)):
                if module in names:
                    yield f"{names[module]}.{name}"
