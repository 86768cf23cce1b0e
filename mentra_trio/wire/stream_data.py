"""What apps get inside ``data_stream`` where the server writes it itself (protocol.md 4.2)."""

from __future__ import annotations

from .message import Message, Number


class Transcription(Message, frozen=True, kw_only=True):
    """Recognised speech: ``start_time`` and ``end_time`` in milliseconds of the recogniser."""

    text: str
    is_final: bool
    transcribe_language: str
    start_time: Number
    end_time: Number
    speaker_id: Number | str | None = None
    utterance_id: str | None = None
    detected_language: str | None = None
    duration: Number | None = None
    provider: str | None = None
    confidence: Number | None = None


class Translation(Message, frozen=True, kw_only=True):
    """Translated speech; times as above."""

    text: str
    is_final: bool
    transcribe_language: str
    translate_language: str
    start_time: Number
    end_time: Number
    original_text: str | None = None
    speaker_id: Number | str | None = None
    utterance_id: str | None = None
    duration: Number | None = None
    did_translate: bool | None = None
    provider: str | None = None
    confidence: Number | None = None
