"""The outcome of a start."""

from __future__ import annotations

import pytest

from mentra_trio.domain.starting import STARTED, StartResult, StartStage, failed


def test_a_start_that_succeeded_names_no_stage() -> None:
    assert StartResult(success=True, stage=None, message="") == STARTED


@pytest.mark.parametrize("stage", StartStage)
def test_a_start_that_failed_says_where_and_why(stage: StartStage) -> None:
    result = failed(stage, "it did not answer")

    assert not result.success
    assert (result.stage, result.message) == (stage, "it did not answer")


def test_the_stages_are_named_as_on_the_wire() -> None:
    assert {stage.value for stage in StartStage} == {
        *("WEBHOOK", "TIMEOUT", "AUTHENTICATION", "CONNECTION", "HARDWARE_CHECK"),
        "INTERNAL_ERROR",
    }
    assert all(stage.value == stage.name for stage in StartStage)
