"""Who takes part in a certification: the ground, the app's portrait, the users, the calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import trio

from ...clients.dialing import Dial
from ...concurrency.oneshot import OneShot
from ...domain.close_reasons import CloseReason
from ...domain.errors import WebhookFailed
from ...domain.ids import AppSessionId, UserId
from ...environment import Environment
from ...transport.tcp import open_listeners
from .events import Reaction

Listen = Callable[[str, int], Awaitable[Sequence[trio.abc.Listener[Any]]]]
"""How to listen at a host and port."""


@attrs.frozen(kw_only=True)
class Ground:
    """Where cloud and app meet.

    Attributes:
        url: base of the app server.
        host, port: where the app server reaches us; port 0: any free one.
        listen, dial: replace sockets; for networks in memory.
        environment: wall time and new names.
    """

    url: str
    host: str = "127.0.0.1"
    port: int = 0
    listen: Listen = open_listeners
    dial: Dial | None = None
    environment: Environment = attrs.field(factory=Environment)


@attrs.frozen(kw_only=True)
class Portrait:
    """What is known of an app before it is put through anything.

    Attributes:
        package: how it names itself.
        subscriptions: its list when it has started.
        reaction: what it does on an event; ``None`` if that cannot be seen from outside.
    """

    package: str
    subscriptions: frozenset[str] = frozenset()
    reaction: Reaction | None = None


@attrs.frozen(kw_only=True)
class Greeting:
    """What the cloud does with an init.

    Attributes:
        ack: whether it is accepted; otherwise there is no answer.
        after_s: how long the answer takes.
        cut: instead of an answer the connection is cut.
        words: an event that is sent together with the ack; empty: none.
        farewell: instead of an answer the connection is closed with this reason.
    """

    ack: bool = True
    after_s: float = 0.0
    cut: bool = False
    words: str = ""
    farewell: CloseReason | None = None


@attrs.define(eq=False, kw_only=True)
class Call:
    """One webhook that asked for a session; ``outcome`` is what it failed with, or ``None``."""

    number: int
    person: int
    token: str
    outcome: OneShot[WebhookFailed | None] = attrs.field(factory=OneShot)


@attrs.define(eq=False, kw_only=True)
class Person:
    """One user, and what the script has arranged for the user's app.

    Attributes:
        number: from 0.
        greeting: what becomes of the next inits.
        since: connections counted up to here (as in ``Stage.sockets``) are old ones.
        words: of the latest event; what is to be shown.
    """

    number: int
    user: UserId
    session_id: AppSessionId
    greeting: Greeting = Greeting()
    since: int = 0
    words: str = ""
