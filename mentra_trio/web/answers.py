"""Answers in JSON, good and bad, in one shape each; and bodies read with a bound."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, Final

import attrs
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..domain.errors import SettingRefused
from ..domain.nesting import DEPTH_MAX, is_too_deep

BODY_BYTES_MAX: Final = 1_048_576

HEADERS: Final[Mapping[int, Mapping[str, str]]] = MappingProxyType(
    {
        401: {"www-authenticate": "Bearer"},
        429: {"retry-after": "1"},
        503: {"retry-after": "1"},
    }
)
"""What is said along with a status: how to be let in, and when to try again, in seconds."""


class Json(Response):
    """A response with a JSON body, which nobody may keep: there may be tokens in it, and what was
    true a moment ago."""

    media_type = "application/json"

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code, {"cache-control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """``content`` as JSON."""
        return msgspec.json.encode(content)


@attrs.frozen(kw_only=True)
class Problem:
    """Why a request is not answered as wished: for programs a code, for people the rest."""

    status: int
    code: str
    message: str
    why: str | None = None
    fix: str | None = None

    def answer(self, **more: Any) -> Json:
        """The response that says so; ``more`` are further fields of its body."""
        body = {"success": False, "code": self.code, "message": self.message, **more}
        if self.why is not None:
            body["why"] = self.why
        if self.fix is not None:
            body["fix"] = self.fix
        return Json(body, self.status, HEADERS.get(self.status))


def bad_request(message: str) -> Problem:
    """Something in the request cannot be."""
    return Problem(status=400, code="BAD_REQUEST", message=message)


def app_not_found(package: str) -> Problem:
    """No such app is registered."""
    return Problem(
        status=404,
        code="APP_NOT_FOUND",
        message="App not found",
        why=f"no app is registered as {package[:255]!r}",
        fix="register it: mentra-trio apps add PACKAGE --url URL",
    )


NO_SESSION: Final = Problem(
    status=409,
    code="NO_SESSION",
    message="Session not found",
    why="the user's glasses are not, and were not just, connected",
    fix="connect the glasses first",
)


def refused(error: SettingRefused) -> Problem:
    """A value in the body cannot be; the message begins with its path."""
    return bad_request(str(error))


async def read_object(
    request: Request, bytes_max: int = BODY_BYTES_MAX
) -> dict[str, Any] | Problem:
    """The request's body as a JSON object of at most ``bytes_max`` bytes."""
    content = await read_json(request, bytes_max)
    if isinstance(content, dict | Problem):
        return content
    return bad_request("the body must be a JSON object")


async def read_json(request: Request, bytes_max: int = BODY_BYTES_MAX) -> Any:
    """The request's body as JSON of at most ``bytes_max`` bytes, or a ``Problem``."""
    body = bytearray()
    async with aclosing(request.stream()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > bytes_max:
                above = f"the body is above {bytes_max >> 20} MiB"
                return Problem(status=413, code="TOO_LARGE", message=above)
    try:
        content = msgspec.json.decode(bytes(body))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return bad_request("the body must be JSON")
    if isinstance(content, dict | list) and is_too_deep(content):
        deep = f"the body is nested more than {DEPTH_MAX} deep"
        return bad_request(deep)
    return content
