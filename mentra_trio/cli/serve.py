"""Running a server until it is told to stop."""

from __future__ import annotations

import gc
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Final

import click
import trio

from ..concurrency.bulkhead import single
from ..config import Config, is_name
from ..domain.hosts import EVERYWHERE, authority, from_here
from ..server import open_server
from ..telemetry.log_lines import LogLines
from ..telemetry.logfmt import Log
from ..transport.tcp import bound_address, open_listeners

GARBAGE_THRESHOLDS: Final = (50_000, 20, 1_000)


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal cuts the drain short.

    Raises:
        MentraTrioError: the server could not be opened; one line for a person.
    """
    allow_many_connections()
    spare_the_garbage_collector()
    try:
        trio.run(_serve, config)
    except BaseExceptionGroup as group:  # one error, wrapped by the nurseries it passed
        raise single(group) from None


def allow_many_connections() -> None:
    """Raise this process's limit on open files as far as it may itself: a socket is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems refuse "unlimited"; then it stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def spare_the_garbage_collector() -> None:
    """Have it look at what lives long only seldom.

    Ten thousand sessions are some millions of objects that are no garbage; with Python's defaults
    going through them again and again takes as much time as starting and ending the sessions, in
    pauses of half a second (decision 0017).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


async def _serve(config: Config) -> None:
    log = Log(sys.stderr or sys.stdout, config.log_level)  # there may be none
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as watching:
            async with AsyncExitStack() as opened:
                ready = await _open(config, log, opened)
                click.echo(ready)
                await anext(signals)
                watching.start_soon(_cut_short, signals, watching.cancel_scope)
            watching.cancel_scope.cancel("drained")
    log.write("info", "server closed")


async def _open(config: Config, log: Log, opened: AsyncExitStack) -> str:
    """Open the server, and say where it listens."""
    listeners = await open_listeners(
        config.host, config.port, tls_cert=config.tls_cert, tls_key=config.tls_key
    )
    for listener in listeners:
        opened.push_async_callback(listener.aclose)
    lines = LogLines(log, user_ids_as_given=config.log_level == "debug")
    await opened.enter_async_context(open_server(config, telemetry=lines, listeners=listeners))
    log.write("info", f"data folder: {config.data_dir}")
    if (warning := reachable_from_here_only(config)) is not None:
        log.write("warning", warning)
    address, port = bound_address(listeners)
    host = config.host if is_name(config.host) else address
    return ready_line(host, port, tls=config.tls_cert is not None)


def reachable_from_here_only(config: Config) -> str | None:
    """A warning, where the server listens everywhere but does not know by what name."""
    if config.public_url is not None or config.host not in EVERYWHERE:
        return None
    return (
        f"apps on other machines will be told to connect to {from_here(config.host)}: "
        "set --public-url to an address at which they reach this one"
    )


def ready_line(host: str, port: int, *, tls: bool) -> str:
    """What a started server says on standard output: addresses that work on this machine."""
    here = authority(from_here(host), port)
    secure = "s" if tls else ""
    return f"mentra-trio ready on http{secure}://{here} (glasses ws{secure}://{here}/glasses-ws)"


async def _cut_short(signals: AsyncIterator[int], everything: trio.CancelScope) -> None:
    await anext(signals)
    everything.cancel("told twice")
