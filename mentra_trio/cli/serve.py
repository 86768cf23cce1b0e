"""Running a server until it is told to stop."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import click
import trio

from ..concurrency.bulkhead import single
from ..config import Config, is_name
from ..server import open_server
from ..telemetry.log_lines import LogLines, make_logger
from ..transport.tcp import bound_address, open_listeners


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal cuts the drain short.

    Raises:
        MentraTrioError: the server could not be opened; one line for a person.
    """
    allow_many_connections()
    try:
        trio.run(_serve, config)
    except BaseExceptionGroup as group:  # one error, wrapped by the nurseries it passed
        raise single(group) from None


def allow_many_connections() -> None:
    """Raise this process's limit on open files as far as it may itself: a socket is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems refuse "unlimited"; then it stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(config: Config) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as watching:
            async with AsyncExitStack() as opened:
                ready = await _open(config, opened)
                click.echo(ready)
                await anext(signals)
                watching.start_soon(_cut_short, signals, watching.cancel_scope)
            watching.cancel_scope.cancel("drained")


async def _open(config: Config, opened: AsyncExitStack) -> str:
    """Open the server, and say where it listens."""
    listeners = await open_listeners(
        config.host, config.port, tls_cert=config.tls_cert, tls_key=config.tls_key
    )
    for listener in listeners:
        opened.push_async_callback(listener.aclose)
    log = LogLines(
        make_logger(sys.stderr, config.log_level), user_ids_as_given=config.log_level == "debug"
    )
    await opened.enter_async_context(open_server(config, telemetry=log, listeners=listeners))
    address, port = bound_address(listeners)
    host = config.host if is_name(config.host) else address
    return ready_line(host, port, tls=config.tls_cert is not None)


def ready_line(host: str, port: int, *, tls: bool) -> str:
    """What a started server says on standard output: addresses that work on this machine."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    authority = f"[{here}]:{port}" if ":" in here else f"{here}:{port}"
    secure = "s" if tls else ""
    return (
        f"mentra-trio ready on http{secure}://{authority}"
        f" (glasses ws{secure}://{authority}/glasses-ws)"
    )


async def _cut_short(signals: AsyncIterator[int], everything: trio.CancelScope) -> None:
    await anext(signals)
    everything.cancel("told twice")
