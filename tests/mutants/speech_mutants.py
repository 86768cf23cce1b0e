"""Bugs around the microphone and speech: who is heard, by whom, and for how long."""

# ruff: noqa: E501  source is quoted as it is

from __future__ import annotations

from typing import Final

from mutant import Mutant


def slip(name: str, path: str, old: str, new: str, *tests: str) -> Mutant:
    """A bug in ``path`` of the package; ``tests`` are paths under ``tests/``."""
    return Mutant(name=name, path=path, old=old, new=new, tests=tests)


MICROPHONE: Final = "sessions/test_microphone.py"
SPEECH: Final = "sessions/test_speech.py"
PLAN: Final = "domain/test_speech_plan.py"
ROUTE: Final = "web/test_web_transcript_routes.py"

SPEECH_MUTANTS: Final = (
    slip(
        "an_errand_is_run_twice_at_the_same_time",
        "sessions/errands.py",
        "        if self.errands.are_run and not self.under_way:\n",
        "        if self.errands.are_run:\n",
        "sessions/test_errands.py",
    ),
    slip(
        "an_errand_that_was_cut_short_is_never_run_again",
        "sessions/errands.py",
        "        try:\n            await self.job()\n        finally:\n            self.under_way = False\n",
        "        await self.job()\n        self.under_way = False\n",
        "sessions/test_errands.py",
    ),
    slip(
        "the_microphone_is_not_switched_on",
        "sessions/microphone.py",
        "        elif self._wanted() != self._state:\n",
        "        elif self._state.enabled:\n",
        MICROPHONE,
    ),
    slip(
        "a_stream_takes_a_phone_that_is_there_for_one_that_is_away",
        "sessions/camera_streams.py",
        "Presence(Watched(self.place.eyepiece.attached))",
        "Presence(Watched(False))",
        "sessions/test_rtmp_streams.py",
    ),
    slip(
        "recognisers_learn_of_nothing_before_somebody_speaks",
        "sessions/speech.py",
        "        return place.surroundings.transcriber is not None\n",
        "        return False\n",
        SPEECH,
    ),
    slip(
        "an_odd_byte_is_lost",
        "domain/samples.py",
        '    return (joined[:-odd], joined[-odd:]) if odd else (joined, b"")',
        '    return (joined[:-odd], b"") if odd else (joined, b"")',
        "domain/test_samples.py",
    ),
    slip(
        "half_a_sample_survives_its_connection",
        "sessions/desk.py",
        '        self._half_sample = b""\n        self.here',
        "        self.here",
        MICROPHONE,
    ),
    slip(
        "the_first_change_waits_too",
        "sessions/microphone.py",
        "if self._changed_at is not None and self._wanted().enabled:",
        "if self._told_at is not None and self._wanted().enabled:\n                self._changed_at = self._told_at",
        MICROPHONE,
    ),
    slip(
        "unasked_audio_is_answered_each_time",
        "sessions/microphone.py",
        "            self._unasked_until = now + UNASKED_AUDIO_S\n",
        "",
        MICROPHONE,
    ),
    slip(
        "audio_during_the_hold_is_unasked",
        "sessions/microphone.py",
        "        if not self._state.enabled:\n            self._answer_unasked()",
        "        if True:\n            self._answer_unasked()",
        MICROPHONE,
    ),
    slip(
        "new_glasses_are_not_told",
        "sessions/devices.py",
        "        if again:\n",
        "        if False:\n",
        MICROPHONE,
    ),
    slip(
        "one_app_without_identification_is_enough",
        "domain/speech.py",
        "identify_language=not all(",
        "identify_language=not any(",
        PLAN,
    ),
    slip(
        "two_englishes_are_two_languages",
        "domain/speech.py",
        "groups.setdefault(base_language(_language(subscription)), [])",
        "groups.setdefault(_language(subscription), [])",
        PLAN,
        SPEECH,
    ),
    slip(
        "who_names_a_language_hears_what_was_found_out",
        "domain/streams.py",
        "if event.identified is not None and event.identified is not subscription.leaves_open:",
        "if event.identified is False and subscription.leaves_open:",
        PLAN,
        SPEECH,
    ),
    slip(
        "the_phone_speaks_for_ever",
        "domain/speech.py",
        "return latest is not None and now - latest < PHONE_SPEECH_S",
        "return latest is not None",
        PLAN,
        SPEECH,
    ),
    slip(
        "what_the_phone_said_is_doubled",
        "sessions/speech.py",
        "        if self._phone.speaks(language, heard.target_language, trio.current_time()):\n            return\n",
        "",
        SPEECH,
    ),
    slip(
        "interim_words_are_kept",
        "sessions/speech.py",
        "if speech.is_final and speech.text:",
        "if speech.text:",
        SPEECH,
    ),
    slip(
        "a_released_recogniser_is_never_kept_again",
        "sessions/recogniser.py",
        "        self._living.deadline = self._no_end\n\n    def release",
        "        pass\n\n    def release",
        SPEECH,
    ),
    slip(
        "every_change_begins_the_hold_anew",
        "sessions/recogniser.py",
        "        if self._living.deadline == self._no_end:\n",
        "        if True:\n",
        SPEECH,
    ),
    slip(
        "an_old_wish_goes_on",
        "sessions/speech.py",
        "            if running is not None:\n                running.end()\n",
        "",
        SPEECH,
    ),
    slip(
        "a_pause_is_not_passed_on",
        "sessions/speech.py",
        "                recogniser.pause()\n",
        "                pass\n",
        SPEECH,
    ),
    slip(
        "speech_ends_every_wait",
        "sessions/recogniser.py",
        "        await trio.sleep(soonest)\n",
        "        await trio.sleep(0.1)\n",
        SPEECH,
    ),
    slip(
        "a_crash_of_a_recogniser_is_everybodys",
        "sessions/recogniser.py",
        "            with contain(self._crashed):\n                problem = await self._transcribe()",
        "            problem = await self._transcribe()",
        SPEECH,
    ),
    slip(
        "audio_waits_without_bound",
        "sessions/audio_queue.py",
        "        while self._bytes > BYTES_MAX and len(self._waiting) > 1:",
        "        while self._bytes > 100 * BYTES_MAX and len(self._waiting) > 1:",
        "sessions/test_audio_queue.py",
        SPEECH,
    ),
    slip(
        "transcripts_are_for_everybody_who_knows_the_id",
        "web/transcript_routes.py",
        "    return core_user(services, presented) == session.user",
        "    return True",
        ROUTE,
    ),
    slip(
        "any_url_of_the_user_opens_all_transcripts",
        "sessions/transcript_access.py",
        "return package == self._app.package and serial >= self._app.floor",
        "return serial >= 0",
        ROUTE,
    ),
    slip(
        "a_replaced_runtime_reads_on",
        "sessions/transcript_access.py",
        "return package == self._app.package and serial >= self._app.floor",
        "return package == self._app.package",
        ROUTE,
    ),
    slip(
        "apps_that_may_not_listen_may_read",
        "web/transcript_routes.py",
        "    if not session.may_listen:\n",
        "    if False:\n",
        ROUTE,
    ),
    slip(
        "old_words_are_never_forgotten",
        "domain/transcripts.py",
        "            or self._segments[0].at < oldest\n",
        "",
        "domain/test_transcripts.py",
        ROUTE,
    ),
)
