"""Who may read what a user said lately, and what they get: apps that may listen, and the user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from ..domain.apps import AppRegistration
from ..domain.errors import SessionEnded
from ..domain.ids import UserId, package_name, session_readings, user_id
from ..domain.permissions import permits
from ..domain.streams import TRANSCRIPTION, StreamEvent
from ..domain.transcripts import Transcripts
from .app_session import AppSession
from .directory import Directory
from .speech import Speech

SPEECH: Final = StreamEvent(stream=TRANSCRIPTION)


@attrs.frozen(kw_only=True)
class TranscribedSession:
    """A live app session, and what its user said.

    ``registration`` is the app's, whose key proves who asks.
    """

    user: UserId
    registration: AppRegistration
    transcripts: Transcripts
    _app: AppSession

    @property
    def may_listen(self) -> bool:
        """Whether the app may hear speech at all."""
        return permits(SPEECH, self.registration.permissions)

    def began_with(self, token: str) -> bool:
        """Whether ``token`` is that of a start attempt of this app whose sockets may attach.

        It is in the URL that the app was given (protocol.md 1.7), and nobody else knows it.
        """
        named = self._app.book.find(token)
        if named is None:
            return False
        package, serial = named
        return package == self._app.package and serial >= self._app.floor


def transcribed_sessions(directory: Directory, session_id: str) -> Iterator[TranscribedSession]:
    """The live app sessions that ``session_id`` may name: seldom more than one."""
    for of_user, of_package in session_readings(session_id):
        try:
            user, package = user_id(of_user), package_name(of_package)
            session = directory.live(user)
        except (ValueError, SessionEnded):
            continue
        app = session.roster.apps.get(package)
        if app is not None and app.registration is not None:
            yield TranscribedSession(
                user=user,
                registration=app.registration,
                transcripts=session.desk.part(Speech).transcripts,
                app=app,
            )
