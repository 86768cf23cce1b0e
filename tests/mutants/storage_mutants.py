"""Bugs in where the jobs of a store are done."""

from __future__ import annotations

from typing import Final

from mutant import Mutant

BRIEF: Final = "storage/test_storage_brief_reads.py"


def misplaced(name: str, old: str, new: str) -> Mutant:
    """A bug in the choice of a thread."""
    return Mutant(name=name, path="storage/writer.py", old=old, new=new, tests=(BRIEF,))


STORAGE_MUTANTS: Final = (
    misplaced("every_read_holds_up_the_event_loop", "if job.brief:", "if not job.writes:"),
    misplaced("every_read_is_done_by_a_thread", "if job.brief:", "if job.brief and job.writes:"),
    misplaced(
        "a_lock_fails_a_brief_read",
        "            if isinstance(result, outcome.Value):\n"
        "                await trio.lowlevel.cancel_shielded_checkpoint()\n"
        "                return result.value\n",
        "            await trio.lowlevel.cancel_shielded_checkpoint()\n"
        "            return result.unwrap()\n",
    ),
    misplaced(
        "a_brief_read_is_no_checkpoint",
        "                await trio.lowlevel.cancel_shielded_checkpoint()\n",
        "",
    ),
    misplaced(
        "the_event_loop_waits_for_a_lock",
        "open_for_reading(path, busy_s=0.0)",
        "open_for_reading(path)",
    ),
)
