"""Calls of app servers on behalf of one user: their tokens, and the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs
import trio

from ..concurrency.milestone import Milestone
from ..concurrency.oneshot import OneShot
from ..domain.errors import WebhookFailed
from ..domain.ids import PackageName

TOKENS_REMEMBERED: Final = 256
"""Attempts of one user whose sockets can still be told apart."""


@attrs.define(eq=False, repr=False)
class Attempt:
    """One call of the app server on behalf of a session, and what has become of it.

    ``serial`` tells it from the other attempts of the same app, the older ones being lower.
    ``resurrection`` tells it from a user's start. ``calling`` is the scope of the call: cancelled
    once its outcome interests nobody.
    """

    token: str
    serial: int
    resurrection: bool
    delivered: Milestone = attrs.field(factory=Milestone)
    failure: OneShot[WebhookFailed] = attrs.field(factory=OneShot)
    key_rejected: Milestone = attrs.field(factory=Milestone)
    calling: trio.CancelScope = attrs.field(factory=trio.CancelScope)


@attrs.define(eq=False, repr=False)
class AttemptBook:
    """Which attempt a socket belongs to: the token in its URL names it (protocol.md 1.7)."""

    _tokens: dict[str, tuple[PackageName, int]] = attrs.field(factory=dict, init=False)
    """The oldest first."""
    _serials: dict[PackageName, int] = attrs.field(factory=dict, init=False)

    def newest(self, package: PackageName) -> int:
        """The serial number of the newest attempt of ``package``; 0 where there was none."""
        return self._serials.get(package, 0)

    def note(self, token: str, package: PackageName) -> int:
        """Enter a new attempt; returns its serial number."""
        serial = self._serials[package] = self.newest(package) + 1
        self._enter(token, package, serial)
        return serial

    def restore(self, package: PackageName, tokens: Iterable[tuple[str, int]], newest: int) -> None:
        """Enter the attempts that a server before this one made."""
        for token, serial in tokens:
            self._enter(token, package, serial)
        self._serials[package] = max(self.newest(package), newest)

    def find(self, token: str) -> tuple[PackageName, int] | None:
        """The app and the serial number that ``token`` stands for, if it is known."""
        return self._tokens.get(token)

    def of(self, package: PackageName) -> tuple[tuple[str, int], ...]:
        """The known attempts of ``package``, oldest first."""
        return tuple(
            (token, serial) for token, (name, serial) in self._tokens.items() if name == package
        )

    @property
    def tokens(self) -> Iterable[str]:
        """All tokens that are known."""
        return self._tokens

    def _enter(self, token: str, package: PackageName, serial: int) -> None:
        self._tokens[token] = (package, serial)
        while len(self._tokens) > TOKENS_REMEMBERED:
            del self._tokens[next(iter(self._tokens))]
