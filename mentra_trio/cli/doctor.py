"""Is everything as it should be? Each finding says what is wrong, why, and how to mend it."""

from __future__ import annotations

import os
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import httpx
import trio

from ..config import Config, is_loopback
from ..domain.apps import AppRegistration
from ..domain.errors import ConfigError, MentraTrioError, WebhookFailed, WebhookFailure
from ..domain.stream_settings import FFMPEG
from ..domain.wording import counted
from ..engines import Speech
from ..environment import Environment
from ..speech.engines import HOW_TO_INSTALL, missing
from ..storage.secrets import ADMIN_TOKEN, JWT_SECRET
from ..storage.sqlite_store import DATABASE_NAME, open_sqlite_store
from ..streams.ffmpeg import INSTALL, find_ffmpeg
from ..transport.tcp import tls_context
from ..voice.espeak_voice import HOW_TO_GET_IT, open_espeak_voice
from ..webhooks.client import HttpWebhooks
from .admin_api import own_url

OK, WARN, FAIL = "ok", "warn", "fail"
EXPIRES_SOON_DAYS: Final = 14
CHECK_S: Final = 10.0
APPS_AT_ONCE: Final = 8
START_IT: Final = "start it, or correct its URL: mentra-trio apps add PACKAGE --url URL"
FIXES: Final = MappingProxyType(
    {
        WebhookFailure.BLOCKED: "give it a public address, or allow private ones:"
        " --set webhooks.allow_private_networks=true",
        WebhookFailure.UNRESOLVED: "correct its URL, or the name's entry in DNS",
    }
)
"""How to mend what keeps an app server from being reached, where that is not ``START_IT``."""
EVERYBODY: Final = stat.S_IRWXG | stat.S_IRWXO


@attrs.frozen
class Finding:
    """One thing that was looked at."""

    level: str
    what: str
    fix: str = ""

    def lines(self) -> Iterator[str]:
        """The finding for a person."""
        yield f"{self.level.upper():<5} {self.what}"
        if self.fix:
            yield f"      fix: {self.fix}"


async def doctor(config: Config, write: Callable[[str], None]) -> int:
    """Check everything, print the findings as they come; 1 if something is wrong, else 0."""
    worst = OK
    apps: list[AppRegistration] = []
    write(f"{OK.upper():<5} settings: they can be used; data folder {config.data_dir}")
    checks = (
        partial(_folder, config, apps),
        partial(_certificate, config),
        partial(_public_url, config),
        partial(_port, config),
        partial(_speech, config),
        partial(_streams, config),
        partial(_apps, config, apps),
        partial(_voice, config),
    )
    for check in checks:
        for finding in await check():
            for line in finding.lines():
                write(line)
            worst = FAIL if FAIL in {worst, finding.level} else worst
    return int(worst == FAIL)


async def _folder(config: Config, apps: list[AppRegistration]) -> list[Finding]:
    """What is found in the data folder; the apps that are registered there go to ``apps``."""
    folder = config.data_dir
    assert folder is not None, "a command has a data folder"
    if not folder.exists():
        return [Finding(OK, f"data folder: {folder} does not exist yet, serve makes it")]
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return [Finding(FAIL, f"data folder: {folder} cannot be written", f"chown it to {_me()}")]
    findings = []
    for name in (JWT_SECRET, ADMIN_TOKEN):
        file = folder / name
        if file.exists() and file.stat().st_mode & EVERYBODY:
            findings.append(Finding(WARN, f"secret: others can read {file}", f"chmod 600 {file}"))
    try:
        if (folder / DATABASE_NAME).exists():
            async with open_sqlite_store(folder / DATABASE_NAME, inline=True) as store:
                apps += await store.apps()
            registered = counted(len(apps), "app is", "apps are")
            findings.append(Finding(OK, f"database: it opens; {registered} registered"))
    except MentraTrioError as error:
        findings.append(Finding(FAIL, f"database: {error}", "restore a copy, or move it away"))
    return findings


async def _certificate(config: Config) -> list[Finding]:
    await trio.lowlevel.checkpoint()
    if config.tls_cert is None:
        return []
    try:
        ends = _ends(config.tls_cert, tls_context(config.tls_cert, config.tls_key))
    except (MentraTrioError, ssl.SSLError) as error:
        fix = "give a chain and its key in PEM, readable and without a password"
        return [Finding(FAIL, f"certificate: {error}", fix)]
    if ends is None:
        return [Finding(WARN, f"certificate: {config.tls_cert} is not valid now", "renew it")]
    days = (ends - Environment().utcnow()).days
    level = WARN if days < EXPIRES_SOON_DAYS else OK
    fix = "renew it" if level is WARN else ""
    return [Finding(level, f"certificate: {config.tls_cert} expires in {days} days", fix)]


def _ends(cert: Path, server: ssl.SSLContext) -> datetime | None:
    """When the certificate expires, by a handshake in memory that takes it for its own trust."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cert)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return None
    told: Any = ours.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(told["notAfter"]), UTC)


async def _public_url(config: Config) -> list[Finding]:
    host = urlsplit(config.public_url or "").hostname
    if host is None:
        if is_loopback(config.host):
            return [Finding(OK, "address: only this machine can reach the server")]
        fix = "set --public-url to the address that apps and phones use"
        return [Finding(WARN, "address: apps are told an address of this machine", fix)]
    try:
        found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        fix = "correct --public-url, or the name's entry in DNS"
        return [Finding(FAIL, f"address: {host} cannot be looked up from here", fix)]
    address = str(found[0][4][0])
    if is_loopback(address) and not is_loopback(config.host):
        fix = "set --public-url to an address that others can reach"
        return [Finding(WARN, f"address: {host} is this machine only ({address})", fix)]
    return [Finding(OK, f"address: {host} is {address}")]


async def _port(config: Config) -> list[Finding]:
    url = own_url(config)
    try:
        async with httpx.AsyncClient(verify=False, timeout=CHECK_S, trust_env=False) as client:
            answer = (await client.get(f"{url}/health")).json()
        return [Finding(OK, f"port: a server answers at {url}, version {answer['version']}")]
    except httpx.ConnectError:
        pass
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        fix = "stop the other program, or choose another --port"
        return [Finding(FAIL, f"port: something else answers at {url}", fix)]
    try:
        for listener in await trio.open_tcp_listeners(config.port, host=config.host):
            await listener.aclose()
    except OSError as error:
        return [Finding(FAIL, f"port: {config.host}:{config.port}: {error.strerror or error}")]
    return [Finding(OK, f"port: {config.host}:{config.port} is free, no server runs")]


async def _speech(config: Config) -> list[Finding]:
    await trio.lowlevel.checkpoint()
    engine = config.speech.engine
    if engine == "none":
        return [Finding(OK, "speech: left to phones (speech.engine is none)")]
    if (problem := missing(config.speech)) is not None:
        return [Finding(FAIL, f"speech: {problem}", HOW_TO_INSTALL)]
    return [Finding(OK, f"speech: {engine} is installed")]


async def _streams(config: Config) -> list[Finding]:
    await trio.lowlevel.checkpoint()
    if config.streams.engine != FFMPEG:
        return [Finding(OK, "streams: managed streams are refused; streams.engine is none")]
    try:
        program = find_ffmpeg(config.streams.program)
    except ConfigError as error:
        return [Finding(FAIL, f"streams: {error}", INSTALL)]
    return [Finding(OK, f"streams: {program} takes them in, at port {config.streams.port}")]


async def _apps(config: Config, apps: Sequence[AppRegistration]) -> list[Finding]:
    webhooks = HttpWebhooks(
        allow_private_networks=config.allows_private_networks, connect_s=CHECK_S, read_s=CHECK_S
    )
    findings: dict[str, Finding] = {}
    limiter = trio.CapacityLimiter(APPS_AT_ONCE)

    async def look(app: AppRegistration, check: Callable[[], Awaitable[None]]) -> None:
        async with limiter:
            try:
                await check()
                findings[app.package] = Finding(OK, f"app {app.package}: {app.url} answers")
            except WebhookFailed as error:
                fix = FIXES.get(error.failure, START_IT)
                findings[app.package] = Finding(FAIL, f"app {app.package}: {error}", fix)

    async with trio.open_nursery() as nursery:
        for app in apps:
            nursery.start_soon(look, app, partial(webhooks.health, app.url))
    return [findings[package] for package in sorted(findings)]


async def _voice(config: Config) -> list[Finding]:
    """Whether a text can be said, where a voice is set."""
    if config.voice.engine == "none":
        fix = f"if apps are to speak: {HOW_TO_GET_IT}, and --set voice.engine=espeak"
        return [Finding(OK, "voice: none is set; apps cannot speak", fix)]
    try:
        with trio.fail_after(CHECK_S):
            spoken = await open_espeak_voice(config.voice.name).speak(Speech(text="all is well"))
    except (MentraTrioError, OSError) as error:
        return [Finding(FAIL, f"voice: {error}", f"{HOW_TO_GET_IT}, or --set voice.engine=none")]
    except trio.TooSlowError:
        fix = "free the processor, or --set voice.engine=none"
        return [Finding(FAIL, f"voice: nothing was said within {CHECK_S:g} s", fix)]
    size = f"{len(spoken.audio):,} bytes of {spoken.media_type}"
    return [Finding(OK, f"voice: {config.voice.engine} speaks: {size}")]


def _me() -> str:
    return f"user {os.getuid()}"
