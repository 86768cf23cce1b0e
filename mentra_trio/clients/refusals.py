"""Why a server did not open a WebSocket, in words for people."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

import msgspec

from ..domain.errors import MentraTrioError

EXPLANATION_CHARACTERS_MAX: Final = 300
"""So much of what a server says of a refusal is repeated."""

UNAVAILABLE: Final = 503

RETRY_AFTER_DIGITS_MAX: Final = 9
"""Thirty years: whoever writes more does not mean a time to wait."""


class UpgradeRefused(MentraTrioError):
    """The server did not open a WebSocket.

    ``status`` is the HTTP status, or 0 where the connection ended or hung before an answer;
    ``body`` is the answer's body, and the text names its ``message``. A certificate that is not
    trusted is named in the text, and ``__cause__`` is what ``ssl`` says of it. ``retry_after_s``
    is after how many seconds a server that cannot serve us now (503) wants us back; ``None`` if
    it has not said so.
    """

    def __init__(
        self, status: int, body: bytes, problem: str, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.body = body
        self.retry_after_s = retry_after_s


class _Refusal(msgspec.Struct):
    """The body of a refusal, as far as it is read."""

    message: str = ""
    fix: str = ""


def refused_with(
    status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
) -> UpgradeRefused:
    """The refusal that an HTTP answer is."""
    problem = ": ".join([f"HTTP {status}", *_explanation(body)])
    again = _retry_after(headers) if status == UNAVAILABLE else None
    return UpgradeRefused(status, body, problem, retry_after_s=again)


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    """``Retry-After`` in seconds (RFC 9110, 10.2.3); its other form, a date, needs a true clock."""
    for name, value in headers:
        if name.lower() == b"retry-after":
            digits = value.strip()
            readable = digits.isdigit() and len(digits) <= RETRY_AFTER_DIGITS_MAX
            return int(digits) if readable else None
    return None


def _explanation(body: bytes) -> list[str]:
    """What the body of a refusal says to people: its ``message``, and its ``fix``."""
    try:
        told = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []
    texts = [text for text in (told.message, told.fix) if text]
    return [" ".join(text.split())[:EXPLANATION_CHARACTERS_MAX] for text in texts]


def tls_problem(error: BaseException | None) -> str:
    """What went wrong in a TLS handshake that ended with ``error``."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"the TLS handshake failed: {error.reason.replace('_', ' ').lower()}"
    return "the connection ended during the TLS handshake"
