"""What of an app session outlives it: the session that comes after begins with it.

A record is kept in memory while an app is dormant or evicted, and in the store for every app
session, so that a server that dies is followed by one that knows. ``to_plain`` and ``from_plain``
are its form in the store, a JSON object.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from .lifecycle import AppState
from .subscriptions import NOTHING, SubscriptionSet

NO_RUNTIME: Final = -1
"""In place of an attempt's serial number, where the app has never been attached."""
TOKENS_KEPT: Final = 8
"""Attempts of one app whose tokens are written down, the newest ones."""


@attrs.frozen(kw_only=True)
class AppRecord:
    """An app session at rest, or as another server may take it over.

    Attributes:
        state: DORMANT or EVICTED for one at rest; any other for one that was alive.
        cause: why it is in that state, in words.
        since: since when, wall time.
        epoch: which life of the app this was, from 1.
        floor: serial number of the oldest attempt whose sockets may still attach.
        runtime: that of the attempt from which the app's runtime came, or ``NO_RUNTIME``.
        serial: serial number of the newest attempt.
        tokens: of the latest attempts: token and serial number, oldest first.
        subscriptions: what the app asked for last.
        reconnect_hash: SHA-256 of the reconnect token that the app was given last; may be empty.
        quarantined: whether only the user brings it back, because its session kept crashing.
    """

    state: AppState
    cause: str
    since: datetime
    epoch: int
    floor: int = 0
    runtime: int = NO_RUNTIME
    serial: int = 0
    tokens: tuple[tuple[str, int], ...] = ()
    subscriptions: SubscriptionSet = NOTHING
    reconnect_hash: str = ""
    quarantined: bool = False

    def to_plain(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "state": self.state.value,
            "cause": self.cause,
            "since": self.since.isoformat(),
            "epoch": self.epoch,
            "floor": self.floor,
            "runtime": self.runtime,
            "serial": self.serial,
            "tokens": [list(token) for token in self.tokens[-TOKENS_KEPT:]],
            "subscriptions": self.subscriptions.to_wire(),
            "reconnectHash": self.reconnect_hash,
            "quarantined": self.quarantined,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> AppRecord:
        """The record that ``to_plain`` wrote, by this version or another.

        Raises:
            ValueError: it is not one.
        """
        try:
            return cls(
                state=AppState(plain["state"]),
                cause=str(plain["cause"]),
                since=datetime.fromisoformat(plain["since"]),
                epoch=int(plain["epoch"]),
                floor=int(plain["floor"]),
                runtime=int(plain["runtime"]),
                serial=int(plain["serial"]),
                tokens=tuple((str(token), int(serial)) for token, serial in plain["tokens"]),
                subscriptions=SubscriptionSet.from_wire(plain["subscriptions"]),
                reconnect_hash=str(plain["reconnectHash"]),
                quarantined=bool(plain["quarantined"]),
            )
        except (KeyError, TypeError, ValueError):
            raise ValueError("a saved app session is damaged") from None
