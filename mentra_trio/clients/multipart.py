"""Files in HTTP bodies: ``multipart/form-data``, read and written (RFC 7578)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final

import attrs

PARTS_MAX: Final = 32
"""A body with more of them is not read."""

BOUNDARY_MAX: Final = 70
"""As RFC 2046, 5.1.1 says."""

_TEXT_PLAIN: Final = "text/plain"
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_NAME: Final = re.compile(r';\s*name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FILENAME: Final = re.compile(r';\s*filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


@attrs.frozen(kw_only=True)
class FormPart:
    """One field of a form; ``filename`` is empty where it is no file."""

    name: str
    data: bytes = attrs.field(repr=False)
    filename: str = ""
    mime_type: str = _TEXT_PLAIN

    @property
    def text(self) -> str:
        """The data as text; what is no UTF-8 is replaced."""
        return self.data.decode(errors="replace")


def read_form(content_type: str, body: bytes) -> list[FormPart] | None:
    """The fields of a form in their order; ``None`` if it is none, or broken."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or found is None:
        return None
    boundary = (found[1] or found[2]).encode()
    if len(boundary) > BOUNDARY_MAX:
        return None
    _, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, PARTS_MAX + 1)
    if not pieces or not pieces[-1].startswith(b"--") or len(pieces) > PARTS_MAX:
        return None
    parts = [_part(piece) for piece in pieces[:-1]]
    return None if None in parts else [part for part in parts if part is not None]


def _part(piece: bytes) -> FormPart | None:
    padding, _, rest = piece.partition(b"\r\n")
    head, blank, data = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if padding.strip() or not blank:
        return None
    headers = _headers(head.decode(errors="replace"))
    disposition = headers.get("content-disposition", "")
    name = _NAME.search(disposition)
    if name is None:
        return None
    filename = _FILENAME.search(disposition)
    return FormPart(
        name=_plain(name[1]),
        data=data,
        filename=_plain(filename[1]) if filename is not None else "",
        mime_type=headers.get("content-type", _TEXT_PLAIN).partition(";")[0].strip().lower(),
    )


def _headers(head: str) -> Mapping[str, str]:
    lines = (line.partition(":") for line in head.split("\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in lines if name}


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)


def _quoted(text: str) -> str:
    return re.sub(r'([\\"])', r"\\\1", text.replace("\r", " ").replace("\n", " "))


def write_form(*parts: FormPart) -> tuple[str, bytes]:
    """A form with these fields: the value of ``Content-Type``, and the body."""
    boundary = secrets.token_hex(16)
    body = bytearray()
    for part in parts:
        filename = f'; filename="{_quoted(part.filename)}"' if part.filename else ""
        head = f'form-data; name="{_quoted(part.name)}"{filename}'
        body += f"--{boundary}\r\nContent-Disposition: {head}\r\n".encode()
        body += f"Content-Type: {part.mime_type}\r\n\r\n".encode() + part.data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", bytes(body)
