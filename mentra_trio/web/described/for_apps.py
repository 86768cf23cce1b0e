"""Routes that app servers call, with the SDK or without (protocol.md 1.4; seed 004)."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from .operation import Access, Exact, Open, Told, Yes, asked_by


class Entries(Exact):
    """Texts by key, to be kept beside those that are kept already."""

    data: dict[str, str]


class Entry(Exact):
    """One text."""

    value: str


class Kept(Exact):
    """Everything that an app keeps for a user."""

    success: Yes
    data: dict[str, str]


class KeptOne(Exact):
    """What is kept under one key."""

    success: Yes
    data: Entry


class TemporaryToken(Open, rename={"temporary": "aos_temp_token", "package_name": "packageName"}):
    """A token with which a page of an app was opened."""

    temporary: str
    package_name: str


class WhoseToken(Exact):
    """Whose token it was."""

    success: Yes
    user_id: str


class OwnSettings(Exact):
    """The settings of an app as a user has them."""

    success: Yes
    settings: list[dict[str, Any]]


class Discovery(Open):
    """Who asks for others."""

    package_name: str
    user_id: str
    include_user_profiles: bool = False


class Discovered(Open):
    """Other users of the same app."""

    users: list[dict[str, Any]]
    total_users: int
    timestamp: str


class RegistrationOfApp(Exact):
    """A registration as its app sees it."""

    success: Yes
    registration_id: str
    package_name: str
    webhook_url: str
    server_urls: list[str]
    active_sessions: list[str]


class Recovered(Exact):
    """How many sessions run again by now."""

    success: Yes
    recovered: int


STORAGE: Final = "/api/sdk/simple-storage/{userId}"
_stored = partial(asked_by, Access.NAMED_APP, errors=(400, 429))
_asked = partial(asked_by, Access.APP)

OPERATIONS: Final = (
    _stored("GET", STORAGE, "Everything that the app keeps for the user", Kept),
    _stored("PUT", STORAGE, "Keep these entries too", Told, body=Entries),
    _stored("DELETE", STORAGE, "Forget everything that the app keeps for the user", Told),
    _stored("GET", STORAGE + "/{key}", "What is kept under one key", KeptOne),
    _stored("PUT", STORAGE + "/{key}", "Keep a text under one key", Told, body=Entry),
    _stored("DELETE", STORAGE + "/{key}", "Forget what is kept under one key", Told),
    _asked(
        "POST",
        "/auth/exchange-user-token",
        "Whose is the temporary token with which a page was opened?",
        WhoseToken,
        body=TemporaryToken,
    ),
    _asked(
        "POST",
        "/api/app-communication/discover-users",
        "Other users who have the same app",
        Discovered,
        body=Discovery,
        errors=(404,),
    ),
    _asked(
        "GET",
        "/api/registrations/{registrationId}",
        "The app's own registration, and the sessions that it has",
        RegistrationOfApp,
    ),
    _asked(
        "POST",
        "/api/registrations/{registrationId}/restarted",
        "The app server was restarted: bring its sessions back",
        Recovered,
    ),
    asked_by(
        Access.SESSION,
        "GET",
        "/appsettings/user/{packageName}",
        "The user's settings of the app, while the user has it",
        OwnSettings,
    ),
)
