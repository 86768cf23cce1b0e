"""What a user said lately, for apps that may listen (protocol.md 1.6).

The cloud asks nobody who he is here; but a session id is no secret. So whoever asks shows one of
three things, and an unmodified app has the first without knowing: the token in the URL that it was
given for its session, the app's API key, or the user's core token.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ..domain.moments import parse_moment
from ..domain.streams import DEFAULT_LANGUAGE
from ..domain.timings import TRANSCRIPT_S
from ..domain.transcripts import Segment
from ..environment import wire_time
from ..sessions.transcript_access import TranscribedSession, transcribed_sessions
from .answers import Json, Problem, bad_request
from .identity import bearer, core_user, presents_key_of
from .segments import SegmentRoute
from .services import Services, services_of

_ATTEMPT: Final = re.compile(r"/s/([A-Za-z0-9_-]{1,128})$")
LANGUAGE_CHARACTERS_MAX: Final = 64

_NAMELESS: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message="say who you are",
    why="what somebody said is not for everybody who can guess a session id",
    fix="ask under the URL of your session (session.getHttpsServerUrl() of the SDK), or send"
    " 'Authorization: Bearer <API key>' or a core token of the user",
)
_NOT_FOUND: Final = Problem(
    status=404,
    code="SESSION_NOT_FOUND",
    message="Session not found",
    why="no session of that id is live, or it is not yours",
)
_MAY_NOT_LISTEN: Final = Problem(
    status=403,
    code="PERMISSION_DENIED",
    message="the app lacks the permission MICROPHONE",
    fix="register it with --permission MICROPHONE",
)
_NO_RANGE: Final = Problem(
    status=400,
    code="BAD_REQUEST",
    message="duration, startTime or endTime is required",
    fix="add ?duration=SECONDS, or ?startTime= and endTime= as ISO 8601 or in epoch milliseconds",
)
_BAD_RANGE: Final = bad_request(
    "duration is a number of seconds above 0; startTime and endTime are moments"
)


async def transcripts(request: Request) -> Response:
    """The final segments of a language in a range of time, oldest first."""
    services = services_of(request)
    token = _attempt_token(request)
    if not token and not bearer(request):
        return _NAMELESS.answer()
    named = transcribed_sessions(services.directory, request.path_params["app_session_id"])
    session = next((one for one in named if _is_theirs(services, request, one, token)), None)
    if session is None:
        return _NOT_FOUND.answer()
    if not session.may_listen:
        return _MAY_NOT_LISTEN.answer()
    now = services.environment.utcnow()
    wanted = _range(request, now)
    if isinstance(wanted, Problem):
        return wanted.answer()
    begin, end = wanted
    language = request.query_params.get("language") or DEFAULT_LANGUAGE
    language = language[:LANGUAGE_CHARACTERS_MAX]
    found = session.transcripts.between(begin, end, language, now=now)
    return Json({"language": language, "segments": [_as_json(segment) for segment in found]})


def _attempt_token(request: Request) -> str:
    """The token that the request's path begins with, if it does; see ``asgi.AttemptPrefix``."""
    found = _ATTEMPT.search(request.scope.get("root_path", ""))
    return found[1] if found is not None else ""


def _is_theirs(
    services: Services, request: Request, session: TranscribedSession, token: str
) -> bool:
    """Whether who asks has shown that the session is theirs."""
    if token and session.began_with(token):
        return True
    presented = bearer(request)
    if presents_key_of(session.registration, presented):
        return True
    return core_user(services, presented) == session.user


def _range(request: Request, now: datetime) -> tuple[datetime, datetime] | Problem:
    """From when until when; ``duration`` counts back from now, and goes before the other two."""
    query = request.query_params
    duration, start, end = query.get("duration"), query.get("startTime"), query.get("endTime")
    if not duration and not start and not end:
        return _NO_RANGE
    try:
        if duration:
            seconds = min(float(duration), TRANSCRIPT_S)
            return (now - timedelta(seconds=seconds), now) if seconds > 0 else _BAD_RANGE
        oldest = now - timedelta(seconds=TRANSCRIPT_S)
        return _moment(start) if start else oldest, _moment(end) if end else now
    except (ValueError, OverflowError):
        return _BAD_RANGE


def _moment(text: str) -> datetime:
    """The moment that ``text`` names, as ``parse_moment`` reads it.

    Raises:
        ValueError: it names none.
    """
    moment = parse_moment(text)
    if moment is None:
        raise ValueError("no moment")
    return moment


def _as_json(segment: Segment) -> dict[str, object]:
    return {
        "resultId": segment.name,
        "speakerId": segment.speaker,
        "text": segment.text,
        "timestamp": wire_time(segment.at),
        "isFinal": True,
    }


ROUTES: Final = (SegmentRoute("/api/transcripts/{app_session_id}", transcripts),)
