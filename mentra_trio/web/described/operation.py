"""What a description of a route consists of."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

import attrs
import msgspec


class Access(enum.Enum):
    """Who may call a route: what must stand behind ``Authorization: Bearer``."""

    EVERYBODY = ""
    USER = "coreToken"
    OPERATOR = "adminToken"
    APP = "apiKey"
    NAMED_APP = "packageAndKey"
    SESSION = "sessionId"


SCHEMES: Final[Mapping[Access, str]] = MappingProxyType(
    {
        Access.USER: "the core token of a phone's user, a JWT",
        Access.OPERATOR: "the admin token, which is in the data folder",
        Access.APP: "the API key of the app, alone or after '<package name>:'",
        Access.NAMED_APP: "'<package name>:<API key>'",
        Access.SESSION: "the session id that the app was given, or the user's id; not a secret",
    }
)

REFUSALS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "the request is not as it must be",
        401: "whoever asks has not shown who they are, or may not",
        403: "this is not done for anybody",
        404: "there is no such thing",
        409: "there is no user session: no glasses are, or were just, connected",
        413: "the body, or what would be kept, is too large",
        421: "the server does not go by the name that was used",
        426: "this path speaks WebSocket",
        429: "too many requests: 'Retry-After' says when to come again",
        500: "the start failed; 'code' says at which stage",
        502: "the app server could not be asked, or its answer cannot be passed on",
        503: "the store could not do it, and nothing was changed; or the server is ending",
        504: "the app server did not answer in time",
    }
)
"""What it means that a request is answered with that status and a ``Refusal``."""

Yes = Annotated[bool, msgspec.Meta(extra_json_schema={"const": True})]
No = Annotated[bool, msgspec.Meta(extra_json_schema={"const": False})]


class Exact(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An object with these fields and no others."""


class Open(msgspec.Struct, kw_only=True, rename="camel"):
    """An object with at least these fields."""


class Refusal(Open):
    """Why a request was not answered as wished: for programs a code, for people the rest."""

    success: No
    code: str
    message: str
    why: str = ""
    fix: str = ""


class Done(Open):
    """It was done."""

    success: Yes


class Told(Exact):
    """It was done, and this is what there is to say."""

    success: Yes
    message: str


class Stamped(Open):
    """It was taken, at this moment."""

    success: Yes
    timestamp: str


@attrs.frozen(kw_only=True)
class Query:
    """A parameter in the query."""

    name: str
    about: str
    kind: type = str
    required: bool = False


@attrs.frozen(kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        path: with its parameters in braces, by the names that people know them by.
        body: what is to be sent as JSON, as a type; ``None``: nothing.
        answer: what is sent back as JSON, as a type; ``None``: something else, see ``media``.
        statuses: with which that is sent.
        errors: statuses of refusals, beside those that follow from the rest.
        also: who else may call it, beside those who have ``access``.
        more_media: what else than ``media`` an answer may be.
        passes_on: the answer is that of an app, whatever its status.
    """

    method: str
    path: str
    summary: str
    access: Access = Access.EVERYBODY
    query: tuple[Query, ...] = ()
    body: Any = None
    answer: Any = None
    statuses: tuple[int, ...] = (200,)
    media: str = "application/json"
    errors: tuple[int, ...] = ()
    also: tuple[Access, ...] = ()
    more_media: tuple[str, ...] = ()
    passes_on: bool = False

    @property
    def refusals(self) -> list[int]:
        """All statuses with which a request may be refused."""
        found = {*self.errors}
        if self.access is not Access.EVERYBODY or self.also:
            found |= {401, 503}
        if self.access is Access.OPERATOR:
            found.add(421)
        if self.body is not None:
            found |= {400, 413}
        if "{" in self.path:
            found |= {404, 503}
        return sorted(found)


def asked_by(
    access: Access, method: str, path: str, summary: str, answer: Any, **more: Any
) -> Operation:
    """An operation for those who have ``access``; ``more`` are further fields of it."""
    return Operation(
        method=method, path=path, summary=summary, access=access, answer=answer, **more
    )
