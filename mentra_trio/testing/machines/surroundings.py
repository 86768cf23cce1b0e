"""What stands around a machine's sessions: app servers that are watched, and how they behave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import attrs

from ...domain.errors import WebhookFailed
from ...domain.ids import PackageName
from ...ports import SessionCall
from ..links import FakeWebhooks, WebhookScript
from ..oracle import Oracle
from ..trouble import ERROR, GONE, MISCONFIGURED, REFUSED, UNAVAILABLE

SCRIPTS: Final[Mapping[str, WebhookScript]] = {
    "well": WebhookScript(),
    "slow": WebhookScript(deliver_after=2, answer_after=20),
    "refused": WebhookScript(failure=REFUSED),
    "503": WebhookScript(failure=UNAVAILABLE),
    "404": WebhookScript(failure=GONE),
    "401": WebhookScript(failure=MISCONFIGURED),
    "late 500": WebhookScript(answer_after=5, failure=ERROR),
    "never delivered": WebhookScript(deliver_after=1_000),
    "never answered": WebhookScript(answer_after=1_000),
}
"""How an app server may treat the webhooks that it gets."""
SLOW_STOP_S: Final = 4.0


@attrs.define(eq=False)
class WatchedWebhooks(FakeWebhooks):
    """Tells ``oracle`` of every call, and connects the apps of servers that are well.

    ``connect`` is called with a call at the moment of its delivery, for the packages in
    ``connecting``.
    """

    oracle: Oracle = attrs.field(kw_only=True)
    connecting: set[PackageName] = attrs.field(factory=set, init=False)
    connect: Callable[[SessionCall], None] = attrs.field(default=lambda call: None, init=False)
    _unwell: dict[str, WebhookFailed | None] = attrs.field(factory=dict, init=False)

    def treat(self, package: PackageName, script: str, *, connects: bool = False) -> None:
        """From now on the server of ``package`` does what ``SCRIPTS`` says under that name."""
        self.plan(package, SCRIPTS[script])
        self.stop_after = SLOW_STOP_S if script == "slow" else 0.0
        self._unwell[f"http://{package}.test"] = SCRIPTS[script].failure
        self.connecting.discard(package)
        if connects:
            self.connecting.add(package)

    async def start(self, call: SessionCall, *, delivered: Callable[[], None]) -> None:
        """As its base; whoever may not be called now is noted."""

        def reached() -> None:
            delivered()
            if call.package in self.connecting:
                self.connect(call)

        self.oracle.call_began(call)
        try:
            await super().start(call, delivered=reached)
        finally:
            self.oracle.call_ended(call)

    async def health(self, url: str) -> None:
        """As its base, by the script of the server at ``url``."""
        self.health_failure = self._unwell.get(url)
        await super().health(url)
