"""How many messages went over the links of one endpoint: plain numbers, cheap to raise."""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class FrameCounts:
    """Messages so far, control frames aside; ``sent`` are those that were queued for sending."""

    received: int = 0
    sent: int = 0
