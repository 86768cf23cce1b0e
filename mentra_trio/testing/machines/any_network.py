"""A whole server, phones and apps on real frames, and a network on which anything goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import ClassVar, Final

import trio
from hypothesis import strategies as st

from ...domain.attachment import UserState
from ...domain.errors import LinkClosed
from ...domain.facts import Fact
from ...domain.ids import package_name, user_id
from ...domain.lifecycle import AppState
from ...domain.timings import SAVE_DELAY_S
from ...wire.from_glasses import ButtonPress
from ..app_server import SdkApp, SdkAppServer
from ..faults import FaultPlan
from ..machine import TrioMachine, invariant, precondition, rule
from ..oracle import Key, Oracle
from ..processes import AppProcess, Phone, ServerKilled
from ..sdk_diary import Heard
from ..sdk_script import Script, Subscribe
from ..strategies import fault_plans
from ..world import open_world
from .peopled import BUTTON

WITHIN_S: Final = 60.0
"""Every plan is over by then."""
RECOVERED_S: Final = 240.0
"""So long after the last fault everything that is wanted runs: a link that is dead is noticed
after half a minute, a phone that comes back brings its user's apps, and an app server that was
away is tried every 15 s."""
HEARD_S: Final = 5.0
SAYS_S: Final = 5.0
ALONE_S: Final = 240.0
KEYS: Final = st.integers(0, 3)


class AnyNetwork(TrioMachine):
    """Fault plans are drawn, and so is what users do meanwhile.

    Attributes:
        USERS, APPS: who there is; the apps behave as SDK 2.1.29 does.
    """

    USERS: ClassVar[tuple[str, ...]] = ("u-1@x.org", "u-2@x.org")
    APPS: ClassVar[tuple[str, ...]] = ("com.t.a", "com.t.b")

    async def world(self, *, task_status: trio.TaskStatus[None]) -> None:
        """The server, the users' phones, and the apps, which every user wants."""
        self.oracle = Oracle()
        self.keys: list[Key] = [
            (user_id(user), package_name(package)) for user in self.USERS for package in self.APPS
        ]
        self.playing, self.pressed = 0, 0
        async with open_world(seed=0) as self.sim, trio.open_nursery() as self.plans:
            self.sim.telemetry.on_fact = self.note
            script = Script(steps=(Subscribe(BUTTON),))
            self.apps: dict[str, AppProcess[SdkAppServer]] = {
                package: await self.sim.add(
                    SdkApp(package, "key", script=script), kind="background"
                )
                for package in self.APPS
            }
            self.phones: dict[str, Phone] = {user: await self.sim.wear(user) for user in self.USERS}
            for user, package in self.keys:
                await self.phones[user].attached()
                await self.sim.server.start_app(user, package)
            task_status.started()
            await trio.sleep_forever()

    def note(self, fact: Fact) -> None:
        """Take in a fact; a server that dies says nothing more."""
        if isinstance(fact, ServerKilled):
            self.oracle.server_died(SAVE_DELAY_S)
        else:
            self.oracle.note(fact)

    # -- what goes wrong ---------------------------------------------------------------------

    @precondition(lambda self: not self.playing)
    @rule(plan=fault_plans(hosts=("server", "phone of *", "com.t.*"), within=WITHIN_S))
    def the_network_gets_worse(self, plan: FaultPlan) -> None:
        """For a while; what users do goes on meanwhile."""
        self.playing += 1
        self.act(lambda: self.plans.start_soon(self._play, plan))

    async def _play(self, plan: FaultPlan) -> None:
        await self.sim.play(plan)
        self.playing -= 1

    # -- what users do ----------------------------------------------------------------------

    @rule(which=KEYS)
    def the_user_stops_an_app(self, which: int) -> None:
        """From the phone, whose words may get lost."""
        user, package = self.keys[which]
        self.act(partial(self._command, user, "stop_app", package))

    @rule(which=KEYS)
    def the_user_starts_an_app(self, which: int) -> None:
        """Likewise."""
        user, package = self.keys[which]
        self.act(partial(self._command, user, "start_app", package))

    def _command(self, user: str, word: str, package: str) -> None:
        glasses = self.phones[user].glasses
        if glasses is not None:
            self.plans.start_soon(self._say, getattr(glasses, word), package)

    async def _say(self, command: Callable[[str], Awaitable[None]], package: str) -> None:
        with trio.move_on_after(SAYS_S), suppress(LinkClosed):
            await command(package)

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        """Every deadline on the way fires."""
        self.advance(seconds)

    # -- liveness ---------------------------------------------------------------------------

    @rule()
    def when_the_faults_are_over_all_that_is_wanted_runs(self) -> None:
        """And hears of a button that is pressed then, once and from its own user only."""
        self.advance(WITHIN_S)
        self.advance(RECOVERED_S)
        assert self.playing == 0
        self.do(self._check_that_all_runs)

    async def _check_that_all_runs(self) -> None:
        due = []
        for user, package in self.keys:
            glasses = self.phones[user].glasses
            assert glasses is not None, f"{user} has no glasses"
            assert self.oracle.users.get(user) is UserState.CONNECTED
            state = self.oracle.states.get((user, package))
            if package in await self.sim.store.wanted_apps(user) and state is not None:
                assert state is AppState.RUNNING, f"{package} of {user}: {state}"
                due.append((user, package))
        for wearer, phone in self.phones.items():
            self.pressed += 1
            button = f"{wearer} {self.pressed}"
            glasses = await phone.attached()
            await glasses.send(ButtonPress(button_id=button, press_type="short"))
            await trio.sleep(HEARD_S)
            heard = [key for key in self.keys for _ in range(self._times(key, button))]
            assert heard == [key for key in due if key[0] == wearer], button

    def _times(self, key: Key, button: str) -> int:
        """How often an app of a user has heard of that button."""
        diary = self.apps[key[1]].server.diary
        session = f"{key[0]}-{key[1]}"
        presses = [one for one in diary.of(Heard, session) if one.stream == BUTTON]
        return sum(press.data["buttonId"] == button for press in presses)

    @precondition(lambda self: not self.playing)
    @rule()
    def with_no_network_at_all_everything_ends(self) -> None:
        """The server is left with nothing, and goes on when the network is there again."""

        async def job() -> None:
            for process in (*self.phones.values(), *self.apps.values()):
                await process.kill(unseen=True)
            await trio.sleep(ALONE_S)
            assert self.sim.server.directory.users() == []
            assert await self.sim.store.saved_users() == []
            for process in (*self.apps.values(), *self.phones.values()):
                await process.start()

        self.do(job)

    # -- safety -----------------------------------------------------------------------------

    @invariant()
    def the_oracle_has_nothing_to_object(self) -> None:
        """Whatever was reported was as it must be."""
        self.oracle.check()
