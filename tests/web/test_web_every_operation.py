"""Every operation of the OpenAPI document succeeds once, and is answered as the document says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
from openapi_schema_validator import OAS31Validator
from trio.testing import MockClock

from mentra_trio.web.described.operation import Operation
from mentra_trio.web.openapi import OPERATIONS, document, names_of

from .asking import Asked, ask
from .furnished_site import Furnished, example, open_furnished

ENDLESS = "text/event-stream"


def every_operation() -> Iterator[Any]:
    for operations in OPERATIONS.values():
        for one in operations:
            for name in names_of(one.path):
                yield pytest.param(one, name, id=f"{one.method} {name}")


def check_described(answer: Asked, method: str, path: str) -> None:
    """The answer has a status, a media type and a shape that the document has for it."""
    responses: Mapping[str, Any] = document("1.2.3")["paths"][path][method.lower()]["responses"]
    described = responses.get(str(answer.status), responses.get("default"))
    assert described is not None, (answer.status, answer.body)
    content = described.get("content", {})
    assert answer.media in content or (not answer.body and not content), (answer.media, content)
    if answer.media == "application/json":
        schema = {**content[answer.media].get("schema", {})}
        schema["components"] = document("1.2.3")["components"]
        OAS31Validator(schema).validate(json.loads(answer.body))


async def ask_well(site: Furnished, one: Operation, name: str, **more: bytes) -> Asked:
    """Ask for ``one`` under that name as its example has it."""
    good = example(attrs.evolve(one, path=name), one.path, site.registration)
    target = good.path + (f"?{good.query}" if good.query else "")
    headers = {"host": b"localhost", "authorization": f"Bearer {good.bearer}".encode(), **more}
    body = json.dumps(good.body).encode() if one.body is not None else b""
    endless = one.media == ENDLESS
    return await ask(site.app, good.method, target, headers, body, endless=endless)


@pytest.mark.parametrize(("one", "name"), list(every_operation()))
async def test_every_operation_succeeds_as_described(
    one: Operation, name: str, autojump_clock: MockClock
) -> None:
    async with open_furnished() as site:
        answer = await ask_well(site, one, name)
        assert answer.status in (one.statuses or one.errors), answer
        check_described(answer, one.method, name)
