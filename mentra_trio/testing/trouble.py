"""Trouble: failures for the scripts of webhooks, and a store with a bug in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..domain.errors import WebhookFailed, WebhookFailure
from ..domain.ids import PackageName, UserId
from ..storage.memory_store import MemoryStore

REFUSED: Final = WebhookFailed(WebhookFailure.REFUSED, "connection refused", delivered=False)
UNAVAILABLE: Final = WebhookFailed(WebhookFailure.UNAVAILABLE, "503", delivered=True)
GONE: Final = WebhookFailed(WebhookFailure.GONE, "404", delivered=True)
MISCONFIGURED: Final = WebhookFailed(WebhookFailure.MISCONFIGURED, "401", delivered=True)
ERROR: Final = WebhookFailed(WebhookFailure.ERROR, "500", delivered=True)


class BrokenSettings(MemoryStore):
    """A store with a bug that can be switched on: then no app can be greeted."""

    broken = False

    async def app_settings(self, user: UserId, package: PackageName) -> Mapping[str, Any]:
        """As of any store; while it is ``broken``, an error that nobody expects."""
        if self.broken:
            raise RuntimeError("planted")
        return await super().app_settings(user, package)
