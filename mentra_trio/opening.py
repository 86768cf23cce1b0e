"""What a server is made of where nothing else is given: parts, as the settings want them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import trio

from .config import Config, is_loopback, is_name
from .domain.facts import VoiceTrouble
from .domain.hosts import authority, from_here
from .domain.stream_settings import FFMPEG
from .engines import LiveStreams, Voice
from .ports import Store, Telemetry
from .storage.memory_store import MemoryStore
from .storage.sqlite_store import DATABASE_NAME, open_sqlite_store
from .streams.opening import open_ffmpeg_streams
from .transport.tcp import bound_address, open_listeners
from .voice.espeak_voice import open_espeak_voice
from .webhooks.client import HttpWebhooks

LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")

Listeners: TypeAlias = Sequence[trio.abc.Listener[trio.abc.Stream]]
StreamFile: TypeAlias = Callable[[str, str], Path | None]
"""Where a file of a managed stream is, by the stream's name and its own; ``None``: nowhere."""


@asynccontextmanager
async def open_store(config: Config) -> AsyncGenerator[Store, None]:
    """The store in the data folder, or in memory where there is none."""
    if config.data_dir is None:
        yield MemoryStore()
        return
    async with open_sqlite_store(config.data_dir / DATABASE_NAME) as store:
        yield store


def websocket_base(config: Config, listeners: Listeners) -> str:
    """What peers put before the paths: the public URL, or else the address that is listened on."""
    if config.public_url is not None:
        scheme, _, rest = config.public_url.rstrip("/").partition("://")
        return f"{'wss' if scheme in {'https', 'wss'} else 'ws'}://{rest}"
    host, port = bound_address(listeners)
    if is_name(config.host):
        host = config.host  # a certificate is for the name, not for the address behind it
    scheme = "ws" if config.tls_cert is None else "wss"
    return f"{scheme}://{authority(from_here(host), port)}"


def public_hosts(config: Config) -> frozenset[str]:
    """Names under which people may reach the console and the admin routes (DNS rebinding)."""
    name = urlsplit(config.public_url or "").hostname
    return frozenset({name}) if name else frozenset()


def addresses_of(config: Config, own: str) -> frozenset[str]:
    """The base URLs by which phones may know this server, which is at ``own``."""
    if config.public_url is not None or not is_loopback(config.host):
        return frozenset({own})
    scheme, port = own.partition("://")[0], urlsplit(own).port
    local = {f"{scheme}://{authority(host, port or 0)}" for host in LOCAL_NAMES}
    return frozenset({own, *local})


def http_webhooks(config: Config) -> HttpWebhooks:
    """Calls to app servers over HTTP."""
    return HttpWebhooks(
        allow_private_networks=config.allows_private_networks,
        connect_s=config.lifecycle.webhook_connect_s,
        read_s=config.lifecycle.webhook_s,
    )


def open_voice(config: Config) -> Voice | None:
    """The voice that is set, if one is."""
    return open_espeak_voice(config.voice.name) if config.voice.engine == "espeak" else None


def report_voice(telemetry: Telemetry, problem: str) -> None:
    """Say that a text could not be said."""
    telemetry.emit(VoiceTrouble(problem=problem))


async def listen(config: Config) -> Listeners:
    """Listeners at the address that is set."""
    return await open_listeners(
        config.host, config.port, tls_cert=config.tls_cert, tls_key=config.tls_key
    )


@asynccontextmanager
async def open_streams(
    config: Config, url: str, telemetry: Telemetry, new_token: Callable[[], str]
) -> AsyncGenerator[tuple[LiveStreams | None, StreamFile]]:
    """The streaming engine that is set, if one is, and where it has what viewers may have.

    ``url`` is the base of the WebSocket endpoints.
    """
    if config.streams.engine != FFMPEG:
        yield None, no_file
        return
    async with open_ffmpeg_streams(
        config.streams,
        host=config.host,
        public_host=urlsplit(url).hostname or "",
        http_base=http_base(url),
        allow_private_networks=config.allows_private_networks,
        telemetry=telemetry,
        new_token=new_token,
    ) as engine:
        yield engine, engine.file


def no_file(stream: str, file: str) -> Path | None:
    """There are no files of streams here."""
    return None


def http_base(url: str) -> str:
    """The base of the HTTP routes, from that of the WebSocket endpoints."""
    return "http" + url.removeprefix("ws")
