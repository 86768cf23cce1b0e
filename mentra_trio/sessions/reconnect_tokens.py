"""Tokens with which an app shows that it was here before (seed 003): one at a time, used once."""

from __future__ import annotations

import hashlib
import hmac

from .app_session import AppSession


def renew(app: AppSession) -> str:
    """A fresh token for ``app``, in place of the one before; to be sent in the ack."""
    token = app.surroundings.environment.new_token()
    app.reconnect_hash = _hash(token)
    app.note()
    return token


def is_current(token: str, reconnect_hash: str) -> bool:
    """Whether ``token`` is the one that an app was given last; that one's hash is kept."""
    return bool(reconnect_hash) and hmac.compare_digest(_hash(token), reconnect_hash)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
