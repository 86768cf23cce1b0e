"""Routes by which phones tell of the device and its surroundings, and what is asked of apps
through the cloud (protocol.md 1.4, 1.6)."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from .operation import Access, Done, Open, Query, Stamped, Yes, asked_by


class GlassesInfo(Open):
    """What is known of the glasses; only what changed need be sent (protocol.md 6.10)."""

    connected: bool | None = None
    model_name: str | None = None
    wifi_connected: bool | None = None
    wifi_ssid: str | None = None
    battery_level: float | None = None
    charging: bool | None = None


class AppliedState(Open):
    """What the server takes for true now."""

    is_glasses_connected: bool
    is_phone_connected: bool
    model_name: str | None
    capabilities: dict[str, Any] | None


class AppliedDeviceState(Open):
    """See ``AppliedState``."""

    success: Yes
    applied_state: AppliedState
    timestamp: str


class Position(Open):
    """A place on earth."""

    lat: float
    lng: float
    accuracy: float | None = None
    timestamp: str | float | None = None


class PositionOfPhone(Open):
    """Where the phone is."""

    location: Position


class CalendarEvents(Open):
    """What is in the calendar."""

    events: list[dict[str, Any]]


class Notification(Open):
    """A notification of the phone."""

    notification_id: str
    app: str = ""
    title: str = ""
    content: str = ""
    priority: str = ""


class DismissedNotification(Notification):
    """One that the user has dismissed."""

    notification_key: str = ""


class PhotoResponse(Open):
    """What became of a photo that an app asked for."""

    request_id: str


class DateTime(Open):
    """What time it is for a user."""

    user_id: str
    datetime: str


class DateTimeSet(Open):
    """See ``DateTime``."""

    success: Yes
    user_id: str
    datetime: str


class ButtonPress(Open):
    """A button of the glasses was pressed."""

    button_id: str
    press_type: str


class Transcript(Open):
    """What was said."""

    language: str
    segments: list[dict[str, Any]]


class ToolCall(Open):
    """What an app is to do."""

    tool_id: str
    user_id: str
    tool_parameters: dict[str, Any] | None = None


class AppSetting(Open):
    """One setting of an app."""

    key: str
    value: Any


class AppSettings(Open):
    """The settings of an app, and what else is known of it."""

    success: Yes
    settings: list[dict[str, Any]]


_user = partial(asked_by, Access.USER)

_SESSION: Final = (409,)
"""There is no session to which it could be told."""

OPERATIONS: Final = (
    _user(
        "POST",
        "/api/client/device/state",
        "What has changed about the glasses",
        AppliedDeviceState,
        body=GlassesInfo,
        errors=_SESSION,
    ),
    _user(
        "POST",
        "/api/client/location",
        "Where the phone is",
        Stamped,
        body=PositionOfPhone,
        errors=_SESSION,
    ),
    _user(
        "POST",
        "/api/client/location/poll-response/{correlationId}",
        "Where the phone is, because an app asked",
        Stamped,
        body=PositionOfPhone,
        errors=_SESSION,
    ),
    _user(
        "POST",
        "/api/client/calendar",
        "What is in the calendar",
        Stamped,
        body=CalendarEvents,
        errors=_SESSION,
    ),
    _user(
        "POST",
        "/api/client/notifications",
        "A notification of the phone",
        Done,
        body=Notification,
        errors=_SESSION,
    ),
    _user(
        "POST",
        "/api/client/notifications/dismissed",
        "A notification was dismissed",
        Done,
        body=DismissedNotification,
        errors=_SESSION,
    ),
    _user(
        "POST",
        "/api/client/photo/response",
        "What became of a photo",
        Done,
        body=PhotoResponse,
        errors=_SESSION,
    ),
    _user(
        "POST",
        "/api/user-data/set-datetime",
        "What time it is for the user",
        DateTimeSet,
        body=DateTime,
        errors=(403, 404),
    ),
    _user(
        "POST",
        "/api/hardware/button-press",
        "A button of the glasses was pressed",
        Done,
        body=ButtonPress,
        errors=_SESSION,
    ),
    _user(
        "GET",
        "/appsettings/{packageName}",
        "The user's settings of an app, and the app",
        AppSettings,
    ),
    _user(
        "POST",
        "/appsettings/{packageName}",
        "Change the user's settings of an app",
        Done,
        body=list[AppSetting] | AppSetting,
    ),
    asked_by(
        Access.USER,
        "GET",
        "/api/transcripts/{appSessionId}",
        "What was said lately; no token is wanted under the URL that the app was given",
        Transcript,
        also=(Access.APP, Access.NAMED_APP),
        query=(
            Query(name="duration", about="the last so many seconds", kind=float),
            Query(name="startTime", about="from this moment on"),
            Query(name="endTime", about="until this moment"),
            Query(name="language", about="en-US if not given"),
        ),
        errors=(400, 403),
    ),
    _user(
        "GET",
        "/api/tools/users/{userId}/tools",
        "The tools of all apps of a user",
        list[dict[str, Any]],
        also=(Access.OPERATOR,),
    ),
    _user(
        "GET",
        "/api/tools/apps/{packageName}/tools",
        "The tools of an app",
        list[dict[str, Any]],
        also=(Access.OPERATOR, Access.NAMED_APP),
    ),
    _user(
        "POST",
        "/api/tools/apps/{packageName}/tool",
        "Have an app do something: its answer is passed on as it is",
        Any,
        body=ToolCall,
        also=(Access.OPERATOR, Access.NAMED_APP),
        errors=(429, 502, 504),
        passes_on=True,
    ),
)
