"""How deeply JSON may be nested: far less than what somebody after us could not follow.

Reading and writing nest as deeply as the text, on top of whatever is being called already. A text
that could just be read in one place may be too much in another: nobody gets to see one like that.
"""

from __future__ import annotations

import re
from itertools import accumulate
from types import MappingProxyType
from typing import Final

NESTED_MAX: Final = 128
"""Levels of one message; those of the protocol have a dozen at most."""

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS: Final = re.compile(r"[^\[\]{}]+")
_STEPS: Final = MappingProxyType({"[": 1, "{": 1, "]": -1, "}": -1})


def is_nested_too_deeply(text: str) -> bool:
    """Whether there are more than ``NESTED_MAX`` levels in ``text``, which is JSON."""
    if text.count("[") + text.count("{") <= NESTED_MAX:
        return False  # nearly all messages: no more brackets than levels that may be
    brackets = _NO_BRACKETS.sub("", _STRING.sub("", text))
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > NESTED_MAX
