"""Tools of apps: things that others, such as an assistant, may have an app do (protocol.md 1.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import attrs

from ..domain.apps import AppRegistration
from ..domain.errors import TooManyCalls
from ..domain.ids import UserId
from ..domain.timings import TOOL_ANSWER_S
from ..ports import AppAnswer, AppCall
from .app_calls import call_app_server
from .surroundings import Surroundings

TOOL: Final = "/tool"
CALLS_AT_ONCE: Final = 16
"""Calls of one user that are under way at the same time."""


@attrs.define(eq=False)
class ToolCalls:
    """Passes tool calls on to app servers: once each, because a tool may have an effect."""

    surroundings: Surroundings
    _under_way: Counter[UserId] = attrs.field(factory=Counter, init=False)

    async def call(
        self,
        app: AppRegistration,
        user: UserId,
        tool: str,
        parameters: Mapping[str, Any],
        timestamp: object = None,
    ) -> AppAnswer:
        """Have the app carry out ``tool`` for ``user``; its answer, whatever its status.

        The header with which the app knows us has the hash of its key (protocol.md 1.5).

        Raises:
            TooManyCalls: ``CALLS_AT_ONCE`` calls of the user are under way.
            WebhookFailed: there was no answer, or none within ``TOOL_ANSWER_S``.
        """
        if self._under_way[user] >= CALLS_AT_ONCE:
            raise TooManyCalls(f"{CALLS_AT_ONCE} tool calls of this user are under way")
        call = AppCall(
            url=app.url,
            path=TOOL,
            body={
                "toolId": tool,
                "toolParameters": parameters,
                "timestamp": timestamp or self.surroundings.environment.timestamp(),
                "userId": user,
            },
            headers={"X-App-API-Key": app.key_hash},
            answer_s=TOOL_ANSWER_S,
        )
        self._under_way[user] += 1
        try:
            return await call_app_server(self.surroundings, user, app.package, "tool", call)
        finally:
            self._under_way -= Counter([user])
