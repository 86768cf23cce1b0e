"""Names of users, apps and sessions, dashes included."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mentra_trio.domain.ids import (
    ID_CHARACTERS_MAX,
    PackageName,
    UserId,
    app_session_id,
    package_name,
    user_id,
    user_of_session,
)

packages = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", fullmatch=True).map(package_name)
users = st.from_regex(r"[a-z0-9.+_@-]{1,30}", fullmatch=True).map(user_id)


@given(user=users, package=packages)
@example(user=UserId("ada-b@x-y.org"), package=PackageName("com.a-b.c"))
@example(user=UserId("u-com.a.b"), package=PackageName("com.a.b"))
@example(user=UserId("-"), package=PackageName("a-a"))
def test_an_app_session_s_id_gives_its_user_back(user: UserId, package: PackageName) -> None:
    assert user_of_session(app_session_id(user, package), package) == user


@given(user=users, package=packages, other=packages)
def test_an_id_of_another_app_gives_another_user_or_none(
    user: UserId, package: PackageName, other: PackageName
) -> None:
    found = user_of_session(app_session_id(user, package), other)

    given = app_session_id(user, package)  # where what is left is a user, it is in lower case
    assert found is None or app_session_id(found, other).lower() == given.lower()


@pytest.mark.parametrize(
    "session_id",
    ["", "-", "com.a.b", "-com.a.b", "u@x.org", "u@x.org-com.a", "u@x.org-com.a.b.c", " -com.a.b"],
)
def test_what_is_no_session_id_gives_no_user(session_id: str) -> None:
    assert user_of_session(session_id, PackageName("com.a.b")) is None


@given(st.text())
def test_no_session_id_makes_it_fail(session_id: str) -> None:
    found = user_of_session(session_id, PackageName("com.a.b"))

    assert found is None or found == user_id(found)


@given(st.text(max_size=40))
def test_a_user_id_is_canonical_or_refused(text: str) -> None:
    try:
        canonical = user_id(text)
    except ValueError:
        return
    assert canonical and canonical.isprintable()
    assert canonical == canonical.strip()
    assert user_id(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("  ada-b@x.org ", "ada-b@x.org"),
        ("not an address", "not an address"),
    ],
)
def test_a_user_id_is_lower_cased_and_else_opaque(text: str, canonical: str) -> None:
    assert user_id(text) == canonical


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "a\x00b", "x" * (ID_CHARACTERS_MAX + 1)])
def test_what_is_no_user_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        user_id(text)


@pytest.mark.parametrize("text", ["com.example.captions", "a", "A-b_c.9", "9", "x" * 255])
def test_package_names(text: str) -> None:
    assert package_name(text) == text


@pytest.mark.parametrize(
    "text", ["", ".a", "-a", "a b", "a/b", "../a", "a:b", "é", "a\n", "x" * 256]
)
def test_what_is_no_package_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a package name"):
        package_name(text)
