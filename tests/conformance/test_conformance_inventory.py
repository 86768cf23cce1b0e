"""Nothing is left out: a test for every numbered check, and for every method of the SDK."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from .sdk_methods import CALLED, CALLED_BY_ITSELF

NUMBER: Final = re.compile(r"\d+")

CHECKS: Final[Mapping[int, str]] = {
    # -- protocol.md 8.1: connection and authentication
    1: "test_1_the_ack_comes_first_even_with_three_apps_to_restart",
    2: "test_2_the_token_may_be_in_the_query_and_must_be_good",
    3: "test_3_connection_init_repeats_the_ack",
    4: "test_4_an_unknown_websocket_path_is_404",
    5: "test_5_and_6_a_start_is_one_webhook_and_one_session",
    6: "test_5_and_6_a_start_is_one_webhook_and_one_session",
    7: "test_7_the_first_line_of_on_session_knows_the_glasses",
    8: "test_8_a_wrong_key_is_refused_for_good",
    9: "test_9_an_app_that_was_never_started_is_turned_away",
    11: "test_11_a_socket_that_says_nothing_is_closed_and_nobody_else_notices",
    12: "test_12_jwt_headers_stand_for_the_init",
    13: "test_13_garbage_from_an_app_hurts_nobody",
    # -- 8.2: lifecycle
    15: "test_15_concurrent_starts_are_one_start",
    17: "test_17_the_end_of_the_user_session_fails_the_waiters_at_once",
    18: "test_18_a_stop_is_final",
    20: "test_20_a_killed_socket_is_back_within_about_a_second",
    22: "test_22_a_killed_process_is_called_when_its_grace_is_over",
    23: "test_23_a_process_that_is_away_for_long_is_called_ever_more_seldom",
    26: "test_26_a_process_that_is_told_to_end_is_called_all_the_same",
    27: "test_27_an_app_that_went_to_another_cloud_is_called_when_its_user_returns",
    30: "test_30_glasses_that_return_find_everything_as_it_was",
    31: "test_31_glasses_that_stay_away_end_every_app",
    32: "test_32_a_second_phone_replaces_the_first",
    34: "test_34_a_stop_during_grace_is_final",
    35: "test_35_the_standard_app_that_is_started_takes_the_foreground",
    # -- 8.3: subscriptions and data
    38: "test_38_the_last_of_a_burst_of_updates_counts",
    39: "test_39_twenty_handlers_make_little_noise_for_the_glasses",
    40: "test_40_a_language_stream_is_echoed_with_its_options",
    41: "test_41_each_app_hears_its_own_language",
    42: "test_42_translations_do_not_cross",
    43: "test_43_both_kinds_of_touch_handler_fire_once",
    45: "test_45_a_stream_without_permission_is_refused_alone",
    47: "test_47_audio_arrives_as_it_was_sent_and_only_where_it_is_wanted",
    49: "test_49_who_subscribes_later_hears_what_is_to_come_first",
    50: "test_50_the_finest_wish_of_all_apps_is_told",
    51: "test_51_else_the_phone_is_asked_and_only_the_asker_is_answered",
    52: "test_52_the_time_of_the_user_reaches_its_handlers",
    54: "test_54_the_microphone_is_off_soon_after_the_last_who_listened",
    # -- 8.4: display and dashboard
    55: "test_55_the_boot_screen_names_the_app_and_ends_with_its_first_frame",
    56: "test_56_ten_frames_within_200_ms",
    59: "test_59_the_foreground_app_is_shown_again_when_the_other_one_stops",
    60: "test_60_a_frame_of_one_second_is_cleared_after_it",
    61: "test_61_the_texts_of_two_apps_take_turns_on_the_dashboard",
    62: "test_62_only_the_dashboard_app_writes_sections_and_changes_the_mode",
    63: "test_63_glasses_that_return_are_shown_both_views_again",
    # -- 8.5: device functions
    64: "test_64_a_photo_comes_to_the_app",
    65: "test_65_a_photo_without_glasses_fails_soon",
    66: "test_66_a_photo_without_the_permission_fails_soon",
    68: "test_68_the_promise_has_what_the_glasses_answer",
    69: "test_69_leds_and_wifi_reach_the_glasses_as_asked",
    71: "test_71_a_managed_stream_is_shared_and_ends_with_the_last_viewer",
    72: "test_72_whether_there_is_a_stream_is_known_at_once",
    73: "test_73_settings_saved_while_the_app_runs",
    74: "test_74_settings_saved_while_the_app_is_stopped",
    75: "test_75_the_metric_system_is_toggled",
    77: "test_77_a_hundred_identical_states_are_one_message",
    78: "test_78_what_the_sdk_sets_is_kept_and_found_again",
    81: "test_81_discovery_wants_the_key_and_lists_the_others_only",
    82: "test_82_a_tool_with_and_without_a_live_session",
    83: "test_83_a_temporary_token_is_exchanged_once",
}
"""A test for each check of protocol.md section 8; the numbers between them name no check."""
LAST: Final = 83
NO_CHECKS: Final = {
    *(10, 14, 16, 19, 21, 24, 25, 28, 29, 33, 36, 37, 44, 46, 48, 53),
    *(57, 58, 67, 70, 76, 79, 80),
}
MIN_TESTS: Final = 100


@pytest.fixture(scope="module")
def tests() -> Mapping[str, str]:
    """Every test of this folder: its name, and what it says of itself."""
    modules = [ast.parse(file.read_text()) for file in Path(__file__).parent.glob("test_*.py")]
    functions = [
        node
        for module in modules
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]
    names = Counter(node.name for node in functions)
    assert len(names) > MIN_TESTS
    return {node.name: ast.get_docstring(node) or "" for node in functions}


def test_every_check_has_a_test(tests: Mapping[str, str]) -> None:
    assert set(CHECKS) | NO_CHECKS == set(range(1, LAST + 1))
    for number, name in CHECKS.items():
        assert name in tests, f"check {number}: there is no {name}"
        said = NUMBER.findall(f"{name} {tests[name]}")
        assert str(number) in said, f"{name} does not say that it is check {number}"


def test_every_number_in_a_name_is_that_of_a_check(tests: Mapping[str, str]) -> None:
    numbered = {name: re.match(r"test_(\d+)_", name) for name in tests}
    strange = {name for name, it in numbered.items() if it and int(it[1]) not in CHECKS}
    assert strange == set()


def test_every_method_of_the_sdk_is_called_by_a_test(
    declared: Mapping[str, Any], tests: Mapping[str, str]
) -> None:
    there = set(declared["methods"])
    tables = [*CALLED.values(), *CALLED_BY_ITSELF.values()]
    listed = Counter(path for paths in tables for path in paths.split())
    assert there - set(listed) == set(), "nobody calls these"
    assert set(listed) - there == set(), "the SDK does not have these"
    assert {path for path, count in listed.items() if count > 1} == set()
    assert {*CALLED, *CALLED_BY_ITSELF} - set(tests) == set(), "there are no such tests"
