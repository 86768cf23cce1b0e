"""Questions that wait for their answers: bounded, with deadlines, and never left over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
import trio

from ..concurrency.oneshot import OneShot
from ..domain.errors import MentraTrioError

WAITING_MAX: Final = 256
"""Questions of one session that wait at a time."""

HOPS: Final = ("cloud", "phone", "glasses", "app")


class RequestFailed(MentraTrioError):
    """Something that was asked for cannot be done, or was not answered in time.

    ``code`` is for programs: the one of the wire where there is one (``PERMISSION_DENIED``,
    ``CAMERA_BUSY``, ``ROOM_FULL``, ...); else ``NOT_CONNECTED``, ``TIMEOUT``, ``SESSION_ENDED``,
    ``TOO_MANY_REQUESTS``, ``UNREACHABLE``, ``HTTP_404`` and such, or ``FAILED``. ``hop`` is where
    it failed, ``cloud``, ``phone``, ``glasses`` or ``app``; empty where nobody has said so.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        hop = message.partition(":")[0]
        self.hop = hop if hop in HOPS else ""


def not_connected() -> RequestFailed:
    """There is no connection over which anything could be asked."""
    return RequestFailed("NOT_CONNECTED", "app: not connected to the server")


@attrs.define(eq=False)
class Questions:
    """What one session has asked. A question is known by its kind and its key.

    An answer that comes twice, or that nobody waits for, is no answer to anything.
    """

    _waiting: dict[OneShot[Any], tuple[str, str]] = attrs.field(factory=dict, init=False)
    """Where the answers go, the oldest first, and what they are about."""
    _over: str | None = attrs.field(default=None, init=False)

    def __len__(self) -> int:
        return len(self._waiting)

    async def ask(
        self, kind: str, key: str, tell: Callable[[], Awaitable[bool]], *, within_s: float
    ) -> Any:
        """Ask by calling ``tell``, and wait for the answer.

        Raises:
            RequestFailed: it was answered so; or ``tell`` returned ``False``: there is no
                connection; no answer came in time; too many questions wait; the session ended.
        """
        if self._over is not None:
            raise RequestFailed("SESSION_ENDED", f"app: the session has ended: {self._over}")
        if len(self._waiting) >= WAITING_MAX:
            raise RequestFailed("TOO_MANY_REQUESTS", "app: too many requests wait for an answer")
        answer: OneShot[Any] = OneShot()
        self._waiting[answer] = kind, key
        try:
            with trio.move_on_after(within_s):
                if not await tell():
                    raise not_connected()
                await answer.wait()
        finally:
            del self._waiting[answer]
        if not answer.settled:
            raise RequestFailed("TIMEOUT", f"cloud: no answer within {within_s:g} s")
        result = answer.peek()
        if isinstance(result, RequestFailed):
            raise result
        return result

    def answer(self, kind: str, key: str, value: Any) -> bool:
        """Answer one question, by a value or a ``RequestFailed``; ``False`` if nobody waits."""
        return any(one.settle(value) for one, of in self._waiting.items() if of == (kind, key))

    def answer_oldest(self, kind: str, value: Any) -> bool:
        """Answer the oldest question of that kind: for answers that do not say to which."""
        return any(one.settle(value) for one, of in self._waiting.items() if of[0] == kind)

    def answer_all(self, kind: str, value: Any) -> None:
        """Answer every question of that kind: what has come is true for all who ask."""
        for one, of in self._waiting.items():
            if of[0] == kind:
                one.settle(value)

    def end(self, reason: str) -> None:
        """The session is over: nobody waits any more, and nothing can be asked."""
        self._over = reason
        for one in self._waiting:
            one.settle(RequestFailed("SESSION_ENDED", f"app: the session has ended: {reason}"))
