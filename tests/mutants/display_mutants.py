"""Bugs in what the glasses show: the display, its boot screen and its lock, and the dashboard."""

# ruff: noqa: E501  source is quoted as it is

from __future__ import annotations

from typing import Final

from domain_mutants import rule
from session_mutants import bug

DISPLAY_MUTANTS: Final = (
    # -- whose frame wins ------------------------------------------------------------------
    rule(
        "an_older_frame_is_shown_last",
        "display",
        "    view = state.views[asked.view].put(frame)\n",
        "    view = state.views[asked.view]\n"
        "    view = view if frame.package in view.frames else view.put(frame)\n",
        realistic=True,
    ),
    rule(
        "the_dashboard_is_on_top_for_ever",
        "display",
        "            view = view.without(state.dashboard)  # it is in nobody's way for ever\n",
        "            pass\n",
    ),
    rule(
        "a_turn_begins_under_something_that_stays",
        "display",
        "    if state.blocked(now) or state.dashboard in state.main.frames:\n",
        "    if state.blocked(now):\n",
    ),
    rule(
        "the_lock_is_for_nobody",
        "display",
        "    for package in (state.lock.package if state.lock else None, state.foreground):\n",
        "    for package in (state.foreground,):\n",
    ),
    rule(
        "the_foreground_does_not_count",
        "display",
        "    for package in (state.lock.package if state.lock else None, state.foreground):\n",
        "    for package in (state.lock.package if state.lock else None,):\n",
    ),
    rule(
        "nothing_can_be_seen_and_it_is_shown",
        "display",
        "(not one.blank, one.serial == on_screen, one.serial)",
        "(one.serial == on_screen, one.serial)",
    ),
    rule(
        "the_foreground_app_never_takes_the_lock",
        "display",
        "    return None if package == state.foreground and not on_screen else lock\n",
        "    return lock\n",
    ),
    # -- when it goes out, and for how long ------------------------------------------------
    rule(
        "a_frame_is_over_before_it_was_seen",
        "display",
        "now + max(seconds, 2 * DISPLAY_THROTTLE_S)",
        "now + seconds",
    ),
    rule(
        "the_time_of_a_frame_counts_from_the_request",
        "display",
        "        frame = attrs.evolve(frame, shown=True, until=until)\n",
        "        frame = attrs.evolve(frame, shown=True)\n",
    ),
    rule(
        "a_view_is_cleared_in_the_turn_of_the_end",
        "display",
        "    settled = view.empty_since + DISPLAY_CLEAR_S\n",
        "    settled = view.empty_since\n",
    ),
    rule(
        "glasses_that_return_keep_what_was_on_them",
        "display",
        "view.seen if anew else view.sent is not None",
        "view.sent is not None",
    ),
    rule(
        "glasses_that_are_away_are_taken_for_cleared",
        "display",
        "seen=view.seen and not state.attached",
        "seen=False",
    ),
    rule(
        "a_day_is_not_the_longest",
        "display",
        " <= DURATION_MOST_MS",
        " <= DURATION_MOST_MS + 1",
    ),
    rule(
        "an_idle_lock_lasts",
        "display_state",
        "min(self.granted_at + LOCK_MOST_S, self.active_at + LOCK_IDLE_S)",
        "self.granted_at + LOCK_MOST_S",
    ),
    rule(
        "a_lock_is_for_ever_while_it_is_used",
        "display_state",
        "min(self.granted_at + LOCK_MOST_S, self.active_at + LOCK_IDLE_S)",
        "self.active_at + LOCK_IDLE_S",
    ),
    # -- the display of a session ------------------------------------------------------------
    bug(
        "what_waits_is_never_sent",
        "display",
        "            self._sending.begin()\n",
        "            pass\n",
        "screen",
    ),
    bug(
        "the_pump_sleeps_through_what_is_sooner",
        "display",
        "            self._asleep.deadline = self._wake_at\n",
        "            pass\n",
        "screen",
    ),
    bug(
        "force_is_ignored",
        "screen",
        "force=message.force_display is True",
        "force=False",
        "screen",
    ),
    bug(
        "a_clear_view_wants_the_screen",
        "screen",
        "        case ClearView():\n            return True\n",
        "        case ClearView():\n            return False\n",
        "screen",
    ),
    bug(
        "nobody_is_in_the_foreground",
        "screen",
        "            display.tell(InForeground(foremost))\n",
        "            pass\n",
        "screen",
    ),
    bug(
        "the_boot_screen_of_a_failed_start_stays",
        "screen",
        "                display.tell(BootOver(package, succeeded=False))\n",
        "                pass\n",
        "screen",
    ),
    bug(
        "a_boot_screen_for_every_return",
        "screen",
        "        by_user = app.state is AppState.CONNECTING or app.asked.is_set()\n",
        "        by_user = True\n",
        "screen",
    ),
    bug(
        "no_boot_screen_for_an_app_that_rested",
        "screen",
        "        by_user = app.state is AppState.CONNECTING or app.asked.is_set()\n",
        "        by_user = app.state is AppState.CONNECTING\n",
        "screen",
    ),
    bug(
        "the_ack_does_not_end_the_boot_screen",
        "screen",
        "            self.place.display.tell(BootOver(app.package, succeeded=True))\n",
        "            pass\n",
        "screen",
    ),
    bug(
        "the_dashboard_has_a_boot_screen",
        "screen",
        "        return kind is AppKind.SYSTEM_DASHBOARD or app.package == self.place.display.dashboard\n",
        "        return False\n",
        "screen",
    ),
    bug(
        "an_app_at_rest_stays_on_the_screen",
        "screen",
        '        """Nobody is there who could draw it anew."""\n        self.place.display.tell(Gone(package))\n',
        '        """Nobody is there who could draw it anew."""\n',
        "screen",
    ),
    bug(
        "a_quarantined_app_stays_on_the_screen",
        "returns",
        "        self.roster.desk.app_rests(app.package)\n",
        "        pass\n",
        "screen",
    ),
    # -- the dashboard -----------------------------------------------------------------------
    rule(
        "the_servers_sections_win",
        "dashboard",
        "    parts = {**built_in, **dashboard.written}\n",
        "    parts = {**dashboard.written, **built_in}\n",
    ),
    rule(
        "who_writes_often_is_always_shown",
        "dashboard",
        '        elif mode == "main" and package in texts:\n',
        "        elif not mode:\n",
    ),
    rule(
        "the_same_text_is_shown_for_ever",
        "dashboard",
        "(*others, first)",
        "(first, *others)",
    ),
    rule(
        "an_appointment_that_goes_on_is_over",
        "dashboard",
        "    return (entry.ends or entry.begins) <= now\n",
        "    return entry.begins <= now\n",
    ),
    rule(
        "dismissed_notifications_stay",
        "dashboard",
        "if one.name not in dismissed)",
        "if one.name)",
    ),
    bug(
        "any_app_writes_the_sections",
        "dashboard",
        '            ignore(app, f"a dashboard_system_update {NOT_DASHBOARD}")\n        elif',
        "            pass\n        if",
        "dashboard",
        "seeds/test_004_dashboard.py",
    ),
    bug(
        "any_app_changes_the_mode",
        "dashboard",
        '            ignore(app, f"a dashboard_mode_change {NOT_DASHBOARD}")\n        elif',
        "            pass\n        if",
        "dashboard",
    ),
    bug(
        "what_has_not_changed_is_drawn_again",
        "dashboard",
        "        if layout == self._drawn or (self._drawn is None and not known):\n",
        "        if self._drawn is None and not known:\n",
        "dashboard",
    ),
    bug(
        "everybody_is_told_what_time_it_is",
        "dashboard",
        "        if layout == self._drawn or (self._drawn is None and not known):\n",
        "        if layout == self._drawn:\n",
        "dashboard",
    ),
    bug(
        "the_clock_stands_still",
        "dashboard",
        '            self._minutes = self.place.errands.begin(self._each_minute, name="dashboard")\n',
        "            pass\n",
        "dashboard",
    ),
    bug(
        "the_clock_goes_on_for_nobody",
        "dashboard",
        '            self._minutes.cancel("no glasses")\n',
        "            pass\n",
        "dashboard",
    ),
    bug(
        "nobody_is_told_of_a_mode",
        "dashboard",
        "                self._tell_mode(one)\n",
        "                pass\n",
        "dashboard",
    ),
    bug(
        "who_comes_later_does_not_know_the_mode",
        "dashboard",
        "            self._tell_mode(app)\n",
        "            pass\n",
        "dashboard",
    ),
    bug(
        "the_text_of_a_lost_app_stays",
        "dashboard",
        "                    self._forget(app.package)\n",
        "                    pass\n",
        "dashboard",
        "seeds/test_004_dashboard.py",
    ),
    bug(
        "the_sections_of_a_stopped_dashboard_stay",
        "dashboard",
        "            self._board = attrs.evolve(self._board, written={})\n",
        "            pass\n",
        "dashboard",
    ),
    bug(
        "nobody_has_a_dashboard",
        "returns",
        "        for package in await self._dashboard():\n",
        "        for package in ():\n",
        "dashboard",
        "seeds/test_004_dashboard.py",
    ),
    bug(
        "any_app_under_the_name_is_everybodys",
        "system_dashboard",
        "found is not None and found.kind is AppKind.SYSTEM_DASHBOARD",
        "found is not None",
        "dashboard",
    ),
)
