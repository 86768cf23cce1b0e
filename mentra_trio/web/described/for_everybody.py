"""Routes that want no token: is it alive, which versions are there, what is public of an app."""

from __future__ import annotations

from typing import Any, Final

from ..websocket_paths import PATHS
from .operation import Exact, Operation, Query, Yes


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
    Operation(
        method="GET",
        path="/openapi.json",
        summary="This document",
        answer=dict[str, Any],
    ),
    Operation(
        method="GET",
        path="/.well-known/jwks.json",
        summary="The public key of signed user tokens",
        answer=KeySet,
    ),
    Operation(
        method="GET", path="/api/sdk/version", summary="The newest app SDK", answer=SdkVersion
    ),
    Operation(
        method="GET",
        path="/api/client/min-version",
        summary="Which versions of the phone's app are served",
        answer=ClientVersion,
    ),
    Operation(
        method="GET",
        path="/apps/version",
        summary="The version of this server",
        answer=ServerVersion,
    ),
    Operation(
        method="GET",
        path="/api/instructions",
        summary="Instructions for a user: there are none here",
        query=(Query(name="userId", about="whose"),),
        answer=Instructions,
    ),
    Operation(
        method="GET",
        path="/api/public/permissions/{packageName}",
        summary="What an app declares that it needs",
        answer=DeclaredPermissions,
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
        errors=(400, 413, 502, 503),
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
