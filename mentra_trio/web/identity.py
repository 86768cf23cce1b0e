"""Who asks: a phone's user by core token, or an operator by the admin token.

Nothing here is ambient: there are no cookies, and no route trusts where a request comes from. So
a page of somebody else's in a browser on this machine can reach the port, but not use it.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from ..domain.apps import AppRegistration, key_matches
from ..domain.errors import TokenError
from ..domain.ids import UserId
from ..wire.tokens import verify_core_token
from .answers import Problem
from .services import Services, services_of

Endpoint = Callable[[Request], Awaitable[Response]]
UserEndpoint = Callable[[Request, UserId], Awaitable[Response]]

_ADMIN_ONLY: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message="the admin token is missing or wrong",
    fix="send 'Authorization: Bearer <admin token>'; it is in the data folder, in admin-token",
)
_UNKNOWN_HOST: Final = Problem(
    status=421,
    code="UNKNOWN_HOST",
    message="this server does not go by that name",
    why="operators' pages are not served under names that anybody could have made up",
    fix="set server.public_url to the address you use, or use the IP address",
)


def bearer(request: Request) -> str:
    """The token in ``Authorization: Bearer``; empty where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def verified_user(services: Services, token: str) -> UserId:
    """The user of a core token.

    Raises:
        TokenError: as ``verify_core_token``.
    """
    return verify_core_token(token, services.jwt_secret, now=services.environment.utcnow())


def core_user(services: Services, token: str) -> UserId | None:
    """The user of a core token; ``None`` if it is none."""
    try:
        return verified_user(services, token)
    except TokenError:
        return None


def is_admin(services: Services, token: str) -> bool:
    """Whether ``token`` is the operators', compared in constant time."""
    expected = services.admin_token.encode()
    return bool(expected) and hmac.compare_digest(token.encode(), expected)


def names_and_proves(registration: AppRegistration | None, presented: str) -> bool:
    """Whether ``presented`` is ``<package name>:<API key>`` of the app; a key may have a colon.

    An unknown app (``None``) takes the same path and the same time as a wrong key.
    """
    package, _, key = presented.partition(":")
    matches = key_matches(key, registration)
    return matches and registration is not None and package == registration.package


def presents_key_of(registration: AppRegistration | None, presented: str) -> bool:
    """Whether ``presented`` is the app's key, alone or after the package name.

    Both are always compared.
    """
    alone, named = key_matches(presented, registration), names_and_proves(registration, presented)
    return alone or named


def for_user(endpoint: UserEndpoint) -> Endpoint:
    """``endpoint``, called with the user whose core token the request carries; else 401."""

    async def guarded(request: Request) -> Response:
        services = services_of(request)
        try:
            user = verified_user(services, bearer(request))
        except TokenError as error:
            return Problem(status=401, code="UNAUTHORIZED", message=str(error)).answer()
        return await endpoint(request, user)

    return guarded


def for_admin(endpoint: Endpoint) -> Endpoint:
    """``endpoint``, for requests with the admin token, under a name that is ours; else 401."""

    async def guarded(request: Request) -> Response:
        services = services_of(request)
        if (problem := foreign_name(request, services)) is not None:
            return problem.answer()
        if not is_admin(services, bearer(request)):
            return _ADMIN_ONLY.answer()
        return await endpoint(request)

    return guarded


def foreign_name(request: Request, services: Services) -> Problem | None:
    """Why the name by which an operator's page was asked for is not accepted.

    A page of a stranger may have its own domain resolve to this machine (DNS rebinding). It has
    no token; but the console asks people for theirs, so it must not appear under such a name.
    Addresses, local names without a dot, and the names in ``Services.hosts`` are ours.
    """
    try:
        host = urlsplit("//" + request.headers.get("host", "")).hostname or ""
        if host in services.hosts or "." not in host.rstrip(".") or host.endswith(".localhost"):
            return None
        ipaddress.ip_address(host)
    except ValueError:  # no address, or, with half a bracket, nothing at all
        return _UNKNOWN_HOST
    return None
