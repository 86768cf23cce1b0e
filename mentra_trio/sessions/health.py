"""App servers are asked now and then whether they are well: once for all users, spread in time.

An answer is no proof that apps will start, so it closes no breaker; but a server that answers
again after it was down is tried at once. One that does not answer is left to those who need it.

Source: seed 004 ("no proactive connection health checks").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import trio

from ..domain.errors import WebhookFailed
from ..domain.facts import HealthChecked
from ..domain.ids import PackageName
from .endpoint import Endpoint
from .surroundings import Surroundings

CHECKS_AT_ONCE: Final = 16


async def watch_health(
    surroundings: Surroundings, packages: Callable[[], Iterable[PackageName]]
) -> None:
    """Check the servers of ``packages()``, each once per ``health_s``, for ever."""
    interval = surroundings.lifecycle.health_s
    if not interval:
        return
    limiter = trio.CapacityLimiter(CHECKS_AT_ONCE)
    while True:
        due = trio.current_time() + interval
        async with trio.open_nursery() as nursery:
            for package in packages():
                endpoint = surroundings.endpoints.known(package)
                if endpoint is not None:
                    delay = surroundings.environment.random.random() * interval / 2
                    nursery.start_soon(_check, surroundings, endpoint, delay, limiter)
        await trio.sleep_until(due)


async def ask_for_health(surroundings: Surroundings, endpoint: Endpoint) -> WebhookFailed | None:
    """Ask the server of ``endpoint`` whether it is well; why not, if it is not."""
    began = trio.current_time()
    failure: WebhookFailed | None = None
    try:
        await surroundings.webhooks.health(endpoint.url)
    except WebhookFailed as error:
        failure = error
    surroundings.telemetry.emit(
        HealthChecked(
            package=endpoint.package,
            result="ok" if failure is None else failure.failure.value,
            seconds=trio.current_time() - began,
            problem="" if failure is None else str(failure),
        )
    )
    return failure


async def _check(
    surroundings: Surroundings, endpoint: Endpoint, delay: float, limiter: trio.CapacityLimiter
) -> None:
    await trio.sleep(delay)
    async with limiter:
        failure = await ask_for_health(surroundings, endpoint)
    endpoint.note_health(well=failure is None)
