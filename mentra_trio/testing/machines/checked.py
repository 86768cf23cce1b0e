"""What must hold of sessions after every rule, whatever it was."""

from __future__ import annotations

from functools import partial
from typing import Final

from ...domain.lifecycle import AppState
from ..machine import invariant
from ..oracle import Key
from .peopled import PeopledMachine

WAITS_MOST_S: Final = 75.0
"""Who starts an app knows the outcome by then: grace, webhook, init, and one repetition."""


class CheckedMachine(PeopledMachine):
    """The invariants."""

    @invariant()
    def the_oracle_has_nothing_to_object(self) -> None:
        """Whatever was reported, called and heard was as it must be."""
        self.oracle.check()

    @invariant()
    def reports_are_true(self) -> None:
        """What facts say of an app is what is shown of it."""
        for key in self.keys:
            shown, state = self.house.state(*key), self.oracle.states.get(key)
            if self.lives > 1 and state is None and shown is not None:
                self.do(partial(self._find_at_rest, key, AppState(shown)))
            else:
                assert shown == (state.value if state is not None else None), key

    async def _find_at_rest(self, key: Key, state: AppState) -> None:
        self.oracle.found_at_rest(key, state)

    @invariant()
    def one_link_each_is_open_and_means_that_it_is_served(self) -> None:
        """No orphan: a link that nobody uses is closed."""
        for user, links in self.glasses.items():
            assert sum(link.is_open for link in links) == (user in self.oracle.glasses), user
        for key, links in self.links.items():
            serves = self.oracle.states.get(key) is AppState.RUNNING
            assert sum(link.is_open for link in links) == serves == (key in self.oracle.links), key

    @invariant()
    def at_rest_the_subscriptions_are_the_last_list(self) -> None:
        """That of the runtime that is attached."""
        for key, asked in self.oracle.asked.items():
            if self.oracle.states.get(key) is AppState.RUNNING and asked.link is self.served(key):
                assert self.house.subscriptions(*key) == asked.streams, key

    @invariant()
    def nothing_is_kept_beyond_its_bound(self) -> None:
        """Messages for apps that are away are few."""
        for key in self.keys:
            assert self.house.kept(*key) <= self.LIFECYCLE.kept_messages, key

    @invariant()
    def everybody_who_waits_is_answered_in_time(self) -> None:
        """No caller hangs."""
        if self.oracle.callers:
            oldest = min(self.oracle.callers.values())
            assert self.now - oldest <= WAITS_MOST_S, "a caller hangs"

    @invariant()
    def at_rest_the_store_holds_what_the_users_want(self) -> None:
        """A command is the only thing that changes it. A start waits until a stop is through."""
        if not self.oracle.callers:
            for key, wanted in self.oracle.wanted.items():
                stopping = self.oracle.states.get(key) is AppState.STOPPING
                if wanted is not None and not stopping:
                    user, package = key
                    stored = self.store._wanted.get(user, {})
                    assert (package in stored) is wanted, key
