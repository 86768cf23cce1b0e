"""One user with one app, in any order of events: what must always hold, and what must follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import trio
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from profiles import machine_settings

from mentra_trio.domain.errors import SessionEnded, WebhookFailed, WebhookFailure
from mentra_trio.domain.facts import AppStateChanged
from mentra_trio.domain.lifecycle import TRANSITIONS, AppEvent
from mentra_trio.domain.starting import StartResult
from mentra_trio.ports import SessionCall
from mentra_trio.testing.household import APP, USER, Household, open_household
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.machine import TrioMachine

REFUSED = WebhookFailed(WebhookFailure.REFUSED, "refused", delivered=False)
LATE_ERROR = WebhookFailed(WebhookFailure.ERROR, "500", delivered=True)

Job = Callable[[], Awaitable[None]]


class OneApp(TrioMachine):
    """The oracle is in plain values: what the user wants, and who was asked."""

    async def world(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.links: list[MemoryLink] = []
        self.glasses: list[MemoryLink] = []
        self.calls: list[SessionCall] = []
        self.wanted = False
        self.waiting = 0
        self.results: list[StartResult | None] = []
        self.last_list: tuple[str, ...] | None = None
        async with open_household() as house, trio.open_nursery() as callers:
            self.house: Household = house
            self.callers = callers
            await house.add_app()
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                house.directory.drain()

    def act(self, change: Callable[[], None]) -> None:
        """Run a synchronous change in the world, and let everything settle."""

        async def job() -> None:
            change()
            await trio.lowlevel.checkpoint()

        self.do(job)

    # -- rules ---------------------------------------------------------------------

    @rule()
    def glasses_come(self) -> None:
        self.act(lambda: self.glasses.append(self.house.glasses()))

    @precondition(lambda self: self.glasses)
    @rule(code=st.sampled_from([None, 1000, 1001]), which=st.integers(0, 3))
    def glasses_go(self, code: int | None, which: int) -> None:
        link = self.glasses[which % len(self.glasses)]
        self.act(link.cut if code is None else partial(link.hang_up, code))

    @precondition(lambda self: self.glasses)
    @rule()
    def glasses_fall_silent(self) -> None:
        self.glasses[-1].answers_pings = False

    @rule(starters=st.integers(1, 3))
    def somebody_starts_the_app(self, starters: int) -> None:
        def change() -> None:
            if self.house.directory.user(USER) is not None:
                for _ in range(starters):
                    self.waiting += 1
                    self.callers.start_soon(self._start)

        self.act(change)

    async def _start(self) -> None:
        try:
            self.results.append(await self.house.directory.start_app(USER, APP))
        except SessionEnded:
            self.results.append(None)
        self.waiting -= 1

    @rule()
    def the_user_stops_the_app(self) -> None:
        async def job() -> None:
            try:
                await self.house.directory.stop_app(USER, APP)
            except SessionEnded:
                return
            assert self.house.state() in {None, "stopping"}
            assert list(await self.house.store.wanted_apps(USER)) == []

        self.do(job)

    @precondition(lambda self: self.glasses)
    @rule(words=st.lists(st.sampled_from(["start_app", "stop_app"]), min_size=1, max_size=4))
    def the_glasses_command(self, words: list[str]) -> None:
        link = self.glasses[-1]
        self.act(lambda: link.say(*({"type": word, "packageName": APP} for word in words)))

    @rule()
    def the_app_answers_its_newest_call(self) -> None:
        starts = self.house.webhooks.starts
        if starts:
            self.act(lambda: self.links.append(self.house.answer(starts[-1])))

    @rule(which=st.integers(0, 5))
    def a_ghost_answers_an_old_call(self, which: int) -> None:
        starts = self.house.webhooks.starts
        if starts:
            self.act(lambda: self.links.append(self.house.answer(starts[which % len(starts)])))

    @rule()
    def the_app_comes_without_a_token(self) -> None:
        self.act(lambda: self.links.append(self.house.app()))

    @precondition(lambda self: self.links)
    @rule(code=st.sampled_from([None, 1000, 1005]), which=st.integers(0, 5))
    def the_app_goes(self, code: int | None, which: int) -> None:
        link = self.links[-1 - which % len(self.links)]
        self.act(link.cut if code is None else partial(link.hang_up, code))

    @precondition(lambda self: self.links)
    @rule()
    def the_app_falls_silent(self) -> None:
        self.links[-1].answers_pings = False

    @precondition(lambda self: self.links)
    @rule(lists=st.lists(st.sampled_from([(), ("a",), ("a", "b"), ("audio_chunk",)]), max_size=5))
    def the_app_subscribes(self, lists: list[tuple[str, ...]]) -> None:
        link = self.links[-1]
        say = [{"type": "subscription_update", "subscriptions": list(item)} for item in lists]
        self.act(lambda: link.say(*say))

    @precondition(lambda self: self.links)
    @rule()
    def the_app_does_not_read(self) -> None:
        self.links[-1].room = 1

    @precondition(lambda self: self.glasses)
    @rule()
    def something_happens(self) -> None:
        link = self.glasses[-1]
        self.act(lambda: link.say(b"pcm", {"type": "a"}, {"type": "b"}, {"type": "ping"}))

    @rule(script=st.sampled_from(["quick", "slow", "refused", "error", "never"]))
    def the_app_server_changes(self, script: str) -> None:
        self.house.webhooks.plan(
            APP,
            {
                "quick": WebhookScript(),
                "slow": WebhookScript(deliver_after=2, answer_after=20),
                "refused": WebhookScript(failure=REFUSED),
                "error": WebhookScript(answer_after=5, failure=LATE_ERROR),
                "never": WebhookScript(deliver_after=100),
            }[script],
        )

    @rule(seconds=st.sampled_from([0.05, 1, 4.9, 5.1, 11, 70]))
    def time_passes(self, seconds: float) -> None:
        self.advance(seconds)

    @rule()
    def left_alone_everything_ends(self) -> None:
        """Liveness: with nobody there any more, all that lives is over after a bounded time."""

        async def job() -> None:
            for link in (*self.links, *self.glasses):
                link.cut()
            await trio.sleep(300)
            assert self.house.directory.users() == []
            assert self.waiting == 0
            assert self.house.webhooks.in_flight == 0

        self.do(job)

    # -- what always holds ---------------------------------------------------------

    @invariant()
    def nothing_crashed_behind_a_bulkhead(self) -> None:
        assert self.house.telemetry.crashes == []

    @invariant()
    def at_most_one_link_each_is_in_use(self) -> None:
        assert sum(link.is_open for link in self.glasses) <= 1
        assert sum(link.is_open for link in self.links) <= 1

    @invariant()
    def an_open_app_link_means_a_running_app(self) -> None:
        if any(link.is_open for link in self.links):
            assert self.house.state() == "running"

    @invariant()
    def states_move_along_the_table_only(self) -> None:
        for fact in self.house.telemetry.of(AppStateChanged):
            if fact.old is None or fact.event is None:
                continue
            if fact.event is not AppEvent.STOP_REQUESTED:
                assert TRANSITIONS[fact.old][fact.event] is fact.new

    @invariant()
    def at_most_one_webhook_is_in_flight(self) -> None:
        assert self.house.webhooks.in_flight <= 1

    @invariant()
    def every_attempt_has_one_delivered_webhook_at_most(self) -> None:
        urls = [call.websocket_url for call in self.house.webhooks.starts]
        assert all(urls.count(url) <= 2 for url in urls)


TestOneApp = OneApp.TestCase
TestOneApp.settings = machine_settings()
