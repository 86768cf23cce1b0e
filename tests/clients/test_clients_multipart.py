"""Forms with files, written and read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.clients.multipart import PARTS_MAX, FormPart, read_form, write_form

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
parts = st.builds(
    FormPart,
    name=names,
    data=st.binary(max_size=200) | st.sampled_from([b"\r\n", b"--", b"\r\n\r\n--x--\r\n"]),
    filename=st.just("") | names,
    mime_type=st.sampled_from(["text/plain", "image/jpeg"]),
)


@given(st.lists(parts, max_size=6))
def test_what_is_written_is_read(form: list[FormPart]) -> None:
    assert read_form(*write_form(*form)) == form


@given(st.binary(max_size=300), st.text(max_size=50))
def test_nonsense_is_no_form_and_no_crash(body: bytes, content_type: str) -> None:
    read_form(content_type, body)
    read_form("multipart/form-data; boundary=x", body)
    read_form("multipart/form-data; boundary=x", b"--x" + body + b"\r\n--x--")


def test_a_form_as_phones_send_it() -> None:
    body = (
        b'preamble\r\n--b--1\r\nContent-Disposition: form-data; name="requestId"\r\n'
        b"Content-Length: 2\r\n\r\nr1\r\n--b--1 \r\n"
        b'content-disposition: form-data; filename="a \\"b\\".jpg"; name="photo"\r\n'
        b"Content-Type: Image/JPEG; x=y\r\n\r\n\xff\xd8\r\n--b\r\n--b--1--\r\nepilogue"
    )
    assert read_form('multipart/form-data; charset=x; boundary="b--1"', body) == [
        FormPart(name="requestId", data=b"r1"),
        FormPart(
            name="photo", data=b"\xff\xd8\r\n--b", filename='a "b".jpg', mime_type="image/jpeg"
        ),
    ]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=" + "x" * 71, b"--" + b"x" * 71 + b"--"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"'),
        ("multipart/form-data; boundary=x", b"--x\r\nno headers--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: b\r\n\r\nno name\r\n--x--"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ncut off',
        ),
    ],
)
def test_what_is_broken_is_no_form(content_type: str, body: bytes) -> None:
    assert read_form(content_type, body) is None


def test_too_many_parts_are_no_form() -> None:
    part = FormPart(name="a", data=b"")
    assert read_form(*write_form(*[part] * (PARTS_MAX - 1))) is not None
    assert read_form(*write_form(*[part] * PARTS_MAX)) is None
