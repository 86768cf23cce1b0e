from __future__ import annotations

import pytest

from mentra_trio.testing.sometimes import Sometimes

LISTED = {"lost": "it is lost", "found": "it is found"}


def test_what_was_never_reached_is_named_first() -> None:
    sometimes = Sometimes(LISTED)
    assert sometimes.missing == ["lost", "found"]
    sometimes.reached("lost")
    sometimes.reached("lost")
    assert sometimes.times("lost") == 2
    assert sometimes.missing == ["found"]
    first, second = sometimes.report().splitlines()
    assert first.startswith("NEVER")
    assert "it is found" in first
    assert second.split()[:2] == ["2", "lost:"]


def test_what_is_not_listed_is_an_error() -> None:
    with pytest.raises(KeyError):
        Sometimes(LISTED).reached("losst")


def test_several_can_be_added_up() -> None:
    one, other, both = Sometimes(LISTED), Sometimes({**LISTED, "more": "more"}), Sometimes(LISTED)
    one.reached("lost")
    other.reached("lost")
    other.reached("more")
    both.add([one, other])
    assert both.times("lost") == 2
    assert both.missing == ["found"]
