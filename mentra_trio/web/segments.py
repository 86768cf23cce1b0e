"""Routes with parameters, which are taken from the path as it was sent.

``/x/a%2Fb`` has one parameter, ``a/b``; the routes of Starlette see two, ``a`` and ``b``, and may
take it for another route.
"""

from __future__ import annotations

from urllib.parse import unquote

from starlette.routing import Match, Route
from starlette.types import Scope


class SegmentRoute(Route):
    """A route that is matched before its parameters are decoded, and decodes each for itself."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As ``Route.matches``; bytes that are no UTF-8 become replacement characters."""
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        match, found = super().matches({**scope, "path": raw.decode("latin-1")})
        if match is not Match.NONE:
            parameters = found.get("path_params", {})
            found["path_params"] = {name: unquote(text) for name, text in parameters.items()}
        return match, found
