"""Routes that phones call with their user's core token (protocol.md 1.6)."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Literal

from ..settings_routes import SETTINGS
from .operation import Access, Exact, Open, Operation, Told, Yes, asked_by


class AppOutcome(Exact):
    """What came of a command."""

    status: str
    package_name: str
    app_state: str


class AppCommanded(Exact):
    """See ``AppOutcome``."""

    success: Yes
    data: AppOutcome


class AppPermission(Exact):
    """What an app may ask for, and what for."""

    type: str
    description: str


class ListedApp(Open):
    """An app, and how it is for the user."""

    package_name: str
    name: str
    public_url: str
    type: str
    permissions: list[AppPermission]
    running: bool
    healthy: bool
    app_state: str


class ListedApps(Exact):
    """The user's apps."""

    success: Yes
    data: list[ListedApp]


class AllSettings(Exact):
    """The user's MentraOS settings, under the names that apps know."""

    success: Yes
    data: dict[str, Any]


class OneSetting(Exact):
    """One of them."""

    key: str
    value: Any


class TheSetting(Exact):
    """See ``OneSetting``."""

    success: Yes
    data: OneSetting


class NewValue(Open):
    """What a setting is to be."""

    value: Any


class SupabaseToken(Open):
    """A token of the Supabase project that the server belongs to."""

    supabase_token: str


class CoreToken(Exact):
    """What opens the routes and the WebSocket for phones."""

    core_token: str


class PageOf(Open):
    """Of which app a page is to be opened."""

    package_name: str


class PageToken(Exact):
    """A token to open the page with."""

    success: Yes
    token: str


class ToHash(Open):
    """The server's own address, or the user's own id."""

    string_to_hash: str
    package_name: str


class Hashed(Exact):
    """SHA-256 in hex."""

    success: Yes
    hash: str


class GivenFeedback(Open):
    """What the user has to say: a text, or an object."""

    feedback: str | dict[str, Any]


class AudioFormat(Open):
    """In which format the phone will send audio; not all that there are can be taken."""

    format: Literal["pcm", "lc3"]


class AudioTaken(Exact):
    """The format that is understood."""

    success: Yes
    format: str


_user = partial(asked_by, Access.USER)

OPERATIONS: Final = (
    _user(
        "POST",
        "/apps/{packageName}/start",
        "Start an app, and say what came of it",
        AppCommanded,
        errors=(409, 500),
    ),
    _user("POST", "/apps/{packageName}/stop", "Stop an app", AppCommanded, errors=(409,)),
    _user("GET", "/api/client/apps", "The user's apps, and how they are", ListedApps),
    _user("POST", "/api/store/install/{packageName}", "Have an app among the user's", Told),
    _user("POST", "/api/store/uninstall/{packageName}", "Stop an app, and have it no more", Told),
    _user("GET", SETTINGS, "The user's MentraOS settings", AllSettings),
    *(
        _user(method, SETTINGS, "Change some of them", AllSettings, body=dict[str, Any])
        for method in ("PUT", "POST")
    ),
    _user("GET", SETTINGS + "/key/{key}", "One of them", TheSetting),
    *(
        _user(method, SETTINGS + "/key/{key}", "Change one of them", AllSettings, body=NewValue)
        for method in ("PUT", "POST")
    ),
    _user("POST", "/api/client/feedback", "Tell the operator something", Told, body=GivenFeedback),
    _user(
        "POST",
        "/api/client/audio/configure",
        "In which format audio will come",
        AudioTaken,
        body=AudioFormat,
    ),
    Operation(
        method="POST",
        path="/auth/exchange-token",
        summary="A core token for a token of the Supabase project",
        body=SupabaseToken,
        answer=CoreToken,
        errors=(401,),
    ),
    _user(
        "POST",
        "/auth/generate-webview-token",
        "A token that the app exchanges for the user's id: for 60 s, once",
        PageToken,
        body=PageOf,
        errors=(404,),
    ),
    _user(
        "POST",
        "/auth/generate-webview-signed-user-token",
        "A signed token that says who the user is: for 10 minutes",
        PageToken,
        body=PageOf,
        errors=(404,),
    ),
    _user(
        "POST",
        "/auth/hash-with-api-key",
        "The checksum by which the app's server knows this server",
        Hashed,
        body=ToHash,
        errors=(403, 404),
    ),
)
