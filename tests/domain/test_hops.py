"""Which hop keeps a request from working."""

from __future__ import annotations

import pytest

from mentra_trio.domain.capabilities import MODELS, capabilities_of
from mentra_trio.domain.hops import PHONE_AWAY, obstacle, said_by_phone


@pytest.mark.parametrize("part", ["light", "wifi"])
@pytest.mark.parametrize("model", [None, *MODELS])
def test_without_a_phone_nothing_works(part: str, model: str | None) -> None:
    assert obstacle(part, attached=False, capabilities=capabilities_of(model)) is PHONE_AWAY


@pytest.mark.parametrize(
    ("model", "without"),
    [
        ("Mentra Live", []),
        ("Simulated Glasses", ["light", "wifi"]),
        ("Even Realities G1", ["light", "wifi"]),
        ("no such model", []),
    ],
)
def test_glasses_that_lack_the_part_are_named(model: str, without: list[str]) -> None:
    for part in ("light", "wifi"):
        found = obstacle(part, attached=True, capabilities=capabilities_of(model))
        text = found.text if found is not None else None
        assert text == (f"glasses: {model} has no {part}" if part in without else None)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no such file", "phone: no such file"),
        ("glasses: the camera is in use", "glasses: the camera is in use"),
        ("phone: busy", "phone: busy"),
        ("error: 404", "phone: error: 404"),
        ("glasses", "phone: glasses"),
    ],
)
def test_what_a_phone_says_names_its_hop_once(said: str, told: str) -> None:
    assert said_by_phone(said) == told
