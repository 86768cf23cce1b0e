"""The OpenAPI document: valid, whole, and true to the routes that there are."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.ids import package_name
from mentra_trio.web.admin_routes import endpoint_json, registration_json, user_json
from mentra_trio.web.asgi import make_app
from mentra_trio.web.described.for_operators import AppServerState, Registration, UserSession
from mentra_trio.web.described.operation import REFUSALS, SCHEMES, Access
from mentra_trio.web.openapi import OPERATIONS, PARAMETERS, document, names_of

from .site_under_test import Site, app_snapshot, user_snapshot

PLACEHOLDER = re.compile(r"\{[^}]*\}")
Routes = set[tuple[str, str]]


def nameless(method: str, path: str) -> tuple[str, str]:
    return method.upper(), PLACEHOLDER.sub("{}", path)


def routes_of(site: Site) -> Routes:
    """Method and path of every route, under all its names; HEAD is there wherever GET is."""
    return {
        nameless(method, name)
        for route in make_app(site.services).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        for name in names_of(route.path)
    }


def described() -> Routes:
    paths: dict[str, dict[str, Any]] = document("1")["paths"]
    return {nameless(method, path) for path, item in paths.items() for method in item}


async def test_the_document_is_served_and_valid(site: Site, autojump_clock: Any) -> None:
    for prefix in ("", "/s/tok"):
        answer = await site.get(f"{prefix}/openapi.json")
        assert answer.headers["content-type"] == "application/json"
        found = answer.json()
        assert found == json.loads(json.dumps(document("1.2.3")))
    assert found["openapi"] == "3.1.0"
    assert found["info"]["version"] == "1.2.3"
    OpenAPIV31SpecValidator(found).validate()


async def test_every_route_is_described_and_no_other(site: Site, autojump_clock: Any) -> None:
    assert routes_of(site) == described()


def test_every_operation_is_described_once_and_whole() -> None:
    all_of_them = [one for operations in OPERATIONS.values() for one in operations]
    keys = [nameless(one.method, one.path) for one in all_of_them]
    assert len(set(keys)) == len(keys)
    assert set(SCHEMES) == set(Access) - {Access.EVERYBODY}
    for one in all_of_them:
        assert one.summary, one
        assert set(re.findall(r"\{(\w+)\}", one.path)) <= PARAMETERS.keys(), one
        assert set(one.refusals) <= REFUSALS.keys(), one
        assert not set(one.statuses) & set(one.errors), one


def test_other_names_of_a_route_say_the_same() -> None:
    paths = document("1")["paths"]
    for path, other in (
        ("/auth/exchange-token", "/api/auth/exchange-token"),
        ("/apps/{packageName}/start", "/api/apps/{packageName}/start"),
        ("/appsettings/user/{packageName}", "/tpasettings/user/{packageName}"),
    ):
        one, two = dict(*paths[path].values()), dict(*paths[other].values())
        assert one.pop("operationId") != two.pop("operationId")
        assert one == two


def test_what_operators_see_is_as_described() -> None:
    """Where an object has many fields, a type that forbids others is compared with it."""
    registration = AppRegistration(package=package_name("com.t.a"), url="http://a", key_hash="")
    for kind, value in (
        (UserSession, user_json(user_snapshot(user_snapshot().user, app_snapshot()))),
        (Registration, registration_json(registration)),
        (AppServerState, endpoint_json(None)),
    ):
        msgspec.convert(value, kind)


@pytest.mark.parametrize(("tag", "least"), [("phones", 15), ("apps", 10), ("operators", 15)])
def test_every_caller_has_routes(tag: str, least: int) -> None:
    assert len(OPERATIONS[tag]) >= least
