"""The web console: three static files that ask the admin routes, with the token typed in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .identity import foreign_name
from .services import services_of

_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"index.html": "text/html", "console.css": "text/css", "console.js": "text/javascript"}
)
_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "cache-control": "no-cache",
    }
)


async def _file(name: str, request: Request) -> Response:
    if (problem := foreign_name(request, services_of(request))) is not None:
        return problem.answer()
    content = files(__package__).joinpath("static", name).read_bytes()
    return Response(content, headers=dict(_HEADERS), media_type=_TYPES[name])


async def _to_folder(request: Request) -> Response:
    return RedirectResponse("console/", 307)


ROUTES: Final = (
    Route("/console", _to_folder),
    Route("/console/", partial(_file, "index.html")),
    *(Route(f"/console/{name}", partial(_file, name)) for name in _TYPES),
)
