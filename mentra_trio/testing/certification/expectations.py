"""What is expected of an app in a script: each as a value that raises ``Unmet`` if it fails."""

from __future__ import annotations

from typing import Final

import attrs
import trio

from ...domain.wording import counted
from .acts import expect_anew
from .app_socket import AppSocket
from .cast import Call, Person
from .events import NOTICEABLE
from .script import Unmet
from .stage import Stage

CONNECT_S: Final = 6.0
LIST_S: Final = 5.0
REACTION_S: Final = 3.0
ECHO_S: Final = 0.5
"""So long after a reaction a second one of the same words would come."""
ANSWER_S: Final = 20.0


def newest_live(stage: Stage, person: Person) -> AppSocket:
    """The connection that a cloud would use.

    Raises:
        Unmet: there is none.
    """
    found = stage.live(person)
    if not found:
        raise Unmet("a connection of the session", seen_of(stage, person))
    return found[-1]


def seen_of(stage: Stage, person: Person) -> str:
    """How the user's connections are, for a failure."""
    told = []
    for socket in stage.of(person)[-5:]:
        state = "accepted" if socket.acked else "introduced" if socket.init else "silent"
        over = f"over ({socket.end})" if socket.end is not None else "open"
        told.append(f"socket {socket.number} {'dead' if socket.wire.stalled else over}, {state}")
    failed = [call.outcome.peek() for call in stage.calls if call.person == person.number][-1:]
    told += [f"the webhook failed: {failure}" for failure in failed if failure is not None]
    return "; ".join(told) or "no connection"


@attrs.frozen(kw_only=True)
class Connects:
    """A new connection of the app is accepted."""

    within_s: float = CONNECT_S
    acked: bool = True
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"the app connects and introduces itself within {self.within_s:g} s"

    async def play(self, stage: Stage) -> None:
        """Wait for it."""
        person = stage.people[self.who]
        if not await stage.until(lambda: self._over(stage, person), self.within_s) or not (
            _arrived(stage, person, acked=self.acked)
        ):
            raise Unmet(str(self), seen_of(stage, person))
        said = [one.init for one in stage.of(person) if one.init is not None][-1]
        if (said.package_name, said.session_id) != (stage.portrait.package, person.session_id):
            raise Unmet(
                f"an init of {stage.portrait.package}, session {person.session_id}",
                f"one of {said.package_name}, session {said.session_id}",
                "repeat the session id of the webhook, and say the name of the app",
            )

    def _over(self, stage: Stage, person: Person) -> bool:
        """Whether there is nothing to wait for: it is there, or was never asked."""
        return _arrived(stage, person, acked=self.acked) or _not_asked(stage, person)


def _arrived(stage: Stage, person: Person, *, acked: bool) -> bool:
    """Whether there is a new connection of the user that has come that far."""
    new = [one for one in stage.sockets[person.since :] if one.person == person.number]
    return any(one.live if acked else one.init is not None for one in new)


def _not_asked(stage: Stage, person: Person) -> bool:
    """Whether the latest webhook could not even be delivered."""
    calls = [call.outcome.peek() for call in stage.calls if call.person == person.number]
    return bool(calls) and calls[-1] is not None and not calls[-1].delivered


@attrs.frozen(kw_only=True)
class Returns:
    """The app comes back by itself, or else when it is called."""

    own_s: float = 5.0
    """So long it has for that, as with a cloud: then the webhook is called."""
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"the app comes back by itself within {self.own_s:g} s, or else by a webhook"

    async def play(self, stage: Stage) -> None:
        """Wait for it, and help."""
        person = stage.people[self.who]
        if not await stage.until(lambda: _arrived(stage, person, acked=True), self.own_s):
            expect_anew(stage, person)
            stage.call(person)
            await Connects(who=self.who).play(stage)


@attrs.frozen(kw_only=True)
class Subscribes:
    """The newest connection has the list that the app has after a start."""

    within_s: float = LIST_S
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"the app subscribes to all that it wants within {self.within_s:g} s"

    async def play(self, stage: Stage) -> None:
        """Wait for it."""
        person = stage.people[self.who]
        wanted = stage.portrait.subscriptions
        if not wanted or await stage.until(
            lambda: [one.subscriptions for one in stage.live(person)[-1:]] == [wanted],
            self.within_s,
        ):
            return
        there = newest_live(stage, person)
        listed = ", ".join(sorted(there.subscriptions or ())) or "nothing"
        if there.subscriptions is None:
            listed = "no list at all"
        raise Unmet(
            f"the subscriptions {', '.join(sorted(wanted))}",
            f"on socket {there.number}: {listed}",
            "send the whole list of subscriptions after every ack, not only after the first",
        )


@attrs.frozen(kw_only=True)
class Reacts:
    """The app does on an event what it did when it was met, and not twice."""

    said: bool = False
    """Whether the event was sent already, together with an ack."""
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        if self.said:
            return "the app reacts to what was said meanwhile, once"
        return "the app reacts to an event, once"

    async def play(self, stage: Stage) -> None:
        """Send the event, unless it was sent, and watch; where reactions cannot be seen: not."""
        reaction, person = stage.portrait.reaction, stage.people[self.who]
        if reaction is None:
            return
        since = trio.current_time()
        if not self.said:
            stage.say(person, newest_live(stage, person), stage.new_words())
        elif not reaction.times:
            return  # what it drew on its return cannot be told from a reaction
        words = person.words if reaction.times else ""
        since = 0.0 if words else since
        if not await stage.until(
            lambda: _reactions(stage, person, words, since) >= max(1, reaction.times), REACTION_S
        ):
            raise Unmet(
                f"a reaction to {reaction.stream} within {REACTION_S:g} s",
                f"nothing that a user would notice; {seen_of(stage, person)}",
            )
        if words:
            await trio.sleep(ECHO_S)
            self._check_once(stage, person, words)

    def _check_once(self, stage: Stage, person: Person, words: str) -> None:
        assert stage.portrait.reaction is not None
        times, usual = _reactions(stage, person, words, 0.0), stage.portrait.reaction.times
        if times > usual:
            raise Unmet(
                f"the words {words!r} {counted(usual, 'time')}",
                f"{times} times: the user sees everything more than once",
                "something of the earlier session still listens; end it, or add no handler twice",
            )
        for other in stage.people:
            if other is not person and _reactions(stage, other, words, 0.0):
                raise Unmet(
                    f"the words {words!r} for the user who said them",
                    "another user got them, too",
                    "keep what belongs to a session in that session, not in the app",
                )


def _reactions(stage: Stage, person: Person, words: str, since: float) -> int:
    """How many noticeable messages came since then; with ``words``: those in which they stand."""
    return sum(
        message.type in NOTICEABLE and message.at >= since and words in message.text
        for socket in stage.of(person)
        for message in socket.heard
    )


@attrs.frozen(kw_only=True)
class OneLive:
    """When the dust has settled, exactly one connection of the session is there."""

    rest_s: float = 1.5
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return "one connection of the session is left"

    async def play(self, stage: Stage) -> None:
        """Wait, and count; the app may need a moment to close an old one."""
        await trio.sleep(self.rest_s)
        person = stage.people[self.who]
        open_ones = stage.live(person)
        if len(open_ones) > 1:
            numbers = " and ".join(str(one.number) for one in open_ones)
            raise Unmet(
                "one connection of the session",
                f"{len(open_ones)} that are open and accepted: sockets {numbers}",
                "when a webhook comes for a session that exists, end the older one",
            )
        newest_live(stage, person)


@attrs.frozen(kw_only=True)
class StaysAway:
    """Nobody connects for this user."""

    for_s: float = 4.0
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"the app does not come back for {self.for_s:g} s"

    async def play(self, stage: Stage) -> None:
        """Wait, and look."""
        person = stage.people[self.who]
        if await stage.until(lambda: _arrived(stage, person, acked=False), self.for_s):
            raise Unmet(
                "no connection",
                seen_of(stage, person),
                "after a close with 1000, 1001 or 1008, or with 'App stopped' or 'User session"
                " ended' in its reason, do not reconnect",
            )


@attrs.frozen(kw_only=True)
class Answered:
    """The latest webhook is answered with success."""

    within_s: float = ANSWER_S
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return "the app answers the webhook with success"

    async def play(self, stage: Stage) -> None:
        """Wait for it; an answer that takes long is worth a note."""
        call = _latest_call(stage, self.who)
        if not await stage.until(lambda: call.outcome.settled, self.within_s):
            stage.notes.append(f"webhook {call.number} was not answered within {self.within_s:g} s")
        elif (failed := call.outcome.peek()) is not None:
            raise Unmet("success as the answer to the webhook", str(failed))


def _latest_call(stage: Stage, who: int) -> Call:
    return [call for call in stage.calls if call.person == who][-1]


@attrs.frozen(kw_only=True)
class GivesUp:
    """The app does not wait for ever for an ack."""

    within_s: float = 12.0
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"the app gives up or tries again within {self.within_s:g} s"

    async def play(self, stage: Stage) -> None:
        """Wait for a close, another attempt, or the webhook's answer."""
        person, call = stage.people[self.who], _latest_call(stage, self.who)
        if not await stage.until(
            lambda: (
                call.outcome.settled
                or len(stage.of(person)) > 1
                or any(one.end is not None for one in stage.of(person))
            ),
            self.within_s,
        ):
            raise Unmet(str(self), f"nothing: it hangs; {seen_of(stage, person)}")


@attrs.frozen(kw_only=True)
class WorksOrIsGone:
    """No connection stays on which the app was accepted and does nothing."""

    within_s: float = LIST_S
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"within {self.within_s:g} s the app subscribes to all that it wants, or is gone"

    async def play(self, stage: Stage) -> None:
        """Wait for either; an app that wants nothing cannot be told from one that does nothing."""
        person, wanted = stage.people[self.who], stage.portrait.subscriptions
        if wanted and not await stage.until(
            lambda: all(one.subscriptions == wanted for one in stage.live(person)), self.within_s
        ):
            raise Unmet(
                str(self),
                f"an accepted connection of which the app makes no use: {seen_of(stage, person)}",
            )


@attrs.frozen(kw_only=True)
class AnswersPings:
    """Nothing is said for a while; only the protocol's own pings, which are answered."""

    times: int
    every_s: float
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"nothing but pings for {self.times * self.every_s:g} s, and all are answered"

    async def play(self, stage: Stage) -> None:
        """Ping, and look whether the app was heard."""
        person = stage.people[self.who]
        for _ in range(self.times):
            socket, now = newest_live(stage, person), trio.current_time()
            socket.link.ping()
            await trio.sleep(self.every_s)
            if socket.link.last_heard < now:
                raise Unmet("an answer to a ping", f"silence for {self.every_s:g} s")
        newest_live(stage, person)
