"""Bugs in what is told: log lines, counts and the journal."""

# ruff: noqa: E501  source is quoted as it is

from __future__ import annotations

from typing import Final

from mutant import Mutant


def slip(name: str, path: str, old: str, new: str, test: str, survives: str = "") -> Mutant:
    """A bug in a module of ``telemetry``; ``test`` is a file of its tests."""
    return Mutant(
        name=name,
        path=f"telemetry/{path}",
        old=old,
        new=new,
        tests=(f"telemetry/{test}",),
        survives=survives,
    )


LOGFMT: Final = "test_logfmt.py"
FIELDS: Final = "test_log_fields.py"
LINES: Final = "test_log_lines.py"
COUNTS: Final = "test_metrics.py"
JOURNAL: Final = "test_journal.py"

TELLING_MUTANTS: Final = (
    slip("lines_wait_in_a_buffer", "logfmt.py", "            self.stream.flush()\n", "", LOGFMT),
    slip("a_log_that_is_gone_raises", "logfmt.py", "(OSError, ValueError)", "OSError", LOGFMT),
    slip("a_broken_pipe_raises", "logfmt.py", "(OSError, ValueError)", "ValueError", LOGFMT),
    slip("the_lowest_level_is_left_out", "logfmt.py", ">= lowest", "> lowest", LOGFMT),
    slip("words_are_kept_for_ever", "logfmt.py", "@lru_cache(WORDS_REMEMBERED)", "@lru_cache(None)", LOGFMT),
    slip("zero_is_left_out", "logfmt.py", '"" if value is None else', '"" if not value else', LOGFMT),
    slip("quotes_are_not_escaped", "logfmt.py", ".replace('\"', '\\\\\"')", "", LOGFMT),
    slip("users_are_kept_for_ever", "log_fields.py", "@lru_cache(USERS_REMEMBERED)", "@lru_cache(None)", FIELDS),
    slip("the_event_of_a_fact_hides_that_of_the_line", "log_fields.py", "_RENAMED.get(name, name), _w", "name, _w", FIELDS),
    slip("peers_are_remembered", "log_fields.py", "return text_word(name, _without_user_name", "return known_word(name, _without_user_name", FIELDS),
    slip("sentences_are_remembered", "log_fields.py", "    return text_word(name, text)\n", "    return known_word(name, text)\n", FIELDS),
    slip("mail_addresses_are_shown", "log_fields.py", 'if "@" in text:', "if False:", FIELDS),
    slip("users_are_shown_in_sentences", "log_fields.py", "if user and user in text:", "if not user:", LINES),
    slip("a_name_like_an_address_is_shown", "log_fields.py", "if _ADDRESS.fullmatch(text):", "if _ADDRESS.search(text):", FIELDS),
    slip("users_are_given_as_they_are", "log_fields.py", "return _given if as_given else _user", "return _given", LINES),
    slip("noise_is_not_limited", "log_lines.py", "if self._noise > NOISY_LINES_PER_S:", "if False:", LINES),
    slip("noise_begins_anew_within_the_second", "log_lines.py", "!= self._second:", "!= '':", LINES),
    slip("a_level_for_all_of_a_kind", "log_lines.py", "form.heads.get(form.level(fact))", 'form.heads.get("info")', LINES),
    slip("one_is_counted_where_several_were", "counts.py", "+= by", "+= 1", COUNTS),
    slip("a_counter_without_labels_begins_late", "counts.py", "{} if self.label_names else {(): 0}", "{}", COUNTS),
    slip("a_server_that_is_back_stays_down", "counts.py", "self._numbers[values] = now", "self._numbers[values] += now", COUNTS),
    slip("reasons_of_peers_are_labels", "metrics.py", "or text == str(reason) else", "or True else", COUNTS),
    slip("the_busy_are_forgotten_first", "journal.py", "        self._timelines.move_to_end(user)", "        # ", JOURNAL),
    slip("who_left_is_kept_as_if_there", "journal.py", "if timeline is None or over:", "if timeline is None:", JOURNAL),
    slip("more_is_kept_than_the_share", "journal.py", "if len(timeline) > self._share:", "if len(timeline) > 2 * self._share:", JOURNAL),
    slip("long_lists_are_kept", "journal.py", ") > ITEMS_MAX", ") > 2 * ITEMS_MAX", JOURNAL, survives="it takes room only: what is read is cut again"),
)  # fmt: skip
