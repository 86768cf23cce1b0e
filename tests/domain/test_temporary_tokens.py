"""Tokens that are good for a minute, for one app, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain import temporary_tokens
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.domain.temporary_tokens import LASTS_S, TemporaryTokens

ANN, BOB = user_id("ann@x.org"), user_id("bob@x.org")
A, B = package_name("com.t.a"), package_name("com.t.b")


def test_once_and_for_its_app() -> None:
    tokens = TemporaryTokens()
    tokens.issue("t", ANN, A, 0.0)
    assert tokens.exchange("t", B, 1.0) is None
    assert tokens.exchange("u", A, 1.0) is None
    assert tokens.exchange("t", A, 1.0) == ANN, "what others tried did not burn it"
    assert tokens.exchange("t", A, 1.0) is None
    assert len(tokens) == 0


def test_for_a_minute() -> None:
    tokens = TemporaryTokens()
    tokens.issue("t", ANN, A, 0.0)
    tokens.issue("u", ANN, A, 1.0)
    assert tokens.exchange("t", A, LASTS_S) is None
    assert tokens.exchange("u", A, LASTS_S + 0.9) == ANN
    assert len(tokens) == 0


def test_one_user_pushes_out_only_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary_tokens, "OF_ONE_USER_MAX", 2)
    tokens = TemporaryTokens()
    tokens.issue("b", BOB, A, 0.0)
    for name in ("1", "2", "3"):
        tokens.issue(name, ANN, A, 0.0)
    assert len(tokens) == 3
    assert tokens.exchange("1", A, 1.0) is None
    assert [tokens.exchange(name, A, 1.0) for name in ("2", "3", "b")] == [ANN, ANN, BOB]


def test_never_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary_tokens, "TOKENS_MAX", 3)
    tokens = TemporaryTokens()
    for number in range(10):
        tokens.issue(str(number), user_id(f"u{number}"), A, 0.0)
    assert len(tokens) == 3
    assert tokens.exchange("6", A, 0.0) is None
    assert tokens.exchange("7", A, 0.0) == "u7"


@given(
    st.lists(st.tuples(st.sampled_from("iex"), st.integers(0, 5), st.floats(0, 40)), max_size=50)
)
def test_as_a_plain_dict_would_have_it(steps: list[tuple[str, int, float]]) -> None:
    tokens, model, now, issued = TemporaryTokens(), dict[str, float](), 0.0, 0
    for what, which, gap in steps:
        now += gap
        if what == "i":
            tokens.issue(f"t{issued}", ANN, A, now)
            model[f"t{issued}"] = now + LASTS_S
            issued += 1
            continue
        name, package = f"t{which}", A if what == "e" else B
        good = what == "e" and model.get(name, 0.0) > now
        assert tokens.exchange(name, package, now) == (ANN if good else None)
        if good:
            del model[name]
