"""Which attempt a socket belongs to, of many apps and many attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.ids import PackageName, package_name
from mentra_trio.sessions.attempts import TOKENS_REMEMBERED, AttemptBook

APPS = [package_name(f"com.t.{letter}") for letter in "abc"]


@given(st.lists(st.sampled_from(APPS), max_size=40))
def test_serials_count_for_each_app_from_one(apps: list[PackageName]) -> None:
    book = AttemptBook()
    for number, app in enumerate(apps):
        assert book.note(f"t{number}", app) == apps[: number + 1].count(app)
    for app in APPS:
        assert book.newest(app) == apps.count(app)
        mine = [f"t{number}" for number, other in enumerate(apps) if other == app]
        assert book.of(app) == tuple((token, n) for n, token in enumerate(mine, start=1))
        assert all(book.find(token) == (app, n) for token, n in book.of(app))
    assert book.find("another") is None


def test_only_the_oldest_tokens_are_forgotten() -> None:
    book = AttemptBook()
    for number in range(TOKENS_REMEMBERED + 5):
        book.note(f"t{number}", APPS[0])
    assert list(book.tokens) == [f"t{number}" for number in range(5, TOKENS_REMEMBERED + 5)]
    assert book.newest(APPS[0]) == TOKENS_REMEMBERED + 5


def test_what_another_server_has_counted_goes_on() -> None:
    book = AttemptBook()
    book.restore(APPS[0], [("old", 6), ("older", 5)], 7)
    assert book.find("old") == (APPS[0], 6)
    assert book.note("new", APPS[0]) == 8
    book.restore(APPS[0], [], 3)
    assert book.newest(APPS[0]) == 8, "it never goes back"
