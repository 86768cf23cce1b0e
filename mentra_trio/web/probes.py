"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import HEADERS, Json
from .services import services_of


async def alive(request: Request) -> Response:
    """200 as long as the event loop runs."""
    return _status(request, "ok", 200)


async def ready(request: Request) -> Response:
    """200 while new work is taken, 503 while draining."""
    if services_of(request).draining():
        return _status(request, "draining", 503)
    return _status(request, "ok", 200)


async def metrics(request: Request) -> Response:
    """The counters, in Prometheus' text format."""
    return Response(
        services_of(request).metrics(), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


def _status(request: Request, status: str, code: int) -> Response:
    services = services_of(request)
    body = {
        "status": status,
        "timestamp": services.environment.timestamp(),
        "version": services.version,
    }
    return Json(body, code, HEADERS.get(code))


ROUTES: Final = (
    Route("/", alive),
    Route("/health", alive),
    Route("/livez", alive),
    Route("/readyz", ready),
    Route("/metrics", metrics),
)
