"""An app at the door: its link, and what it says about where it comes from."""

from __future__ import annotations

import attrs

from ..ports import Link


@attrs.frozen(kw_only=True, eq=False)
class Arrival:
    """The link of an app that was admitted.

    Attributes:
        serial: the attempt that its URL names; ``None`` where it names none.
        reconnect: whether the app says that it was here before, or has shown a reconnect token.
        resumes: whether it speaks of it in the words of SDK v3, and is to be answered in them.
    """

    link: Link
    serial: int | None = None
    reconnect: bool = False
    resumes: bool = False
