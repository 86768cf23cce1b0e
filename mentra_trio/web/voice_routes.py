"""What phones download to hear an app speak (protocol.md 1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.nesting import is_too_deep
from ..engines import Speech
from .answers import Problem, bad_request
from .services import services_of
from .speaking import CHARACTERS_MAX

NAME_CHARACTERS_MAX: Final = 200


async def text_to_speech(request: Request) -> Response:
    """The text of the query, spoken."""
    asked = _speech(request.query_params)
    if isinstance(asked, Problem):
        return asked.answer()
    spoken = await services_of(request).speaker.say(asked)
    if isinstance(spoken, Problem):
        return spoken.answer()
    return Response(spoken.audio, media_type=spoken.media_type)


def _speech(query: Mapping[str, str]) -> Speech | Problem:
    text = query.get("text", "").strip()
    if not text:
        return bad_request("'text' is missing")
    if len(text) > CHARACTERS_MAX:
        return bad_request(f"'text' has more than {CHARACTERS_MAX:,} characters")
    voice, model = query.get("voice_id", ""), query.get("model_id", "")
    if max(len(voice), len(model)) > NAME_CHARACTERS_MAX:
        return bad_request("'voice_id' or 'model_id' is too long")
    settings = _settings(query.get("voice_settings", ""))
    if settings is None:
        return bad_request("'voice_settings' must be a JSON object")
    return Speech(text=text, voice=voice, model=model, settings=settings)


def _settings(text: str) -> dict[str, Any] | None:
    if not text:
        return {}
    try:
        settings = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    return settings if isinstance(settings, dict) and not is_too_deep(settings) else None


ROUTES: Final = (Route("/api/tts", text_to_speech),)
