"""Sound from the glasses or the phone: audio files by their URL, and speech."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import attrs
import msgspec

from ..wire import from_app, to_app
from .ability import Ability, failure, new_id
from .ears import FromServer

AUDIO_S: Final = 60.0
"""How long it is awaited that a sound has been played (protocol.md 6.4)."""

PLAYED: Final = "audio"

SPEAKER_TRACK: Final = 0
APP_TRACK: Final = 1
SPEECH_TRACK: Final = 2


@attrs.frozen(kw_only=True)
class Played:
    """A sound was played; ``duration`` as the glasses measured it, if they did."""

    duration: float | None


class AudioOut(Ability):
    """The speaker. Track 0 is the speaker's own, 1 the app's, 2 that of speech."""

    async def play(
        self,
        url: str,
        *,
        volume: float = 1.0,
        stop_other_audio: bool = True,
        track: int = SPEAKER_TRACK,
        within_s: float = AUDIO_S,
    ) -> Played:
        """Play the audio file at ``url``, and wait until that is done.

        Args:
            volume: 0 to 1.

        Raises:
            RequestFailed: it could not be played; or as ``Questions.ask``.
        """
        request_id = new_id("audio_req")
        answer = await self.ask(
            PLAYED,
            request_id,
            from_app.AudioPlayRequest,
            request_id=request_id,
            audio_url=url,
            volume=volume,
            stop_other_audio=stop_other_audio,
            track_id=track,
            within_s=within_s,
        )
        assert isinstance(answer, to_app.AudioPlayResponse)
        return Played(duration=answer.duration)

    async def speak(
        self,
        text: str,
        *,
        voice: str | None = None,
        model: str | None = None,
        voice_settings: Mapping[str, Any] | None = None,
        volume: float = 1.0,
        stop_other_audio: bool = True,
        within_s: float = AUDIO_S,
    ) -> Played:
        """Have the server say ``text``, and wait until that is done; raises as ``play``.

        ``voice``, ``model`` and ``voice_settings`` are names of the server's speech service.
        """
        asked = {"text": text, "voice_id": voice, "model_id": model}
        if voice_settings is not None:
            asked["voice_settings"] = msgspec.json.encode(voice_settings).decode()
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return await self.play(
            f"{self.session.door().base}/api/tts?{query}",
            volume=volume,
            stop_other_audio=stop_other_audio,
            track=SPEECH_TRACK,
            within_s=within_s,
        )

    async def stop(self, track: int | None = None) -> bool:
        """Stop one track of this app, or all of them; ``False`` if there is no connection."""
        return await self.tell(from_app.AudioStopRequest, track_id=track)

    def take(self, message: FromServer) -> None:
        """What has become of a sound."""
        if isinstance(message, to_app.AudioPlayResponse):
            problem = failure(message.error, otherwise="the sound could not be played")
            result = message if message.success else problem
            self.settle(PLAYED, message.request_id, result)
