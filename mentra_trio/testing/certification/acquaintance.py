"""Meeting an app before it is put through anything: who it is, what it wants, how it reacts."""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs
import trio

from ...domain.errors import ConfigError, WebhookFailed, WebhookFailure
from .cast import Call, Ground, Person, Portrait
from .events import NOTICEABLE, Reaction, probes
from .stage import Stage, open_stage

CONNECT_S: Final = 10.0
ANSWER_S: Final = 20.0
SETTLED_S: Final = 1.0
"""A list of subscriptions that has not changed for so long is whole."""
LIST_S: Final = 10.0
REACTION_S: Final = 1.0
NOT_AN_APP: Final = frozenset({WebhookFailure.GONE, WebhookFailure.MISCONFIGURED})


async def acquaint(ground: Ground, *, package: str, seed: int) -> Portrait:
    """What there is to know of the app at ``ground.url``; ``package``: who it should be.

    Raises:
        ConfigError: nothing answers there, or it is no app, or another one; one line for people.
    """
    async with open_stage(ground, Portrait(package=package), name="first", seed=seed) as stage:
        found = await _meet(stage, stage.people[0])
    if isinstance(found, str):
        raise ConfigError(found)
    if package and found.package != package:
        raise ConfigError(
            f"the app at {ground.url} calls itself {found.package!r}, not {package!r}"
        )
    return found


async def _meet(stage: Stage, person: Person) -> Portrait | str:
    """The portrait; or in one line why there is none."""
    call = stage.call(person)

    def failed() -> bool:
        return call.outcome.peek() is not None

    await stage.until(lambda: bool(stage.live(person)) or failed(), CONNECT_S)
    if not stage.live(person):
        return _no_app(stage, call)
    await stage.until(lambda: call.outcome.settled or not stage.live(person), ANSWER_S)
    if not stage.live(person):
        return f"the app at {stage.ground.url} connected, and left again: {stage.sockets[-1].end}"
    init = stage.live(person)[-1].init
    assert init is not None, "an accepted connection has introduced itself"
    await _list_settled(stage, person)
    wanted = next(iter(_lists(stage, person)[-1:]), None) or frozenset()
    portrait = Portrait(package=init.package_name, subscriptions=wanted)
    return attrs.evolve(portrait, reaction=await _reaction(stage, person, wanted))


def _no_app(stage: Stage, call: Call) -> str:
    """Why there is no app to be met, and what to do."""
    url, failed = stage.ground.url, call.outcome.peek()
    if isinstance(failed, WebhookFailed) and not failed.delivered:
        return f"there is no app server at {url}: {failed}"
    if isinstance(failed, WebhookFailed) and failed.failure in NOT_AN_APP:
        return f"what answers at {url} is no app server: {failed}; give the URL without /webhook"
    if stage.sockets:
        return f"the app at {url} connected but did not introduce itself (tpa_connection_init)"
    what = failed or "the webhook was delivered"
    return (
        f"what is at {url} did not connect to {stage.websocket_url(call)} ({what});"
        " if it runs on another machine, give --host, the address of this one"
    )


async def _list_settled(stage: Stage, person: Person) -> None:
    """Wait until the app subscribes to nothing more."""
    with trio.move_on_after(LIST_S):
        while await stage.until(partial(_changed, stage, person, _lists(stage, person)), SETTLED_S):
            pass


def _lists(stage: Stage, person: Person) -> list[frozenset[str] | None]:
    return [socket.subscriptions for socket in stage.live(person)]


def _changed(stage: Stage, person: Person, before: list[frozenset[str] | None]) -> bool:
    return _lists(stage, person) != before


async def _reaction(stage: Stage, person: Person, wanted: frozenset[str]) -> Reaction | None:
    """The first stream to which the app reacts twice in the same way."""
    restless = len(_noticeable(stage, person))
    await trio.sleep(REACTION_S)
    quiet = len(_noticeable(stage, person)) == restless
    for stream in probes(wanted):
        first = await _times(stage, person, stream)
        if first and first == await _times(stage, person, stream):
            times, answers = first
            if times:
                return Reaction(stream=stream, times=times)
            if answers and quiet:
                return Reaction(stream=stream, times=0)
    return None


async def _times(stage: Stage, person: Person, stream: str) -> tuple[int, bool] | None:
    """How often the words of one event came back, and whether anything did; ``None``: nothing."""
    if not stage.live(person):
        return None
    before, words = len(_noticeable(stage, person)), stage.new_words()
    stage.send_event(person, stage.live(person)[-1], stream, words)
    await trio.sleep(REACTION_S)
    said = _noticeable(stage, person)[before:]
    return (sum(words in text for text in said), True) if said else None


def _noticeable(stage: Stage, person: Person) -> list[str]:
    """All that the app has said and a user would notice."""
    return [
        message.text
        for socket in stage.of(person)
        for message in socket.heard
        if message.type in NOTICEABLE
    ]
