"""What a world can run as an app server: any value that knows how to serve."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import trio

from ..clients.dialing import Dial


class Served(Protocol):
    """An app server that runs."""

    crashes: list[BaseException]


S_co = TypeVar("S_co", bound=Served, covariant=True)


class Servable(Protocol[S_co]):
    """An app: ``clients.App`` and ``testing.app_server.SdkApp`` are such."""

    @property
    def package(self) -> str:
        """Under which name it is registered."""
        ...

    @property
    def api_key(self) -> str:
        """With which key."""
        ...

    def serve(
        self,
        host: str,
        port: int,
        *,
        listeners: Sequence[trio.abc.Listener[Any]] | None,
        dial: Dial | None,
    ) -> AbstractAsyncContextManager[S_co]:
        """Answer webhooks and keep sessions for as long as the block runs."""
        ...
