"""Tools: what an assistant may have an app do for a user, who need not have it running."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..domain.errors import MentraTrioError

if TYPE_CHECKING:
    from .app_session import AppSession

TOOL_S: Final = 30.0
"""How long the author's ``on_tool`` may take; a server waits for 20 s."""


@attrs.frozen(kw_only=True)
class ToolCall:
    """What the app is to do, for whom; ``session`` is that user's session, if there is one."""

    tool_id: str
    parameters: Mapping[str, Any]
    user: str
    timestamp: Any
    session: AppSession | None


class ToolFailed(MentraTrioError):
    """The author's ``on_tool`` failed, or took too long. Raise it there to say why yourself."""
