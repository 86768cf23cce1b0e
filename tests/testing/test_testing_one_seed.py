"""One seed gives one course: in one process, and in any."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from one_course import course

SCRIPT = Path(__file__).with_name("one_course.py")
ROOT = Path(__file__).parent.parent.parent


def course_elsewhere(seed: int, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(seed)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_a_seed_has_one_course_in_three_runs_and_two_processes() -> None:
    here = {course(7) for _ in range(3)}
    elsewhere = {course_elsewhere(7, hash_seed) for hash_seed in ("1", "2")}
    assert len(here) == 1
    assert elsewhere == here


def test_another_seed_has_another_course() -> None:
    assert course(7) != course(8)
