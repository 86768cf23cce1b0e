"""Objects inside messages that occur in more than one direction: layouts and stream settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from .message import Number, Part, wire_type


class LayoutPart(
    Part, frozen=True, kw_only=True, tag_field="layoutType", tag=wire_type, omit_defaults=False
):
    """What to draw; told apart by ``layoutType`` (protocol.md 5.1)."""


class TextWall(LayoutPart, frozen=True, kw_only=True):
    """One text over the whole screen."""

    text: str


class DoubleTextWall(LayoutPart, frozen=True, kw_only=True):
    """Two texts, one above the other."""

    top_text: str
    bottom_text: str


class ReferenceCard(LayoutPart, frozen=True, kw_only=True):
    """A title and a text."""

    title: str
    text: str


class DashboardCard(LayoutPart, frozen=True, kw_only=True):
    """Two texts, side by side."""

    left_text: str
    right_text: str


class BitmapView(LayoutPart, frozen=True, kw_only=True):
    """A picture: a BMP as base64 or hex."""

    data: str


class BitmapAnimation(LayoutPart, frozen=True, kw_only=True):
    """Pictures in turn, ``interval`` milliseconds each."""

    frames: Sequence[str]
    interval: Number
    repeat: bool


class ClearView(LayoutPart, frozen=True, kw_only=True):
    """Nothing."""


Layout: TypeAlias = (
    TextWall
    | DoubleTextWall
    | ReferenceCard
    | DashboardCard
    | BitmapView
    | BitmapAnimation
    | ClearView
)


class VideoConfig(Part, frozen=True, kw_only=True):
    """How the glasses' camera is to stream."""

    width: Number | None = None
    height: Number | None = None
    bitrate: Number | None = None
    frame_rate: Number | None = None


class AudioConfig(Part, frozen=True, kw_only=True):
    """How the glasses' microphone is to stream."""

    bitrate: Number | None = None
    sample_rate: Number | None = None
    echo_cancellation: bool | None = None
    noise_suppression: bool | None = None


class StreamConfig(Part, frozen=True, kw_only=True):
    """Limits of a stream; ``duration_limit`` in seconds."""

    duration_limit: Number | None = None


class StreamStats(Part, frozen=True, kw_only=True):
    """Figures of a running stream."""

    bitrate: Number | None = None
    fps: Number | None = None
    dropped_frames: Number | None = None
    duration: Number | None = None


class PhotoError(Part, frozen=True, kw_only=True):
    """Why a photo failed; ``code`` is one of protocol.md 6.3."""

    code: str | None = None
    message: str | None = None
    details: Any = msgspec.field(default=None)
