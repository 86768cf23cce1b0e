"""Bugs of the pump: who is called, what is lost, and who waits for it."""

from __future__ import annotations

from typing import Final

from mutant import Mutant

PUMP: Final = "transport/test_transport_pump.py"
LISTENING: Final = "transport/test_transport_listening.py"


def slip(name: str, old: str, new: str, *tests: str, survives: str = "") -> Mutant:
    """A bug in the pump."""
    tests = tests or (PUMP,)
    return Mutant(
        name=name, path="transport/pump.py", old=old, new=new, tests=tests, survives=survives
    )


PUMP_MUTANTS: Final = (
    slip(
        "what_a_cancelled_call_says_is_lost",
        "if self._acting is watch:",
        "if self._acting is None:",
    ),
    slip(
        "a_call_that_cancels_its_own_task_says_nothing",
        "            if watch.cancelled is None:\n                return\n"
        "            result = outcome.capture(watch.cancelled)\n",
        "            return\n",
        PUMP,
        LISTENING,
    ),
    slip(
        "whoever_is_cancelled_is_still_called",
        "            self._forget(fd)\n            return Abort.SUCCEEDED",
        "            return Abort.SUCCEEDED",
        PUMP,
        LISTENING,
    ),
    slip(
        "a_second_watcher_takes_the_place_of_the_first",
        "        if fd in self._watches:\n",
        "        if fd < 0:\n",
    ),
    slip(
        "what_cannot_be_watched_is_watched",
        "        self._epoll.register(fd, select.EPOLLIN)\n"
        "        watch = self._watches[fd] = _Watch(current_task(), call)\n",
        "        watch = self._watches[fd] = _Watch(current_task(), call)\n"
        "        self._epoll.register(fd, select.EPOLLIN)\n",
    ),
    slip(
        "whoever_watches_at_its_end_waits_for_ever",
        "        for watch in watches.values():",
        "        for watch in ():",
    ),
    slip(
        "it_stays_an_instrument",
        "            trio.lowlevel.remove_instrument(self)\n",
        "",
    ),
    slip("its_epoll_stays_open", "        self._epoll.close()\n", ""),
    slip(
        "it_acts_until_nothing_is_due",
        "            if self._due and trio.current_time() >= end:\n                return\n",
        "",
    ),
    slip(
        "what_is_due_is_forgotten_at_the_end_of_a_turn",
        "            if self._due and trio.current_time() >= end:\n                return\n",
        "            if self._due and trio.current_time() >= end:\n"
        "                self._due.clear()\n                return\n",
        survives="the kernel says so again, as long as there is something to be read",
    ),
    slip(
        "it_lingers_always",
        " or self._gap >= STRETCH_S:",
        ":",
    ),
    slip("it_never_lingers", "wait < TICK_S", "wait < 1"),
    slip("it_lingers_although_others_wait", "self._due or self._others_wait or", "self._due or"),
    slip(
        "it_lingers_beyond_the_time_of_another",
        "linger_until = min(end, self._deadline)",
        "linger_until = end",
    ),
    slip(
        "the_end_of_a_wait_counts_as_a_message",
        "        if not self._due:\n            return False\n        now",
        "        now",
        survives="it would go on only if the kernel said that something has come",
    ),
    slip(
        "a_pause_of_a_day_counts_as_one", "min(now - self._last, GAP_MAX_S)", "(now - self._last)"
    ),
    slip(
        "a_task_that_has_something_to_do_counts_only_once_it_has_had_a_turn",
        "self._others_wait = timeout <= 0",
        "self._others_wait = False",
        survives="it waits for three milliseconds more",
    ),
    slip("its_own_task_counts_as_another", "if task is not self._reader:", "if True:"),
)
