"""Two users with two apps each, and a server that dies at any moment and begins again."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st

from ...domain.lifecycle import AWAY, AppState
from ..machine import precondition, rule
from ..races import RACES, SERVER_DEATHS
from ..sometimes import Sometimes
from .peopled import UNSAVED_S
from .sessions import SessionMachine


class Restarts(SessionMachine):
    """What was written down before a death holds after it; nothing is done twice."""

    USERS: ClassVar = ("u-1@x.org", "u-2@x.org")
    APPS: ClassVar = {"com.t.a": "background", "com.t.b": "background"}
    races: ClassVar[Sometimes] = Sometimes({**RACES, **SERVER_DEATHS})

    @rule(settled=st.booleans())
    def our_server_is_killed_and_another_begins(self, settled: bool) -> None:
        """Nothing is said to anybody; without ``settled`` the last changes may be lost."""
        if settled:
            self.advance(UNSAVED_S)
        self.reached("died while calling", when=any(self.oracle.calls.values()))
        self.reached("died with kept messages", when=any(self.house.kept(*k) for k in self.keys))
        self.kill_the_server()

    @precondition(lambda self: self.oracle.links)
    @rule(seconds=st.sampled_from([1.0, 20.0]))
    def everybody_comes_back_to_the_next_server(self, seconds: float) -> None:
        """Glasses and apps find the way by themselves, without a webhook; all runs again."""
        self.advance(UNSAVED_S)
        running = [key for key in self.keys if key in self.oracle.links and self.oracle.wanted[key]]
        before = len(self.webhooks.starts)
        self.kill_the_server()
        self.advance(0.1)
        for key in running:
            assert self.oracle.states.get(key) in AWAY, key
        self.act(*(lambda key=key: self.come(key) for key in running))
        self.act(*(lambda key=key: self.connect(key, reconnect=True) for key in running))
        self.advance(seconds)
        for key in running:
            assert self.oracle.states.get(key) is AppState.RUNNING, key
            self.reached("recalled")
        called = {(call.user, call.package) for call in self.webhooks.starts[before:]}
        assert not called & set(running)
