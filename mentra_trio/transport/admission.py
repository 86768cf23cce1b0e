"""Who is this? Every WebSocket is asked here, before a session gets to see it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from typing import Any, Final

import attrs
import msgspec

from ..domain.errors import TokenError
from ..domain.facts import ConnectionRefused
from ..domain.frame_counts import FrameCounts
from ..domain.ids import UserId
from ..domain.timings import Limits
from ..environment import Environment
from ..ports import Store, Telemetry
from ..sessions.directory import Directory
from ..wire.tokens import verify_core_token
from .app_admission import AppAdmission
from .upgrade import Upgrade

GLASSES: Final = "glasses"
APP: Final = "app"
ENDPOINTS: Final[Mapping[str, str]] = {
    "/glasses-ws": GLASSES,
    "/ws/client": GLASSES,
    "/app-ws": APP,
    "/ws/miniapp": APP,
}
"""The canonical paths and their aliases (protocol.md 1.1)."""
_ATTEMPT: Final = re.compile(r"/s/(?P<token>[A-Za-z0-9_-]{1,128})(?P<path>/.*)")


def frame_counts() -> Mapping[str, FrameCounts]:
    """Fresh counts of messages for each endpoint."""
    return {GLASSES: FrameCounts(), APP: FrameCounts()}


def split_attempt(path: str) -> tuple[str | None, str]:
    """The token of a per-attempt URL, and the path without it (protocol.md 1.7)."""
    found = _ATTEMPT.fullmatch(path)
    return (found["token"], found["path"]) if found else (None, path)


@attrs.define(eq=False)
class Admission:
    """Answers upgrades: lends the link to the session it belongs to, or refuses it."""

    directory: Directory
    store: Store
    jwt_secret: str
    limits: Limits
    telemetry: Telemetry
    environment: Environment
    frames: Mapping[str, FrameCounts] = attrs.field(factory=frame_counts)

    def __call__(self, upgrade: Upgrade) -> Awaitable[None]:
        """Serve one WebSocket to its end, by awaiting what is returned."""
        token, path = split_attempt(upgrade.path)
        match ENDPOINTS.get(path):
            case "glasses":
                return self._glasses(upgrade)
            case "app":
                return self._app_admission(upgrade, token).admit()
            case _:
                return upgrade.reject(404, not_found(path))

    def _app_admission(self, upgrade: Upgrade, token: str | None) -> AppAdmission:
        return AppAdmission(
            upgrade=upgrade,
            token=token,
            frames=self.frames[APP],
            directory=self.directory,
            store=self.store,
            jwt_secret=self.jwt_secret,
            telemetry=self.telemetry,
            environment=self.environment,
        )

    async def _glasses(self, upgrade: Upgrade) -> None:
        try:
            user = self._user_of(upgrade)
        except TokenError as error:
            await self._refuse_glasses(upgrade, str(error))
            return
        upgrade.forget()
        async with upgrade.accept(self.frames[GLASSES]) as link:
            await link.close(await self.directory.serve_glasses(user, link))

    def _user_of(self, upgrade: Upgrade) -> UserId:
        token = core_token(upgrade) or ""
        return verify_core_token(token, self.jwt_secret, now=self.environment.utcnow())

    async def _refuse_glasses(self, upgrade: Upgrade, problem: str) -> None:
        self.telemetry.emit(ConnectionRefused(endpoint=GLASSES, peer=upgrade.peer, problem=problem))
        body = {
            "type": "connection_error",
            "message": problem,
            "timestamp": self.environment.timestamp(),
            "why": "glasses are let in with a core token that this server has signed",
            "fix": "make one with: mentra-trio token USER, with this server's --data-dir",
        }
        await upgrade.reject(401, msgspec.json.encode(body))


def core_token(upgrade: Upgrade) -> str | None:
    """The phone's token: second word of ``Authorization``, else the query's (protocol.md 1.2)."""
    words = upgrade.headers.get("authorization", "").split()
    return words[1] if len(words) > 1 else upgrade.query("token")


def not_found(path: str) -> bytes:
    """The body of a 404."""
    body: dict[str, Any] = {
        "success": False,
        "code": "NOT_FOUND",
        "message": "there is no WebSocket here",
        "fix": "connect to " + " or ".join(ENDPOINTS),
    }
    return msgspec.json.encode(body)
