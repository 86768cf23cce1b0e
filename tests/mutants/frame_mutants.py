"""Bugs in the parser and the writer of WebSocket frames."""

# ruff: noqa: E501  source is quoted as it is

from __future__ import annotations

from typing import Final

from mutant import Mutant


def misread(name: str, old: str, new: str) -> Mutant:
    """A bug in ``wire/frames.py``."""
    tests = ("wire/test_wire_frames.py", "wire/test_wire_frames_oracles.py")
    return Mutant(name=name, path="wire/frames.py", old=old, new=new, tests=tests)


FRAME_MUTANTS: Final = (
    # -- what is refused -------------------------------------------------------------------
    misread(
        "reserved_bits_are_ignored",
        "if first & _RESERVED or opcode not in _KNOWN or size >= _MASKED:",
        "if opcode not in _KNOWN or size >= _MASKED:",
    ),
    misread(
        "unknown_opcodes_are_messages",
        "if first & _RESERVED or opcode not in _KNOWN or size >= _MASKED:",
        "if first & _RESERVED or size >= _MASKED:",
    ),
    misread(
        "frames_without_a_mask_are_waited_for",
        "if first & _RESERVED or opcode not in _KNOWN or size >= _MASKED:",
        "if first & _RESERVED or opcode not in _KNOWN:",
    ),
    misread(
        "a_ping_may_be_fragmented",
        "return first < _FIN or size > _SMALL_MAX",
        "return size > _SMALL_MAX",
    ),
    misread(
        "a_ping_may_be_long",
        "return first < _FIN or size > _SMALL_MAX",
        "return first < _FIN",
    ),
    misread(
        "a_message_may_begin_inside_another",
        "return (opcode == CONTINUATION) != (self._fragments is not None)",
        "return opcode == CONTINUATION and self._fragments is None",
    ),
    misread(
        "a_continuation_may_continue_nothing",
        "return (opcode == CONTINUATION) != (self._fragments is not None)",
        "return opcode != CONTINUATION and self._fragments is not None",
    ),
    misread(
        "a_whole_message_is_taken_inside_another",
        "        at, end = 0, len(data)\n        room = -1 if self._fragments else self._limit\n",
        "        at, end = 0, len(data)\n        room = self._limit\n",
    ),
    misread(
        "a_whole_message_is_taken_after_a_fragment_in_the_same_read",
        "            at = after\n            room = -1 if self._fragments else self._limit\n",
        "            at = after\n",
    ),
    misread(
        "a_length_may_be_longer_than_it_must",
        "if size < least or size >> 63:",
        "if size >> 63:",
    ),
    misread(
        "a_64_bit_length_may_be_16_bits_long",
        "else (8, 1 << 16)",
        "else (8, 1 << 15)",
    ),
    misread(
        "a_length_of_125_may_be_written_with_16_bits",
        "long if size == _LENGTH_16 and long > _SMALL_MAX else _NOT_SIMPLE",
        "long if size == _LENGTH_16 and long >= _SMALL_MAX else _NOT_SIMPLE",
    ),
    misread(
        "a_length_with_the_top_bit_is_only_too_big",
        "if size < least or size >> 63:",
        "if size < least:",
    ),
    misread(
        "a_64_bit_length_is_read_as_16_bits",
        "long if size == _LENGTH_16 and long > _SMALL_MAX else _NOT_SIMPLE",
        "long if long > _SMALL_MAX else _NOT_SIMPLE",
    ),
    misread(
        "a_peer_may_close_with_any_code",
        'elif not _may_be_sent(code := int.from_bytes(payload[:2], "big")):',
        'elif (code := int.from_bytes(payload[:2], "big")) < 1000:',
    ),
    misread(
        "a_peer_may_close_with_1006",
        "1007 <= code <= 1014",
        "1006 <= code <= 1014",
    ),
    misread(
        "a_peer_may_close_with_1015",
        "1007 <= code <= 1014",
        "1007 <= code <= 1015",
    ),
    misread(
        "a_peer_may_not_close_with_4999",
        "3000 <= code <= 4999",
        "3000 <= code < 4999",
    ),
    # -- text ------------------------------------------------------------------------------
    misread(
        "text_that_ends_in_a_character_is_cut",
        "self.decoder.decode(payload, final)",
        "self.decoder.decode(payload)",
    ),
    misread(
        "bad_text_in_a_close_is_repaired",
        "CloseReason(code, payload[2:].decode())",
        'CloseReason(code, payload[2:].decode(errors="replace"))',
    ),
    misread(
        "fragments_of_text_are_bytes",
        "_Fragments(_Utf8Decoder() if opcode == TEXT else None)",
        "_Fragments(None)",
    ),
    misread(
        "bad_text_is_a_protocol_error",
        "            self.failure = NOT_UTF8\n",
        "            self.failure = PROTOCOL_ERROR\n",
    ),
    # -- limits ----------------------------------------------------------------------------
    misread(
        "the_first_limit_is_for_every_message",
        "                    self._limit = room = self.message_max\n",
        "",
    ),
    misread(
        "the_first_limit_is_forgotten_only_by_whole_messages",
        "            self._fragments, self._limit = None, self.message_max\n",
        "            self._fragments = None\n",
    ),
    misread(
        "a_long_first_message_does_not_lift_its_limit",
        "            self._limit = self.message_max\n            return\n",
        "            return\n",
    ),
    misread(
        "whole_messages_have_no_limit",
        "if stop <= end and size <= room and first in _WHOLE:",
        "if stop <= end and room >= 0 and first in _WHOLE:",
    ),
    misread(
        "fragments_are_limited_one_by_one",
        "self._fragments.too_many or self._fragments.size + size > self._limit",
        "self._fragments.too_many or size > self._limit",
    ),
    misread(
        "empty_fragments_may_be_without_number",
        "self._fragments.too_many or self._fragments.size + size > self._limit",
        "self._fragments.size + size > self._limit",
    ),
    misread(
        "small_fragments_are_limited_as_empty_ones",
        "FRAGMENTS_MAX + self.size // FRAGMENT_BYTES",
        "FRAGMENTS_MAX",
    ),
    misread(
        "one_frame_too_many_is_taken",
        "return self._frames >= FRAGMENTS_MAX",
        "return self._frames > FRAGMENTS_MAX",
    ),
    misread(
        "control_frames_are_limited_as_messages",
        "if first & 0x0F < CLOSE and not self.failure and self._is_too_much(size):",
        "if not self.failure and self._is_too_much(size):",
    ),
    misread(
        "a_big_message_is_refused_when_it_is_there",
        "        if self.failure is not None or len(data) - at < self._wanted:\n            return at\n",
        "        if len(data) - at < self._wanted:\n            self.failure = None\n            return at\n        if self.failure is not None:\n            return at\n",
    ),
    # -- what comes in pieces ----------------------------------------------------------------
    misread(
        "too_many_frames_at_once_are_parsed",
        "for _ in range(frames_max):",
        "for _ in range(frames_max + 1):",
    ),
    misread(
        "frames_left_for_later_are_not_announced",
        "        else:\n            self._wanted = 0\n        return at\n",
        "        return at\n",
    ),
    misread(
        "half_a_frame_is_announced_as_left_for_later",
        "return self._held is not None and len(self._held) >= self._wanted",
        "return self._held is not None",
    ),
    misread(
        "what_was_parsed_is_parsed_again",
        "            del held[:at]\n",
        "            pass\n",
    ),
    misread(
        "a_frame_is_waited_for_a_byte_too_long",
        "        self._wanted = body + size - at\n",
        "        self._wanted = body + size - at + 1\n",
    ),
    misread(
        "what_follows_a_close_is_read",
        "        return at if self.over else stop\n",
        "        return stop\n",
    ),
    misread(
        "what_is_fed_after_a_close_is_read",
        "        if self.close is not None or self.failure is not None:\n            return messages\n",
        "        if self.failure is not None:\n            return messages\n",
    ),
    misread(
        "what_was_held_is_kept_for_ever",
        "        if self.close is not None or self.failure is not None:\n            self._held = self._fragments = None\n        elif at == len(source):\n",
        "        if at == len(source):\n",
    ),
    # -- masks and pings -----------------------------------------------------------------------
    misread(
        "pongs_are_answered",
        "        if opcode == PING:\n",
        "        if opcode != CLOSE:\n",
    ),
    misread(
        "pings_ask_for_no_attention",
        "return bool(self.pings) or self.close is not None or self.failure is not None",
        "return self.close is not None or self.failure is not None",
    ),
    # -- what is written -----------------------------------------------------------------------
    misread(
        "a_length_of_126_is_written_in_7_bits",
        "    if size <= _SMALL_MAX:\n        return _SMALL",
        "    if size < _SMALL_MAX:\n        return _SMALL",
    ),
    misread(
        "a_length_of_65536_is_written_in_16_bits",
        "    if size < 1 << 16:\n",
        "    if size < 1 << 15:\n",
    ),
    misread(
        "a_close_without_a_code_is_written_with_1005",
        "_NEVER_SENT: Final = frozenset({1005, 1006, 1015})",
        "_NEVER_SENT: Final = frozenset({1006, 1015})",
    ),
    misread(
        "a_long_reason_makes_a_close_too_long",
        "_REASON_BYTES_MAX: Final = 123",
        "_REASON_BYTES_MAX: Final = 124",
    ),
    misread(
        "a_sound_is_a_text",
        "header(BINARY, len(self.payload))",
        "header(TEXT, len(self.payload))",
    ),
    misread(
        "a_sound_is_framed_for_every_link",
        "        if self._encoded is None:\n            self._encoded =",
        "        if True:\n            self._encoded =",
    ),
)
