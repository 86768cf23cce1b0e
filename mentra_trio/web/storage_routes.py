"""Simple storage: texts that an app keeps for a user (protocol.md 1.4, 6.11).

An answer of 200 means that the change is on disk. To say a change again is to say it once.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from starlette.requests import Request
from starlette.responses import Response

from ..domain.apps import key_matches
from ..domain.errors import DecodeError, StorageFull
from ..domain.ids import PackageName, UserId, user_id
from ..domain.simple_storage import CALLS_MAX, checked_entries, checked_value
from .answers import Json, Problem, bad_request, read_object
from .identity import Endpoint, bearer
from .segments import SegmentRoute
from .services import services_of

StorageEndpoint = Callable[[Request, UserId, PackageName], Awaitable[Response]]

BODY_BYTES_MAX: Final = 8_388_608
"""1 MB of characters may be some more bytes of JSON."""

_WRONG_KEY: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message="no such app has that API key",
    fix="send 'Authorization: Bearer <package name>:<API key>'",
)
_BAD_USER: Final = bad_request("a user id is 1 to 1,024 printable characters")
_NO_KEY: Final = Problem(status=404, code="KEY_NOT_FOUND", message="Key not found")
_TOO_OFTEN: Final = Problem(
    status=429,
    code="TOO_MANY_REQUESTS",
    message=f"an app may ask {CALLS_MAX} times a minute for each user",
)


def for_storage(endpoint: StorageEndpoint) -> Endpoint:
    """``endpoint``, called with the user and the app that the request is about.

    Before that the app must prove itself (401, in the same time for an unknown app and a wrong
    key), name a user (400), and not have asked too often (429). Only an app that has proved
    itself is counted: nobody else can use up what it is allowed.
    """

    async def guarded(request: Request) -> Response:
        services = services_of(request)
        package, _, key = bearer(request).partition(":")  # a key may have a colon in it
        registration = await services.catalog.get(package)
        matches = key_matches(key, registration)
        if registration is None or not matches:
            return _refused(_WRONG_KEY, error="Unauthorized")
        try:
            user = user_id(request.path_params["userId"])
        except ValueError:
            return _refused(_BAD_USER)
        wait_s = services.storage_calls.wait((user, registration.package), trio.current_time())
        if wait_s > 0:
            answer = _refused(_TOO_OFTEN)
            answer.headers["retry-after"] = str(math.ceil(wait_s))
            return answer
        return await endpoint(request, user, registration.package)

    return guarded


def _refused(problem: Problem, error: str | None = None) -> Json:
    """``problem``, with ``error`` as the MentraOS cloud has it (protocol.md 1.4)."""
    return problem.answer(error=error or problem.message)


@for_storage
async def get_all(request: Request, user: UserId, package: PackageName) -> Response:
    """Everything that the app keeps for the user."""
    return Json({"success": True, "data": await _kept(request, user, package)})


@for_storage
async def merge(request: Request, user: UserId, package: PackageName) -> Response:
    """Keep the entries in ``data`` too, in place of those with the same keys."""
    body = await read_object(request, BODY_BYTES_MAX)
    if isinstance(body, Problem):
        return _refused(body)
    try:
        entries = checked_entries(body.get("data"))
    except DecodeError as error:
        return _refused(bad_request(str(error)))
    return await _put(request, user, package, entries)


@for_storage
async def clear(request: Request, user: UserId, package: PackageName) -> Response:
    """Forget everything that the app keeps for the user."""
    await services_of(request).store.drop_simple_storage(user, package)
    return Json({"success": True, "message": "Storage cleared"})


@for_storage
async def get_one(request: Request, user: UserId, package: PackageName) -> Response:
    """What is kept under one key."""
    value = (await _kept(request, user, package)).get(request.path_params["key"])
    if value is None:
        return _refused(_NO_KEY)
    return Json({"success": True, "data": {"value": value}})


@for_storage
async def put_one(request: Request, user: UserId, package: PackageName) -> Response:
    """Keep ``value`` under one key."""
    key, body = request.path_params["key"], await read_object(request, BODY_BYTES_MAX)
    if isinstance(body, Problem):
        return _refused(body)
    try:
        value = checked_value(key, body.get("value"), "$.value")
    except DecodeError as error:
        return _refused(bad_request(str(error)))
    return await _put(request, user, package, {key: value})


@for_storage
async def drop_one(request: Request, user: UserId, package: PackageName) -> Response:
    """Forget one key; also where nothing was kept under it."""
    key = request.path_params["key"]
    await services_of(request).store.drop_simple_storage(user, package, key)
    return Json({"success": True, "message": "Key deleted"})


async def _kept(request: Request, user: UserId, package: PackageName) -> dict[str, str]:
    return dict(await services_of(request).store.simple_storage(user, package))


async def _put(
    request: Request, user: UserId, package: PackageName, entries: dict[str, str]
) -> Response:
    try:
        await services_of(request).store.put_simple_storage(user, package, entries)
    except StorageFull as full:
        return _refused(Problem(status=413, code="TOO_LARGE", message=str(full)))
    return Json({"success": True, "message": "Storage updated"})


ALL: Final = "/api/sdk/simple-storage/{userId}"
ONE: Final = ALL + "/{key}"

ROUTES: Final = (
    SegmentRoute(ALL, get_all),
    SegmentRoute(ALL, merge, methods=["PUT"]),
    SegmentRoute(ALL, clear, methods=["DELETE"]),
    SegmentRoute(ONE, get_one),
    SegmentRoute(ONE, put_one, methods=["PUT"]),
    SegmentRoute(ONE, drop_one, methods=["DELETE"]),
)
