"""Running a certification: one app, many lifecycles, and what came of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import attrs
import trio

from .acquaintance import acquaint
from .cast import Ground, Portrait
from .lifecycles import LIFECYCLES
from .script import Lifecycle, Result, Unmet, Verdict
from .stage import Stage, open_stage


@attrs.frozen(kw_only=True)
class Certificate:
    """What an app survived: the results are in the order of ``LIFECYCLES``."""

    url: str
    seed: int
    seconds: float
    portrait: Portrait
    results: Sequence[Result]

    @property
    def survived(self) -> bool:
        """Whether it was everything."""
        return all(result.verdict is Verdict.SURVIVED for result in self.results)


async def certify(
    ground: Ground,
    *,
    lifecycles: Sequence[Lifecycle] = LIFECYCLES,
    seed: int = 0,
    package: str = "",
    one_by_one: bool = False,
    met: Callable[[Portrait], None] = lambda _: None,
    ended: Callable[[Result], None] = lambda _: None,
) -> Certificate:
    """Put the app at ``ground.url`` through ``lifecycles``.

    Args:
        seed: decides the order, how long pauses are, and what is said.
        package: what the app must call itself; empty: whatever it does.
        one_by_one: otherwise all run at the same time, each with users of its own.
        met, ended: told as soon as the app is known, and whenever a lifecycle is over.

    Raises:
        ConfigError: there is no such app at that URL; one line for people.
    """
    began = trio.current_time()
    portrait = await acquaint(ground, package=package, seed=seed)
    met(portrait)
    order = list(lifecycles)
    Random(seed).shuffle(order)
    results: list[Result] = []

    async def play(lifecycle: Lifecycle) -> None:
        results.append(await play_lifecycle(ground, portrait, lifecycle, seed=seed))
        ended(results[-1])

    async with trio.open_nursery() as nursery:
        for lifecycle in order:
            if one_by_one:
                await play(lifecycle)
            else:
                nursery.start_soon(play, lifecycle, name=f"lifecycle {lifecycle.name}")
    places = {lifecycle.name: place for place, lifecycle in enumerate(lifecycles)}
    results.sort(key=lambda result: places[result.lifecycle.name])
    return Certificate(
        url=ground.url,
        seed=seed,
        seconds=trio.current_time() - began,
        portrait=portrait,
        results=results,
    )


async def play_lifecycle(
    ground: Ground, portrait: Portrait, lifecycle: Lifecycle, *, seed: int
) -> Result:
    """Play one lifecycle with a cloud and users of its own, up to its end or the first failure."""
    async with open_stage(ground, portrait, name=lifecycle.name, seed=seed) as stage:
        return await _play(stage, lifecycle)


async def _play(stage: Stage, lifecycle: Lifecycle) -> Result:
    result = Result(lifecycle=lifecycle, verdict=Verdict.SURVIVED, seconds=0.0, lines=())
    for step in lifecycle.script:
        try:
            await step.play(stage)
        except Unmet as unmet:
            result = Result(
                lifecycle=lifecycle,
                verdict=Verdict.FAILED,
                seconds=0.0,
                lines=(),
                step=str(step),
                expected=unmet.expected,
                came=unmet.came,
                fix=unmet.fix or lifecycle.fix,
            )
            break
    return attrs.evolve(
        result,
        seconds=trio.current_time() - stage.transcript.began,
        lines=tuple(stage.transcript.lines),
        notes=tuple(dict.fromkeys(stage.notes)),
    )
