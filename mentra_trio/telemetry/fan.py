"""One place to emit facts to, for any number of sinks."""

from __future__ import annotations

import attrs

from ..domain.facts import Fact
from ..ports import Telemetry


@attrs.frozen(init=False)
class Telemetries:
    """Implements ``ports.Telemetry``: hands every fact to each of ``sinks``, in order."""

    sinks: tuple[Telemetry, ...]

    def __init__(self, *sinks: Telemetry) -> None:
        self.__attrs_init__(sinks)

    def emit(self, fact: Fact) -> None:
        """See ``ports.Telemetry``."""
        for sink in self.sinks:
            sink.emit(fact)
