"""Tokens that a page of an app is opened with: for one user and one app, for a minute, once.

They are in memory alone: after a restart of the server the phone opens the page anew.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

import attrs

from .ids import PackageName, UserId

LASTS_S: Final = 60.0
"""How long a token can be exchanged (protocol.md 1.4)."""
TOKENS_MAX: Final = 100_000
OF_ONE_USER_MAX: Final = 100
"""With one more, the oldest of the same user is void: nobody pushes out the tokens of others."""


@attrs.frozen
class _Issued:
    user: UserId
    package: PackageName
    until: float


@attrs.define(eq=False)
class TemporaryTokens:
    """The tokens that can be exchanged at this moment. Times are any clock that never goes back.

    Only hashes are kept: to look one up takes the same time whatever part of it is right.
    """

    _issued: OrderedDict[str, _Issued] = attrs.field(factory=OrderedDict, init=False)
    _of_user: dict[UserId, OrderedDict[str, None]] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        """How many are remembered, those included whose time is over."""
        return len(self._issued)

    def issue(self, token: str, user: UserId, package: PackageName, now: float) -> None:
        """Make ``token``, which nobody can guess, good for ``user`` and ``package``."""
        self._forget_old(now)
        own = self._of_user.setdefault(user, OrderedDict())
        if len(own) == OF_ONE_USER_MAX:
            self._forget(next(iter(own)))
        elif len(self._issued) == TOKENS_MAX:
            self._forget(next(iter(self._issued)))
        name = _hash(token)
        self._issued[name] = _Issued(user, package, now + LASTS_S)
        self._of_user.setdefault(user, OrderedDict())[name] = None

    def exchange(self, token: str, package: PackageName, now: float) -> UserId | None:
        """The user for whom ``token`` was issued, this once.

        ``None`` if it is unknown, used, too old, or of another app; then it stays as it was.
        """
        self._forget_old(now)
        name = _hash(token)
        found = self._issued.get(name)
        if found is None or found.package != package:
            return None
        self._forget(name)
        return found.user

    def _forget_old(self, now: float) -> None:
        while self._issued and (first := next(iter(self._issued.items())))[1].until <= now:
            self._forget(first[0])

    def _forget(self, name: str) -> None:
        user = self._issued.pop(name).user
        own = self._of_user[user]
        del own[name]
        if not own:
            del self._of_user[user]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
