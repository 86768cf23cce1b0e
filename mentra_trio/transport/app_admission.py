"""Who is this app? Its key is checked in one of three ways, then its link is lent to its session.

A: the first frame is ``tpa_connection_init``. B: a token in the headers implies it. C: the key is
in the headers, and the init follows all the same (protocol.md 1.3).
"""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs
import msgspec
import trio

from ..concurrency.race import race
from ..domain.apps import AppRegistration, key_matches
from ..domain.close_reasons import (
    ADDRESS_NOT_ALLOWED,
    BAD_API_KEY,
    BAD_INIT,
    NO_REGISTRATION,
    NOT_YET,
    CloseReason,
)
from ..domain.errors import DecodeError, InitRefused, LinkClosed, StoreFailed, TokenError
from ..domain.facts import ConnectionRefused
from ..domain.frame_counts import FrameCounts
from ..domain.ids import UserId, app_session_id, package_name, user_id
from ..domain.networks import address_allowed
from ..domain.reconnects import AWAITING_RESTORE, FINAL, UNAUTHENTICATED, rejection_code
from ..environment import Environment
from ..ports import Store, Telemetry
from ..sessions.directory import AppClaim, Directory
from ..wire.codec import decode_from_app, encode
from ..wire.from_app import Reconnect, TpaConnectionInit
from ..wire.to_app import ReconnectDeferred, ReconnectRejected, TpaConnectionError
from ..wire.tokens import verify_app_token
from .upgrade import Upgrade
from .websocket_link import WebSocketLink

ENDPOINT: Final = "app"
INVALID_KEY: Final = "INVALID_API_KEY"
MALFORMED: Final = "MALFORMED_MESSAGE"
PARKED_S: Final = 30.0
"""How long an app of SDK v3 is left waiting for its user (appendix A)."""
NOT_ALLOWED: Final = "ADDRESS_NOT_ALLOWED"


@attrs.frozen(kw_only=True)
class Presented:
    """What a peer says it is; nothing of it is believed yet."""

    package: str
    session_id: str
    api_key: str = attrs.field(repr=False)
    reconnect: bool = False
    reconnect_token: str = attrs.field(default="", repr=False)
    resumes: bool = False


@attrs.frozen(kw_only=True)
class HeaderRefusal:
    """Why headers do not admit an app: the fields of the 401."""

    code: str
    message: str


@attrs.define(eq=False, kw_only=True)
class AppAdmission:
    """The admission of one app's WebSocket. ``token`` is the attempt that its URL names."""

    upgrade: Upgrade
    token: str | None
    frames: FrameCounts
    directory: Directory
    store: Store
    jwt_secret: str
    telemetry: Telemetry
    environment: Environment

    async def admit(self) -> None:
        """Serve the app's WebSocket to its end."""
        implied = self._from_token_headers()
        try:
            if not isinstance(implied, HeaderRefusal) and not await self._key_headers_match():
                implied = HeaderRefusal(code=INVALID_KEY, message=BAD_API_KEY.text)
        except StoreFailed as error:
            await self._not_now(error)
            return
        if isinstance(implied, HeaderRefusal):
            await self._reject(implied)
            return
        limit = self.upgrade.limits.pre_auth_bytes
        async with self.upgrade.accept(self.frames, first_message_bytes=limit) as link:
            await link.close(await self._serve(link, implied))

    # -- headers -------------------------------------------------------------------

    def _header(self, name: str) -> str:
        return self.upgrade.headers.get(name, "").strip()

    def _from_token_headers(self) -> Presented | HeaderRefusal | None:
        """Way B; ``None`` where no token is presented."""
        scheme, _, token = self._header("authorization").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if not self._header("x-user-id") or not self._header("x-session-id"):
            return HeaderRefusal(
                code="MISSING_HEADERS", message="x-user-id and x-session-id are required"
            )
        now = self.environment.utcnow()
        try:
            package, api_key = verify_app_token(token.strip(), self.jwt_secret, now=now)
        except TokenError as error:
            return HeaderRefusal(code="JWT_INVALID", message=str(error))
        return Presented(package=package, session_id=self._header("x-session-id"), api_key=api_key)

    async def _key_headers_match(self) -> bool:
        """Way C; true also where no key is presented."""
        api_key = self._header("x-api-key")
        if not api_key:
            return True
        package = self._header("x-package-name")
        session_id = self._header("x-session-id")
        presented = Presented(package=package, session_id=session_id, api_key=api_key)
        return await self._verified(presented) is not None

    def _user_header(self) -> UserId | None:
        try:
            return user_id(self._header("x-user-id"))
        except ValueError:
            return None

    async def _reject(self, refusal: HeaderRefusal) -> None:
        self._note(refusal.code)
        body = {
            "type": "tpa_connection_error",
            "code": refusal.code,
            "message": refusal.message,
            "timestamp": self.environment.timestamp(),
        }
        await self.upgrade.reject(401, msgspec.json.encode(body))

    async def _not_now(self, error: StoreFailed) -> None:
        self._note(str(error))
        body = {
            "success": False,
            "code": "STORE_FAILED",
            "message": NO_REGISTRATION.text,
        }
        await self.upgrade.reject(503, msgspec.json.encode(body), [(b"retry-after", b"1")])

    # -- the link ------------------------------------------------------------------

    async def _serve(self, link: WebSocketLink, implied: Presented | None) -> CloseReason:
        """Verify, lend the link, and say why it must be closed."""
        try:
            while True:
                with trio.move_on_after(self.upgrade.limits.auth_s) as waiting:
                    claim = await self._claim(implied or await self._first_frame(link))
                if waiting.cancelled_caught:
                    self._note(NOT_YET.text)
                    return NOT_YET
                try:
                    if claim.resumes:
                        await self._park(link, claim)
                    return await self.directory.serve_app(claim, link)
                except InitRefused as refused:
                    if not claim.resumes or not self._rejects(link, refused):
                        raise
        except LinkClosed as closed:
            return closed.reason
        except StoreFailed as error:
            self._note(str(error))
            return NO_REGISTRATION
        except InitRefused as refused:
            self._note(str(refused))
            if refused.code:
                link.push(encode(self._error(refused)))
            return refused.close

    async def _park(self, link: WebSocketLink, claim: AppClaim) -> None:
        """Have an app of SDK v3 wait for its user, as long as one may still come back."""
        if not self.directory.awaits(claim):
            return
        deferred = ReconnectDeferred(
            code=AWAITING_RESTORE,
            message="the user's session is not here yet",
            timeout_ms=round(PARKED_S * 1000),
            timestamp=self.environment.timestamp(),
        )
        link.push(encode(deferred))
        with trio.move_on_after(PARKED_S):
            gone = await race(link.until_gone, partial(self.directory.until_here, claim))
            if gone is not None:
                raise LinkClosed(gone)

    def _rejects(self, link: WebSocketLink, refused: InitRefused) -> bool:
        """Answer a ``reconnect`` of SDK v3 that is refused; whether it may still say who it is.

        Raises:
            InitRefused: it may not, and has been told why.
        """
        code = rejection_code(refused.close)
        if code is None:
            return False
        self._note(f"reconnect rejected: {code}")
        rejected = ReconnectRejected(
            code=code, message=refused.close.text, timestamp=self.environment.timestamp()
        )
        link.push(encode(rejected))
        if code in FINAL:
            raise InitRefused("", refused.message, refused.close)
        return True

    def _error(self, refused: InitRefused) -> TpaConnectionError:
        return TpaConnectionError(
            code=refused.code,
            message=refused.message,
            timestamp=self.environment.timestamp(),
        )

    async def _first_frame(self, link: WebSocketLink) -> Presented:
        """Way A, and the second half of way C."""
        frame = await link.receive()
        if not isinstance(frame, str):
            raise InitRefused(MALFORMED, BAD_INIT.text, BAD_INIT)
        try:
            message = decode_from_app(frame)
        except DecodeError as error:
            raise InitRefused(MALFORMED, error.problem, BAD_INIT) from None
        if isinstance(message, Reconnect):
            return self._resuming(link, message)
        if not isinstance(message, TpaConnectionInit):
            raise InitRefused(MALFORMED, BAD_INIT.text, BAD_INIT)
        token = message.reconnect_token
        return Presented(
            package=message.package_name,
            session_id=message.session_id,
            api_key=message.api_key,
            reconnect=message.reconnect is True,
            reconnect_token=token if isinstance(token, str) else "",
        )

    def _resuming(self, link: WebSocketLink, message: Reconnect) -> Presented:
        """``reconnect`` instead of an init: for those whose headers have said who they are."""
        if not self._header("x-api-key"):
            rejected = ReconnectRejected(
                code=UNAUTHENTICATED,
                message="say who you are in headers, or with tpa_connection_init",
                timestamp=self.environment.timestamp(),
            )
            link.push(encode(rejected))
            raise InitRefused("", "reconnect without headers", BAD_INIT)
        return Presented(
            package=self._header("x-package-name"),
            session_id=message.session_id or self._header("x-session-id"),
            api_key=self._header("x-api-key"),
            resumes=True,
        )

    async def _claim(self, presented: Presented) -> AppClaim:
        app = await self._verified(presented)
        if app is None:
            raise InitRefused(INVALID_KEY, BAD_API_KEY.text, BAD_API_KEY)
        if not address_allowed(self.upgrade.peer.rpartition(":")[0], app.allowed_networks):
            raise InitRefused(NOT_ALLOWED, ADDRESS_NOT_ALLOWED.text, ADDRESS_NOT_ALLOWED)
        user = self._user_header()
        session_id = presented.session_id
        if not session_id and user is not None:
            session_id = app_session_id(user, app.package)
        return AppClaim(
            package=app.package,
            session_id=session_id,
            user=user,
            token=self.token,
            reconnect=presented.reconnect,
            reconnect_token=presented.reconnect_token,
            resumes=presented.resumes,
        )

    async def _verified(self, presented: Presented) -> AppRegistration | None:
        """The registration, if the key is its own; else the directory is told.

        An unknown package takes the same path as a wrong key.
        """
        try:
            package = package_name(presented.package)
        except ValueError:
            return None
        app = await self.store.app(package)
        if key_matches(presented.api_key, app):
            return app
        self.directory.key_rejected(package, presented.session_id, self._user_header(), self.token)
        return None

    def _note(self, problem: str) -> None:
        self.telemetry.emit(
            ConnectionRefused(endpoint=ENDPOINT, peer=self.upgrade.peer, problem=problem)
        )
