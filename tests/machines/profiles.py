"""How hard the machines try: ``dev`` in every run, ``nightly`` in ``nox -s machines``."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import settings

PROFILES: Final = {
    "dev": settings(max_examples=120, stateful_step_count=30, deadline=None, derandomize=True),
    "nightly": settings(max_examples=1_500, stateful_step_count=30, deadline=None),
}


def machine_settings(*, quick_examples: int | None = None, steps: int | None = None) -> settings:
    """The settings for this run, by the name in the environment variable ``MACHINES``.

    ``quick_examples`` is for a machine whose examples take long, in the profile ``dev`` only;
    ``steps`` for one whose steps do, in every profile.
    """
    profile = os.environ.get("MACHINES", "dev")
    found = PROFILES[profile]
    if profile == "dev" and quick_examples is not None:
        found = settings(found, max_examples=quick_examples)
    return found if steps is None else settings(found, stateful_step_count=steps)
