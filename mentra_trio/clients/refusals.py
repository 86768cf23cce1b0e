"""Why a server did not open a WebSocket, in words for people."""

from __future__ import annotations

import ssl
from typing import Final

import msgspec

from ..domain.errors import MentraTrioError

EXPLANATION_CHARACTERS_MAX: Final = 300
"""So much of what a server says of a refusal is repeated."""


class UpgradeRefused(MentraTrioError):
    """The server did not open a WebSocket.

    ``status`` is the HTTP status, or 0 where the connection ended or hung before an answer;
    ``body`` is the answer's body, and the text names its ``message``. A certificate that is not
    trusted is named in the text, and ``__cause__`` is what ``ssl`` says of it.
    """

    def __init__(self, status: int, body: bytes, problem: str) -> None:
        super().__init__(problem)
        self.status = status
        self.body = body


class _Refusal(msgspec.Struct):
    """The body of a refusal, as far as it is read."""

    message: str = ""
    fix: str = ""


def refused_with(status: int, body: bytes) -> UpgradeRefused:
    """The refusal that an HTTP answer is."""
    return UpgradeRefused(status, body, ": ".join([f"HTTP {status}", *_explanation(body)]))


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
