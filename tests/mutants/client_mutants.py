"""Bugs in the Python clients: answers that go astray, waits that do not end, news told twice."""

from __future__ import annotations

from typing import Final

from mutant import Mutant


def slip(name: str, module: str, old: str, new: str, *tests: str) -> Mutant:
    """A bug in ``clients/module.py``; ``tests`` are modules of ``tests/clients`` without
    ``test_clients_``."""
    return Mutant(
        name=name,
        path=f"clients/{module}.py",
        old=old,
        new=new,
        tests=tuple(f"clients/test_clients_{one}.py" for one in tests),
    )


CLIENT_MUTANTS: Final = (
    slip(
        "an_answer_goes_to_whoever_asked_first",
        "questions",
        "for one, of in self._waiting.items() if of == (kind, key))",
        "for one, of in self._waiting.items() if of[0] == kind)",
        "abilities",
    ),
    slip(
        "a_question_given_up_is_left_over",
        "questions",
        "        finally:\n            del self._waiting[answer]\n",
        "        finally:\n            kept = self._waiting[answer]\n        del kept\n",
        "abilities",
    ),
    slip(
        "the_end_of_a_session_leaves_some_waiting",
        "app_session",
        "            self.questions.end(reason)\n",
        "",
        "abilities",
    ),
    slip(
        "a_failure_is_taken_for_an_answer",
        "questions",
        "        if isinstance(result, RequestFailed):\n            raise result\n",
        "",
        "abilities",
    ),
    slip(
        "without_a_connection_one_waits",
        "questions",
        "                if not await tell():\n                    raise not_connected()\n",
        "                await tell()\n",
        "abilities",
    ),
    slip(
        "the_end_of_a_former_stream_ends_the_new_one",
        "live_streams",
        "old = stream_id is not None and stream_id == self._before",
        "old = stream_id is None and stream_id == self._before",
        "abilities",
    ),
    slip(
        "half_the_urls_are_enough",
        "live_streams",
        "status.hls_url and status.dash_url",
        "(status.hls_url or status.dash_url)",
        "abilities",
    ),
    slip(
        "any_location_answers",
        "location",
        "if found.correlation_id is not None:\n"
        "            self.settle(POLLED, found.correlation_id, found)",
        "self.session.questions.answer_oldest(POLLED, found)",
        "abilities",
    ),
    slip(
        "who_may_not_know_a_place_waits_for_it",
        "location",
        "self.session.questions.answer_all(POLLED, denied)",
        "del denied",
        "and_server",
    ),
    slip(
        "rooms_are_asked_for_at_the_same_time",
        "messages",
        "async with self._joining:",
        "if self._joining is not None:",
        "and_server",
    ),
    slip(
        "posted_settings_overtake_those_of_the_link",
        "app",
        "if not session.connected:",
        "if session.user == user:",
        "and_server",
    ),
    slip(
        "why_it_was_stopped_is_forgotten",
        "app",
        "session.stop_reason or _told(reason)",
        "_told(reason)",
        "app",
    ),
    slip(
        "a_rate_that_nobody_wants_any_more_stays",
        "ears",
        "                rates.remove(rate)\n",
        "                rates.count(rate)\n",
        "abilities",
    ),
    slip(
        "a_setting_is_told_though_it_has_not_changed",
        "app_session",
        "if old.get(key) != new.get(key)]",
        "if True or old.get(key) != new.get(key)]",
        "messages",
    ),
    slip(
        "settings_that_go_are_not_told",
        "app_session",
        "for key in {**old, **new} if",
        "for key in new if",
        "messages",
    ),
    slip(
        "a_room_refuses_the_one_who_is_in",
        "messages",
        "self.session.questions.answer_oldest(ROOM, denied)",
        "self.session.questions.answer_oldest(DIRECT, denied)",
        "messages",
    ),
    slip(
        "what_could_not_be_written_is_known_all_the_same",
        "storage",
        '            await self._call("PUT", body={"data": dict(values)})\n'
        "            known.update(values)\n",
        "            known.update(values)\n"
        '            await self._call("PUT", body={"data": dict(values)})\n',
        "storage",
    ),
    slip(
        "a_file_ends_at_the_first_blank_line",
        "multipart",
        '.partition(b"\\r\\n\\r\\n")\n    if padding',
        '.rpartition(b"\\r\\n\\r\\n")\n    if padding',
        "multipart",
    ),
    slip(
        "a_photo_of_any_size",
        "app_webhook",
        "if isinstance(result, Photo) and result.size > PHOTO_BYTES_MAX:",
        "if isinstance(result, Photo) and result.size > 2 * PHOTO_BYTES_MAX:",
        "abilities",
    ),
    slip(
        "an_upload_that_failed_is_not_told",
        "answering",
        "            if answer.ok:\n",
        "            if answer.status:\n",
        "phone",
    ),
)
