"""Bugs in the rules: tables, bounds and decisions of ``domain/``."""

from __future__ import annotations

from typing import Final

from mutant import Mutant


def rule(
    name: str, module: str, old: str, new: str, *, realistic: bool = False, survives: str = ""
) -> Mutant:
    """A bug in ``domain/module.py``, which the test of that module should notice."""
    test = {
        "dashboard": "domain_dashboard",
        "display": "domain_display",
        "display_state": "domain_display",
        "stopping": "domain_stopping",
    }.get(module, module)
    return Mutant(
        name=name,
        path=f"domain/{module}.py",
        old=old,
        new=new,
        tests=(f"domain/test_{test}.py",),
        realistic=realistic,
        survives=survives,
    )


DOMAIN_MUTANTS: Final = (
    # -- the tables ------------------------------------------------------------------------
    rule(
        "grace_ends_in_a_webhook_at_once",
        "lifecycle",
        "E.GRACE_EXPIRED: S.DISCONNECTED,",
        "E.GRACE_EXPIRED: S.RESURRECTING,",
    ),
    rule(
        "a_stop_moves_what_is_stopped",
        "lifecycle",
        "if event is E.STOP_REQUESTED and state not in ENDED:",
        "if event is E.STOP_REQUESTED:",
    ),
    rule(
        "a_released_app_is_awaited",
        "lifecycle",
        "E.LINK_RELEASED: S.DORMANT,",
        "E.LINK_RELEASED: S.GRACE_PERIOD,",
        realistic=True,
    ),
    rule(
        "an_app_is_called_although_its_user_left_in_grace",
        "lifecycle",
        "E.GRACE_EXPIRED: S.DISCONNECTED,\n            E.USER_LEFT: S.DORMANT,",
        "E.GRACE_EXPIRED: S.DISCONNECTED,\n            E.USER_LEFT: S.DISCONNECTED,",
        realistic=True,
    ),
    rule(
        "a_returned_user_calls_all_apps_at_once",
        "lifecycle",
        "E.USER_RETURNED: S.DISCONNECTED,",
        "E.USER_RETURNED: S.RESURRECTING,",
    ),
    rule(
        "what_is_being_stopped_is_alive",
        "lifecycle",
        "ENDED: Final = frozenset({S.STOPPING, S.STOPPED})",
        "ENDED: Final = frozenset({S.STOPPED})",
    ),
    rule(
        "nothing_is_kept_in_backoff",
        "lifecycle",
        "S.DISCONNECTED, S.RESURRECTING, S.BACKOFF})",
        "S.DISCONNECTED, S.RESURRECTING})",
        realistic=True,
    ),
    rule(
        "an_evicted_app_is_forgotten",
        "lifecycle",
        "RESTING: Final = frozenset({S.DORMANT, S.EVICTED})",
        "RESTING: Final = frozenset({S.DORMANT})",
    ),
    rule(
        "the_user_is_blamed_for_a_removal",
        "lifecycle",
        "case StopCause.USER | StopCause.FOREGROUND:",
        "case StopCause.USER | StopCause.FOREGROUND | StopCause.REMOVED:",
    ),
    rule("an_evicted_app_looks_well", "lifecycle", 'return "ERROR"', 'return "DISCONNECTED"'),
    rule(
        "a_crashed_user_session_looks_ended",
        "attachment",
        "if event is E.CRASHED:\n        return S.ERROR",
        "if event is E.CRASHED:\n        return S.DISCONNECTING",
    ),
    rule(
        "a_crashed_user_session_is_alive",
        "attachment",
        "OVER: Final = frozenset({S.DISCONNECTING, S.ERROR})",
        "OVER: Final = frozenset({S.DISCONNECTING})",
    ),
    rule(
        "replaced_glasses_are_lost_glasses",
        "attachment",
        "E.GLASSES_REPLACED: S.CONNECTED,",
        "E.GLASSES_REPLACED: S.DISCONNECTED,",
    ),
    rule(
        "a_failed_start_is_told_by_webhook",
        "stopping",
        "StopCause.START_FAILED: Farewell(close=APP_STOPPED)",
        "StopCause.START_FAILED: Farewell(close=APP_STOPPED, call_webhook=True)",
    ),
    rule(
        "apps_are_stopped_when_the_server_closes",
        "stopping",
        "Farewell(close=RESTARTING, say_stopped=False)",
        "Farewell(close=RESTARTING)",
        realistic=True,
    ),
    rule(
        "on_stop_runs_because_the_glasses_left",
        "stopping",
        "Farewell(close=USER_SESSION_ENDED)",
        "Farewell(close=USER_SESSION_ENDED, call_webhook=True)",
        realistic=True,
    ),
    rule(
        "a_replaced_runtime_comes_again",
        "close_reasons",
        "SUPERSEDED: Final = CloseReason(1008,",
        "SUPERSEDED: Final = CloseReason(1013,",
    ),
    rule(
        "a_restart_is_final_for_apps",
        "close_reasons",
        "RESTARTING: Final = CloseReason(1012,",
        "RESTARTING: Final = CloseReason(1001,",
    ),
    # -- the breaker -------------------------------------------------------------------------
    rule(
        "one_strike_too_many",
        "breaker",
        "self.failures + 1 < STRIKES:",
        "self.failures + 1 <= STRIKES:",
    ),
    rule(
        "a_good_sign_does_not_close_the_breaker",
        "breaker",
        "return Breaker(good_at=now, failed_at=self.failed_at)",
        "return attrs.evolve(self, good_at=now)",
        realistic=True,
    ),
    rule(
        "every_failure_begins_the_outage_anew",
        "breaker",
        "down_since=now if self.down_since is None else self.down_since,",
        "down_since=now,",
        realistic=True,
    ),
    rule(
        "a_sign_of_the_same_moment_vouches",
        "breaker",
        "self.good_at > lost_at",
        "self.good_at >= lost_at",
    ),
    rule(
        "being_heard_of_is_being_well",
        "breaker",
        "return Breaker(failed_at=self.failed_at)",
        "return Breaker(failed_at=self.failed_at, good_at=at)",
    ),
    rule(
        "what_was_heard_before_the_failure_counts",
        "breaker",
        "at <= self.failed_at:",
        "at < self.failed_at:",
    ),
    rule(
        "a_dead_server_is_tried_right_after_the_budget",
        "breaker",
        "if now - began >= lifecycle.resurrection_budget_s:",
        "if tried_at - began >= lifecycle.resurrection_budget_s:",
    ),
    rule(
        "jitter_makes_the_wait_longer",
        "breaker",
        "return delay * (1 - PROBE_JITTER * jitter)",
        "return delay * (1 + PROBE_JITTER * jitter)",
    ),
    rule(
        "the_last_fast_trial_is_followed_late",
        "breaker",
        "slow = tried_at - began >= lifecycle.probe_fast_for_s",
        "slow = now - began >= lifecycle.probe_fast_for_s",
    ),
    rule(
        "a_server_without_health_is_never_called",
        "breaker",
        " and self.failures % CALL_EVERY > 0",
        "",
    ),
    rule(
        "a_500_is_an_outage",
        "breaker",
        "WebhookFailure.ERROR: Sign.FAILED,",
        "WebhookFailure.ERROR: Sign.AWAY,",
    ),
    rule(
        "a_503_is_the_trouble_of_one_session",
        "breaker",
        "WebhookFailure.UNAVAILABLE: Sign.AWAY,",
        "WebhookFailure.UNAVAILABLE: Sign.FAILED,",
    ),
    rule(
        "retries_without_jitter",
        "restarts",
        "return ceiling * (JITTER_FLOOR + (1 - JITTER_FLOOR) * jitter)",
        "return ceiling",
    ),
    rule(
        "the_first_retry_waits_twice_as_long",
        "restarts",
        "min(failures - 1, 32)",
        "min(failures, 32)",
    ),
    rule(
        "crashes_are_never_forgotten", "restarts", "now - moment < CRASH_WINDOW_S", "moment <= now"
    ),
    rule(
        "quarantine_comes_early",
        "restarts",
        "return len(crashes) > CRASHES_MAX",
        "return len(crashes) >= CRASHES_MAX",
    ),
    rule(
        "every_event_of_a_stream_is_taken_for_the_same",
        "streams",
        "return self.stream if more == (None, None, None, None) else (self.stream, *more)",
        "return self.stream",
        realistic=True,
    ),
    # -- what is kept ------------------------------------------------------------------------
    rule(
        "kept_messages_are_unbounded",
        "backlog",
        "while len(self.by_position) >= self.messages_max or self._bytes + size > self.bytes_max:",
        "while self._bytes + size > self.bytes_max:",
        realistic=True,
    ),
    rule(
        "kept_bytes_are_unbounded",
        "backlog",
        "while len(self.by_position) >= self.messages_max or self._bytes + size > self.bytes_max:",
        "while len(self.by_position) >= self.messages_max:",
    ),
    rule(
        "the_newest_is_dropped",
        "backlog",
        "self._remove(next(iter(self.by_position)))",
        "self._remove(next(reversed(self.by_position)))",
    ),
    rule(
        "old_messages_are_kept",
        "backlog",
        "if now - oldest.at <= self.seconds_max:",
        "if oldest.at <= now:",
    ),
    rule(
        "states_pile_up",
        "backlog",
        "if older is not None:\n            self._remove(older)",
        "if older is not None and older > self.next_position:\n            self._remove(older)",
    ),
    rule("a_gap_counts_one", "backlog", "count=gap.count + 1,", "count=1,"),
    rule("a_gap_begins_late", "backlog", "since=min(gap.since, at)", "since=max(gap.since, at)"),
    rule(
        "kept_messages_are_sent_twice",
        "backlog",
        "self.by_position.clear()\n        self._latest.clear()",
        "self._latest.clear()",
        realistic=True,
    ),
    rule(
        "order_is_swapped_on_flush",
        "backlog",
        "for message in self.by_position.values() if wanted(message.stream)]",
        "for message in reversed(self.by_position.values()) if wanted(message.stream)]",
        realistic=True,
    ),
    rule(
        "what_nobody_wants_any_more_is_sent",
        "backlog",
        "for message in self.by_position.values() if wanted(message.stream)]",
        "for message in self.by_position.values()]",
        realistic=True,
    ),
    rule(
        "room_is_lost_with_every_flush",
        "backlog",
        "self._of_others.clear()\n        self._bytes = 0",
        "self._of_others.clear()",
    ),
    # -- what apps ask for -------------------------------------------------------------------
    rule(
        "an_empty_list_is_always_ignored",
        "subscriptions",
        "return current if held and requested.is_empty else requested",
        "return current if requested.is_empty else requested",
        realistic=True,
    ),
    rule(
        "a_reattached_apps_first_word_is_its_wish",
        "subscriptions",
        "return current if held and requested.is_empty else requested",
        "return requested",
        realistic=True,
    ),
    rule(
        "subscriptions_are_unbounded",
        "subscriptions",
        "elif len(found) < ENTRIES_MAX:",
        "elif len(found) >= 0:",
    ),
    rule(
        "one_event_twice_under_one_name",
        "subscriptions",
        "return tuple(heard) if len(heard) < 2 else tuple(dict.fromkeys(heard))",
        "return tuple(heard)",
    ),
    rule(
        "a_wildcard_hears_no_audio",
        "subscriptions",
        "any(s.is_wildcard or s.stream == AUDIO_CHUNK for",
        "any(s.stream == AUDIO_CHUNK for",
    ),
    rule(
        "only_the_same_dialect_is_heard",
        "streams",
        "return base_language(subscription.language or DEFAULT_LANGUAGE) == base_language(spoken)",
        "return (subscription.language or DEFAULT_LANGUAGE) == spoken",
    ),
    rule(
        "one_language_of_a_pair_is_enough",
        "streams",
        "event.target_language) and (",
        "event.target_language) or (",
    ),
    rule(
        "events_have_their_own_name",
        "streams",
        "return event.name if subscription.is_wildcard else subscription.text",
        "return event.name",
    ),
    rule(
        "the_coarsest_tier_wins",
        "streams",
        "LOCATION_TIERS[max(known)]",
        "LOCATION_TIERS[min(known)]",
    ),
    rule(
        "a_wildcard_switches_the_microphone_on",
        "demand",
        "pcm=any(s.stream == AUDIO_CHUNK for",
        "pcm=any(s.is_wildcard or s.stream == AUDIO_CHUNK for",
    ),
    rule(
        "a_wildcard_needs_no_permission",
        "permissions",
        "return required is None or holds(required, granted)",
        "return True",
    ),
    rule(
        "a_language_needs_no_permission",
        "permissions",
        '_REQUIRED.get(subscription.text.partition(":")[0])',
        "_REQUIRED.get(subscription.text)",
    ),
    # -- names, records and the rest -----------------------------------------------------------
    rule(
        "one_user_has_two_ids",
        "ids",
        "canonical = text.strip().lower()",
        "canonical = text.strip()",
    ),
    rule(
        "a_user_with_a_package_in_the_name",
        "ids",
        "session_id.rpartition(",
        "session_id.partition(",
    ),
    rule("the_oldest_tokens_are_saved", "records", "[-TOKENS_KEPT:]", "[:TOKENS_KEPT]"),
    rule(
        "a_restart_ends_the_quarantine",
        "records",
        'quarantined=bool(plain["quarantined"])',
        "quarantined=False",
    ),
    rule(
        "everybody_is_let_in_at_once", "pace", "return self.wait(now) <= self.wait_s", "return True"
    ),
    rule(
        "silence_is_saved_up",
        "pace",
        "ends_at=max(now, self.ends_at) + cost / self.per_s",
        "ends_at=self.ends_at + cost / self.per_s",
    ),
    rule(
        "every_frame_goes_out_at_once",
        "display",
        "return None if frame.force else free",
        "return None",
    ),
    rule(
        "an_unreadable_address_is_everywhere",
        "networks",
        "except ValueError:\n        return False\n    return any",
        "except ValueError:\n        return True\n    return any",
    ),
    rule(
        "an_app_without_a_key_is_let_in",
        "apps",
        "return same and registration is not None and bool(registration.key_hash)",
        "return same",
    ),
    rule(
        "defaults_win_over_the_user",
        "user_settings",
        "{**DEFAULTS, **stored}",
        "{**stored, **DEFAULTS}",
    ),
    # -- rooms, and messages between users ---------------------------------------------------
    rule(
        "a_room_takes_one_too_many",
        "rooms",
        "return not bounded or members + 1 <= (self.max_users or 0)",
        "return not bounded or members <= (self.max_users or 0)",
    ),
    rule(
        "apps_share_their_rooms",
        "rooms",
        "room = self._rooms.setdefault((package, room_id), _Room(config))",
        'room = self._rooms.setdefault((PackageName(""), room_id), _Room(config))',
    ),
    rule(
        "an_empty_room_stays",
        "rooms",
        "        if not room.members:\n            del self._rooms[package, room_id]\n",
        "",
    ),
    rule(
        "who_left_is_still_counted",
        "rooms",
        "        if not joined:\n            del self._joined[package, user]\n",
        "        if not joined:\n            joined[room_id] = None\n",
    ),
    rule(
        "a_second_guest_changes_the_room",
        "rooms",
        "        room.members[user] = None\n",
        "        room.members[user] = None\n        room.config = config\n",
    ),
    rule(
        "joining_again_counts_as_another_room",
        "rooms",
        "        if room is not None and user in room.members:\n"
        "            return self._change(room_id, room, news=False)\n",
        "",
    ),
    rule(
        "messages_of_others_may_fill_everything",
        "backlog",
        "most = max(1, self.messages_max // SHARE_OF_OTHERS)",
        "most = self.messages_max",
    ),
    rule(
        "what_was_taken_of_others_still_counts",
        "backlog",
        "        self._of_others.clear()\n        self._bytes",
        "        self._bytes",
    ),
    rule(
        "messages_of_others_push_out_the_apps_own",
        "backlog",
        "            if (share and whole) or not kept:\n                return share and whole\n",
        "            if share or not kept:\n                return share\n",
    ),
    rule("a_dear_one_costs_as_any_other", "pace", "+ cost / self.per_s", "+ 1 / self.per_s"),
)
