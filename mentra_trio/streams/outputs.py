"""Where managed streams may be sent to: not to machines that only this server can reach."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import attrs
import trio

from ..domain.public_addresses import is_public

LOOK_UP_S = 5.0


@attrs.frozen(kw_only=True)
class Destinations:
    """The rule for the outputs of apps, as for the addresses of app servers."""

    allow_private_networks: bool

    async def allowed(self, url: str) -> bool:
        """Whether every address of the host in ``url`` is one that may be sent to."""
        if self.allow_private_networks:
            await trio.lowlevel.checkpoint()
            return True
        host = urlsplit(url).hostname or ""
        with trio.move_on_after(LOOK_UP_S):
            try:
                found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                return False
            return bool(found) and all(is_public(str(entry[4][0])) for entry in found)
        return False
