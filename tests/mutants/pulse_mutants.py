"""Bugs of the pulse: who is pinged, when, and how long others wait."""

# ruff: noqa: E501  source is quoted as it is

from __future__ import annotations

from typing import Final

from mutant import Mutant

PULSE: Final = "sessions/test_pulse.py"
HEARTBEAT: Final = "sessions/test_heartbeat.py"
USE: Final = "sessions/test_link_service.py"


def arrhythmia(
    name: str, old: str, new: str, *tests: str, realistic: bool = False, survives: str = ""
) -> Mutant:
    """A bug in the pulse."""
    return Mutant(
        name=name,
        path="sessions/pulse.py",
        old=old,
        new=new,
        tests=tests or (PULSE,),
        realistic=realistic,
        survives=survives,
    )


NEXT: Final = "                beat.at = max(beat.at, now) + beat.liveness.interval\n"

PULSE_MUTANTS: Final = (
    arrhythmia(
        "pings_pile_up",
        NEXT,
        "                beat.at += beat.liveness.interval / 2\n",
        HEARTBEAT,
    ),
    arrhythmia(
        "what_was_missed_is_asked_time_after_time",
        NEXT,
        "                beat.at += beat.liveness.interval\n",
    ),
    arrhythmia(
        "who_is_asked_early_is_asked_more_often",
        NEXT,
        "                beat.at = now + beat.liveness.interval\n",
    ),
    arrhythmia(
        "each_is_pinged_once",
        NEXT + "                heappush(self._beats, beat)\n",
        "",
        PULSE,
        HEARTBEAT,
        USE,
    ),
    arrhythmia(
        "who_talks_is_not_pinged",
        "                beat.liveness.ask()\n",
        "                if beat.liveness.link.last_heard + beat.liveness.interval <= now:\n                    beat.liveness.ask()\n",
        USE,
    ),
    arrhythmia(
        "an_ended_link_is_still_pinged",
        "        beat.liveness = None\n",
        "        pass\n",
    ),
    arrhythmia(
        "one_who_comes_before_all_others_waits_for_them",
        "        if self._beats[0] is beat:\n            self._sooner.set()\n",
        "        if len(self._beats) == 1:\n            self._sooner.set()\n",
    ),
    arrhythmia(
        "the_first_is_not_noticed",
        "        if self._beats[0] is beat:\n            self._sooner.set()\n",
        "",
        PULSE,
        HEARTBEAT,
        realistic=True,
    ),
    arrhythmia(
        "nobody_else_has_a_turn_while_many_are_pinged",
        "PINGS_AT_ONCE: Final = 64\n",
        "PINGS_AT_ONCE: Final = 64_000\n",
    ),
    arrhythmia(
        "nobody_is_pinged_together_with_others",
        "> now + PING_SLACK_S:\n",
        "> now:\n",
    ),
    arrhythmia(
        "the_latest_is_asked_first",
        "(self.at, self.number) < (other.at, other.number)",
        "(self.at, -self.number) < (other.at, -other.number)",
    ),
)
