"""The list of planted bugs does not rot: each can still be planted, and its tests are there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from mutant import PACKAGE, Mutant
from mutants import MUTANTS

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_can_be_planted(mutant: Mutant) -> None:
    source = mutant.applied()
    assert source != (PACKAGE / mutant.path).read_text()
    compile(source, mutant.path, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_somebody_should_notice(mutant: Mutant) -> None:
    assert mutant.tests
    assert [path for path in mutant.tests if not (TESTS / path).exists()] == []


def test_names_are_unique() -> None:
    assert [name for name, times in Counter(one.name for one in MUTANTS).items() if times > 1] == []


def test_there_are_enough() -> None:
    rules = [one for one in MUTANTS if one.path.startswith(("domain/", "sessions/"))]
    assert len(rules) >= 80
    assert sum(one.realistic for one in MUTANTS) >= 20
