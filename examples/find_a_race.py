"""A small app with a real race, a machine that finds it, the shrunk script, and the fix.

Run it: ``python examples/find_a_race.py`` (needs ``pip install 'mentra-trio[testing]'``).

The app counts taps per user and saves the count when a session stops. Saving takes a moment. If
the connection was lost for some seconds, the server calls the app anew: then the end of the old
session takes away what the new one counts. By hand nobody meets that; the machine does, at once.
"""

from __future__ import annotations

import logging
from typing import ClassVar

import trio
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.testing.faults import Cut, FaultPlan, Refuse
from mentra_trio.testing.machine import TrioMachine, invariant, rule
from mentra_trio.testing.world import USER, open_world

TAPS = "com.example.taps"
SAVING_S = 0.3
LISTENS_S = 0.1
BACK_S = 7.0


def make_app(*, mended: bool) -> App:
    """The app: ``counts`` is shared by its sessions, as a module's globals would be."""
    app = App(TAPS, api_key="key")
    saved: dict[str, int] = {}
    counts: dict[str, int] = {}
    sessions: dict[str, AppSession] = {}

    @app.session
    def begin(session: AppSession) -> None:
        counts.setdefault(session.user, saved.get(session.user, 0))
        sessions[session.user] = session

        async def tap(press: object) -> None:
            counts[session.user] += 1
            await session.show_text(f"{counts[session.user]} taps")

        session.on_button_press(tap)

    @app.on_stop
    async def stop(session: AppSession, reason: str) -> None:
        def another_goes_on() -> bool:
            return mended and sessions[session.user] is not session

        if not another_goes_on():
            saved[session.user] = counts[session.user]
            await trio.sleep(SAVING_S)  # a data base would take as long
        if not another_goes_on():  # much may have happened meanwhile
            del counts[session.user]

    return app


class Taps(TrioMachine):
    """The user taps, the app is stopped, started, lost and called again; no tap may be lost."""

    MENDED: ClassVar[bool] = False

    async def world(self, *, task_status: trio.TaskStatus[None]) -> None:
        """A server, the app and glasses, on a network in memory and in virtual time."""
        async with open_world() as self.sim:
            self.process = await self.sim.add(make_app(mended=self.MENDED))
            self.taps = 0
            async with self.sim.glasses() as self.glasses:
                await self.start()
                task_status.started()
                await trio.sleep_forever()

    async def start(self) -> None:
        """Start the app, and let it say what it wants: a tap before that is lost, rightly."""
        result = await self.sim.server.start_app(USER, TAPS)
        assert result.success, result
        await trio.sleep(LISTENS_S)

    @rule()
    def tap(self) -> None:
        """The glasses show how often that was, over all sessions."""

        async def job() -> None:
            self.taps += 1
            await self.glasses.press_button()
            with trio.fail_after(5):
                await self.glasses.until_shown(f"{self.taps} taps")

        self.do(job)

    @rule()
    def stop_and_start_again(self) -> None:
        """As the user does in the phone's list of apps."""

        async def job() -> None:
            await self.sim.server.stop_app(USER, TAPS)
            await self.start()

        self.do(job)

    @rule(seconds=st.sampled_from([0.0, 2.0, 4.0]))
    def the_connection_is_lost(self, seconds: float) -> None:
        """The app reconnects, or is called anew if that takes too long (after 5 s)."""
        way = f"{TAPS} -> server"
        plan = FaultPlan((Cut(where=way), Refuse(where=way, lasts=seconds)))

        async def job() -> None:
            await self.sim.play(plan)
            await trio.sleep(BACK_S)

        self.do(job)

    @rule(seconds=st.sampled_from([0.2, 5.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing happens."""
        self.advance(seconds)

    @invariant()
    def nothing_has_crashed(self) -> None:
        """Neither a session nor what it does with a tap."""
        crashes = self.process.server.crashes
        assert crashes == [], crashes


class MendedTaps(Taps):
    """The same with the mended app."""

    MENDED = True


def main() -> None:
    """Find the race, show the shortest script that leads to it, and that it is mended."""
    logging.disable()  # what was contained on the way is not of interest here
    quick = settings(
        max_examples=25,
        stateful_step_count=8,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        print_blob=False,
    )
    try:
        run_state_machine_as_test(seed(1)(Taps), settings=quick)
    except (AssertionError, trio.TooSlowError) as found:
        print(f"Found: {found!r}", *getattr(found, "__notes__", ()), sep="\n")
    else:
        raise SystemExit("the race was not found")
    run_state_machine_as_test(seed(1)(MendedTaps), settings=quick)
    print("The mended app survives the same 25 courses.")


if __name__ == "__main__":
    main()
