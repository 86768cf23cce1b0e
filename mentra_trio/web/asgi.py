"""The ASGI application: all routes, the attempt prefix, and errors as JSON."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..domain.errors import StoreFailed
from . import (
    admin_routes,
    client_routes,
    console,
    device_routes,
    journal_stream,
    messaging_routes,
    openapi,
    photo_routes,
    place_routes,
    probes,
    registration_routes,
    sdk_routes,
    settings_routes,
    small_routes,
    storage_routes,
    stream_files,
    token_routes,
    tool_routes,
    transcript_routes,
    voice_routes,
    websocket_paths,
)
from .aliases import Aliases
from .answers import Problem
from .services import Services as Services
from .services import services_of

_ATTEMPT: Final = re.compile(r"/s/[A-Za-z0-9_-]{1,128}(?=/)")
_SAFE_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def make_app(services: Services) -> Starlette:
    """The application that answers every plain request to a server with these services."""
    app = Starlette(
        routes=[
            *probes.ROUTES,
            *websocket_paths.ROUTES,
            *sdk_routes.ROUTES,
            *storage_routes.ROUTES,
            *token_routes.ROUTES,
            *small_routes.ROUTES,
            *registration_routes.ROUTES,
            *voice_routes.ROUTES,
            *messaging_routes.ROUTES,
            *client_routes.ROUTES,
            *device_routes.ROUTES,
            *settings_routes.ROUTES,
            *tool_routes.ROUTES,
            *place_routes.ROUTES,
            *transcript_routes.ROUTES,
            *photo_routes.ROUTES,
            *stream_files.ROUTES,
            *admin_routes.ROUTES,
            *journal_stream.ROUTES,
            *console.ROUTES,
            *openapi.ROUTES,
        ],
        middleware=[Middleware(AttemptPrefix), Middleware(Aliases), Middleware(SafeHeaders)],
        exception_handlers={
            HTTPException: _http_error,
            StoreFailed: _store_failed,
            Exception: _crash,
        },
    )
    app.router.redirect_slashes = False
    app.state.services = services
    return app


class AttemptPrefix:
    """Serves ``/s/<token>/x`` as ``/x``: the SDK derives its REST URLs from a WebSocket URL that
    may carry a start attempt's token (protocol.md 1.7)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and (found := _ATTEMPT.match(scope["path"])) is not None:
            scope = {**scope, "root_path": scope.get("root_path", "") + found[0]}
        await self._app(scope, receive, send)


class SafeHeaders:
    """Adds the headers that keep browsers from making more of an answer than it is; and counts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                safe = [header for header in _SAFE_HEADERS if header[0] not in said]
                message = {**message, "headers": [*message["headers"], *safe]}
                scope["app"].state.services.answers[message["status"]] += 1
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code)
    problem = Problem(status=error.status_code, code=phrase.name, message=phrase.phrase)
    answer = problem.answer()
    answer.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["allow"] = ", ".join(_methods_of(request))
    return answer


def _methods_of(request: Request) -> list[str]:
    """All methods of the path: there may be a route for each, and Starlette names the first's."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)


async def _store_failed(request: Request, error: Exception) -> Response:
    return Problem(
        status=503, code="STORE_FAILED", message="the store could not do that; nothing was changed"
    ).answer()


async def _crash(request: Request, error: Exception) -> Response:
    """The peer learns that something broke, and nothing else; the port reports the rest."""
    problem = Problem(status=500, code="INTERNAL_ERROR", message="an error inside the server")
    answer = problem.answer()
    answer.raw_headers.extend(_SAFE_HEADERS)  # this is outside of the middleware
    services_of(request).answers[answer.status_code] += 1
    return answer
