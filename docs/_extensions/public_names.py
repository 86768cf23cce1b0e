"""The public names of a module and what they are for, read off its source without importing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import attrs
from docstrings import plain

SENTENCE: Final = re.compile(r"(?<=\.)\s")
FIXTURE: Final = "pytest.fixture"
SETTER: Final = re.compile(r"\.(setter|validator|default)$")

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@attrs.frozen
class PublicName:
    """A name as it is used, and the first sentence of its docstring."""

    name: str
    sentence: str


def public_names(module: str) -> list[PublicName]:
    """What ``module`` defines for others, in its own order; the methods follow their class.

    Raises:
        LookupError: there is no such module, or no file of it.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(module)
    return list(_names_in(ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body))


def _names_in(body: list[ast.stmt]) -> Iterator[PublicName]:
    for node, following in zip(body, [*body[1:], None], strict=True):
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield PublicName(name, _first_sentence(node))
                yield from _methods_of(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if _is_for_others(node):
                yield PublicName(_written(node), _first_sentence(node))
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                match following:
                    case ast.Expr(value=ast.Constant(value=str() as text)):
                        yield PublicName(name, first_sentence(text))


def _methods_of(owner: ast.ClassDef) -> Iterator[PublicName]:
    for node in owner.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_for_others(node):
            yield PublicName(f"{owner.name}.{_written(node)}", _first_sentence(node))


def _is_for_others(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Neither private, nor a hook that pytest or attrs calls."""
    marked = any(SETTER.search(ast.unparse(one)) for one in node.decorator_list)
    return not (node.name.startswith(("_", "pytest_")) or marked)


def _written(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """``name()``, or ``name`` where it is not called."""
    decorators = {ast.unparse(one) for one in node.decorator_list}
    return node.name if decorators & {"property", FIXTURE} else f"{node.name}()"


def _first_sentence(node: Definition) -> str:
    return first_sentence(ast.get_docstring(node) or "")


def first_sentence(docstring: str) -> str:
    """The first sentence of ``docstring``, on one line and without citations."""
    paragraph, _, _ = docstring.strip().partition("\n\n")
    return SENTENCE.split(plain(paragraph))[0]
