"""Every exception of the package, in one place and as one picture.

MentraTrioError
 ├─ ConfigError          a setting or a command line is wrong; the text is one line for a person
 ├─ DecodeError          a frame is not a message we know how to read; names the path
 ├─ TokenError           a JWT is missing, expired, or not ours
 ├─ LinkClosed           the peer is gone, or we closed it; expected, never logged as an error
 ├─ InitRefused          an app's init is not accepted; carries the wire code and the close
 ├─ WebhookFailed        an app server could not be called, or said no
 ├─ LiveStreamFailed     the streaming engine could not do what was asked
 ├─ StoreFailed          the store could not do what was asked
 ├─ SettingRefused       a setting, or a state, has a value that it cannot have; names the path
 ├─ StorageFull          an app would keep more for a user than the bound allows
 ├─ VoiceFailed          a text could not be said
 ├─ TranscriberFailed    speech cannot be recognised now: no engine, no more of them, or a fault
 ├─ UpdatesOverflow      more subscription updates wait than the bound allows
 ├─ TooManyCalls         as many calls to app servers are under way as the bound allows
 ├─ UnknownApp           no app is registered under that package name
 └─ SessionEnded         the session ended before the operation could complete

IllegalTransition (an AssertionError): our own code asked for a transition that the table lacks.
"""

from __future__ import annotations

import enum

from .close_reasons import CloseReason


class MentraTrioError(Exception):
    """Root of everything the package raises on purpose."""


class ConfigError(MentraTrioError):
    """A setting or a command line is wrong. ``str(error)`` is one line for a person."""


class DecodeError(MentraTrioError):
    """A frame is not a message we can read.

    ``problem`` ends in the JSON path of the offending value, such as ``$.layout.text``.
    The frame itself is never part of the text: it may carry secrets.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class TokenError(MentraTrioError):
    """A JWT is missing, malformed, expired, or not signed by us."""


class LinkClosed(MentraTrioError):
    """The link is over. Expected; never logged as an error."""

    def __init__(self, reason: CloseReason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class InitRefused(MentraTrioError):
    """An app's connection is not accepted.

    ``code`` and ``message`` go into ``tpa_connection_error`` (protocol.md 2.5), ``close`` ends
    the socket. ``code`` is empty where only the close is sent.
    """

    def __init__(self, code: str, message: str, close: CloseReason) -> None:
        super().__init__(f"{code or 'closed'}: {message}")
        self.code = code
        self.message = message
        self.close = close


class WebhookFailure(enum.Enum):
    """Why a call to an app server failed, classed by what it says about the server."""

    REFUSED = "refused"
    """No connection: refused, reset, TLS failure, unreachable. The call was not delivered."""
    UNRESOLVED = "unresolved"
    """The host name does not resolve."""
    BLOCKED = "blocked"
    """The address is private and private networks are not allowed."""
    TIMEOUT = "timeout"
    """Connected, or being connected, but no answer in time."""
    UNAVAILABLE = "unavailable"
    """502, 503 or 504, or the connection broke before the answer: it may come back."""
    GONE = "gone"
    """404 or 410: nothing there answers webhooks."""
    MISCONFIGURED = "misconfigured"
    """Any other 4xx: something answers, but it is not an app that knows this call."""
    ERROR = "error"
    """Any other status: the app answered and said that it failed."""


class WebhookFailed(MentraTrioError):
    """An app server could not be called, or said no.

    ``delivered`` is true when the request had been written completely: then it must not be
    repeated (protocol.md 2.2).
    """

    def __init__(self, failure: WebhookFailure, message: str, *, delivered: bool) -> None:
        super().__init__(message)
        self.failure = failure
        self.delivered = delivered


class LiveStreamFailed(MentraTrioError):
    """The streaming engine could not do what was asked. The text names the hop, as apps see it."""


class StoreFailed(MentraTrioError):
    """The store could not do what was asked; nothing was changed."""


class SettingRefused(MentraTrioError):
    """A setting, or a state of the glasses, has a value that it cannot have.

    ``path`` is the JSON path of the value, such as ``$[0].value``; the value is not in the text.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} {problem}")
        self.path = path


class StorageFull(MentraTrioError):
    """An app would keep more for a user than the bound allows; nothing was changed."""


class VoiceFailed(MentraTrioError):
    """A text could not be said. ``str(error)`` is one line for a person, without the text."""


class TranscriberFailed(MentraTrioError):
    """Speech cannot be recognised now. ``str(error)`` is for a person, without what was said."""


class UpdatesOverflow(MentraTrioError):
    """More subscription updates of one app wait than the bound allows."""


class TooManyCalls(MentraTrioError):
    """As many calls to app servers are under way for a user as the bound allows."""


class UnknownApp(MentraTrioError):
    """No app is registered under that package name."""


class SessionEnded(MentraTrioError):
    """The session ended before the operation could complete."""


class IllegalTransition(AssertionError):
    """Our code asked for a transition the table does not have: a bug, never an input error."""
