"""Tokens for phones and for the pages of apps (protocol.md 1.4, 1.6)."""

from __future__ import annotations

from typing import Any, Final

import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.apps import AppRegistration, key_matches
from ..domain.errors import TokenError
from ..domain.ids import UserId
from ..domain.timings import CORE_TOKEN_S
from ..wire.tokens import INVALID_SUPABASE, mint_core_token, verify_supabase_token
from ..wire.user_tokens import hash_with_key, key_set, mint_user_token
from .answers import Json, Problem, app_not_found, bad_request, read_object
from .identity import bearer, for_user
from .services import services_of

_NO_TOKEN: Final = bad_request("No token provided")
_INVALID: Final = Problem(status=401, code="UNAUTHORIZED", message=INVALID_SUPABASE)
_NO_SUPABASE: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message=INVALID_SUPABASE,
    why="this server belongs to no Supabase project",
    fix="set MENTRA_TRIO_SUPABASE_JWT_SECRET, or make core tokens with: mentra-trio token USER",
)
_WRONG_KEY: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message="no app of that package name has that API key",
    fix="send 'Authorization: Bearer <API key>', and the app's own name as 'packageName'",
)
_VOID: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message="Invalid or expired token",
    why="a token is good for 60 s, for one exchange, and for the app it was made for",
)
_NOT_OURS: Final = Problem(
    status=403,
    code="FORBIDDEN",
    message="only this server's own address is hashed",
    why="with the hash of another address, or of another user's id, one could pass for others",
    fix="set server.public_url to the address that phones use, and hash that",
)


async def exchange_token(request: Request) -> Response:
    """A core token for whoever a Supabase project has let in."""
    body = await read_object(request)
    if isinstance(body, Problem):
        return _refused(body)
    token, services = body.get("supabaseToken"), services_of(request)
    if not isinstance(token, str) or not token:
        return _refused(_NO_TOKEN)
    if services.supabase_jwt_secret is None:
        return _refused(_NO_SUPABASE)
    now = services.environment.utcnow()
    try:
        user = verify_supabase_token(token, services.supabase_jwt_secret, now=now)
    except TokenError:
        return _refused(_INVALID)
    return Json(
        {"coreToken": mint_core_token(user, services.jwt_secret, now=now, ttl_s=CORE_TOKEN_S)}
    )


@for_user
async def temporary_token(request: Request, user: UserId) -> Response:
    """A token that the app can exchange for the user's id: within 60 s, once."""
    app = await _app(request, await read_object(request))
    if isinstance(app, Problem):
        return _refused(app)
    services = services_of(request)
    token = services.environment.new_token()
    services.temporary_tokens.issue(token, user, app.package, trio.current_time())
    return Json({"success": True, "token": token})


@for_user
async def signed_user_token(request: Request, user: UserId) -> Response:
    """A token that tells the app, and everybody else, who the user is: for 10 minutes."""
    app = await _app(request, await read_object(request))
    if isinstance(app, Problem):
        return _refused(app)
    services = services_of(request)
    token = mint_user_token(user, app, services.user_token_key(), now=services.environment.utcnow())
    return Json({"success": True, "token": token})


@for_user
async def hash_with_api_key(request: Request, user: UserId) -> Response:
    """The hash by which the app's server believes that an address is that of its cloud.

    Only addresses of this server are hashed, and the user's own id. With the hash of another
    user's id one is that user for the app's server, and with the hash of another address one has
    that server send its API key there: the MentraOS cloud hashes anything, for anybody.
    """
    body = await read_object(request)
    app = await _app(request, body)
    if isinstance(app, Problem) or isinstance(body, Problem):
        return _refused(app if isinstance(app, Problem) else _NO_TOKEN)
    text = body.get("stringToHash")
    if not isinstance(text, str) or not text:
        missing = "stringToHash and packageName are required"
        return _refused(bad_request(missing))
    if text != user and text.removesuffix("/") not in services_of(request).addresses:
        return _refused(_NOT_OURS)
    return Json({"success": True, "hash": hash_with_key(text, app)})


async def exchange_user_token(request: Request) -> Response:
    """The user whose temporary token an app presents, with its API key.

    A wrong key, or another app, leaves the token as it is.
    """
    body = await read_object(request)
    if isinstance(body, Problem):
        return _refused(body)
    token, package = body.get("aos_temp_token"), body.get("packageName")
    if not isinstance(token, str) or not isinstance(package, str):
        missing = "aos_temp_token and packageName are required"
        return _refused(bad_request(missing))
    services = services_of(request)
    registration = await services.catalog.get(package)
    matches = key_matches(bearer(request), registration)
    if registration is None or not matches:
        return _refused(_WRONG_KEY)
    now = trio.current_time()
    user = services.temporary_tokens.exchange(token, registration.package, now)
    if user is None:
        return _refused(_VOID)
    return Json({"success": True, "userId": user})


async def keys(request: Request) -> Response:
    """The public key of signed user tokens, as a JSON Web Key Set."""
    return Json(key_set(services_of(request).user_token_key()))


async def _app(request: Request, body: dict[str, Any] | Problem) -> AppRegistration | Problem:
    """The app that ``packageName`` in ``body`` names."""
    if isinstance(body, Problem):
        return body
    package = body.get("packageName")
    if not isinstance(package, str) or not package:
        return bad_request("packageName is required")
    found = await services_of(request).catalog.get(package)
    return found if found is not None else app_not_found(package)


def _refused(problem: Problem) -> Json:
    """``problem``, with ``error`` for those who look there (protocol.md 1.6)."""
    return problem.answer(error=problem.message)


ROUTES: Final = (
    Route("/auth/exchange-token", exchange_token, methods=["POST"]),
    Route("/auth/generate-webview-token", temporary_token, methods=["POST"]),
    Route("/auth/generate-webview-signed-user-token", signed_user_token, methods=["POST"]),
    Route("/auth/hash-with-api-key", hash_with_api_key, methods=["POST"]),
    Route("/auth/exchange-user-token", exchange_user_token, methods=["POST"]),
    Route("/.well-known/jwks.json", keys),
)
