"""An app server as the SDK makes it: connections that end, and sessions that should have."""

from __future__ import annotations

import attrs
import pytest
import trio
from sdk_rig import BUTTON, FAILURE, LOST, ONE, OVERRIDING, SUCCESS, Rig, hear_all, rigged
from stub_cloud import open_cloud

from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.testing.app_server import SdkApp
from mentra_trio.testing.sdk_diary import Answered, Began, Closed
from mentra_trio.testing.sdk_rules import AS_2_1_29, WELL_BEHAVED, SdkQuirks
from mentra_trio.testing.sdk_script import (
    Script,
    Throw,
)


@pytest.mark.parametrize(
    ("quirks", "overrides", "dials", "stops"),
    [
        (AS_2_1_29, False, [1, 3], [6]),
        (AS_2_1_29, True, [1, 3, 7], [6, 7, 8, 12]),
        (WELL_BEHAVED, False, [1, 3, 7], [7]),
        (WELL_BEHAVED, True, [1, 3, 7], [7]),
    ],
)
async def test_the_schedule_when_every_attempt_fails(
    autojump_clock: object,
    quirks: SdkQuirks,
    *,
    overrides: bool,
    dials: list[float],
    stops: list[float],
) -> None:
    async with rigged(OVERRIDING if overrides else ONE, quirks) as rig:
        caller = await rig.started()
        rig.cloud.refuse_with = 503
        lost_at = await rig.lose(caller)
        await trio.sleep(30)
        assert rig.dialled(lost_at) == dials
        assert rig.stopped(lost_at) == stops
        assert rig.server.diary.stops() == [LOST] * len(stops)
        assert rig.server.sessions == rig.server.ghosts == []


async def test_the_third_attempt_brings_back_a_session_that_is_forgotten(
    autojump_clock: object,
) -> None:
    async with rigged(OVERRIDING) as rig:
        caller = await rig.started()
        rig.cloud.refuse_with = 503
        lost_at = await rig.lose(caller)
        await trio.sleep(6.5)
        rig.cloud.refuse_with = None
        again = await rig.cloud.next()
        assert round(again.at - lost_at, 1) == 7
        await again.greet()
        assert await hear_all(again) == [["button_press"]]
        await trio.sleep(10)
        assert rig.server.sessions == []
        assert len(rig.server.ghosts) == 1
        assert rig.server.diary.stops() == [LOST]


async def test_an_ack_resets_the_count(autojump_clock: object) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        for _ in range(5):
            lost_at = await rig.lose(caller)
            caller = await rig.cloud.next()
            assert round(caller.at - lost_at, 1) == 1
            await caller.greet()
            await trio.sleep(0.1)


@pytest.mark.parametrize(("quirks", "back"), [(AS_2_1_29, 2.0), (WELL_BEHAVED, 1.0)])
async def test_an_ack_after_five_seconds_does_not_reset_the_count(
    autojump_clock: object, quirks: SdkQuirks, back: float
) -> None:
    quirks = attrs.evolve(AS_2_1_29, late_ack_counts_not=quirks.late_ack_counts_not)
    async with rigged(quirks=quirks) as rig:
        await rig.lose(await rig.started())
        hung = await rig.cloud.next()
        await trio.sleep(5.5)
        await hung.greet()
        await trio.sleep(0.1)
        lost_at = await rig.lose(hung)
        again = await rig.cloud.next()
        assert round(again.at - lost_at, 1) == back


@pytest.mark.parametrize(("quirks", "waits"), [(AS_2_1_29, True), (WELL_BEHAVED, False)])
async def test_a_hung_attempt_is_given_up_only_by_the_cloud(
    autojump_clock: object, quirks: SdkQuirks, *, waits: bool
) -> None:
    async with rigged(quirks=quirks) as rig:
        lost_at = await rig.lose(await rig.started())
        hung = await rig.cloud.next()
        if waits:
            assert await rig.cloud.nobody_comes(60)
            await hung.close(1013)
            closed_at = trio.current_time()
            assert round((await rig.cloud.next()).at - closed_at, 1) == 2
        else:
            assert round((await rig.cloud.next()).at - lost_at, 1) == 8


async def test_the_count_is_reset_by_app_stopped(autojump_clock: object) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        await rig.lose(caller)
        again = await rig.cloud.next()
        again.say({"type": "app_stopped"})
        await trio.sleep(0.1)
        lost_at = await rig.lose(again)
        assert round((await rig.cloud.next()).at - lost_at, 1) == 1


@pytest.mark.parametrize(
    ("code", "text", "stops", "kept", "returns"),
    [
        (1000, "App stopped", ["Clean disconnect: App stopped"], False, False),
        (1001, "", ["Clean disconnect: "], False, False),
        (1008, "Superseded", [], True, False),
        (1008, "User session ended", ["User session ended"], False, False),
        (1013, "Later", [], True, True),
    ],
)
async def test_what_a_close_does(
    autojump_clock: object, code: int, text: str, stops: list[str], *, kept: bool, returns: bool
) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        await caller.close(code, text)
        assert await rig.cloud.nobody_comes(2) != returns
        assert rig.server.diary.stops() == stops
        assert len(rig.server.sessions) == kept
        closed = rig.server.diary.of(Closed)[0]
        assert closed.reason == CloseReason(code, text)


@pytest.mark.parametrize("by_id", [True, False])
async def test_the_end_of_the_first_of_two_sessions_ends_the_second(
    autojump_clock: object, *, by_id: bool
) -> None:
    quirks = attrs.evolve(AS_2_1_29, stop_by_id=by_id)
    async with rigged(quirks=quirks) as rig:
        rig.nursery.start_soon(rig.call)
        first = await rig.cloud.next()
        rig.nursery.start_soon(rig.call)
        second = await rig.cloud.next()
        for caller in (first, second):
            await caller.greet()
            await trio.sleep(0.1)
        assert len(rig.server.diary.of(Began)) == 2
        await first.close(1000)
        await trio.sleep(1)
        assert rig.server.diary.stops() == ["Clean disconnect: "]
        assert len(rig.server.sessions) == (not by_id)


async def test_a_failing_author_leaves_a_session_that_comes_back(autojump_clock: object) -> None:
    async with rigged(Script(steps=(BUTTON, Throw()))) as rig:
        caller = await rig.started()
        assert rig.answers == [FAILURE]
        lost_at = await rig.lose(caller)
        again = await rig.cloud.next()
        assert round(again.at - lost_at, 1) == 1
        await again.greet()
        assert await hear_all(again) == [["button_press"]]
        await again.close(1000, "App stopped")
        await trio.sleep(1)
        assert rig.server.diary.stops() == [], "nobody listens for its end"
        assert len(rig.server.sessions) == 1


async def test_without_the_ghost_a_failing_author_ends_the_session(autojump_clock: object) -> None:
    async with rigged(Script(steps=(Throw(),)), WELL_BEHAVED) as rig:
        caller = await rig.started()
        assert await caller.until_gone() == CloseReason(1005, "")
        assert rig.server.sessions == rig.server.ghosts == []


async def test_a_webhook_without_an_ack_fails_after_five_seconds_and_leaves_a_ghost(
    autojump_clock: object,
) -> None:
    async with rigged() as rig:
        rig.nursery.start_soon(rig.call)
        caller = await rig.cloud.next()
        await trio.sleep(5.5)
        (answered,) = rig.server.diary.of(Answered)
        assert (answered.status, round(answered.at - caller.at, 1)) == (500, 5.0)
        await caller.close(1013)
        ghost = await rig.cloud.next()
        await ghost.greet()
        assert await hear_all(ghost) == [[]]
        assert rig.server.diary.of(Began) == []
        assert rig.server.sessions == []
        assert len(rig.server.ghosts) == 1


async def test_an_attempt_that_fails_before_the_ack_is_repeated_within_the_webhook(
    autojump_clock: object,
) -> None:
    async with rigged() as rig:
        rig.nursery.start_soon(rig.call)
        await (await rig.cloud.next()).close(1013)
        await (await rig.cloud.next()).greet()
        await trio.sleep(0.1)
        assert rig.answers == [SUCCESS]


@pytest.mark.parametrize("silent", [True, False])
async def test_a_sigterm_closes_what_is_known_and_drops_what_is_not(
    autojump_clock: object, *, silent: bool
) -> None:
    quirks = attrs.evolve(AS_2_1_29, silent_exit=silent)
    async with open_cloud() as cloud, trio.open_nursery() as nursery:
        app = SdkApp("com.t.a", "secret", quirks=quirks)
        listeners = [cloud.network.listen("app", 80)]
        async with app.serve("app", 80, listeners=listeners, dial=cloud.network.dial) as server:
            rig = Rig(cloud, server, nursery)
            nursery.start_soon(cloud.request_session, "app", "another")
            ghost = await cloud.next()
            await trio.sleep(6)
            known = await rig.started()
            assert (len(server.sessions), len(server.ghosts)) == (1, 1)
        assert ("ownership_release" in await hear_all(known)) != silent
        assert await known.until_gone() == CloseReason(1005, "")
        assert (await ghost.until_gone()).code == 1006
        assert await cloud.nobody_comes(20)
        nursery.cancel_scope.cancel("test over")
