"""A certification is given up at any moment: the app's sessions are ended, and another works."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import attrs
import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.clients.app import App, AppServer
from mentra_trio.clients.app_session import AppSession
from mentra_trio.domain.close_reasons import RESTARTING
from mentra_trio.testing.certification import acts, expectations
from mentra_trio.testing.certification.acquaintance import acquaint
from mentra_trio.testing.certification.app_socket import Wire
from mentra_trio.testing.certification.calling import AppCalls
from mentra_trio.testing.certification.cast import Greeting, Ground, Portrait
from mentra_trio.testing.certification.events import Reaction
from mentra_trio.testing.certification.rest import answer_rest
from mentra_trio.testing.certification.run import certify, play_lifecycle
from mentra_trio.testing.certification.script import Lifecycle, Step, Unmet, Verdict
from mentra_trio.testing.certification.stage import LEAVE_S, Stage, open_stage
from mentra_trio.testing.household import virtual_environment
from mentra_trio.testing.network import MemoryNetwork

PACKAGE: Final = "com.t.a"
STREAM: Final = "transcription:en-US"
PORTRAIT: Final = Portrait(
    package=PACKAGE, subscriptions=frozenset({STREAM}), reaction=Reaction(stream=STREAM, times=1)
)
STARTED: Final[tuple[Step, ...]] = (
    acts.CallWebhook(),
    expectations.Connects(),
    expectations.Subscribes(),
)


def lifecycle(*script: Step) -> Lifecycle:
    return Lifecycle(name="cancelled", user="all is well.", script=script, fix="")


@attrs.define(eq=False)
class Scene:
    """An app that repeats what is said, on a network."""

    network: MemoryNetwork
    app: AppServer

    @property
    def ground(self) -> Ground:
        async def listen(host: str, port: int) -> Sequence[trio.abc.Listener[Any]]:
            await trio.lowlevel.checkpoint()
            return [self.network.listen(host, port)]

        return Ground(
            url="http://app",
            host="cloud",
            listen=listen,
            dial=self.network.dial_from("cloud"),
            environment=virtual_environment(),
        )

    async def is_whole(self) -> None:
        """Nothing is left, and the app is certified all the same."""
        await self.is_left()
        whole = lifecycle(*STARTED, expectations.Reacts())
        result = await play_lifecycle(self.ground, PORTRAIT, whole, seed=0)
        assert result.verdict is Verdict.SURVIVED, result

    async def is_left(self) -> None:
        """No session and no connection is left."""
        await trio.sleep(LEAVE_S)
        assert self.app.sessions == []
        assert self.app.crashes == []
        assert not [one.address for one in self.network.connections if one.is_open]


@asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    app, network = App(PACKAGE, api_key="secret"), MemoryNetwork()

    @app.session
    async def begin(session: AppSession) -> None:
        session.on_transcription(lambda said: session.show_text(said.text))
        await session.show_text("ready")

    listeners = [network.listen("app", 80)]
    async with app.serve(listeners=listeners, dial=network.dial_from("app")) as server:
        yield Scene(network, server)


# -- a whole certification ----------------------------------------------------------------------


WHOLE: Final = lifecycle(
    *(*STARTED, expectations.Reacts(), acts.Cut(), expectations.Returns()),
    *(acts.ShutDoor(), acts.OpenDoor(), acts.StopSession()),
)


@cancels(
    certify,
    play_lifecycle,
    acquaint,
    open_stage,
    AppCalls.start,
    AppCalls.stop,
    Stage.until,
    Stage.stop,
    Stage.leave,
    Stage.open_door,
    Wire.receive_some,
    Wire.send_all,
    Wire.aclose,
)
async def test_a_certification(autojump_clock: MockClock) -> None:
    async def call(scene: Scene) -> None:
        certificate = await certify(scene.ground, lifecycles=[WHOLE])
        assert certificate.survived, certificate

    moments = await cancel_at_every_moment(scene, call, Scene.is_whole, every=3)
    assert moments > 300


class AskForSettings:
    """As the SDK does while it starts, the app asks its cloud over HTTP."""

    def __str__(self) -> str:
        return "the app asks for its settings"

    async def play(self, stage: Stage) -> None:
        assert stage.ground.dial is not None
        async with await stage.ground.dial(*stage._address) as stream:
            await stream.send_all(b"GET /appsettings/a HTTP/1.1\r\nHost: cloud\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")


@cancels(answer_rest)
async def test_an_answer_over_http(autojump_clock: MockClock) -> None:
    async def call(scene: Scene) -> None:
        asks = lifecycle(AskForSettings())
        result = await play_lifecycle(scene.ground, PORTRAIT, asks, seed=0)
        assert result.verdict is Verdict.SURVIVED, result

    assert await cancel_at_every_moment(scene, call, Scene.is_whole, every=2) > 10


# -- each step of a script, on a stage where the app has started ----------------------------------

STEPS: Final[dict[Callable[..., object], tuple[Step, ...]]] = {
    acts.CallWebhook.play: (acts.CallWebhook(times=2),),
    acts.StopSession.play: (acts.StopSession(),),
    acts.CallStop.play: (acts.CallStop(),),
    acts.Cut.play: (acts.Cut(),),
    acts.Stall.play: (acts.Stall(),),
    acts.Close.play: (acts.Close(RESTARTING),),
    acts.ShutDoor.play: (acts.ShutDoor(),),
    acts.OpenDoor.play: (acts.ShutDoor(), acts.OpenDoor()),
    acts.Greet.play: (acts.Greet(Greeting(ack=False)),),
    acts.SayWithNextAck.play: (acts.SayWithNextAck(),),
    acts.Pause.play: (acts.Pause(1.0),),
    acts.Send.play: (acts.Send("nonsense", ["{", b"\xff"]),),
    expectations.Connects.play: (acts.Cut(), expectations.Connects()),
    expectations.Returns.play: (acts.Cut(), expectations.Returns(own_s=0.5)),
    expectations.Subscribes.play: (acts.Cut(), expectations.Subscribes()),
    expectations.Reacts.play: (expectations.Reacts(),),
    expectations.OneLive.play: (expectations.OneLive(),),
    expectations.StaysAway.play: (acts.Close(RESTARTING), expectations.StaysAway()),
    expectations.Answered.play: (acts.CallWebhook(), expectations.Answered()),
    expectations.GivesUp.play: (
        *(acts.Greet(Greeting(ack=False)), acts.CallWebhook()),
        expectations.GivesUp(within_s=1.0),
    ),
    expectations.WorksOrIsGone.play: (
        acts.Cut(),
        expectations.Connects(),
        expectations.WorksOrIsGone(),
    ),
    expectations.AnswersPings.play: (expectations.AnswersPings(times=1, every_s=1.0),),
    Stage.shut_door: (acts.ShutDoor(),),
}


LONG: Final = {
    acts.CallStop.play,
    acts.StopSession.play,
    expectations.Answered.play,
    expectations.Connects.play,
    expectations.GivesUp.play,
    expectations.Reacts.play,
    expectations.Returns.play,
    expectations.StaysAway.play,
    expectations.Subscribes.play,
}
"""Too long for every moment: the app is called, connects, or answers."""
MODERATE: Final = {
    acts.OpenDoor.play,
    acts.Pause.play,
    acts.ShutDoor.play,
    expectations.AnswersPings.play,
    expectations.OneLive.play,
    expectations.WorksOrIsGone.play,
    Stage.shut_door,
}
"""Likewise: a door opens or shuts, or time passes in which connections are closed."""


@attrs.define(eq=False)
class Staged:
    """An app that has started on a stage."""

    scene: Scene
    stage: Stage


@pytest.mark.parametrize("function", STEPS, ids=lambda function: function.__qualname__)
@cancels(*STEPS)
async def test_a_step_of_a_script(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    @asynccontextmanager
    async def staged() -> AsyncGenerator[Staged]:
        async with scene() as opened:
            async with open_stage(opened.ground, PORTRAIT, name="one", seed=0) as stage:
                for step in STARTED:
                    await step.play(stage)
                yield Staged(opened, stage)
            await opened.is_left()

    async def call(staged: Staged) -> None:
        with suppress(Unmet):
            for step in STEPS[function]:
                await step.play(staged.stage)

    async def goes_on(staged: Staged) -> None:
        """Whatever was done to it, the script can go on."""
        stage = staged.stage
        await stage.shut_door()
        await stage.open_door()
        await acts.Greet(Greeting()).play(stage)
        rest: tuple[Step, ...] = (acts.StopSession(), acts.Pause(1.0), *STARTED)
        for step in (*rest, expectations.Reacts()):
            await step.play(stage)

    every = 19 if function in LONG else 5 if function in MODERATE else 1
    assert await cancel_at_every_moment(staged, call, goes_on, every=every) > 0
