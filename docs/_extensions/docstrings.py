"""What docstrings say of names, in the words of those who have this documentation alone."""

from __future__ import annotations

import ast
import inspect
import re
from types import ModuleType
from typing import Final

CITATION: Final = re.compile(r"\s*\([^()]*(?:protocol\.md|\bseed \d{3})[^()]*\)")
"""A bracket that names the requirements: "(protocol.md 2.9)", "(seed 003: 5-8 s)"."""


def plain(text: str) -> str:
    """``text`` on one line, without citations."""
    return CITATION.sub("", " ".join(text.split()))


def documented(module: ModuleType, class_name: str | None = None) -> dict[str, str]:
    """Names that are assigned in a module or class, with the docstring that follows each."""
    body: list[ast.stmt] = ast.parse(inspect.getsource(module)).body
    if class_name is not None:
        (owner,) = (n for n in body if isinstance(n, ast.ClassDef) and n.name == class_name)
        body = owner.body
    found = {}
    for node, following in zip(body, [*body[1:], None], strict=True):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                found[name] = ""
                match following:
                    case ast.Expr(value=ast.Constant(value=str() as text)):
                        found[name] = plain(text)
    return found


def attributes(kind: type) -> dict[str, str]:
    """What the section ``Attributes`` of a class's docstring says of each name."""
    _, _, section = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    entries = re.split(r"^    (?=[\w, ]+:)", section, flags=re.MULTILINE)
    found = {}
    for names, _, meaning in (entry.partition(":") for entry in entries if entry.strip()):
        found |= {name: plain(meaning) for name in re.findall(r"\w+", names)}
    return found
