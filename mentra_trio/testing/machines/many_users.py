"""Several users of one app, whose server they all wait for when it is away."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final

from hypothesis import strategies as st

from ...domain.lifecycle import AWAY, AppState
from ..machine import precondition, rule
from .sessions import SessionMachine

IN_VAIN_MOST: Final = 30
"""Calls of a server that is away, for all of its users together, as long as nobody commands
(pains.md C1)."""


class ManyUsers(SessionMachine):
    """What happens to an app server happens to all of them; one tries it for the others."""

    USERS: ClassVar = ("u-1@x.org", "u-2@x.org", "u-3@x.org")

    @precondition(lambda self: len(self.oracle.links) > 1)
    @rule(seconds=st.sampled_from([6.0, 30.0, 100.0]), late=st.booleans())
    def the_app_server_is_away_and_comes_back(self, seconds: float, late: bool) -> None:
        """Everybody is lost together, and everybody comes back."""
        package = self.packages[0]
        lost = [key for key in self.keys if key in self.oracle.links]
        self.webhooks.treat(package, "refused")
        self.act(*(partial(self.lose, key) for key in lost))
        lost = [key for key in lost if self.oracle.states.get(key) in AWAY]
        before = len(self.webhooks.starts)
        self.advance(seconds)
        assert len(self.webhooks.starts) - before <= IN_VAIN_MOST
        self.webhooks.treat(package, "slow" if late else "well", connects=True)
        self.advance(2 * self.LIFECYCLE.probe_slow_s + 3)
        for key in lost:
            if self.served_glasses(key[0]) is not None and self.oracle.wanted.get(key):
                assert self.oracle.states.get(key) is AppState.RUNNING, key
