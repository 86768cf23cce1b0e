"""What sessions need from outside, as protocols; the prose is the contract.

Every implementation, fake or real, must pass the suite for its port in ``testing.contracts``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from .concurrency.loan import Loan
from .domain.apps import AppRegistration
from .domain.close_reasons import CloseReason
from .domain.facts import Fact
from .domain.ids import AppSessionId, PackageName, UserId
from .wire.frames import Sound

Handle = Callable[[str | bytes], CloseReason | None]
"""Acts on one frame; the reason for which its link must be closed, if there is one."""


class Link(Protocol):
    """One live two-way connection to glasses or to an app, as a session sees it.

    The connection's task owns it and closes it; a session only borrows it. Text frames are
    ``str``, binary frames ``bytes``. Nothing here ever blocks but ``listen`` and ``attend``.
    """

    @property
    def peer(self) -> str:
        """Who is at the other end, for logs: an address, never a secret."""
        ...

    @property
    def last_heard(self) -> float:
        """Trio time at which the peer last gave a sign of life: any frame, pongs included."""
        ...

    async def listen(self, handle: Handle, until: float) -> CloseReason | None:
        """Give every frame to ``handle``, in order and as it comes, without waiting in between.

        ``handle`` is synchronous. What it returns, unless it is ``None``, ends the call, and
        frames behind that one are not looked at any more. Everything that is pushed to links
        meanwhile is sent together. Safe to cancel: no frame is lost, and none comes twice. One
        task at a time.

        Returns:
            What ``handle`` says; or why the link is over: the peer's own close, or what it did
            wrong, or that nothing can be sent to it any more. ``None`` at the Trio time
            ``until``, and when ``wake`` is called.
        """
        ...

    def wake(self) -> None:
        """Have ``listen`` return, if somebody is in it."""
        ...

    def prolong(self, until: float) -> None:
        """Have the ``listen`` under way, if there is one, last until this Trio time."""
        ...

    async def attend(self, loan: Loan[Any, CloseReason]) -> CloseReason:
        """Do what the link's owner has to do until ``loan`` is given back; why that was.

        For the connection's task, which owns the link, while somebody has borrowed it.
        """
        ...

    def push(self, frame: str | bytes) -> bool:
        """Queue ``frame`` behind those pushed before it.

        ``False`` if it will not be sent: the link is over, or its outbox was full, which also
        fails the link: ``listen`` returns.
        """
        ...

    def push_encoded(self, frame: bytes) -> bool:
        """As ``push``, of a text that is a whole frame already, see ``wire.frames``."""
        ...

    def push_audio(self, sound: Sound) -> bool:
        """Queue ``sound`` as a binary frame unless the peer lags; ``False`` if dropped.

        Never fails the link.
        """
        ...

    def ping(self) -> None:
        """Have a ping sent. The answer shows in ``last_heard``."""
        ...


@attrs.frozen(kw_only=True)
class SessionCall:
    """What a session webhook says (protocol.md 1.5). ``url`` is the app server's base URL."""

    url: str
    user: UserId
    package: PackageName
    session_id: AppSessionId
    websocket_url: str
    timestamp: str


@attrs.frozen(kw_only=True)
class StopCall:
    """What a stop webhook says. ``reason`` is user_disabled, system_stop or error."""

    url: str
    user: UserId
    package: PackageName
    session_id: AppSessionId
    reason: str
    timestamp: str


@attrs.frozen(kw_only=True)
class AppCall:
    """A POST to an app server that is no lifecycle webhook: ``/settings``, ``/tool`` and such.

    Attributes:
        url: the app server's base URL, or a whole URL where ``path`` is empty.
        body: JSON object.
        headers: further ones, such as ``X-App-API-Key``.
        answer_s: how long the answer is awaited, from the moment at which the request is written.
    """

    url: str
    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = attrs.field(factory=dict)
    answer_s: float = 20.0


@attrs.frozen(kw_only=True)
class AppAnswer:
    """What an app server answered: any status, and the first 1 MiB of the body."""

    status: int
    body: bytes


class Webhooks(Protocol):
    """Calls to app servers. Each method makes one HTTP request and never repeats it."""

    async def start(self, call: SessionCall, *, delivered: Callable[[], None]) -> None:
        """Ask the app to open a session; returns when it answered 2xx, maybe after minutes.

        ``delivered`` is called once, synchronously, as soon as the request is written: from
        then on the app may connect at any moment, and the call must not be repeated.

        Raises:
            WebhookFailed: it could not be delivered, or the answer was not 2xx.
        """
        ...

    async def stop(self, call: StopCall) -> None:
        """Tell the app that its session is over.

        Raises:
            WebhookFailed: as for ``start``.
        """
        ...

    async def post(self, call: AppCall) -> AppAnswer:
        """Make ``call``, once; the answer, whatever its status.

        Raises:
            WebhookFailed: there was no answer, or the URL cannot be used.
        """
        ...

    async def health(self, url: str) -> None:
        """Ask the app server at ``url`` for its ``/health``; returns if it is there.

        Any answer will do, but 502, 503 and 504: a server need not know that route.

        Raises:
            WebhookFailed: it could not be asked, or a proxy said that it is away.
        """
        ...


@attrs.frozen(kw_only=True)
class SessionChange:
    """One change of what is remembered of sessions, for ``Store.save_sessions``.

    Attributes:
        package: the app session that it is about; ``None``: the user session itself.
        record: a JSON object that replaces the one before; ``None``: forget it. To forget a
            user session is to forget all of the user's app sessions as well.
        kept_from: messages kept for the app at lower positions are forgotten. This and ``kept``
            mean nothing where ``package`` or ``record`` is ``None``.
        kept: messages that are kept from now on: position and JSON object. Positions only grow.
    """

    user: UserId
    package: PackageName | None = None
    record: Mapping[str, Any] | None
    kept_from: int = 0
    kept: tuple[tuple[int, Mapping[str, Any]], ...] = ()


@attrs.frozen(kw_only=True)
class SavedApp:
    """An app session as it was saved; ``kept`` by position, lowest first."""

    record: Mapping[str, Any]
    kept: tuple[tuple[int, Mapping[str, Any]], ...] = ()


@attrs.frozen(kw_only=True)
class SavedUser:
    """A user session as it was saved, with its app sessions by package name."""

    record: Mapping[str, Any]
    apps: Mapping[PackageName, SavedApp]


@attrs.frozen(kw_only=True)
class Feedback:
    """What a user has to say to the operator. ``at`` is a moment as the wire writes it."""

    user: UserId
    at: str
    text: str


FEEDBACK_OF_ONE_MAX: Final = 20
FEEDBACK_MAX: Final = 10_000


class Store(Protocol):
    """What must be remembered. A write has happened when its method returns.

    Raises, in every method:
        StoreFailed: the operation could not be done; nothing was changed.
    """

    async def app(self, package: PackageName) -> AppRegistration | None:
        """The registration of ``package``, if there is one."""
        ...

    async def apps(self) -> Sequence[AppRegistration]:
        """All registrations, by package name."""
        ...

    async def registration(self, registration_id: str) -> AppRegistration | None:
        """The registration of that id, if there is one. Nothing has the id ``""``."""
        ...

    async def put_app(self, registration: AppRegistration) -> None:
        """Add a registration, or replace the one of the same package."""
        ...

    async def remove_app(self, package: PackageName) -> bool:
        """Forget a registration, what users stored for it, and its saved sessions.

        ``False`` if it was not registered.
        """
        ...

    async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
        """What the user wants running, in the order in which it was asked for."""
        ...

    async def set_wanted(self, user: UserId, package: PackageName, *, wanted: bool) -> None:
        """Record a user's command. Setting what is already so changes nothing."""
        ...

    async def app_settings(self, user: UserId, package: PackageName) -> Mapping[str, Any]:
        """The user's own values of the app's settings, by key; JSON values."""
        ...

    async def put_app_settings(
        self, user: UserId, package: PackageName, changes: Mapping[str, Any]
    ) -> None:
        """Merge ``changes`` into the stored values."""
        ...

    async def user_settings(self, user: UserId) -> Mapping[str, Any]:
        """The user's MentraOS settings that differ from the defaults; camelCase keys."""
        ...

    async def put_user_settings(self, user: UserId, changes: Mapping[str, Any]) -> None:
        """Merge ``changes`` into the stored values."""
        ...

    async def simple_storage(self, user: UserId, package: PackageName) -> Mapping[str, str]:
        """What the app keeps for the user, in the order of the keys."""
        ...

    async def put_simple_storage(
        self, user: UserId, package: PackageName, entries: Mapping[str, str]
    ) -> None:
        """Merge ``entries`` into what the app keeps for the user.

        Raises:
            StorageFull: that would be more than ``domain.simple_storage`` allows in all; nothing
                was changed.
        """
        ...

    async def drop_simple_storage(
        self, user: UserId, package: PackageName, key: str | None = None
    ) -> None:
        """Forget what the app keeps for the user under ``key``; ``None``: all of it."""
        ...

    async def uninstalled_apps(self, user: UserId) -> frozenset[PackageName]:
        """The apps that the user does not want to see; all others are installed."""
        ...

    async def set_installed(self, user: UserId, package: PackageName, *, installed: bool) -> None:
        """Record whether the user wants to see an app. Saying it again changes nothing."""
        ...

    async def add_feedback(self, feedback: Feedback) -> None:
        """Keep what a user has to say: the latest ``FEEDBACK_OF_ONE_MAX`` of each user, and the
        latest ``FEEDBACK_MAX`` in all."""
        ...

    async def feedback(self, limit: int) -> Sequence[Feedback]:
        """The latest ``limit`` that were kept, newest last."""
        ...

    async def save_sessions(self, changes: Sequence[SessionChange]) -> None:
        """Make all ``changes``, in order, or none of them.

        An app session may be saved before its user session is, or without it; then that one has
        the record ``{}``. Records and messages are opaque to the store; nobody may change them
        before the call has returned, for a store may read them on another thread.
        """
        ...

    async def saved_users(self) -> Sequence[UserId]:
        """Everybody of whom a user session or an app session is saved, by user id."""
        ...

    async def saved_session(self, user: UserId) -> SavedUser | None:
        """What is saved of ``user``; ``None`` if nothing is."""
        ...


class Telemetry(Protocol):
    """Where facts go. ``emit`` never blocks and never raises."""

    def emit(self, fact: Fact) -> None:
        """Take note of ``fact``."""
        ...
