"""What was said lately: final transcriptions, bounded in time, number and size."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

import attrs

from .streams import base_language
from .timings import TRANSCRIPT_S

SEGMENTS_MAX: Final = 2_000
"""Segments kept for one user, all languages together; the oldest one goes for one more."""
CHARACTERS_MAX: Final = 131_072
"""Characters of their texts, likewise. Half an hour of quick speech has a fifth of that."""


@attrs.frozen(kw_only=True)
class Segment:
    """One final transcription; ``at`` is when it came, wall time."""

    at: datetime
    language: str
    text: str
    name: str
    speaker: str | None = None


@attrs.define(eq=False)
class Transcripts:
    """The latest segments of one user, oldest first."""

    _segments: deque[Segment] = attrs.field(factory=deque, init=False)
    _characters: int = attrs.field(default=0, init=False)

    def add(self, segment: Segment) -> None:
        """Keep ``segment``, which is newer than all before, and forget what is too old or too
        much for it. A text that is too long by itself is not kept."""
        if len(segment.text) > CHARACTERS_MAX:
            return
        self._segments.append(segment)
        self._characters += len(segment.text)
        self._forget(segment.at)

    def between(
        self, begin: datetime, end: datetime, language: str, *, now: datetime
    ) -> list[Segment]:
        """The segments of ``language`` that came from ``begin`` up to and with ``end``."""
        self._forget(now)
        wanted = base_language(language)
        return [
            segment
            for segment in self._segments
            if begin <= segment.at <= end and base_language(segment.language) == wanted
        ]

    def __len__(self) -> int:
        return len(self._segments)

    def _forget(self, now: datetime) -> None:
        oldest = now - timedelta(seconds=TRANSCRIPT_S)
        while self._segments and (
            len(self._segments) > SEGMENTS_MAX
            or self._characters > CHARACTERS_MAX
            or self._segments[0].at < oldest
        ):
            self._characters -= len(self._segments.popleft().text)
