"""Small texts that the server keeps for this app and user (protocol.md 6.11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs
import trio

from .ability import Ability
from .http_calls import field_of
from .questions import RequestFailed


@attrs.define(eq=False, repr=False)
class Storage(Ability):
    """Texts by key: at most 100,000 characters each, and 1 MB together.

    All of them are read once, at the first question, and known from then on. Whatever is changed
    is written at once. Every method raises ``RequestFailed`` where the server could not be
    asked, or refused: ``BAD_REQUEST`` a value is too long, ``TOO_LARGE`` all are,
    ``TOO_MANY_REQUESTS`` too many in a minute; then nothing has changed.
    """

    _known: dict[str, str] | None = attrs.field(default=None, init=False)
    _turn: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def all(self) -> dict[str, str]:
        """Everything that is kept."""
        async with self._turn:
            return dict(await self._read())

    async def get(self, key: str, default: str | None = None) -> str | None:
        """The text under ``key``; ``default`` if there is none."""
        async with self._turn:
            return (await self._read()).get(key, default)

    async def set(self, key: str, value: str) -> None:
        """Keep ``value`` under ``key``."""
        await self.set_many({key: value})

    async def set_many(self, values: Mapping[str, str]) -> None:
        """Keep all of them, in one request."""
        async with self._turn:
            known = await self._read()
            await self._call("PUT", body={"data": dict(values)})
            known.update(values)

    async def delete(self, key: str) -> bool:
        """Forget what is under ``key``; ``False`` if there was nothing."""
        async with self._turn:
            known = await self._read()
            await self._call("DELETE", f"/{quote(key, safe='')}")
            return known.pop(key, None) is not None

    async def clear(self) -> None:
        """Forget everything."""
        async with self._turn:
            await self._call("DELETE")
            self._known = {}

    async def _read(self) -> dict[str, str]:
        if self._known is None:
            data = field_of(await self._call("GET"), "data")
            if not isinstance(data, dict):
                raise RequestFailed("BAD_ANSWER", "cloud: the data are no texts by key")
            self._known = data
        return self._known

    async def _call(self, method: str, key: str = "", body: object = None) -> Any:
        door = self.session.door()
        path = f"/api/sdk/simple-storage/{quote(self.session.user, safe='')}{key}"
        bearer = f"{self.session.package}:{door.bearer}"
        return await door.call(method, path, body, bearer=bearer)
