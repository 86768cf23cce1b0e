"""Bugs in links and in their use: what is sent late, twice or in pieces, and who is not woken."""

# ruff: noqa: E501  source is quoted as it is

from __future__ import annotations

from typing import Final

from mutant import Mutant

SENT: Final = "transport/test_transport_socket_link.py"
LISTENING: Final = "transport/test_transport_listening.py"
ERRORS: Final = "transport/test_transport_link_errors.py"
LIMITS: Final = "transport/test_transport_link_limits.py"
LINK: Final = "transport/test_transport_websocket_link.py"
CANCELLED: Final = "cancellation/test_cancelled_links.py"
USE: Final = "sessions/test_link_service.py"
HEARTBEAT: Final = "sessions/test_heartbeat.py"
PULSE: Final = "sessions/test_pulse.py"
LAST_LOOK: Final = "transport/test_transport_last_look.py"


def on_socket(name: str, old: str, new: str, *tests: str) -> Mutant:
    """A bug in the link on a socket."""
    return Mutant(name=name, path="transport/socket_link.py", old=old, new=new, tests=tests)


def on_any(name: str, old: str, new: str, *tests: str, survives: str = "") -> Mutant:
    """A bug in what all links have in common."""
    path = "transport/websocket_link.py"
    return Mutant(name=name, path=path, old=old, new=new, tests=tests, survives=survives)


def in_use(name: str, old: str, new: str, *tests: str, realistic: bool = False) -> Mutant:
    """A bug in the use of a link."""
    path = "sessions/link_service.py"
    return Mutant(name=name, path=path, old=old, new=new, tests=tests, realistic=realistic)


LINK_MUTANTS: Final = (
    # -- the link on a socket ------------------------------------------------------------
    on_socket(
        "what_is_pushed_between_turns_waits_for_the_next_event",
        "        elif not self._blocked:\n            self._stir()\n",
        "",
        SENT,
    ),
    on_socket(
        "a_flushed_link_cannot_be_noted_again",
        "        self._noted = False\n        frames = self._frames\n",
        "        frames = self._frames\n",
        SENT,
    ),
    on_socket(
        "every_frame_is_sent_at_once",
        "        self._frames.append(frame)\n        self.counts.sent += 1\n        if not self._noted:\n            self._note()\n",
        "        self._frames.append(frame)\n        self.counts.sent += 1\n        self.flush()\n",
        SENT,
    ),
    on_socket(
        "a_link_that_is_noted_is_not_in_the_list",
        "            self._outbound.links.append(self)\n",
        "            pass\n",
        SENT,
    ),
    on_socket(
        "a_cut_frame_begins_again",
        "            self._frames[0] = self._frames[0][sent:]\n",
        "            pass\n",
        SENT,
    ),
    on_socket(
        "a_cut_frame_is_thrown_away",
        "            self._frames[0] = self._frames[0][sent:]\n",
        "            self.unsent_bytes -= len(self._frames.pop(0)) - sent\n",
        SENT,
    ),
    on_socket(
        "a_frame_that_just_fitted_is_sent_again",
        "        while sent and sent >= len(self._frames[whole]):\n",
        "        while sent and sent > len(self._frames[whole]):\n",
        SENT,
    ),
    on_socket(
        "what_came_while_the_loop_stood_still_is_no_sign_of_life",
        "        verdict = self._read_once(handle, trio.current_time())\n        return None if verdict is _MORE else verdict\n",
        "        return None\n",
        LAST_LOOK,
    ),
    on_socket(
        "the_last_look_ends_the_link_where_there_is_much",
        "        return None if verdict is _MORE else verdict\n",
        "        return verdict\n",
        LAST_LOOK,
    ),
    on_socket(
        "the_last_look_does_not_tell_the_end",
        "        return None if verdict is _MORE else verdict\n",
        "        return None\n",
        LAST_LOOK,
    ),
    on_socket(
        "what_is_sent_still_counts",
        "        self.unsent_bytes -= sent\n",
        "",
        SENT,
    ),
    on_socket(
        "a_blocked_link_is_blocked_for_ever",
        "            self._blocked = False\n            self.flush()\n            if self._blocked:\n",
        "            self.flush()\n            if self._blocked:\n",
        SENT,
    ),
    on_socket(
        "nobody_drains_a_link_that_has_just_become_blocked",
        "                    self._blocked = True\n                    self._stir()\n",
        "                    self._blocked = True\n",
        SENT,
    ),
    on_socket(
        "a_blocked_link_is_tried_with_every_push",
        "        elif not self._blocked:\n",
        "        else:\n",
        SENT,
    ),
    on_socket(
        "a_loan_given_back_is_not_noticed",
        "        loan.told = self._stir\n",
        "",
        LINK,
    ),
    on_socket(
        "a_slow_consumer_is_told_after_everything_else",
        "        del self._frames[1:]  # a peer this far behind is told at once, not after all that\n",
        "",
        SENT,
        LIMITS,
    ),
    on_socket(
        "the_frame_that_was_begun_is_dropped_from_a_slow_consumer",
        "        del self._frames[1:]  # a peer this far behind is told at once, not after all that\n",
        "        self._frames.clear()\n",
        SENT,
    ),
    on_socket(
        "a_heap_fails_a_peer_who_reads",
        "        self.flush()\n        if not self._blocked and self._failure is None and",
        "        if not self._blocked and self._failure is None and",
        SENT,
    ),
    on_socket(
        "the_outbox_is_not_bounded_in_frames",
        "        return fits and len(self._frames) < limits.outbox_frames\n",
        "        return fits\n",
        LIMITS,
    ),
    on_socket(
        "a_broken_socket_ends_the_listening_at_once",
        "        self._failure = self._failure or LINK_LOST\n        with suppress",
        "        self._fail(LINK_LOST)\n        with suppress",
        SENT,
    ),
    on_socket(
        "a_broken_socket_takes_frames",
        "        self._failure = self._failure or LINK_LOST\n",
        "",
        SENT,
    ),
    on_socket(
        "who_waits_to_be_lent_is_not_written_to",
        "        if self._blocked:\n            await race(super()._hear, self._send_more)\n        else:\n            await super()._hear()\n",
        "        await super()._hear()\n",
        SENT,
    ),
    on_socket(
        "batches_are_one_frame_too_large",
        "size + len(self._frames[number]) <= BATCH_BYTES:",
        "size <= BATCH_BYTES:",
        SENT,
    ),
    # -- every link ----------------------------------------------------------------------
    on_any(
        "a_handler_that_raises_leaves_others_unsent",
        "        finally:\n            outbound.release()\n        return self._end\n",
        "        except ValueError:\n            raise\n        outbound.release()\n        return self._end\n",
        ERRORS,
    ),
    on_any(
        "a_wake_is_lost",
        '            self._listening.cancel("woken")\n',
        "            pass\n",
        LISTENING,
    ),
    on_any(
        "who_was_woken_is_told_that_the_link_is_over",
        "        return self._end or self._last_look(handle)\n",
        "        return self._end or LINK_LOST\n",
        LISTENING,
    ),
    on_any(
        "what_nobody_has_taken_comes_twice",
        "            messages, self._unheard = [*self._unheard, *messages], []\n",
        "            messages = [*self._unheard, *messages]\n",
        CANCELLED,
    ),
    on_any(
        "close_reads_while_a_session_does",
        "            await self._until_nobody_listens()\n",
        "",
        ERRORS,
        survives="who is cancelled lets go of a socket at once; that is not for us to rely on",
    ),
    on_any(
        "who_gives_up_is_closed_like_a_crash",
        "        if not _is_cancellation(error):\n",
        "        if True:\n",
        ERRORS,
    ),
    on_any(
        "a_cancelled_group_counts_as_a_crash",
        "        return error.split(trio.Cancelled)[1] is None\n",
        "        return False\n",
        ERRORS,
    ),
    on_any(
        "a_crash_among_cancelled_tasks_is_not_told",
        "        return error.split(trio.Cancelled)[1] is None\n",
        "        return True\n",
        ERRORS,
    ),
    on_any(
        "a_ping_fails_a_link_that_is_full",
        "        if self._has_room(len(PING_FRAME)):\n            self._queue(PING_FRAME)\n",
        "        self._queue(PING_FRAME)\n",
        ERRORS,
    ),
    on_any(
        "a_sound_fails_a_link_that_is_full",
        " or not self._has_room(len(frame)):\n",
        ":\n",
        ERRORS,
    ),
    on_any(
        "one_that_waits_to_be_lent_fills_the_memory",
        " or kept > self.limits.message_bytes:\n",
        ":\n",
        SENT,
    ),
    on_any(
        "pings_are_answered_again_and_again",
        "            self._queue(encode_frame(PONG, payload))\n        reader.pings.clear()\n",
        "            self._queue(encode_frame(PONG, payload))\n",
        SENT,
    ),
    on_any(
        "close_returns_before_the_last_word_is_sent",
        "        if self._reader.close is not None and self._listening is None and not self.unsent_bytes:\n",
        "        if self._reader.close is not None and self._listening is None:\n",
        LINK,
        SENT,
    ),
    on_any(
        "close_returns_while_a_session_listens",
        "        if self._reader.close is not None and self._listening is None and not self.unsent_bytes:\n",
        "        if self._reader.close is not None and not self.unsent_bytes:\n",
        LINK,
        survives="whoever reads the last word of the peer stops listening in the same turn",
    ),
    on_any(
        "a_link_that_waits_for_nothing_is_closed_without_a_word",
        "        if self._reader.close is not None and self._listening is None and not self.unsent_bytes:\n",
        "        if self._listening is None and not self.unsent_bytes:\n",
        LINK,
    ),
    # -- the use of a link ---------------------------------------------------------------
    in_use(
        "a_zombie_link_looks_alive",
        "        return now < heard + self.silence and self._proved(now, heard)\n",
        "        return self._proved(now, heard)\n",
        HEARTBEAT,
        realistic=True,
    ),
    in_use(
        "a_sign_of_life_does_not_put_off_the_look",
        "        self.link.ping()\n        self.link.prolong(self.look_at)\n",
        "        self.link.ping()\n",
        PULSE,
    ),
    in_use(
        "the_peer_of_a_link_that_is_over_is_pinged",
        "        pulse.end(beat)\n",
        "        pass\n",
        PULSE,
    ),
    in_use(
        "a_dead_link_is_believed",
        "            if heard < self._doubted_at:\n                return False\n",
        "",
        USE,
        "sessions/test_app_servers.py",
    ),
    in_use(
        "a_doubt_is_looked_at_late",
        "            dead_at = min(dead_at, self._doubted_at + PROOF_S)\n",
        "            pass\n",
        USE,
    ),
    in_use(
        "an_old_doubt_is_held_against_the_next",
        "            self._doubted_at = None\n            return True\n",
        "            return True\n",
        USE,
    ),
    in_use(
        "a_doubted_link_is_not_asked",
        "            self._doubted_at = now\n            self.link.ping()\n",
        "            self._doubted_at = now\n",
        USE,
    ),
    in_use(
        "a_newer_link_is_not_taken",
        "    offers.told = link.wake\n",
        "",
        USE,
        "sessions/test_glasses_links.py",
        "sessions/test_app_links.py",
        realistic=True,
    ),
    in_use(
        "the_older_link_is_told_something_else",
        "    return offers.replaced if reason is None or offers.waiting else reason\n",
        "    return reason or offers.replaced\n",
        USE,
        "sessions/test_edges_of_attempts.py",
    ),
    in_use(
        "an_offer_wakes_a_link_that_is_over",
        "        offers.told = None\n",
        "        pass\n",
        USE,
    ),
    in_use(
        "a_withdrawn_offer_ends_the_use",
        "        while reason is None and not offers.waiting:\n            if liveness.alive():\n",
        "        while reason is None and offers._waiting is None:\n            if liveness.alive():\n",
        USE,
    ),
)
