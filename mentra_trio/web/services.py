"""What the routes are given: one object per server, made by the assembly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.requests import Request

from ..domain.allowance import Allowance
from ..domain.ids import PackageName, UserId
from ..domain.simple_storage import CALLS_MAX, CALLS_WITHIN_S
from ..domain.temporary_tokens import TemporaryTokens
from ..environment import Environment
from ..ports import Store
from ..sessions.catalog import AppCatalog
from ..sessions.directory import Directory
from ..sessions.tool_calls import ToolCalls
from .speaking import Speaker


@attrs.frozen(kw_only=True)
class Services:
    """Everything that a route may ask.

    Attributes:
        jwt_secret: verifies core tokens.
        admin_token: opens ``/api/admin``; compared in constant time.
        metrics: the page for Prometheus.
        journal: the latest facts of a user, newest last.
        follow: facts of a user, or of everybody, as they come; see ``journal_stream``.
        recover: brings back all sessions of an app whose server has restarted, and returns how
            many run again, as far as that is known soon.
        tools: has apps carry out tools of theirs.
        why: why an app of a user is as it is, in lines for people.
        closing: set when the server ends: answers that go on must come to their end.
        draining: whether the server takes no more work.
        speaker: says texts, if there is a voice.
        stream_file: by the name of a stream and of a file, what its viewers may have.
        hosts: names under which operators reach the server, beside addresses and local names.
        answers: counts the answers, by status.
        addresses: base URLs of this server's HTTP routes, as phones may know them.
        user_token_key: what signed user tokens are signed with; made when it is first needed.
        supabase_jwt_secret: verifies the tokens of a Supabase project; ``None``: there is none.
    """

    directory: Directory
    catalog: AppCatalog
    store: Store
    jwt_secret: str = attrs.field(repr=False)
    admin_token: str = attrs.field(repr=False)
    environment: Environment
    metrics: Callable[[], bytes]
    journal: Callable[[UserId, int], list[dict[str, Any]]]
    follow: Callable[[UserId | None], AbstractContextManager[Any]]
    recover: Callable[[PackageName], Awaitable[int]]
    why: Callable[[UserId, PackageName], list[str]]
    draining: Callable[[], bool]
    tools: ToolCalls
    closing: trio.Event
    version: str
    stream_file: Callable[[str, str], Path | None] = lambda _name, _file: None
    hosts: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    user_token_key: Callable[[], RSAPrivateKey]
    supabase_jwt_secret: str | None = attrs.field(default=None, repr=False)
    answers: Counter[int] = attrs.field(factory=Counter)
    temporary_tokens: TemporaryTokens = attrs.field(factory=TemporaryTokens)
    storage_calls: Allowance = attrs.field(factory=partial(Allowance, CALLS_MAX, CALLS_WITHIN_S))
    speaker: Speaker = attrs.field(factory=Speaker)


def services_of(request: Request) -> Services:
    """The services of the application that serves ``request``."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services
