"""The streaming engine as the settings want it, for as long as a server runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import trio

from ..domain.errors import ConfigError
from ..domain.stream_settings import StreamSettings
from ..ports import Telemetry
from .ffmpeg import find_ffmpeg
from .ffmpeg_streams import APP, FfmpegStreams
from .folders import open_root
from .outputs import Destinations


@asynccontextmanager
async def open_ffmpeg_streams(
    settings: StreamSettings,
    *,
    host: str,
    public_host: str,
    http_base: str,
    allow_private_networks: bool,
    telemetry: Telemetry,
    new_token: Callable[[], str],
) -> AsyncGenerator[FfmpegStreams]:
    """The engine. At its end every connection of glasses is cut, and every file is gone.

    Args:
        settings: of the section ``streams``.
        host: where to listen, unless the settings say so.
        public_host: how glasses reach this machine, likewise.
        http_base: what viewers put before ``/streams``.
        allow_private_networks: whether outputs may go to private addresses.
        telemetry: where crashes are reported.
        new_token: makes keys.

    Raises:
        ConfigError: there is no ffmpeg, or the port or the folder cannot be used.
    """
    program = await trio.to_thread.run_sync(find_ffmpeg, settings.program)
    async with AsyncExitStack() as stack:
        try:
            root = await stack.enter_async_context(open_root(settings.folder))
        except OSError as error:
            raise ConfigError(f"streams.folder cannot be used: {error.strerror}") from None
        listeners = await _listen(settings.host or host, settings.port)
        port = listeners[0].socket.getsockname()[1]
        streams = FfmpegStreams(
            program=program,
            root=root,
            rtmp_base=f"rtmp://{outside(settings, public_host, port)}/{APP}",
            http_base=http_base,
            most=settings.most,
            destinations=Destinations(allow_private_networks=allow_private_networks),
            telemetry=telemetry,
            new_token=new_token,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_listeners, streams.serve, listeners))
            yield streams
            nursery.cancel_scope.cancel("server closed")


def outside(settings: StreamSettings, public_host: str, port: int) -> str:
    """Host and port as glasses use them."""
    named = settings.public_host
    if named is None:
        shown = f"[{public_host}]" if ":" in public_host else public_host
        return f"{shown}:{port}"
    has_port = named.rpartition(":")[2].isdigit() and not named.endswith("]")
    return named if has_port else f"{named}:{port}"


async def _listen(host: str, port: int) -> list[trio.SocketListener]:
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        problem = f"streams.port: cannot listen on {host}:{port}: {error.strerror or error}"
        raise ConfigError(problem) from None
    for superfluous in listeners[1:] if port == 0 else ():
        superfluous.socket.close()
    return listeners[:1] if port == 0 else listeners
