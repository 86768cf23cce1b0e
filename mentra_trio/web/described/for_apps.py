"""Routes that app servers call, with the SDK or without (protocol.md 1.4; seed 004)."""

from __future__ import annotations

from typing import Any, Final

from .operation import Access, Exact, Open, Operation, Told, Yes


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
STORAGE_REFUSALS: Final = (400, 429)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path=STORAGE,
        summary="Everything that the app keeps for the user",
        access=Access.NAMED_APP,
        answer=Kept,
        errors=STORAGE_REFUSALS,
    ),
    Operation(
        method="PUT",
        path=STORAGE,
        summary="Keep these entries too",
        access=Access.NAMED_APP,
        body=Entries,
        answer=Told,
        errors=STORAGE_REFUSALS,
    ),
    Operation(
        method="DELETE",
        path=STORAGE,
        summary="Forget everything that the app keeps for the user",
        access=Access.NAMED_APP,
        answer=Told,
        errors=STORAGE_REFUSALS,
    ),
    Operation(
        method="GET",
        path=STORAGE + "/{key}",
        summary="What is kept under one key",
        access=Access.NAMED_APP,
        answer=KeptOne,
        errors=STORAGE_REFUSALS,
    ),
    Operation(
        method="PUT",
        path=STORAGE + "/{key}",
        summary="Keep a text under one key",
        access=Access.NAMED_APP,
        body=Entry,
        answer=Told,
        errors=STORAGE_REFUSALS,
    ),
    Operation(
        method="DELETE",
        path=STORAGE + "/{key}",
        summary="Forget what is kept under one key",
        access=Access.NAMED_APP,
        answer=Told,
        errors=STORAGE_REFUSALS,
    ),
    Operation(
        method="POST",
        path="/auth/exchange-user-token",
        summary="Whose is the temporary token with which a page was opened?",
        access=Access.APP,
        body=TemporaryToken,
        answer=WhoseToken,
    ),
    Operation(
        method="GET",
        path="/appsettings/user/{packageName}",
        summary="The user's settings of the app, while the user has it",
        access=Access.SESSION,
        answer=OwnSettings,
    ),
    Operation(
        method="POST",
        path="/api/app-communication/discover-users",
        summary="Other users who have the same app",
        access=Access.APP,
        body=Discovery,
        answer=Discovered,
        errors=(404,),
    ),
    Operation(
        method="GET",
        path="/api/registrations/{registrationId}",
        summary="The app's own registration, and the sessions that it has",
        access=Access.APP,
        answer=RegistrationOfApp,
    ),
    Operation(
        method="POST",
        path="/api/registrations/{registrationId}/restarted",
        summary="The app server was restarted: bring its sessions back",
        access=Access.APP,
        answer=Recovered,
    ),
)
