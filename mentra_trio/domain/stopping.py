"""What an app session does at its end, by cause."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from .close_reasons import APP_STOPPED, CRASHED, RESTARTING, USER_SESSION_ENDED, CloseReason
from .lifecycle import StopCause


@attrs.frozen(kw_only=True)
class Farewell:
    """How the others are told that an app session is over.

    Attributes:
        close: how the app's link is closed.
        say_stopped: whether ``app_stopped`` goes to the app before the close.
        call_webhook: whether the app server gets a stop webhook. Only where somebody wanted the
            stop: the author's ``onStop`` must not run because of us.
    """

    close: CloseReason
    say_stopped: bool = True
    call_webhook: bool = False


FAREWELLS: Final[Mapping[StopCause, Farewell]] = MappingProxyType(
    {
        StopCause.USER: Farewell(close=APP_STOPPED, call_webhook=True),
        StopCause.FOREGROUND: Farewell(close=APP_STOPPED, call_webhook=True),
        StopCause.HARDWARE: Farewell(close=APP_STOPPED, call_webhook=True),
        StopCause.REMOVED: Farewell(close=APP_STOPPED, call_webhook=True),
        StopCause.START_FAILED: Farewell(close=APP_STOPPED),
        # 1008 and not 1000: the SDK then runs the author's onStop once (protocol.md 2.8).
        StopCause.USER_SESSION_ENDED: Farewell(close=USER_SESSION_ENDED),
        # The app shall come back, to us or to our successor.
        StopCause.SERVER_CLOSING: Farewell(close=RESTARTING, say_stopped=False),
        # The app did nothing wrong: it shall come back to the session that takes this one's place.
        StopCause.CRASHED: Farewell(close=CRASHED, say_stopped=False),
    }
)
