"""The calls of a certification to the app server: its webhook, with the server's own client."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import attrs

from ...domain.errors import WebhookFailed
from ...domain.ids import PackageName
from ...ports import SessionCall, StopCall
from ...webhooks.client import HttpWebhooks
from .cast import Ground, Person, Portrait

CONNECT_S: Final = 5.0
ANSWER_S: Final = 60.0
"""How long an answer is awaited: an app answers when its own start is over."""


@attrs.define(eq=False)
class AppCalls:
    """Calls one app server; each method returns what it failed with, or ``None``."""

    ground: Ground
    portrait: Portrait

    @cached_property
    def _http(self) -> HttpWebhooks:
        return HttpWebhooks(
            allow_private_networks=True,
            connect_s=CONNECT_S,
            read_s=ANSWER_S,
            dial=self.ground.dial,
        )

    async def start(self, person: Person, websocket_url: str) -> WebhookFailed | None:
        """Ask for a session that connects to ``websocket_url``."""
        call = SessionCall(
            url=self.ground.url,
            user=person.user,
            package=PackageName(self.portrait.package),
            session_id=person.session_id,
            websocket_url=websocket_url,
            timestamp=self.ground.environment.timestamp(),
        )
        try:
            await self._http.start(call, delivered=_noted)
        except WebhookFailed as failed:
            return failed
        return None

    async def stop(self, person: Person, reason: str) -> WebhookFailed | None:
        """Say that the session is over."""
        call = StopCall(
            url=self.ground.url,
            user=person.user,
            package=PackageName(self.portrait.package),
            session_id=person.session_id,
            reason=reason,
            timestamp=self.ground.environment.timestamp(),
        )
        try:
            await self._http.stop(call)
        except WebhookFailed as failed:
            return failed
        return None


def _noted() -> None:
    """That a call was delivered is of no interest here: what counts is what comes of it."""
