"""Routes with the admin token, and the console that asks them."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from ..admin_routes import APPS, FEEDBACK, PAGE, PAGE_MAX, USERS, NewApp
from .operation import Access, Done, Exact, Operation, Query, Yes, asked_by


class AppOfUser(Exact):
    """An app session."""

    package_name: str
    state: str
    app_state: str
    since: str
    cause: str
    subscriptions: list[str]
    epoch: int
    attempt: int
    next_attempt_at: str | None
    outbox: int
    give_up_at: str | None
    last_seen: str | None


class UserSession(Exact):
    """A user session and its apps."""

    user_id: str
    state: str
    since: str
    connected: bool
    last_seen: str | None
    apps: list[AppOfUser]


class UserSessions(Exact):
    """One page of user sessions, and after whom the next begins."""

    users: list[UserSession]
    next: str | None


class JournalOfUser(Exact):
    """Facts, newest last; each has a moment and a name, and what belongs to it."""

    facts: list[dict[str, Any]]


class Why(Exact):
    """Why an app is as it is, for people."""

    lines: list[str]


class Started(Exact):
    """It runs."""

    success: Yes


class Stopped(Exact):
    """It does not run; ``stopped`` tells whether it did."""

    success: Yes
    stopped: bool


class Registration(Exact):
    """A registration; of the key nothing is shown."""

    registration_id: str
    package_name: str
    url: str
    webhook_url: str
    server_urls: list[str]
    allowed_networks: list[str]
    name: str
    type: str
    permissions: list[str]
    permission_descriptions: dict[str, str]
    settings: list[dict[str, Any]]
    hardware_requirements: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    description: str
    version: str


class Registrations(Exact):
    """All registrations."""

    apps: list[Registration]


class Added(Registration):
    """A registration, and its key, if that was made or given just now."""

    api_key: str | None


class AppServerState(Exact):
    """How an app server is."""

    breaker: str
    waiting: int
    canary: bool
    failures: int
    sign: str = ""
    since: str | None = None
    next_canary_at: str | None = None


class RegistrationAndState(Registration):
    """A registration, and how its server is."""

    endpoint: AppServerState


class FeedbackOfUser(Exact):
    """What a user has to say."""

    user_id: str
    at: str
    text: str


class FeedbackOfUsers(Exact):
    """What users have to say, newest last."""

    feedback: list[FeedbackOfUser]


_ONE: Final = USERS + "/{userId}"
_APP: Final = _ONE + "/apps/{packageName}"
_LIMIT: Final = Query(name="limit", about=f"1 to {PAGE_MAX}; {PAGE} if not given", kind=int)


_admin = partial(asked_by, Access.OPERATOR)

OPERATIONS: Final = (
    _admin(
        "GET",
        USERS,
        "The user sessions, by user id",
        UserSessions,
        query=(_LIMIT, Query(name="after", about="those behind this user id")),
        errors=(400,),
    ),
    _admin("GET", _ONE, "One user session", UserSession),
    _admin(
        "GET",
        _ONE + "/journal",
        "The latest facts of a user",
        JournalOfUser,
        query=(_LIMIT,),
        errors=(400,),
    ),
    _admin("GET", _APP + "/why", "Why an app is as it is", Why),
    _admin("POST", _APP + "/start", "Start an app", Started, errors=(500,)),
    _admin("POST", _APP + "/retry", "Bring an app back at once", Started, errors=(500,)),
    _admin("POST", _APP + "/stop", "Stop an app", Stopped),
    _admin(
        "GET", FEEDBACK, "What users have to say", FeedbackOfUsers, query=(_LIMIT,), errors=(400,)
    ),
    _admin("GET", APPS, "All registrations", Registrations),
    _admin("POST", APPS, "Register an app server", Added, body=NewApp, statuses=(201,)),
    _admin("GET", APPS + "/{packageName}", "One registration", RegistrationAndState),
    _admin("DELETE", APPS + "/{packageName}", "Forget a registration", Done),
    _admin(
        "GET",
        "/api/admin/journal",
        "What happens, as it happens: Server-Sent Events until the server ends",
        None,
        media="text/event-stream",
        query=(Query(name="user", about="only of this user"),),
        errors=(400,),
    ),
    Operation(
        method="GET",
        path="/console",
        summary="To the console",
        statuses=(307,),
        media="",
    ),
    *(
        Operation(
            method="GET",
            path=f"/console/{name}",
            summary="The web console, which asks for the admin token",
            media=media,
            errors=(421,),
        )
        for name, media in (
            ("", "text/html"),
            ("index.html", "text/html"),
            ("console.css", "text/css"),
            ("console.js", "text/javascript"),
        )
    ),
)
