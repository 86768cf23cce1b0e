"""One user with several apps, of which at most one may be in the foreground."""

from __future__ import annotations

from typing import ClassVar

from ...domain.lifecycle import ENDED
from ..machine import invariant
from .sessions import SessionMachine


class OneUser(SessionMachine):
    """Two apps that share the glasses' foreground, and one in the background (2.13)."""

    APPS: ClassVar = {
        "com.t.a": "standard",
        "com.t.b": "standard",
        "com.t.c": "background",
    }

    @invariant()
    def one_app_at_most_is_in_the_foreground(self) -> None:
        """Whoever is started last has it; the others are stopped, not merely hidden."""
        for user in self.users:
            standard = [(user, package) for package in self.oracle.exclusive]
            there = [key for key in standard if self.oracle.states.get(key) not in {None, *ENDED}]
            assert len(there) <= 1, there
