"""Stand-ins for the ports of the sessions: a link, and the webhooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import attrs
import msgspec
import trio

from ..clients.inbox import Inbox
from ..concurrency.loan import Loan
from ..concurrency.oneshot import OneShot
from ..domain.close_reasons import CRASHED, LINK_LOST, SLOW_CONSUMER, CloseReason
from ..domain.errors import InitRefused, LinkClosed, WebhookFailed
from ..ports import AppAnswer, AppCall, Handle, SessionCall, StopCall
from ..wire.frames import Sound, payload_of
from .ledger import current_ledger

Message = dict[str, Any]
"""A decoded text frame."""

Sayable = str | bytes | msgspec.Struct | Mapping[str, Any]
"""What a peer can be made to send: a frame, or a message that becomes a text frame."""

PATIENCE_S = 60.0
"""Virtual seconds after which a test that waits for a message has waited in vain."""


def frame_of(message: Sayable) -> str | bytes:
    """``message`` as a frame: text and bytes as they are, anything else as JSON text."""
    if isinstance(message, str | bytes):
        return message
    return msgspec.json.encode(message).decode()


@attrs.define(eq=False)
class MemoryLink:
    """A ``ports.Link`` whose peer is the test.

    The test speaks as the peer (``say``, ``hang_up``, ``cut``) and sees what was pushed to it
    (``pushed``, ``messages``, ``expect``). The link is open until the peer ends it or its owner
    calls ``close``.

    Attributes:
        answers_pings: a ping counts as heard at once; ``False`` plays a silent peer.
        room: frames that the outbox still takes; ``None`` is a peer that reads everything.
        pushed: every frame that was taken, audio included, in order.
        on_pushed: is called with each such frame at once.
        pings: how many pings were asked for.
    """

    peer: str = "memory"
    answers_pings: bool = True
    room: int | None = None
    on_pushed: Callable[[str | bytes], None] | None = None
    pushed: list[str | bytes] = attrs.field(factory=list, init=False)
    pings: int = attrs.field(default=0, init=False)
    last_heard: float = attrs.field(factory=trio.current_time, init=False)
    _listening: trio.CancelScope | None = attrs.field(default=None, init=False)
    _said: Inbox[str | bytes] = attrs.field(factory=Inbox, init=False)
    _heard: Inbox[Message] = attrs.field(factory=Inbox, init=False)
    _unsendable: OneShot[CloseReason] = attrs.field(factory=OneShot, init=False)
    _over: OneShot[CloseReason] = attrs.field(factory=OneShot, init=False)
    _closed: OneShot[CloseReason] = attrs.field(factory=OneShot, init=False)

    def __attrs_post_init__(self) -> None:
        ledger = current_ledger()
        if ledger is not None:
            ledger.watch_link(f"memory link {self.peer}", lambda: self.is_open)

    # --- as ports.Link ---

    async def listen(self, handle: Handle, until: float) -> CloseReason | None:
        """Hand over what the peer said; frames that it said before its end come first."""
        with trio.CancelScope(deadline=until) as self._listening:
            try:
                while self._over.settled or not self._unsendable.settled:
                    verdict = handle(await self._said.take())
                    if verdict is not None:
                        return verdict
            except LinkClosed as closed:
                return closed.reason
            finally:
                self._listening = None
        return None if self._over.settled else self._unsendable.peek()

    def wake(self) -> None:
        """Have ``listen`` return."""
        if self._listening is not None:
            self._listening.cancel("woken")

    def prolong(self, until: float) -> None:
        """Put off the end of ``listen``."""
        if self._listening is not None:
            self._listening.deadline = until

    async def attend(self, loan: Loan[Any, CloseReason]) -> CloseReason:
        """Wait: a link in memory needs no work."""
        return await loan.returned()

    def push(self, frame: str | bytes) -> bool:
        """Record ``frame``; with no room left, fail the link as a slow consumer's."""
        if self._unsendable.settled:
            return False
        if self.room is not None and self.room < 1:
            self._unsendable.settle(SLOW_CONSUMER)
            self.wake()
            return False
        self._record(frame)
        return True

    def push_encoded(self, frame: bytes) -> bool:
        """Record what ``frame`` says, as ``push`` does."""
        return self.push(payload_of(frame).decode())

    def push_audio(self, sound: Sound) -> bool:
        """Record what ``sound`` holds if there is room."""
        if self._unsendable.settled or (self.room is not None and self.room < 1):
            return False
        self._record(sound.payload)
        return True

    def ping(self) -> None:
        """Count a ping, and answer it unless the peer is silent or gone."""
        self.pings += 1
        if self.answers_pings and not self._over.settled:
            self.last_heard = trio.current_time()

    # --- as the peer ---

    def say(self, *messages: Sayable) -> None:
        """Send ``messages`` to the session, in order. After the end they are lost."""
        if not self._over.settled:
            self.last_heard = trio.current_time()
            for message in messages:
                self._said.put(frame_of(message))

    def hang_up(self, code: int = 1005, text: str = "") -> None:
        """The peer closes in order; frames said before are still received."""
        self._end(CloseReason(code, text))

    def cut(self) -> None:
        """The connection is reset."""
        self._end(LINK_LOST)

    @property
    def messages(self) -> list[Message]:
        """Every text frame pushed so far, decoded."""
        return [msgspec.json.decode(frame) for frame in self.pushed if isinstance(frame, str)]

    @property
    def audio(self) -> list[bytes]:
        """Every binary frame pushed so far."""
        return [frame for frame in self.pushed if isinstance(frame, bytes)]

    def of_type(self, *types: str) -> list[Message]:
        """Every message pushed so far whose ``type`` is one of ``types``."""
        return [message for message in self.messages if message.get("type") in types]

    def shown_by(self, package: str) -> list[Message]:
        """Every ``display_event`` pushed so far that is of that app, on whichever view."""
        shown = self.of_type("display_event")
        return [message for message in shown if message.get("packageName") == package]

    async def expect(
        self, message_type: str, *, within: float = PATIENCE_S, **fields: Any
    ) -> Message:
        """The oldest message of that type, with those ``fields``, that no ``expect`` has returned.

        Raises:
            AssertionError: none came ``within`` so many seconds of Trio time.
        """
        with trio.move_on_after(within):
            wanted = {"type": message_type, **fields}
            return await self._heard.take(lambda message: wanted.items() <= message.items())
        others = [message.get("type") for message in self._heard]
        raise AssertionError(f"no {message_type} within {within:g} s; waiting there: {others}")

    # --- as the connection that owns it ---

    async def lend(self, serve: Callable[[MemoryLink], Awaitable[CloseReason]]) -> CloseReason:
        """Play the connection's task: have the link served, close it with the reason returned.

        ``partial(directory.serve_glasses, user)`` is such a ``serve``. A refused init closes the
        link with the refusal's reason, which is returned too.
        """
        reason = CRASHED
        await trio.lowlevel.cancel_shielded_checkpoint()
        try:
            reason = await serve(self)
        except InitRefused as refused:
            reason = refused.close
        finally:
            self.close(reason)
        return reason

    def close(self, reason: CloseReason) -> None:
        """End the link from our side; the peer sees ``reason``."""
        self._closed.settle(reason)
        self._end(reason)

    @property
    def is_open(self) -> bool:
        """Whether neither side has ended it."""
        return not self._over.settled

    @property
    def closed_with(self) -> CloseReason | None:
        """What our side closed it with, if it did. A peer that was gone before never sees it."""
        return self._closed.peek()

    async def closed(self) -> CloseReason:
        """What our side closes it with, as soon as it does."""
        return await self._closed.wait()

    def _record(self, frame: str | bytes) -> None:
        if self.room is not None:
            self.room -= 1
        self.pushed.append(frame)
        if isinstance(frame, str):
            self._heard.put(msgspec.json.decode(frame))
        if self.on_pushed is not None:
            self.on_pushed(frame)

    def _end(self, reason: CloseReason) -> None:
        self._over.settle(reason)
        self._unsendable.settle(reason)
        self._said.end(lambda: LinkClosed(reason))


@attrs.frozen(kw_only=True)
class WebhookScript:
    """How an app server treats one call.

    Attributes:
        deliver_after: seconds until the request is written.
        answer_after: seconds from then to the answer; a large number never answers.
        failure: raised instead of a good answer; at the time of delivery if its ``delivered``
            is false, else at the time of the answer.
        on_delivered, on_answered: called synchronously at these moments with the call; the place
            to have a simulated app connect, before or after the answer.
    """

    deliver_after: float = 0.0
    answer_after: float = 0.0
    failure: WebhookFailed | None = None
    on_delivered: Callable[[SessionCall], None] | None = None
    on_answered: Callable[[SessionCall], None] | None = None


WELL: Final = AppAnswer(status=200, body=b'{"status":"success"}')
"""What an app server says when all is well."""


@attrs.define(eq=False)
class FakeWebhooks:
    """``ports.Webhooks`` that records every call and answers as it was told to.

    Scripts given by ``plan`` are used one per session call, the last one from then on; without
    any, every call is answered at once. ``stop_after`` and ``stop_failure`` govern stop calls,
    ``health_after`` and ``health_failure`` questions for health.
    """

    stop_after: float = 0.0
    stop_failure: WebhookFailed | None = None
    health_after: float = 0.0
    health_failure: WebhookFailed | None = None
    health_checks: list[str] = attrs.field(factory=list, init=False)
    post_after: float = 0.0
    post_failure: WebhookFailed | None = None
    post_answer: AppAnswer = WELL
    posts: list[AppCall] = attrs.field(factory=list, init=False)
    starts: list[SessionCall] = attrs.field(factory=list, init=False)
    stops: list[StopCall] = attrs.field(factory=list, init=False)
    in_flight: int = attrs.field(default=0, init=False)
    _plans: dict[str, list[WebhookScript]] = attrs.field(factory=dict, init=False)
    _new_starts: Inbox[SessionCall] = attrs.field(factory=Inbox, init=False)
    _new_posts: Inbox[AppCall] = attrs.field(factory=Inbox, init=False)
    _new_stops: Inbox[StopCall] = attrs.field(factory=Inbox, init=False)

    def plan(self, package: str, *scripts: WebhookScript) -> None:
        """How the coming session calls of ``package`` are treated."""
        self._plans[package] = list(scripts)

    async def start(self, call: SessionCall, *, delivered: Callable[[], None]) -> None:
        """Record the call and follow its script."""
        self.starts.append(call)
        self._new_starts.put(call)
        script = self._next_script(call.package)
        self.in_flight += 1
        try:
            await trio.sleep(script.deliver_after)
            if script.failure is not None and not script.failure.delivered:
                raise script.failure
            delivered()
            if script.on_delivered is not None:
                script.on_delivered(call)
            await trio.sleep(script.answer_after)
            if script.failure is not None:
                raise script.failure
            if script.on_answered is not None:
                script.on_answered(call)
        finally:
            self.in_flight -= 1

    async def stop(self, call: StopCall) -> None:
        """Record the call; answer after ``stop_after`` seconds, or fail."""
        self.stops.append(call)
        self._new_stops.put(call)
        await trio.sleep(self.stop_after)
        if self.stop_failure is not None:
            raise self.stop_failure

    async def post(self, call: AppCall) -> AppAnswer:
        """Record the call; answer with ``post_answer``, or fail."""
        self.posts.append(call)
        self._new_posts.put(call)
        await trio.sleep(self.post_after)
        if self.post_failure is not None:
            raise self.post_failure
        return self.post_answer

    async def next_post(self, *, within: float = PATIENCE_S) -> AppCall:
        """As ``next_start``, for calls that are no lifecycle webhooks."""
        with trio.fail_after(within):
            return await self._new_posts.take()

    async def health(self, url: str) -> None:
        """Record the call; answer after ``health_after`` seconds, or fail."""
        self.health_checks.append(url)
        await trio.sleep(self.health_after)
        if self.health_failure is not None:
            raise self.health_failure

    async def next_start(self, *, within: float = PATIENCE_S) -> SessionCall:
        """The oldest session call not returned here yet.

        Raises:
            trio.TooSlowError: none came ``within`` so many seconds.
        """
        with trio.fail_after(within):
            return await self._new_starts.take()

    async def next_stop(self, *, within: float = PATIENCE_S) -> StopCall:
        """The oldest stop call not returned here yet; raises as ``next_start``."""
        with trio.fail_after(within):
            return await self._new_stops.take()

    def _next_script(self, package: str) -> WebhookScript:
        plan = self._plans.get(package, [])
        if not plan:
            return WebhookScript()
        return plan.pop(0) if len(plan) > 1 else plan[0]
