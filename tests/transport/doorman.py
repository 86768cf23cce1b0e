"""What stands behind an admission in its tests: a store of one app, and a directory that notes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import trio

from mentra_trio.concurrency.loan import Loan
from mentra_trio.domain.apps import AppRegistration, hash_api_key
from mentra_trio.domain.close_reasons import APP_STOPPED, CloseReason
from mentra_trio.domain.errors import InitRefused, StoreFailed
from mentra_trio.domain.ids import PackageName, UserId
from mentra_trio.ports import Link
from mentra_trio.sessions.directory import AppClaim

SECRET = "s" * 32
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
USER = UserId("u-1@x.org")
PACKAGE = PackageName("com.t.a")
KEY = "the-key"
SESSION = f"{USER}-{PACKAGE}"


@attrs.define(eq=False)
class OneAppStore:
    """Knows one app, which may connect from ``networks``."""

    networks: tuple[str, ...] = ()
    failure: StoreFailed | None = None

    async def app(self, package: PackageName) -> AppRegistration | None:
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure
        if package != PACKAGE:
            return None
        return AppRegistration(
            package=PACKAGE,
            url="http://a",
            key_hash=hash_api_key(KEY),
            allowed_networks=self.networks,
        )


@attrs.define(eq=False)
class Doorman:
    """A directory that notes who came, and ends each link as told."""

    reason: CloseReason = APP_STOPPED
    refusal: InitRefused | None = None
    glasses: list[UserId] = attrs.field(factory=list)
    claims: list[AppClaim] = attrs.field(factory=list)
    here: bool = True
    arrived: trio.Event = attrs.field(factory=trio.Event)
    rejected: list[tuple[Any, ...]] = attrs.field(factory=list)

    async def serve_glasses(self, user: UserId, link: Link) -> CloseReason:
        self.glasses.append(user)
        link.push("welcome")
        return await self._serve(link)

    async def serve_app(self, claim: AppClaim, link: Link) -> CloseReason:
        if self.refusal is not None:
            raise self.refusal
        self.claims.append(claim)
        link.push("welcome")
        return await self._serve(link)

    async def _serve(self, link: Link) -> CloseReason:
        def handle(frame: str | bytes) -> CloseReason | None:
            return self.reason if frame == "end" else None

        async def use() -> None:
            reason = await link.listen(handle, trio.current_time() + 3600)
            assert reason is not None
            loan.give_back(reason)

        loan: Loan[Link, CloseReason] = Loan(link)
        async with trio.open_nursery() as session:
            session.start_soon(use)
            reason = await link.attend(loan)
        return reason

    def awaits(self, claim: AppClaim) -> bool:
        return not self.here

    async def until_here(self, claim: AppClaim) -> None:
        await self.arrived.wait()

    def key_rejected(self, *args: Any) -> None:
        self.rejected.append(args)
