"""What the things that a session can do have in common."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from ..wire.from_app import AppMessage
from .ears import FromServer
from .questions import RequestFailed

if TYPE_CHECKING:
    from .app_session import AppSession

M = TypeVar("M", bound=AppMessage)

ID_BYTES = 12


@attrs.define(eq=False, repr=False)
class Ability:
    """One thing that apps can do with the glasses, the phone or the server."""

    session: AppSession

    def take(self, message: FromServer) -> None:
        """Take notice of what the server said, before the handlers are called."""

    def written(self, kind: type[M], **fields: Any) -> M:
        """A message of this session; what is ``None`` is left out."""
        return kind(package_name=self.session.package, session_id=self.session.session_id, **fields)

    async def tell(self, kind: type[AppMessage], **fields: Any) -> bool:
        """Send a message; ``False`` if there is no connection."""
        return await self.session.send(self.written(kind, **fields))

    async def ask(
        self, about: str, key: str, kind: type[AppMessage], *, within_s: float, **fields: Any
    ) -> Any:
        """Send a message, and wait for what answers it; raises as ``Questions.ask``."""
        message = self.written(kind, **fields)
        return await self.session.questions.ask(
            about, key, lambda: self.session.send(message), within_s=within_s
        )

    def settle(self, about: str, key: str, result: Any) -> bool:
        """Give whoever asked its answer; ``False`` if nobody waits for it."""
        return self.session.questions.answer(about, key, result)


def new_id(prefix: str) -> str:
    """A name for a request that nobody can guess."""
    return f"{prefix}_{secrets.token_hex(ID_BYTES)}"


def failure(text: str | None, *, code: str = "FAILED", otherwise: str) -> RequestFailed:
    """What the server said went wrong; ``otherwise`` where it has not said it."""
    return RequestFailed(code, text or otherwise)
