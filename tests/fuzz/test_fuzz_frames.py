"""A few thousand of the inputs with which ``nox -s fuzz_frames`` fuzzes the parser of frames."""

from __future__ import annotations

import pytest
from fuzz_frames import check, main


@pytest.mark.parametrize("seed", range(4))
def test_no_promise_is_broken(seed: int) -> None:
    ends = {check(seed, number) for number in range(1_000)}
    assert ends == {"goes on", "closed", "1002", "1007", "1009"}


def test_the_program_says_how_to_repeat_what_it_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--seed", "5", "--inputs", "20"]) == 0
    assert capsys.readouterr().out.startswith("seed 5\n20 inputs, no promise broken")
    monkeypatch.setattr("fuzz_frames.MESSAGE_MAX", 0)
    with pytest.raises(AssertionError):
        main(["--seed", "5", "--inputs", "1000"])
    assert "repeat with: --seed 5 --first " in capsys.readouterr().out
