"""What app servers that are in trouble answer: failures for the scripts of webhooks."""

from __future__ import annotations

from typing import Final

from ..domain.errors import WebhookFailed, WebhookFailure

REFUSED: Final = WebhookFailed(WebhookFailure.REFUSED, "connection refused", delivered=False)
UNAVAILABLE: Final = WebhookFailed(WebhookFailure.UNAVAILABLE, "503", delivered=True)
GONE: Final = WebhookFailed(WebhookFailure.GONE, "404", delivered=True)
MISCONFIGURED: Final = WebhookFailed(WebhookFailure.MISCONFIGURED, "401", delivered=True)
ERROR: Final = WebhookFailed(WebhookFailure.ERROR, "500", delivered=True)
