"""One user with one app, in any order of events."""

from __future__ import annotations

from .sessions import SessionMachine


class OneApp(SessionMachine):
    """All rules on one app session."""
