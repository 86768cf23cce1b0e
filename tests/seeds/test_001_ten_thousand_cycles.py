"""Seed 001: ten thousand random releases, starts and drops leave no object behind."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from random import Random
from typing import Final

import attrs
import trio
from trio.testing import MockClock

from mentra_trio.domain.facts import FreshSession
from mentra_trio.domain.ids import UserId, user_id
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.ports import SessionCall
from mentra_trio.sessions.app_session import AppSession
from mentra_trio.sessions.attempts import Attempt
from mentra_trio.testing.household import APP, Household, open_household, token_of
from mentra_trio.testing.links import MemoryLink, WebhookScript

USERS: Final = 100
STEPS: Final = 100
"""For each of the users."""
PAUSES_S: Final = (0.001, 0.001, 0.001, 0.01, 0.2)
"""Between two steps of a user."""

QUICK: Final = Lifecycle(grace_s=1.0, grace_jitter_s=0.5)

WHILE_RUNNING: Final = (*["release"] * 4, *["drop"] * 6, "drop for long", "stop")
WHILE_DORMANT: Final = (*["start"] * 3, *["the app comes"] * 4, "the user comes back")


@attrs.define(eq=False)
class Unwatched(MemoryLink):
    """A link that is in no ledger, so that nothing but the server can keep it alive."""

    def __attrs_post_init__(self) -> None:
        pass


@attrs.define(eq=False)
class Wearer:
    """A user whose app is released, dropped and stopped again and again."""

    house: Household
    user: UserId
    random: Random
    lives: weakref.WeakSet[AppSession]
    glasses: MemoryLink
    link: MemoryLink | None = None
    steps: int = 0
    """Releases, drops, starts and comebacks so far."""

    async def live(self) -> None:
        await self.start()
        while self.steps < STEPS:
            session = self.house.directory._users[self.user].roster.apps.get(APP)
            if session is not None:
                self.lives.add(session)
            await (self.leave() if session is not None else self.come_back())
            del session
            await trio.sleep(self.random.choice(PAUSES_S))

    async def leave(self) -> None:
        """The app leaves; if it is only dropped, or wanted in that very turn, it comes back."""
        assert self.link is not None
        self.steps += 1
        way = self.random.choice(WHILE_RUNNING)
        if way == "stop":
            await self.house.directory.stop_app(self.user, APP)
        elif way == "release":
            self.link.say({"type": "ownership_release", "reason": "clean_shutdown"})
            self.link.hang_up(1000)
            if self.random.random() < 0.3:
                await self.start()
        else:
            self.link.cut()
            if way == "drop":
                await trio.sleep(self.random.choice([0.0, 0.001, 0.5]))
                await self.come()
            else:
                await trio.sleep(2)
                assert self.house.state(self.user) == "running"

    async def come_back(self) -> None:
        assert self.link is not None
        assert not self.link.is_open
        state = self.house.state(self.user)
        assert state in {"dormant", None}
        match self.random.choice(WHILE_DORMANT) if state else "start":
            case "start":
                await self.start()
            case "the app comes":
                await self.come()
            case _:
                self.steps += 1
                self.glasses.cut()
                await trio.sleep(0.5)
                self.glasses = await self.house.attached_glasses(self.user)
                await trio.sleep(0.5)
        assert self.house.state(self.user) == "running"

    async def start(self) -> None:
        self.steps += 1
        assert (await self.house.directory.start_app(self.user, APP)).success

    async def come(self) -> None:
        """The app connects by itself."""
        self.steps += 1
        self.connect(None)
        assert self.link is not None
        await self.link.expect("tpa_connection_ack")

    def connect(self, token: str | None) -> None:
        self.link = self.house.app(self.user, APP, token=token, link=Unwatched("app"))


def alive() -> Counter[type[object]]:
    """How many objects of each kind there are, and are not garbage."""
    gc.collect()
    kinds = (AppSession, Attempt, Unwatched)
    return Counter(type(thing) for thing in gc.get_objects() if type(thing) in kinds)


async def count_now_and_then(kept: list[Counter[type[object]]]) -> None:
    while True:
        await trio.sleep(8)
        kept.append(alive())


async def test_ten_thousand_random_releases_starts_and_drops(autojump_clock: MockClock) -> None:
    """No "Cannot track resources on a disposed ResourceTracker", and nothing that was disposed."""
    lives: weakref.WeakSet[AppSession] = weakref.WeakSet()
    kept: list[Counter[type[object]]] = []
    others = alive()
    async with open_household(lifecycle=QUICK) as house:
        await house.add_app()
        wearers: dict[UserId, Wearer] = {}

        def connect(call: SessionCall) -> None:
            wearers[call.user].connect(token_of(call))

        house.webhooks.plan(APP, WebhookScript(on_delivered=connect))
        for n in range(USERS):
            user = user_id(f"u-{n}@x.org")
            glasses = await house.attached_glasses(user)
            wearers[user] = Wearer(house, user, Random(n), lives, glasses)
        async with trio.open_nursery() as counting:
            counting.start_soon(count_now_and_then, kept)
            async with trio.open_nursery() as nursery:
                for wearer in wearers.values():
                    nursery.start_soon(wearer.live)
            counting.cancel_scope.cancel("enough steps")
        kept.append(alive())
        assert len(kept) >= 3
        for counts in kept:
            # A wearer keeps the link that its app had last, open or not.
            assert max((counts - others).values()) <= USERS, kept
        running = [
            app for user in house.directory._users.values() for app in user.roster.apps.values()
        ]
        assert set(lives) <= set(running), "an ended session is still somewhere"
        assert len(house.telemetry.of(FreshSession)) > USERS * STEPS / 5
        assert house.telemetry.crashes == []
