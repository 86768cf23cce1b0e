"""A running server as its operator's commands reach it: over its admin routes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import attrs
import httpx
import msgspec

from ..config import Config
from ..domain.errors import MentraTrioError
from ..domain.hosts import authority, from_here
from ..storage.secrets import ADMIN_TOKEN

ANSWER_S: Final = 10.0
"""How long a server may take to answer."""
SILENCE_S: Final = 60.0
"""A followed journal that says nothing for so long is over: alive ones speak every 15 s."""


class ServerTrouble(MentraTrioError):
    """The server cannot be asked, or says no; one line for a person."""


@attrs.define(eq=False)
class Facts:
    """The journal of a server as it is written."""

    _url: str
    _lines: AsyncIterator[str]

    async def next(self) -> Mapping[str, Any]:
        """The next fact.

        Raises:
            ServerTrouble: the server has ended.
        """
        async for line in self._lines:
            if line.startswith("data: "):
                fact: Mapping[str, Any] = msgspec.json.decode(line.removeprefix("data: "))
                return fact
        raise ServerTrouble(f"the server at {self._url} has ended")


@attrs.define(eq=False)
class AdminApi:
    """The admin routes of one server."""

    url: str
    _client: httpx.AsyncClient

    async def get(self, path: str, **query: str) -> Any:
        """The JSON of an answer.

        Raises:
            ServerTrouble: there was none, or it was a refusal.
        """
        try:
            answer = await self._client.get(path, params=query)
        except httpx.HTTPError as error:
            raise self._trouble(error) from None
        return _content(answer.status_code, answer.content)

    @asynccontextmanager
    async def journal(self, user: str | None) -> AsyncIterator[Facts]:
        """Facts as they come, of ``user`` or of everybody, for as long as the block runs.

        Raises:
            ServerTrouble: as ``get``; also when the server ends.
        """
        query = {"user": user} if user is not None else {}
        limit = httpx.Timeout(ANSWER_S, read=SILENCE_S)
        try:
            async with self._client.stream(
                "GET", "/api/admin/journal", params=query, timeout=limit
            ) as answer:
                if answer.status_code != httpx.codes.OK:
                    _content(answer.status_code, await answer.aread())
                yield Facts(self.url, answer.aiter_lines())
        except httpx.HTTPError as error:
            raise self._trouble(error) from None

    def _trouble(self, error: httpx.HTTPError) -> ServerTrouble:
        if isinstance(error, httpx.ConnectError):
            beneath = _tls_trouble(error)
            if isinstance(beneath, ssl.SSLCertVerificationError):
                return ServerTrouble(f"{self.url}: its certificate is not trusted; see --cacert")
            if beneath is not None:
                return ServerTrouble(f"{self.url}: what answers there does not speak TLS")
            return ServerTrouble(
                f"no server answers at {self.url}: run 'mentra-trio serve', or name it with --url"
            )
        if isinstance(error, httpx.TimeoutException):
            return ServerTrouble(f"the server at {self.url} does not answer")
        return ServerTrouble(
            f"the server at {self.url} broke the connection: it has ended, or speaks no HTTP"
        )


def _tls_trouble(error: BaseException | None) -> ssl.SSLError | None:
    """What TLS had to say, which the layers above it do not repeat."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def user_path(user: str, *rest: str) -> str:
    """The path of a user's route."""
    return "/".join(["/api/admin/users", *(quote(part, safe="") for part in (user, *rest))])


@asynccontextmanager
async def open_admin_api(
    config: Config, url: str | None = None, cacert: Path | None = None
) -> AsyncIterator[AdminApi]:
    """The server with the settings of ``config``, or the one at ``url``.

    Raises:
        ServerTrouble: there is no admin token, or ``cacert`` cannot be read.
    """
    base = url or own_url(config)
    headers = {"authorization": f"Bearer {_token(config)}"}
    trust: ssl.SSLContext | bool = True
    if cacert is not None:
        try:
            trust = ssl.create_default_context(cafile=str(cacert))
        except (OSError, ssl.SSLError):
            raise ServerTrouble(f"{cacert} is not a certificate in PEM") from None
    async with httpx.AsyncClient(
        base_url=base, headers=headers, verify=trust, timeout=ANSWER_S, trust_env=False
    ) as client:
        yield AdminApi(base, client)


def own_url(config: Config) -> str:
    """Where a server with these settings is reached from this machine."""
    scheme = "http" if config.tls_cert is None else "https"
    return f"{scheme}://{authority(from_here(config.host), config.port)}"


def _token(config: Config) -> str:
    if config.admin_token:
        return config.admin_token
    assert config.data_dir is not None, "a command has a data folder"
    file = config.data_dir / ADMIN_TOKEN
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        raise ServerTrouble(
            f"there is no admin token in {file}: give the server's own --data-dir, or set"
            " MENTRA_TRIO_ADMIN_TOKEN"
        ) from None


def _content(status: int, body: bytes) -> Any:
    try:
        content = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        content = None
    if status == httpx.codes.OK and content is not None:
        return content
    told = content.get("message") if isinstance(content, dict) else None
    raise ServerTrouble(str(told) if told else f"the server answered HTTP {status}")


def is_web_address(url: str) -> bool:
    """Whether ``url`` may be the address of a server."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
