"""Routes that want no token: is it alive, which versions are there, what is public of an app."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from ..websocket_paths import PATHS
from .operation import Access, Exact, Operation, Query, Yes, asked_by


class Status(Exact):
    """That the server is there."""

    status: str
    timestamp: str
    version: str


class Latest(Exact):
    """A version."""

    latest: str


class SdkVersion(Exact):
    """The newest SDK that the server is known to serve."""

    success: Yes
    data: Latest


class ClientVersions(Exact):
    """The oldest version of the phone's app that is served, and the one that is wished for."""

    required: str
    recommended: str


class ClientVersion(Exact):
    """See ``ClientVersions``."""

    success: Yes
    data: ClientVersions


class ServerVersion(Exact):
    """The version of this server."""

    success: Yes
    version: str


class Instructions(Exact):
    """Instructions for a user; this server has none."""

    success: Yes
    instructions: str | None


class DeclaredPermission(Exact, rename={"id_": "_id"}):
    """One permission that an app declares."""

    type: str
    description: str
    id_: str


class DeclaredPermissions(Exact):
    """What an app declares."""

    package_name: str
    permissions: list[DeclaredPermission]


class KeySet(Exact):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]]


_asked = partial(asked_by, Access.EVERYBODY)

OPERATIONS: Final = (
    *(
        Operation(method="GET", path=path, summary="Is it alive?", answer=Status)
        for path in ("/", "/health", "/livez")
    ),
    Operation(
        method="GET",
        path="/readyz",
        summary="Does it take new work? 503 while it is ending",
        answer=Status,
        statuses=(200, 503),
    ),
    Operation(
        method="GET", path="/metrics", summary="What it counts, for Prometheus", media="text/plain"
    ),
    _asked("GET", "/openapi.json", "This document", dict[str, Any]),
    _asked("GET", "/.well-known/jwks.json", "The public key of signed user tokens", KeySet),
    _asked("GET", "/api/sdk/version", "The newest app SDK", SdkVersion),
    _asked(
        "GET",
        "/api/client/min-version",
        "Which versions of the phone's app are served",
        ClientVersion,
    ),
    _asked("GET", "/apps/version", "The version of this server", ServerVersion),
    _asked(
        "GET",
        "/api/instructions",
        "Instructions for a user: there are none here",
        Instructions,
        query=(Query(name="userId", about="whose"),),
    ),
    _asked(
        "GET",
        "/api/public/permissions/{packageName}",
        "What an app declares that it needs",
        DeclaredPermissions,
    ),
    Operation(
        method="GET",
        path="/streams/{stream}/{file}",
        summary="A playlist or a piece of a managed stream that is open",
        media="application/vnd.apple.mpegurl",
        more_media=("application/dash+xml", "video/iso.segment"),
        errors=(404,),
    ),
    Operation(
        method="GET",
        path="/api/tts",
        summary="A text, spoken",
        query=(
            Query(name="text", about="what is to be spoken", required=True),
            Query(name="voice_id", about="by whom"),
            Query(name="model_id", about="by which model"),
            Query(name="voice_settings", about="a JSON object"),
        ),
        media="audio/mpeg",
        errors=(400, 503),
    ),
    *(
        Operation(
            method="GET",
            path=path,
            summary="A WebSocket: a plain request is told to upgrade",
            statuses=(),
            errors=(426,),
        )
        for path in PATHS
    ),
)
