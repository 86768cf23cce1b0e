"""What the phone says over HTTP of where and when its user is, and of what comes in there.

The same as over its WebSocket, with the same effect (protocol.md 1.6, 6.8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.errors import DecodeError, SessionEnded, TokenError
from ..domain.ids import UserId, user_id
from ..domain.location import is_on_earth
from ..sessions.phone import phone_writes
from .answers import NO_SESSION, Json, Problem, bad_request, read_object
from .identity import Endpoint, bearer, for_user, verified_user
from .segments import SegmentRoute
from .services import Services, services_of

EVENTS_MAX: Final = 1_000
"""Of a calendar, in one request."""

_NO_CLOCK: Final = attrs.evolve(NO_SESSION, status=404)  # so the protocol has it (protocol.md 1.6)


@for_user
async def location(request: Request, user: UserId) -> Response:
    """Where the user is; or the answer to one question for it."""
    body = await read_object(request)
    if isinstance(body, Problem):
        return body.answer()
    place = body.get("location", body)
    if not isinstance(place, dict) or not _is_place(place):
        return bad_request("'location' must have 'lat' and 'lng', in degrees").answer()
    message = {**place, "type": "location_update"}
    message.pop("correlationId", None)
    if (name := request.path_params.get("correlation_id")) is not None:
        message["correlationId"] = name
    return _hand_on(services_of(request), user, [message])


def _is_place(place: Mapping[str, Any]) -> bool:
    match place.get("lat"), place.get("lng"):
        case (bool(), _) | (_, bool()):
            return False
        case int() | float() as lat, int() | float() as lng:
            return is_on_earth(lat, lng)
        case _:
            return False


@for_user
async def calendar(request: Request, user: UserId) -> Response:
    """Entries of the user's calendar, new or changed."""
    body = await read_object(request)
    if isinstance(body, Problem):
        return body.answer()
    events = body.get("events")
    if not isinstance(events, list) or not all(isinstance(one, dict) for one in events):
        return bad_request("'events' must be a list of objects").answer()
    if len(events) > EVENTS_MAX:
        return bad_request(f"'events' has more than {EVENTS_MAX:,} entries").answer()
    messages = [{**event, "type": "calendar_event"} for event in events]
    return _hand_on(services_of(request), user, messages)


def _relayed(message_type: str) -> Endpoint:
    """A route whose body is a message of that type, for the apps that subscribed to it."""

    @for_user
    async def relay(request: Request, user: UserId) -> Response:
        body = await read_object(request)
        if isinstance(body, Problem):
            return body.answer()
        return _hand_on(services_of(request), user, [{**body, "type": message_type}])

    return relay


def _hand_on(services: Services, user: UserId, messages: Sequence[Mapping[str, Any]]) -> Response:
    try:
        frames = [msgspec.json.encode(message).decode() for message in messages]
        phone_writes(services.directory, user, frames)
    except DecodeError as error:
        return bad_request(error.problem).answer()
    except SessionEnded:
        return NO_SESSION.answer()
    return Json({"success": True, "timestamp": services.environment.timestamp()})


async def set_datetime(request: Request) -> Response:
    """What time it is for the user. Phones send the core token in the body, or in the header."""
    services = services_of(request)
    body = await read_object(request)
    if isinstance(body, Problem):
        return body.answer(error=body.message)
    user = _user_of(services, bearer(request) or body.get("coreToken"), body.get("userId"))
    if isinstance(user, Problem):
        return user.answer(error=user.message)
    moment = body.get("datetime")
    try:
        services.directory.live(user).desk.time_told(moment if type(moment) is str else "")
    except ValueError as error:
        return bad_request(str(error)).answer(error=str(error))
    except SessionEnded:
        return _NO_CLOCK.answer(error=_NO_CLOCK.message)
    return Json({"success": True, "userId": user, "datetime": moment})


def _user_of(services: Services, token: object, named: object) -> UserId | Problem:
    """Whose token it is; it must be that of the user who is named, if one is."""
    try:
        user = verified_user(services, token if isinstance(token, str) else "")
    except TokenError as error:
        return Problem(status=401, code="UNAUTHORIZED", message=str(error))
    try:
        ours = named is None or user_id(str(named)) == user
    except ValueError:
        ours = False
    if not ours:
        return Problem(
            status=403, code="FORBIDDEN", message="the core token is not that of 'userId'"
        )
    return user


_LOCATION: Final = "/api/client/location"
_NOTIFICATIONS: Final = "/api/client/notifications"

ROUTES: Final = (
    Route(_LOCATION, location, methods=["POST"]),
    SegmentRoute(_LOCATION + "/poll-response/{correlation_id}", location, methods=["POST"]),
    Route("/api/client/calendar", calendar, methods=["POST"]),
    Route(_NOTIFICATIONS, _relayed("phone_notification"), methods=["POST"]),
    Route(
        _NOTIFICATIONS + "/dismissed", _relayed("phone_notification_dismissed"), methods=["POST"]
    ),
    Route("/api/user-data/set-datetime", set_datetime, methods=["POST"]),
)
