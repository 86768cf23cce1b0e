"""Who else uses an app now: what its server asks with its API key (protocol.md 1.4, 6.12)."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.apps import key_matches
from ..domain.ids import PackageName, UserId, user_id
from ..environment import wire_time
from ..sessions.neighbours import Neighbour
from .answers import Json, Problem, bad_request, read_object
from .identity import bearer
from .services import services_of

USERS_LISTED_MAX: Final = 1_000
"""So many users are listed, those who came first; ``totalUsers`` counts all."""

_NOT_YOURS: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message="no app of that name has that API key",
    fix="send 'Authorization: Bearer <API key>', and the app's packageName in the body",
)
_INCOMPLETE: Final = bad_request("the body must have packageName and userId, as texts")
_NO_SESSION: Final = Problem(
    status=404, code="NO_SESSION", message="that user does not have the app running"
)


@attrs.frozen
class _Question:
    package: PackageName
    user: str
    with_profiles: bool


async def discover_users(request: Request) -> Response:
    """The other users who have the app running; with what is known of them only if asked."""
    presented = bearer(request)
    if not presented:
        return _NOT_YOURS.answer()
    body = await read_object(request)
    question = body if isinstance(body, Problem) else _question(body)
    if isinstance(question, Problem):
        return question.answer()
    services = services_of(request)
    if not key_matches(presented, await services.catalog.get(question.package)):
        return _NOT_YOURS.answer()
    neighbours = services.directory.surroundings.neighbours.of(question.package)
    caller = _canonical(question.user)
    if caller is None or caller not in neighbours:
        return _NO_SESSION.answer()
    others = [(user, one) for user, one in neighbours.items() if user != caller]
    listed = islice(others, USERS_LISTED_MAX)
    return Json(
        {
            "users": [_shown(user, one, question.with_profiles) for user, one in listed],
            "totalUsers": len(others),
            "timestamp": services.environment.timestamp(),
        }
    )


def _question(body: dict[str, Any]) -> _Question | Problem:
    package, user = body.get("packageName"), body.get("userId")
    if not isinstance(package, str) or not isinstance(user, str) or not package or not user:
        return _INCOMPLETE
    return _Question(PackageName(package), user, body.get("includeUserProfiles") is True)


def _canonical(user: str) -> UserId | None:
    try:
        return user_id(user)
    except ValueError:
        return None


def _shown(user: UserId, neighbour: Neighbour, with_profile: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "userId": user,
        "sessionId": neighbour.app.session_id,
        "joinedAt": wire_time(neighbour.came),
    }
    if with_profile:
        shown["userProfile"] = {"userId": user}  # more is not known here
    return shown


ROUTES: Final = (Route("/api/app-communication/discover-users", discover_users, methods=["POST"]),)
