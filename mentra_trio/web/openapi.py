"""The OpenAPI document: every route, made of the descriptions in ``described``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .aliases import ALIASES
from .answers import Json
from .described import for_apps, for_everybody, for_operators, for_phones, of_devices
from .described.operation import REFUSALS, SCHEMES, Access, Operation, Query, Refusal
from .services import services_of

OPERATIONS: Final[Mapping[str, tuple[Operation, ...]]] = MappingProxyType(
    {
        "everybody": for_everybody.OPERATIONS,
        "phones": for_phones.OPERATIONS,
        "devices": of_devices.OPERATIONS,
        "apps": for_apps.OPERATIONS,
        "operators": for_operators.OPERATIONS,
    }
)
"""All of them, by who calls them."""

PARAMETERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "packageName": "of an app, such as com.example.captions",
        "userId": "of a user, percent-encoded",
        "key": "percent-encoded",
        "registrationId": "as 'mentra-trio apps show' tells it",
        "correlationId": "as the request had it",
        "appSessionId": "of a user's app",
        "stream": "from the URL that viewers were given",
        "file": "as a playlist names it",
    }
)
_NAME: Final = re.compile(r"\{(\w+)\}")
_REFERENCE: Final = "#/components/schemas/{name}"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


async def openapi(request: Request) -> Response:
    """The document."""
    return Json(document(services_of(request).version))


@cache
def document(version: str) -> Mapping[str, Any]:
    """The document of a server of that version; nobody may change it."""
    described = list(_all())
    types = dict.fromkeys(
        kind for _, one in described for kind in (one.body, one.answer) if kind is not None
    )
    schemas, components = msgspec.json.schema_components([Refusal, *types], ref_template=_REFERENCE)
    schema_of = dict(zip([Refusal, *types], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for tag, one in described:
        for path in names_of(one.path):
            described_here = _operation(one, path, tag, schema_of)
            paths.setdefault(path, {})[one.method.lower()] = described_here
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": _DIALECT,
        "info": {
            "title": "mentra-trio",
            "version": version,
            "description": "Every path is there under /s/{token} as well: see the documentation.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": f"Called by {tag}"} for tag in OPERATIONS],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": dict(_schemes())},
    }


def names_of(path: str) -> list[str]:
    """``path``, and its other names."""
    aliases = [
        alias + path.removeprefix(canonical)
        for alias, canonical in ALIASES
        if path.startswith(canonical)
    ]
    return [path, *aliases]


def _all() -> Iterator[tuple[str, Operation]]:
    for tag, operations in OPERATIONS.items():
        for operation in operations:
            yield tag, operation


def _schemes() -> Iterator[tuple[str, dict[str, str]]]:
    for access, about in SCHEMES.items():
        yield access.value, {"type": "http", "scheme": "bearer", "description": about}


def _operation(one: Operation, path: str, tag: str, schema_of: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", one.method.lower() + path),
        "summary": one.summary,
        "tags": [tag],
        "parameters": [
            *(_path_parameter(name) for name in _NAME.findall(path)),
            *(_query_parameter(query) for query in one.query),
        ],
        "responses": dict(_responses(one, schema_of)),
        "security": [
            {access.value: []}
            for access in (one.access, *one.also)
            if access is not Access.EVERYBODY
        ],
    }
    if one.body is not None:
        content = {"application/json": {"schema": schema_of[one.body]}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": PARAMETERS[name],
        "schema": {"type": "string", "minLength": 1},
    }


def _query_parameter(query: Query) -> dict[str, Any]:
    return {
        "name": query.name,
        "in": "query",
        "required": query.required,
        "description": query.about,
        "schema": msgspec.json.schema(query.kind),
    }


def _responses(one: Operation, schema_of: dict[Any, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    refusal = {"application/json": {"schema": schema_of[Refusal]}}
    for status in one.statuses:
        answer: dict[str, Any] = {"description": "as wished"}
        if one.media:
            schema = schema_of[one.answer] if one.answer is not None else {"type": "string"}
            kinds = (one.media, *one.more_media)
            answer["content"] = {media: {"schema": schema} for media in kinds}
        yield str(status), answer
    if one.passes_on:
        passed_on: dict[str, Any] = {"application/json": {"schema": {}}}
        yield "default", {"description": "as the app answered", "content": passed_on}
    for status in one.refusals:
        yield str(status), {"description": REFUSALS[status], "content": refusal}


ROUTES: Final = (Route("/openapi.json", openapi),)
