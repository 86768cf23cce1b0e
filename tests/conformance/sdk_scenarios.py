"""Scripts that the real SDK and the simulated one go through, with a cloud that follows a plan."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import attrs
import pytest
import trio

from mentra_trio.testing.sdk_script import (
    Disconnect,
    Draw,
    Pause,
    Say,
    Script,
    Step,
    Subscribe,
    SwitchLanguage,
    Throw,
    Unsubscribe,
)
from mentra_trio.wire.from_app import DashboardContentUpdate

from .both_sdks import PACKAGE, Side, post, reached_by_settings, session_of
from .scripted_cloud import (
    Case,
    ScriptedCloud,
    Treatment,
    close,
    greet,
    greet_late,
    greet_twice,
    ignore,
    lose,
    stop,
)


@attrs.frozen
class Webhook:
    """The cloud asks for a session. The answer is awaited beside what comes next."""


@attrs.frozen
class StopWebhook:
    """The cloud asks for the end of the session."""

    reason: str = "user_disabled"


@attrs.frozen
class Code:
    """The author's code does more."""

    steps: tuple[Step, ...]


Act = Webhook | StopWebhook | Code


@attrs.frozen(kw_only=True)
class Scenario:
    """What the author has written, what the cloud does to each connection, and what else happens.

    Attributes:
        acts: each with its time in seconds; the first webhook comes at 0.
        lasts_s: how long is looked.
        has_url: whether the webhook says where to connect to.
        races: whether two connections are opened so close together that the machine decides which
            of them is heard first.
    """

    script: Script = attrs.field(factory=Script)
    cloud: Sequence[Treatment | None] = (greet,)
    acts: Sequence[tuple[float, Act]] = ()
    lasts_s: float = 2.0
    has_url: bool = True
    races: bool = False


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a scenario; what is compared.

    Attributes:
        case: what the cloud knew it by.
        connections: what was seen at each connection in its order, but for the moment.
        order: at which connection something was said or closed, over all of them.
        answers: of webhooks, in the order of the calls: status and body.
        stops: the reasons of ``onStop``.
        reached: how many sessions ``/settings`` finds at the end.
        times: when what of this happened.
        blurred_s: how late the machine was meanwhile, at the worst.
    """

    case: str
    connections: tuple[Any, ...]
    order: tuple[tuple[int, str], ...]
    answers: tuple[Any, ...]
    stops: tuple[str, ...]
    reached: int
    times: tuple[float, ...]
    blurred_s: float = 0.0

    @property
    def about(self) -> Any:
        """Its times, equal to others that differ by less than ``TOLERANCE_S`` and the blur."""
        return pytest.approx(self.times, abs=TOLERANCE_S + self.blurred_s)


async def play(name: str, scenario: Scenario, side: Side, cloud: ScriptedCloud) -> Outcome:
    """Go through ``scenario`` with one of the two."""
    case = f"{name}-{side.name}"
    user = f"{name}@x.org"
    await side.prepare(user, scenario.script)
    cloud.cases[case] = seen = Case(scenario.cloud)
    url = cloud.url(case) if scenario.has_url else None
    answers: dict[int, tuple[float, Any]] = {}

    async def call(number: int, body: dict[str, Any]) -> None:
        answer = await post(side, "/webhook", body)
        answers[number] = (trio.current_time() - seen.began, answer)

    async with trio.open_nursery() as nursery:
        for number, (at, act) in enumerate([(0.0, Webhook()), *scenario.acts]):
            await trio.sleep_until(seen.began + at)
            match act:
                case Webhook():
                    nursery.start_soon(call, number, session_request(user, url))
                case StopWebhook(reason):
                    nursery.start_soon(call, number, stop_request(user, reason))
                case Code(steps):
                    nursery.start_soon(side.carry_out, user, steps)
        await trio.sleep_until(seen.began + scenario.lasts_s)
        nursery.cancel_scope.deadline = trio.current_time() + 1
    stops = [(at - seen.began, reason) for at, reason in side.stops(user)]
    in_order = [answers.get(number) for number in sorted(answers)]
    return Outcome(
        case=case,
        connections=tuple(
            tuple(one.untimed for one in seen.seen if one.connection == number)
            for number in range(1, seen.dialled + 1)
        ),
        order=tuple((one.connection, one.what) for one in seen.seen),
        answers=tuple(answer[1] for answer in in_order if answer),
        stops=tuple(reason for _, reason in stops),
        reached=await reached_by_settings(side, user),
        times=(
            *(one.at for one in seen.seen),
            *(answer[0] for answer in in_order if answer),
            *(at for at, _ in stops),
        ),
    )


def session_request(user: str, url: str | None) -> dict[str, Any]:
    """The body of a webhook."""
    body = {"type": "session_request", "sessionId": session_of(user), "userId": user}
    where = {"mentraOSWebsocketUrl": url, "augmentOSWebsocketUrl": url} if url else {}
    return body | where


def stop_request(user: str, reason: str) -> dict[str, Any]:
    """The body of a webhook that ends a session."""
    return {
        "type": "stop_request",
        "sessionId": session_of(user),
        "userId": user,
        "reason": reason,
    }


# ---- the scenarios -----------------------------------------------------------------------

BUTTON, HEAD, VAD = Subscribe("button_press"), Subscribe("head_position"), Subscribe("VAD")
ONE = Script(steps=(BUTTON,))
OVERRIDING = Script(steps=(BUTTON,), overrides_stop=True)
DASHBOARD = Say(
    DashboardContentUpdate(package_name=PACKAGE, session_id="s", content="c", modes=["main"])
)
AGAIN = Webhook()

CLOSES = MappingProxyType(
    {
        "1000": (1000, ""),
        "1000_app_stopped": (1000, "App stopped"),
        "1000_user_session": (1000, "User session ended"),
        "1001": (1001, "Away"),
        "no_code": (None, ""),
        "1008": (1008, "Superseded"),
        "1008_user_session": (1008, "User session ended"),
        "1011": (1011, "Oops"),
        "1012": (1012, ""),
        "1013": (1013, "Later"),
        "4000": (4000, ""),
        "4000_app_stopped": (4000, "The App stopped."),
        "4000_user_session": (4000, "User session ended"),
    }
)

SCENARIOS = MappingProxyType(
    {
        "no_handler": Scenario(),
        "one_handler": Scenario(script=ONE),
        "three_handlers": Scenario(script=Script(steps=(BUTTON, HEAD, VAD, Draw("ready")))),
        "the_same_handler_twice": Scenario(script=Script(steps=(BUTTON, BUTTON, HEAD))),
        "a_handler_comes_and_goes": Scenario(
            script=ONE,
            acts=[(0.3, Code((HEAD,))), (0.6, Code((Unsubscribe("head_position"), DASHBOARD)))],
        ),
        "another_language": Scenario(
            script=Script(steps=(SwitchLanguage("en-US"), BUTTON)),
            acts=[(0.3, Code((SwitchLanguage("de-DE"),))), (0.6, Code((SwitchLanguage("de-DE"),)))],
        ),
        "only_a_language": Scenario(
            script=Script(steps=(SwitchLanguage("en-US"), SwitchLanguage("fr-FR")))
        ),
        "greeted_twice": Scenario(script=ONE, cloud=[greet_twice()]),
        "killed_once": Scenario(script=ONE, cloud=[lose(), greet], lasts_s=2.5),
        "a_handler_while_away": Scenario(
            script=ONE, cloud=[lose(), greet], lasts_s=2.5, acts=[(0.6, Code((HEAD, Draw("x"))))]
        ),
        "killed_twice": Scenario(script=ONE, cloud=[lose(), lose(), greet], lasts_s=3.5),
        "one_refused": Scenario(script=ONE, cloud=[lose(), None, greet], lasts_s=5.0),
        "two_refused": Scenario(script=ONE, cloud=[lose(), None, None, greet], lasts_s=9.0),
        "two_refused_overriding": Scenario(
            script=OVERRIDING, cloud=[lose(), None, None, greet], lasts_s=9.0
        ),
        "all_refused": Scenario(script=ONE, cloud=[lose(), None], lasts_s=9.0),
        "all_refused_overriding": Scenario(script=OVERRIDING, cloud=[lose(), None], lasts_s=14.0),
        "hung_for_ever": Scenario(script=ONE, cloud=[lose(), ignore], lasts_s=9.0),
        "hung_then_closed": Scenario(
            script=ONE,
            cloud=[lose(), close(1013, after_s=4.0, greeted=False), greet],
            lasts_s=9.0,
        ),
        "hung_three_times": Scenario(
            script=OVERRIDING,
            cloud=[lose(0.1), *[close(1013, after_s=0.5, greeted=False)] * 2, ignore],
            lasts_s=14.5,
        ),
        "a_late_ack_does_not_count": Scenario(
            script=ONE, cloud=[lose(), greet_late(5.6, lose(0.1)), greet], lasts_s=10.0
        ),
        "another_webhook": Scenario(script=ONE, acts=[(0.4, AGAIN)]),
        "another_webhook_at_once": Scenario(
            script=ONE, cloud=[greet_late(0.5)], acts=[(0.1, AGAIN)]
        ),
        "two_at_once_and_the_first_ends": Scenario(
            script=ONE,
            cloud=[greet_late(0.4, close(1000, after_s=0.5)), greet_late(0.5)],
            acts=[(0.1, AGAIN)],
        ),
        "two_others_at_once": Scenario(script=ONE, acts=[(0.4, AGAIN), (0.46, AGAIN)], races=True),
        "a_webhook_while_away": Scenario(
            script=ONE, cloud=[lose(), greet], acts=[(0.6, AGAIN)], lasts_s=2.5
        ),
        "a_webhook_between_attempts": Scenario(
            script=ONE, cloud=[lose(), None, greet], acts=[(2.2, AGAIN)], lasts_s=4.5
        ),
        "a_webhook_after_the_end": Scenario(
            script=ONE, cloud=[lose(), None, None, greet], acts=[(6.6, AGAIN)], lasts_s=8.5
        ),
        "a_webhook_after_the_end_overriding": Scenario(
            script=OVERRIDING, cloud=[lose(), None, None, greet], acts=[(6.6, AGAIN)], lasts_s=8.5
        ),
        "a_webhook_while_onsession_runs": Scenario(
            script=Script(steps=(BUTTON, Pause(0.6), HEAD, Draw("x"), DASHBOARD)),
            acts=[(0.3, AGAIN)],
        ),
        "onsession_fails": Scenario(
            script=Script(steps=(BUTTON, Throw())), cloud=[lose(0.5), greet], lasts_s=2.5
        ),
        "onsession_fails_and_is_asked_again": Scenario(
            script=Script(steps=(BUTTON, Throw())), acts=[(0.4, AGAIN)]
        ),
        "onsession_fails_and_is_stopped": Scenario(
            script=Script(steps=(BUTTON, Throw())), acts=[(0.4, StopWebhook())]
        ),
        "onsession_fails_and_is_closed": Scenario(
            script=Script(steps=(BUTTON, Throw())), cloud=[close(1000, "App stopped")]
        ),
        "not_yet": Scenario(script=ONE, cloud=[close(1013, greeted=False), greet], lasts_s=2.5),
        "never_acknowledged": Scenario(
            script=ONE,
            cloud=[close(1013, after_s=5.4, greeted=False), greet],
            acts=[(7.5, AGAIN)],
            lasts_s=8.5,
        ),
        "refused_for_good": Scenario(
            script=ONE, cloud=[close(1008, "Invalid API key", greeted=False)], lasts_s=6.0
        ),
        "no_url": Scenario(script=ONE, has_url=False),
        "stopped": Scenario(script=ONE, cloud=[stop()], lasts_s=2.0),
        "stopped_by_webhook": Scenario(script=ONE, acts=[(0.4, StopWebhook())]),
        "stopped_by_webhook_overriding": Scenario(script=OVERRIDING, acts=[(0.4, StopWebhook())]),
        "stopped_both_ways": Scenario(script=ONE, cloud=[stop(0.7)], acts=[(0.4, StopWebhook())]),
        "stopped_while_away": Scenario(
            script=ONE, cloud=[lose(), greet], acts=[(0.6, StopWebhook())], lasts_s=2.5
        ),
        "the_author_disconnects": Scenario(script=ONE, acts=[(0.3, Code((Disconnect(),)))]),
        "the_author_releases": Scenario(
            script=ONE, acts=[(0.3, Code((Disconnect("user_logout"), Draw("x"))))]
        ),
        **{
            f"closed_{name}": Scenario(script=ONE, cloud=[close(*how), greet], lasts_s=2.0)
            for name, how in CLOSES.items()
        },
    }
)


PACE_S = 0.25
"""Between the beginnings of two: a machine that is busy would blur the times."""

TOLERANCE_S = 0.45
"""The SDK's own schedule knows no steps smaller than a second."""

BEAT_S = 0.02
BLURRED_MOST_S = 0.5
"""A machine that is later than that cannot tell one step of the schedule from the next."""

Outcomes = dict[str, dict[str, Outcome]]


async def play_all(sides: Sequence[Side], cloud: ScriptedCloud) -> Outcomes:
    """Go through all of them with all sides, at once.

    Times are compared as exactly as the machine has kept them meanwhile.
    """
    outcomes: Outcomes = {name: {} for name in SCENARIOS}
    names = sorted(SCENARIOS, key=lambda name: -SCENARIOS[name].lasts_s)
    lateness = Lateness()
    async with trio.open_nursery() as beating:
        beating.start_soon(lateness.watch)
        async with trio.open_nursery() as nursery:
            for name in names:
                for side in sides:
                    playing = partial(play, name, SCENARIOS[name], side, cloud)
                    nursery.start_soon(note, outcomes[name], side, playing)
                await trio.sleep(PACE_S)
        beating.cancel_scope.cancel()
    blurred_s = min(lateness.most_s, BLURRED_MOST_S)
    return {
        name: {side: attrs.evolve(one, blurred_s=blurred_s) for side, one in of_both.items()}
        for name, of_both in outcomes.items()
    }


@attrs.define
class Lateness:
    """How late a task of this machine was woken up at the worst."""

    most_s: float = 0.0

    async def watch(self) -> None:
        """Keep looking, until cancelled."""
        while True:
            due = trio.current_time() + BEAT_S
            await trio.sleep_until(due)
            self.most_s = max(self.most_s, trio.current_time() - due)


async def note(
    outcomes: dict[str, Outcome], side: Side, playing: Callable[[], Awaitable[Outcome]]
) -> None:
    """Keep what comes of it."""
    outcomes[side.name] = await playing()
