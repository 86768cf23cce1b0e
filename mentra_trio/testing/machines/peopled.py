"""Users with glasses, and apps, around a server that may die: what all machines here stand on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

import attrs
import msgspec
import trio

from ...domain.apps import AppKind
from ...domain.attachment import OVER
from ...domain.errors import SessionEnded
from ...domain.facts import Fact
from ...domain.ids import PackageName, UserId, package_name, user_id
from ...domain.lifecycle import TRANSITIONS, AppEvent, AppState
from ...domain.timings import SAVE_DELAY_S, Lifecycle
from ...ports import SessionCall
from ...storage.memory_store import MemoryStore
from ..household import open_household, token_of, virtual_environment
from ..links import MemoryLink
from ..machine import TrioMachine
from ..mortal import MortalStore, Pulse
from ..oracle import Key, Oracle
from ..races import RACES, RaceWatch
from ..recording import RecordingTelemetry
from ..sometimes import Sometimes
from ..wall_clock import WallClock
from .surroundings import WatchedWebhooks

UNSAVED_S: Final = SAVE_DELAY_S + 0.01
BUTTON: Final = "button_press"


class PeopledMachine(TrioMachine):
    """A server with users and apps, and the oracle; a subclass adds rules.

    Attributes:
        USERS: user ids.
        APPS: kinds of the registered apps, by package.
        TABLE: along which app sessions move.
        LIFECYCLE: timings; a policy of one's own is tried out by setting it here.
        races: counts, for the whole run, which races were run; one object per class.
    """

    USERS: ClassVar[tuple[str, ...]] = ("u-1@x.org",)
    APPS: ClassVar[Mapping[str, str]] = {"com.t.a": "background"}
    TABLE: ClassVar[Mapping[AppState, Mapping[AppEvent, AppState]]] = TRANSITIONS
    LIFECYCLE: ClassVar[Lifecycle] = Lifecycle(kept_messages=6)
    races: ClassVar[Sometimes] = Sometimes(RACES)

    def settings(self) -> dict[str, Any]:
        """Settings of ``open_household`` for each life of the server; to be overridden."""
        return {"lifecycle": self.LIFECYCLE}

    # -- the world -------------------------------------------------------------------------

    async def world(self, *, task_status: trio.TaskStatus[None]) -> None:
        """One life of the server after the other, over a store that outlives them."""
        kinds = {package_name(package): kind for package, kind in self.APPS.items()}
        standard = {package for package, kind in kinds.items() if kind == AppKind.STANDARD.value}
        self.users = [user_id(user) for user in self.USERS]
        self.packages = list(kinds)
        self.keys: list[Key] = [(user, one) for user in self.users for one in self.packages]
        self.oracle, self.watch = Oracle(self.TABLE, frozenset(standard)), RaceWatch(self.races)
        self.webhooks = WatchedWebhooks(oracle=self.oracle)
        self.webhooks.connect = self.answer_call
        self.store = MemoryStore()  # the disk
        self.wall = WallClock()  # goes on while a server is dead
        self.glasses: dict[UserId, list[MemoryLink]] = {user: [] for user in self.users}
        self.links: dict[Key, list[MemoryLink]] = {key: [] for key in self.keys}
        self.attached_at: dict[Key, float] = {}
        self.lives, self._reborn = 0, trio.Event()
        async with trio.open_nursery() as lives:
            lives.start_soon(self._one_life_after_the_other)
            await self._reborn.wait()
            task_status.started()

    async def _one_life_after_the_other(self) -> None:
        while True:
            self.lives += 1
            with trio.CancelScope() as self.life:
                await self._live()

    async def _live(self) -> None:
        self.pulse = Pulse()
        environment = attrs.evolve(
            virtual_environment(self.lives, tokens=f"life{self.lives}-"), utcnow=self.wall.now
        )
        async with (
            open_household(
                webhooks=self.webhooks,
                store=MortalStore(self.store, self.pulse),
                environment=environment,
                telemetry=RecordingTelemetry(on_fact=self.note),
                **self.settings(),
            ) as self.house,
            trio.open_nursery() as self.callers,
        ):
            if self.lives == 1:
                for package, kind in self.APPS.items():
                    await self.house.add_app(package, kind=kind)
            self.patience: list[tuple[Key, trio.CancelScope]] = []
            self._reborn.set()
            await trio.sleep_forever()

    def note(self, fact: Fact) -> None:
        """Take in a fact: the oracle, the list of races, and the trace."""
        if not self.pulse.beats:
            return
        self.oracle.note(fact)
        self.watch.note(fact)
        if self.traced:
            self.trace.note(f"{type(fact).__name__} at {trio.current_time():.9f}")

    def reached(self, race: str, *, when: bool = True) -> None:
        """The race of that name is run, if ``when``."""
        if when:
            self.races.reached(race)

    def kill_the_server(self) -> None:
        """As by ``kill -9``: links die without a word, and what was not written is lost.

        A command that was not answered yet is known to nobody but its giver.
        """
        asked = {key[0] for key, _ in self.patience}
        states = self.oracle.states
        asked |= {key[0] for key, state in states.items() if state is AppState.STOPPING}
        self.oracle.unsure_of([key for key in self.keys if key[0] in asked])

        async def job() -> None:
            self.oracle.server_died(UNSAVED_S)
            self.pulse.beats = False
            self._reborn = trio.Event()
            self.life.cancel("killed")
            await self._reborn.wait()
            for link in self.all_links:
                link.cut()

        self.do(job)

    # -- peers -----------------------------------------------------------------------------

    @property
    def all_links(self) -> list[MemoryLink]:
        """Every link there ever was."""
        peers = (*self.glasses.values(), *self.links.values())
        return [link for links in peers for link in links]

    def served_glasses(self, user: UserId) -> MemoryLink | None:
        """The open link of the user's glasses, if there is one."""
        return next((link for link in reversed(self.glasses[user]) if link.is_open), None)

    def served(self, key: Key) -> MemoryLink | None:
        """The open link of an app, if there is one."""
        return next((link for link in reversed(self.links[key]) if link.is_open), None)

    def come(self, key: Key) -> None:
        """Glasses of the user connect."""
        self.glasses[key[0]].append(self.house.glasses(key[0]))

    def leave(self, key: Key) -> None:
        """The link of the user's glasses is reset."""
        if (link := self.served_glasses(key[0])) is not None:
            link.cut()

    def answer_call(self, call: SessionCall) -> None:
        """The app comes over the URL that it was called with."""
        self.connect((call.user, call.package), token=token_of(call))

    def answer(self, key: Key, which: int = -1) -> None:
        """The app comes over the URL of one of the calls that it ever got."""
        calls = [call for call in self.webhooks.starts if (call.user, call.package) == key]
        if calls:
            self.answer_call(calls[which % len(calls)])

    def connect(self, key: Key, **claim: Any) -> None:
        """The app opens a link; ``claim`` as for ``Household.app``."""
        state = self.oracle.states.get(key)
        self.reached("came while over", when=state in {None, AppState.STOPPING})
        link = MemoryLink(f"app {len(self.links[key])}", on_pushed=partial(self.hear, key))
        self.links[key].append(link)
        self.house.app(*key, link=link, **claim)

    def hear(self, key: Key, frame: str | bytes) -> None:
        """Something was pushed to the app of ``key``."""
        if not isinstance(frame, str):
            return
        message = msgspec.json.decode(frame)
        match message["type"]:
            case "tpa_connection_ack":
                self.attached_at[key] = trio.current_time()
                self.oracle.asked.pop(key, None)
            case "data_stream" if message["streamType"] == BUTTON:
                speaker, _, number = str(message["data"]["buttonId"]).rpartition(" ")
                self.oracle.hears(key, speaker, int(number))
                self.watch.heard(key, int(number), self.attached_at.get(key, 0.0))

    def lose(self, key: Key) -> None:
        """The app's link is reset."""
        if (link := self.served(key)) is not None:
            link.cut()

    # -- commands --------------------------------------------------------------------------

    def has_session(self, user: UserId) -> bool:
        """Whether the user has a session that takes commands."""
        state = self.oracle.users.get(user)
        return state is not None and state not in OVER

    def start(self, key: Key) -> None:
        """Somebody starts an app for a user, and waits for the outcome."""
        if self.has_session(key[0]):
            self.oracle.commanded(key, True)
            self.callers.start_soon(self._command, key, True)

    def stop(self, key: Key) -> None:
        """Somebody stops an app for a user."""
        if self.has_session(key[0]):
            waits = self.oracle.states.get(key) is AppState.STOPPING and self.oracle.wanted.get(key)
            if waits and key[1] in self.oracle.exclusive:
                # A start that waits for the end of the life before has stopped nobody yet.
                others = self.oracle.exclusive - {key[1]}
                self.oracle.unsure_of([(key[0], other) for other in others])
            self.oracle.commanded(key, False)
            self.callers.start_soon(self._command, key, False)

    async def _command(self, key: Key, wanted: bool) -> None:
        number = self.oracle.calls_out()
        stopping = self.oracle.states.get(key) is AppState.STOPPING
        self.reached("start while stopping", when=wanted and stopping)
        directory = self.house.directory
        try:
            with trio.CancelScope() as patience:
                self.patience.append((key, patience))
                try:
                    await (directory.start_app if wanted else directory.stop_app)(*key)
                except SessionEnded:
                    self.reached("session ends on callers", when=wanted)
                self.reached("session ends on callers", when=not self.has_session(key[0]))
        finally:
            self.patience.remove((key, patience))
            self.oracle.answered(number)

    def package(self, which: int) -> PackageName:
        """One of the packages."""
        return self.packages[which % len(self.packages)]

    def key(self, which: int) -> Key:
        """One of the apps of one of the users."""
        return self.keys[which % len(self.keys)]
