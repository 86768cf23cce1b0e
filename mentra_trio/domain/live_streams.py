"""The rules of camera streams: what a status means, what is in the way of a start, outputs.

A user's glasses have one camera, and so one stream: an unmanaged one goes from the glasses to
an address of its app, a managed one through this server to whoever watches.

Source: protocol.md 6.6, 6.7 and 3.6.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import attrs

from .camera import Camera, in_words, obstacle
from .ids import PackageName

MANAGED_APP: Final = "MANAGED_STREAM"
"""In place of a package name, where the phone is asked for a managed stream."""
KEEP_ALIVE_MISSES: Final = 3
"""So many unanswered keep-alives in a row, and the stream is over."""
OUTPUTS_PER_STREAM: Final = 10
OUTPUTS_PER_APP: Final = 10
OUTPUTS_ASKED_MAX: Final = 2 * OUTPUTS_PER_APP
"""So many of one request are looked at; that they are too many is told of those beyond ten."""

NO_ENGINE: Final = (
    "cloud: this server has no streaming engine; its operator can set streams.engine=ffmpeg"
)


class StreamKind(enum.Enum):
    """Where the picture goes. The value stands in ``stream_status_check_response``."""

    UNMANAGED = "unmanaged"
    MANAGED = "managed"


class StreamStatus(enum.Enum):
    """How a stream is. The value is what apps are told."""

    INITIALIZING = "initializing"
    ACTIVE = "active"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ERROR = "error"
    TIMEOUT = "timeout"


OVER: Final = frozenset({StreamStatus.STOPPED, StreamStatus.ERROR, StreamStatus.TIMEOUT})
"""In these a stream ends."""

_SAID: Final[Mapping[str, StreamStatus]] = MappingProxyType(
    {
        "connecting": StreamStatus.INITIALIZING,
        "reconnecting": StreamStatus.INITIALIZING,
        "streaming": StreamStatus.ACTIVE,
        "disconnected": StreamStatus.STOPPED,
        **{status.value: status for status in StreamStatus},
    }
)


def status_said(text: str) -> StreamStatus | None:
    """What a phone means by the status ``text``; ``None`` for a word that is not known here."""
    return _SAID.get(text)


def address_problem(url: str) -> str | None:
    """Why ``url`` is no place for an RTMP stream; ``None`` if it may be one."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"rtmp", "rtmps"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if usable and url.isprintable() and " " not in url:
        return None
    return "the address must begin with rtmp:// or rtmps://, and have a host"


def start_problem(
    kind: StreamKind,
    granted: frozenset[str],
    camera: Camera,
    *,
    running: StreamKind | None,
    url: str | None = None,
) -> str | None:
    """Why an app with ``granted`` cannot have a stream now, with the hop; ``None`` if it can.

    ``running`` is the stream that the user has already, ``url`` the app's own address. A new
    unmanaged stream replaces the one before; a managed one is shared, and is left alone.
    """
    managed = kind is StreamKind.MANAGED
    purpose = "for managed streams" if managed else "to start video streams"
    found = obstacle(granted, camera, streaming=True)
    if found is not None:
        return in_words(found, camera, purpose)
    if url is not None and (problem := address_problem(url)) is not None:
        return f"app: {problem}"
    if running is not None and running is not kind:
        return f"app: the glasses have a stream that is {running.value}; it must be stopped first"
    return None


def missed_after(missed: int, *, answered: bool, phone_away: bool) -> int:
    """How many keep-alives in a row are unanswered, after one more.

    One that fell into an absence of the phone says nothing (protocol.md 7.1).
    """
    if answered:
        return 0
    return missed if phone_away else missed + 1


@attrs.frozen(kw_only=True)
class Playback:
    """Where a managed stream can be watched."""

    hls_url: str
    dash_url: str
    webrtc_url: str | None = None
    preview_url: str | None = None
    thumbnail_url: str | None = None


class OutputProblem(enum.Enum):
    """Why a destination is not served. The value is the name that apps are told."""

    INVALID_URL = "INVALID_URL"
    DUPLICATE_URL = "DUPLICATE_URL"
    MAX_APP_OUTPUTS_REACHED = "MAX_APP_OUTPUTS_REACHED"
    MAX_OUTPUTS_REACHED = "MAX_OUTPUTS_REACHED"


@attrs.frozen(kw_only=True)
class Output:
    """A further place that an app wants a managed stream sent to. ``url`` has its key in it."""

    package: PackageName
    url: str = attrs.field(repr=False)
    name: str | None = None
    problem: OutputProblem | None = None


def new_outputs(
    present: Sequence[Output], package: PackageName, wishes: Iterable[tuple[str, str | None]]
) -> tuple[Output, ...]:
    """What becomes of ``wishes`` of an app, each a URL and a name, beside ``present`` outputs.

    One for each wish, in order; those with a ``problem`` are not served.
    """
    served = list(present)
    found = []
    for url, name in wishes:
        output = Output(package=package, url=url, name=name, problem=_problem(served, package, url))
        found.append(output)
        if output.problem is None:
            served.append(output)
    return tuple(found)


def _problem(served: Sequence[Output], package: PackageName, url: str) -> OutputProblem | None:
    if address_problem(url) is not None:
        return OutputProblem.INVALID_URL
    if any(one.url == url for one in served):
        return OutputProblem.DUPLICATE_URL
    if sum(one.package == package for one in served) >= OUTPUTS_PER_APP:
        return OutputProblem.MAX_APP_OUTPUTS_REACHED
    if len(served) >= OUTPUTS_PER_STREAM:
        return OutputProblem.MAX_OUTPUTS_REACHED
    return None
