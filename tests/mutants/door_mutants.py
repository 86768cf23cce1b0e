"""Bugs at the door: what is read of an upgrade, of a token, and how connections are waited for."""

# ruff: noqa: E501  source is quoted as it is

from __future__ import annotations

from typing import Final

from mutant import Mutant


def slip(name: str, path: str, old: str, new: str, *tests: str, survives: str = "") -> Mutant:
    """A bug in ``path`` of the package; ``tests`` are paths under ``tests/``."""
    return Mutant(name=name, path=path, old=old, new=new, tests=tests, survives=survives)


HEAD: Final = "wire/test_wire_upgrade_head.py"
TOKENS: Final = "wire/test_wire_tokens.py"
UPGRADE: Final = "transport/test_transport_fast_upgrade.py"
SOCKET: Final = "transport/test_transport_plain_socket.py"
CLOSING: Final = "concurrency/test_concurrency_closing.py"


def misread(name: str, old: str, new: str) -> Mutant:
    """A bug in one rule of the strict parser."""
    return slip(name, "wire/upgrade_head.py", old, new, HEAD)


DOOR_MUTANTS: Final = (
    misread("an_upgrade_by_any_method", 'rb"GET (', 'rb"[A-Z]++ ('),
    misread("a_target_of_any_bytes", r"([\x21-\x7e]++) HTTP", r"([^ ]++) HTTP"),
    misread("a_target_with_spaces", r"([\x21-\x7e]++) HTTP", r"([\x20-\x7e]+) HTTP"),
    misread("an_upgrade_of_any_version", r"HTTP/1\.1", r"HTTP/1\.."),
    misread("lines_end_with_lf", r"[\t\x20-\x7e]*+\r\n)++)", r"[\t\x20-\x7e]*+\r?\n)++)"),
    misread("a_value_may_hold_anything", r":[\t\x20-\x7e]*+", r":[^\n]*+"),
    misread("a_value_may_hold_cr", r":[\t\x20-\x7e]*+", r":[\r\t\x20-\x7e]*"),
    misread("a_name_may_hold_a_space", "0-9A-Za-z]++:", "0-9A-Za-z ]++:"),
    misread("a_name_may_be_empty", "0-9A-Za-z]++:", "0-9A-Za-z]*+:"),
    misread("a_name_may_be_no_token", "0-9A-Za-z]++:", "0-9A-Za-z(]++:"),
    misread("a_head_of_any_length", "_HEAD.match(data, 0, HEAD_BYTES_MAX)", "_HEAD.match(data)"),
    misread("a_head_anywhere", "_HEAD.match(data, 0", "_HEAD.search(data, 0"),
    misread("names_in_any_case", "headers[name.lower()]", "headers[name]"),
    misread("values_with_their_blanks", 'value.strip(" \\t")\n    if', "value\n    if"),
    misread(
        "values_without_tabs_inside",
        'value.strip(" \\t")\n    if',
        "' '.join(value.split())\n    if",
    ),
    misread("the_last_of_repeated_headers_counts", "len(headers) != len(lines) - 1 or ", ""),
    misread(
        "any_upgrade_will_do",
        'get("upgrade", "").lower() == "websocket"',
        '"websocket" in get("upgrade", "").lower()',
    ),
    misread(
        "an_upgrade_in_lower_case_only", 'get("upgrade", "").lower() ==', 'get("upgrade", "") =='
    ),
    misread(
        "any_version_of_the_protocol",
        'get("sec-websocket-version") == "13"',
        '"sec-websocket-version" in headers',
    ),
    misread("no_host_is_needed", '        and "host" in headers\n', ""),
    misread(
        "any_key_of_a_websocket_will_do",
        '_KEY.fullmatch(get("sec-websocket-key", "")) is not None',
        '"sec-websocket-key" in headers',
    ),
    misread("a_key_with_a_tail", "_KEY.fullmatch(", "_KEY.match("),
    misread("a_key_with_bits_too_many", "{21}[AQgw]==", "{22}=="),
    misread(
        "a_connection_that_has_upgrade_somewhere",
        '[word.strip(" \\t") for word in get("connection", "").lower().split(",")]',
        'get("connection", "").lower()',
    ),
    misread(
        "a_connection_for_nothing_else",
        '[word.strip(" \\t") for word in get("connection", "").lower().split(",")]',
        '[get("connection", "").lower()]',
    ),
    misread("a_length_is_no_body", '{"content-length", "transfer', '{"transfer'),
    misread("chunks_are_no_body", '"transfer-encoding", ', ""),
    misread("who_expects_something_sends_no_body", ', "expect"}', "}"),
    misread("the_head_ends_a_byte_too_late", "key, found.end())", "key, found.end() + 1)"),
    slip(
        "any_signature_of_ours_will_do",
        "wire/tokens.py",
        "made[:_SIGNATURE_CHARACTERS], signature",
        "made[: len(signature)], signature",
        TOKENS,
    ),
    slip(
        "what_is_signed_is_only_the_payload",
        "wire/tokens.py",
        "hmac.digest(key, signed.encode",
        "hmac.digest(key, payload.encode",
        TOKENS,
    ),
    slip(
        "any_header_will_do",
        "wire/tokens.py",
        "key = _key(secret) if header == _HEADER else None",
        "key = _key(secret)",
        TOKENS,
    ),
    slip(
        "a_public_key_is_a_secret",
        "wire/tokens.py",
        "return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)",
        "return secret.encode()",
        TOKENS,
    ),
    slip(
        "a_broken_payload_ends_the_connection",
        "wire/tokens.py",
        "except (ValueError, RecursionError, msgspec.DecodeError):",
        "except ValueError:",
        TOKENS,
    ),
    slip(
        "what_followed_the_head_is_lost",
        "transport/port.py",
        "peer, data[head.size :])",
        'peer, b"")',
        UPGRADE,
    ),
    slip(
        "the_head_of_an_upgrade_is_kept",
        "transport/admission.py",
        "        upgrade.forget()\n",
        "",
        UPGRADE,
    ),
    slip(
        "no_room_for_a_connection_ends_the_server",
        "transport/port.py",
        "if error.errno not in _NO_ROOM:",
        "if error.errno in _NO_ROOM:",
        UPGRADE,
    ),
    slip(
        "a_socket_is_left_open",
        "transport/port.py",
        "                stream.close()\n",
        "                pass\n",
        UPGRADE,
    ),
    slip(
        "half_of_what_is_sent_is_lost",
        "transport/plain_socket.py",
        "with view[sent:] as rest:",
        "with view[sent + 1 :] as rest:",
        SOCKET,
    ),
    slip(
        "a_cancelled_send_blocks_all_others",
        "transport/plain_socket.py",
        "                        sent += self._send(rest)\n        finally:\n            self._sending = False",
        "                        sent += self._send(rest)\n        finally:\n            pass",
        SOCKET,
    ),
    slip(
        "who_waits_for_a_closed_socket_waits_for_ever",
        "transport/plain_socket.py",
        "            notify_closing(self.sock)\n",
        "",
        SOCKET,
    ),
    slip(
        "a_listener_accepts_one_at_a_time",
        "transport/accepting.py",
        "        for _ in range(AT_ONCE):\n",
        "        for _ in range(1):\n",
        "transport/test_transport_crowd.py",
    ),
    slip(
        "an_accepted_socket_blocks_everybody",
        "transport/accepting.py",
        "        connection.setblocking(False)\n",
        "",
        SOCKET,
    ),
    slip(
        "closing_reaches_nobody_who_is_idle",
        "concurrency/closing.py",
        "        for scope in self._idle:\n            scope.cancel",
        "        for scope in ():\n            scope.cancel",
        CLOSING,
    ),
    slip(
        "closing_does_not_reach_who_becomes_idle_later",
        "concurrency/closing.py",
        "        if self.event.is_set():\n            scope.cancel",
        "        if not self.event.is_set():\n            scope.cancel",
        CLOSING,
    ),
    slip(
        "who_was_idle_once_is_let_go",
        "concurrency/closing.py",
        "        self._idle.remove(scope)\n",
        "        pass\n",
        CLOSING,
        survives="a scope that was left does nothing; but all of them would be kept",
    ),
)
