"""Everything that can happen to sessions, as rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import trio
from hypothesis import strategies as st

from ...domain.lifecycle import AWAY, AppState
from ..machine import initialize, precondition, rule
from ..oracle import Asked, Key
from .checked import CheckedMachine
from .peopled import BUTTON
from .surroundings import SCRIPTS

KEYS: Final = st.integers(0, 11)
"""Which of the apps of which of the users."""
LISTS: Final = st.sampled_from([(), ("a",), (BUTTON,), (BUTTON,), ("a", BUTTON), ("audio_chunk",)])
TURNS: Final = (
    *("start", "stop", "answer", "answer_oldest", "come_without_token", "lose"),
    *("leave", "come", "press", "give_up_waiting", "recover"),
)
SETTLED_S: Final = 0.3
"""A new runtime has said by then what it wants (``Lifecycle.settle_s``)."""
ALONE_S: Final = 180.0
"""By then everything is over if nobody is there any more."""

Turn = tuple[str, int]


class SessionMachine(CheckedMachine):
    """All the rules; how many users and apps there are, a subclass says."""

    # -- many things in one turn -----------------------------------------------------------

    @property
    def menu(self) -> Mapping[str, Callable[[Key], None]]:
        """What can be done synchronously, by name."""
        return {
            **{name: getattr(self, name) for name in ("start", "stop", "answer", "lose")},
            **{name: getattr(self, name) for name in ("leave", "come", "press")},
            "answer_oldest": partial(self.answer, which=0),
            "come_without_token": self.connect,
            "give_up_waiting": lambda key: self.give_up(),
            "recover": self.recover,
        }

    @rule(
        turns=st.lists(st.tuples(st.sampled_from(TURNS), KEYS), min_size=2, max_size=4),
    )
    def things_happen_in_one_turn(self, turns: Sequence[Turn]) -> None:
        """In whatever order the scheduler likes."""
        keys = [self.key(which) for _, which in turns]
        names = [name for name, _ in turns]
        self.reached("glasses at once", when=_same_user(names, keys, "come", "come"))
        self.reached("late close", when=_same_user(names, keys, "come", "leave"))
        menu = self.menu
        for key in keys:
            self.oracle.asked.pop(key, None)
        changes = [partial(menu[name], key) for name, key in zip(names, keys, strict=True)]
        commanding = [k for name, k in zip(names, keys, strict=True) if name in {"start", "stop"}]
        users = {user for user, _ in commanding} if len(commanding) > 1 else set()
        unsure = [key for key in self.keys if key[0] in users]
        self.act(*changes, partial(self.oracle.unsure_of, unsure))

    # -- the user --------------------------------------------------------------------------

    @rule(which=KEYS)
    def glasses_come(self, which: int) -> None:
        """Whether or not others are there."""
        self.act(partial(self.come, self.key(which)))

    @rule(which=KEYS, code=st.sampled_from([None, None, 1000, 1001]))
    def glasses_go(self, which: int, code: int | None) -> None:
        """By a reset, or by a close in order."""
        link = self.served_glasses(self.key(which)[0])
        if link is not None:
            self.act(link.cut if code is None else partial(link.hang_up, code))

    @rule(which=KEYS, seconds=st.sampled_from([0.0, 29.0, 41.0]))
    def glasses_fall_silent(self, which: int, seconds: float) -> None:
        """A black hole: no pong comes any more, and no end."""
        link = self.served_glasses(self.key(which)[0])
        if link is not None:
            link.answers_pings = False
            self.advance(seconds)

    @rule(which=KEYS, starters=st.integers(1, 4))
    def somebody_starts_an_app(self, which: int, starters: int) -> None:
        """Several at once share one attempt."""
        self.act(*[partial(self.start, self.key(which))] * starters)

    @rule(which=KEYS)
    def the_user_stops_an_app(self, which: int) -> None:
        """From that moment on the app is not served and not called."""
        key = self.key(which)
        self.act(partial(self.stop, key))
        if self.has_session(key[0]):
            assert self.oracle.states.get(key) in {None, AppState.STOPPING}
            assert self.served(key) is None

    @rule(which=KEYS)
    def the_user_stops_an_app_and_starts_it_again(self, which: int) -> None:
        """While its server still thinks about the stop."""
        key = self.key(which)
        self.webhooks.treat(key[1], "slow")
        self.act(partial(self.stop, key))
        self.act(partial(self.start, key))

    @rule(which=KEYS, words=st.lists(st.booleans(), min_size=1, max_size=4))
    def the_glasses_command(self, which: int, words: Sequence[bool]) -> None:
        """The same commands, over the wire and one after the other."""
        key = self.key(which)
        link = self.served_glasses(key[0])
        if link is not None:
            names = ["start_app" if word else "stop_app" for word in words]
            for word in words:
                self.oracle.commanded(key, word)
            if len(set(words)) > 1 and key[1] in self.oracle.exclusive:
                # A start that is taken back at once need not have stopped anybody.
                others = self.oracle.exclusive - {key[1]}
                self.oracle.unsure_of([(key[0], other) for other in others])
            self.act(lambda: link.say(*({"type": n, "packageName": key[1]} for n in names)))

    def give_up(self) -> None:
        """Whoever has waited longest for an answer does not wait any more."""
        if self.patience:
            key, patience = self.patience[0]
            patience.cancel("gives up")
            # The command may not have been taken yet, or may have made others give way.
            self.oracle.unsure_of([one for one in self.keys if one[0] == key[0]])
            calling = {AppState.CONNECTING, AppState.RESURRECTING}
            alive = calling & set(self.oracle.states.values())
            self.reached("caller gives up", when=bool(alive))

    @precondition(lambda self: self.patience)
    @rule()
    def a_caller_gives_up(self) -> None:
        """The attempt goes on for the others, and for the user."""
        self.act(self.give_up)

    # -- the app ---------------------------------------------------------------------------

    @rule(which=KEYS)
    def an_app_answers_its_newest_call(self, which: int) -> None:
        """Over the URL that it was given."""
        self.act(partial(self.answer, self.key(which)))

    @rule(which=KEYS, call=st.integers(0, 5))
    def a_ghost_answers_an_old_call(self, which: int, call: int) -> None:
        """A runtime that was replaced, and does not know it."""
        self.act(partial(self.answer, self.key(which), call))

    @rule(which=KEYS, reconnects=st.booleans())
    def an_app_comes_without_a_token(self, which: int, reconnects: bool) -> None:
        """As SDKs do that know nothing of them."""
        self.act(partial(self.connect, self.key(which), reconnect=reconnects))

    @rule(which=KEYS, code=st.sampled_from([None, None, 1000, 1005]))
    def an_app_goes(self, which: int, code: int | None) -> None:
        """By a reset, or by a close in order."""
        link = self.served(self.key(which))
        if link is not None:
            self.act(link.cut if code is None else partial(link.hang_up, code))

    @rule(which=KEYS, seconds=st.sampled_from([0.0, 19.0, 31.0]))
    def an_app_falls_silent(self, which: int, seconds: float) -> None:
        """A black hole."""
        link = self.served(self.key(which))
        if link is not None:
            link.answers_pings = False
            self.advance(seconds)

    @rule(which=KEYS)
    def an_app_does_not_read(self, which: int) -> None:
        """One frame more fits into what is on its way to it."""
        link = self.served(self.key(which))
        if link is not None:
            link.room = 1

    @rule(which=KEYS, lists=st.lists(LISTS, min_size=1, max_size=4), dies=st.booleans())
    def an_app_says_what_it_wants(
        self, which: int, lists: Sequence[tuple[str, ...]], dies: bool
    ) -> None:
        """The last list counts; it may be lost with the app."""
        key = self.key(which)
        link = self.served(key)
        if link is None:
            return
        say = [{"type": "subscription_update", "subscriptions": list(one)} for one in lists]
        self.reached("lists at once", when=len(lists) > 1)
        self.reached("list and loss", when=dies)
        self._say_lists(key, lists)
        self.act(partial(link.say, *say), *([link.cut] if dies else []))

    def _say_lists(self, key: Key, lists: Sequence[tuple[str, ...]]) -> None:
        fresh = self.now - self.attached_at.get(key, 0.0) <= self.LIFECYCLE.empty_list_hold_s
        self.reached("empty list", when=fresh and not lists[0])
        if fresh and not lists[-1]:
            # Such a list may be an app's first word after a reattach, and not be meant.
            self.oracle.asked.pop(key, None)
        else:
            link = self.served(key)
            self.oracle.asked[key] = Asked(link=link, streams=lists[-1], at=self.now)

    @rule(which=KEYS, goes=st.booleans())
    def an_app_releases_its_session(self, which: int, goes: bool) -> None:
        """It is not to be brought back; with ``goes`` it leaves at once."""
        link = self.served(self.key(which))
        if link is not None:
            self.act(lambda: link.say({"type": "ownership_release", "reason": "x"}))
            if goes:
                self.act(partial(link.hang_up, 1005))

    # -- app servers -----------------------------------------------------------------------

    @rule(which=KEYS, script=st.sampled_from(sorted(SCRIPTS)), connects=st.booleans())
    def an_app_server_changes(self, which: int, script: str, connects: bool) -> None:
        """From now on it treats webhooks like this."""
        self.webhooks.treat(self.package(which), script, connects=connects)

    @rule(
        which=KEYS,
        script=st.sampled_from(["refused", "503", "late 500", "never delivered", "well"]),
        seconds=st.sampled_from([0.0, 5.1, 6.5, 30, 200]),
    )
    def an_app_is_lost_with_its_server(self, which: int, script: str, seconds: float) -> None:
        """For all of its users at once."""
        package = self.package(which)
        self.webhooks.treat(package, script)
        self.act(*(partial(self.lose, key) for key in self.keys if key[1] == package))
        self.advance(seconds)

    def recover(self, key: Key) -> None:
        """An app server says that it was restarted."""
        self.callers.start_soon(self.house.directory.recover_app, key[1])

    @rule(which=KEYS)
    def an_app_server_was_restarted(self, which: int) -> None:
        """And says so."""
        self.act(partial(self.recover, self.key(which)))

    # -- data ------------------------------------------------------------------------------

    def press(self, key: Key) -> None:
        """A button of the user's glasses is pressed; every press has a number."""
        link = self.served_glasses(key[0])
        if link is not None:
            number = self.oracle.speaks(key[0])
            self.watch.said(key[0], number)
            name = f"{key[0]} {number}"
            link.say({"type": BUTTON, "buttonId": name, "pressType": "short"})

    @rule(
        which=KEYS,
        seconds=st.sampled_from([0.0, 1.0, 5.1, 5.3, 7.0, 30.0]),
        presses=st.sampled_from([0, 1, 3, 9]),
        script=st.sampled_from(["well", "refused", "503", "slow", "well"]),
        how=st.sampled_from(["answer", "connect", "by itself"]),
    )
    def an_app_misses_something(
        self, which: int, seconds: float, presses: int, script: str, how: str
    ) -> None:
        """It is lost, buttons are pressed meanwhile, and it comes back or is called."""
        key = self.key(which)
        if self.served(key) is None:
            return
        self.an_app_says_what_it_wants(which, [(BUTTON,)], dies=False)
        self.webhooks.treat(key[1], script, connects=how == "by itself")
        self.act(partial(self.lose, key))
        self.act(*[partial(self.press, key)] * presses)
        self.advance(seconds)
        if how != "by itself":
            self.act(partial(self.menu[how if how == "answer" else "come_without_token"], key))

    @rule(which=KEYS, times=st.sampled_from([1, 1, 3, 9]))
    def a_button_is_pressed(self, which: int, times: int) -> None:
        """Whoever wants to know and is there hears of it at once."""
        user = self.key(which)[0]
        due = [key for key in self.keys if key[0] == user and self._hears(key)]
        self.act(*[partial(self.press, (user, self.packages[0]))] * times)
        for key in due:
            assert self.oracle.heard.get(key, [0])[-1:] == [self.oracle.said[user]], key

    def _hears(self, key: Key) -> bool:
        asked, link = self.oracle.asked.get(key), self.served(key)
        if asked is None or link is None or link.room is not None:
            return False
        there = self.oracle.states.get(key) is AppState.RUNNING and self.served_glasses(key[0])
        since = self.now - max(self.attached_at.get(key, 0.0), asked.at)
        return bool(there) and BUTTON in asked.streams and since > SETTLED_S

    # -- time ------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.05, 1, 4.9, 5.1, 11, 70, 200]))
    def time_passes(self, seconds: float) -> None:
        """Every deadline on the way fires."""
        self.advance(seconds)

    @rule(which=KEYS, seconds=st.sampled_from([1, 8, 30, 60, 61.5]), both=st.booleans())
    def a_user_is_away_for_a_while(self, which: int, seconds: float, both: bool) -> None:
        """Maybe lost together with an app; and back, maybe in the moment when grace is over."""
        key = self.key(which)
        self.act(partial(self.leave, key), *([partial(self.lose, key)] if both else []))
        self.advance(seconds)
        self.act(partial(self.come, key))

    @rule(which=KEYS)
    def a_session_ends_while_somebody_waits(self, which: int) -> None:
        """For an app whose server never answers."""
        key = self.key(which)
        if self.served_glasses(key[0]) is None:
            return
        self.webhooks.treat(key[1], "never answered")
        self.act(partial(self.leave, key))
        self.advance(55)
        self.act(*[partial(self.start, key)] * 2)
        self.advance(6)
        assert not self.has_session(key[0])

    @rule()
    def all_is_well_again(self) -> None:
        """Liveness: with users and app servers there, what is wanted and was lost runs again."""
        present = {user: self.served_glasses(user) for user in self.users}
        missing = [
            (user, self.packages[0])
            for user, link in present.items()
            if link is None or not link.answers_pings
        ]
        for link in self.all_links:
            link.answers_pings, link.room = True, None
        for package in self.packages:
            self.webhooks.treat(package, "well", connects=True)
        self.act(*(partial(self.come, key) for key in missing))
        due = [key for key in self.keys if self.oracle.wanted.get(key) and self._is_away(key)]
        self.advance(60)
        if any(self.oracle.states.get(key) is not AppState.RUNNING for key in due):
            self.advance(2 * self.LIFECYCLE.probe_rare_s)
        for key in due:
            assert self.oracle.states.get(key) is AppState.RUNNING, key

    def _is_away(self, key: Key) -> bool:
        state = self.oracle.states.get(key)
        return state in AWAY or state is AppState.EVICTED

    @rule()
    def left_alone_everything_ends(self) -> None:
        """Liveness: with no network at all, everything ends by itself."""

        async def job() -> None:
            for link in self.all_links:
                link.cut()
            for package in self.packages:
                self.webhooks.connecting.discard(package)
            await trio.sleep(ALONE_S)
            assert self.house.directory.users() == []
            assert await self.store.saved_users() == []
            assert self.oracle.callers == {}
            assert self.webhooks.in_flight == 0

        self.do(job)

    # -- where it begins -------------------------------------------------------------------

    @initialize(
        running=st.sampled_from([True, True, True, False]), lists=st.sampled_from([(BUTTON,), ()])
    )
    def users_are_there_and_mostly_their_apps_too(
        self, running: bool, lists: tuple[str, ...]
    ) -> None:
        """So that what follows is not mostly about starting."""
        first = [(user, self.packages[0]) for user in self.users]
        self.act(*(partial(self.come, key) for key in first))
        if not running:
            return
        for package in self.packages:
            self.webhooks.treat(package, "well", connects=True)
        for key in self.keys:
            self.act(partial(self.start, key))
            if lists and self.served(key) is not None:
                self.an_app_says_what_it_wants(self.keys.index(key), [lists], dies=False)
        for package in self.packages:
            self.webhooks.treat(package, "well")


def _same_user(names: Sequence[str], keys: Sequence[Key], *wanted: Any) -> bool:
    """Whether things of these names are done for one and the same user."""
    done = [(name, user) for name, (user, _) in zip(names, keys, strict=True)]
    users = {user for _, user in done}
    return any(
        all(
            [name for name, who in done if who == user].count(one) >= wanted.count(one)
            for one in wanted
        )
        for user in users
    )
