"""``mentra-trio certify``: puts a running app server through what can happen to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs
import trio

from ..concurrency.bulkhead import single
from ..domain.errors import ConfigError, WebhookFailed
from ..domain.hosts import EVERYWHERE
from ..testing.certification.cast import Ground
from ..testing.certification.lifecycles import LIFECYCLES
from ..testing.certification.report import (
    as_json,
    closing_lines,
    lifecycle_json,
    portrait_lines,
    result_lines,
)
from ..testing.certification.run import Certificate, certify
from ..testing.certification.script import Lifecycle
from ..webhooks.client import app_url

SURVIVED: Final = 0
FAILED: Final = 1

Write = Callable[[str], None]


@attrs.frozen(kw_only=True)
class Order:
    """What was asked for on the command line."""

    url: str
    host: str = "127.0.0.1"
    port: int = 0
    package: str = ""
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    seed: int = 0
    one_by_one: bool = False
    as_json: bool = False


def run_certify(order: Order, write: Write) -> int:
    """Certify; 0 if the app survived everything, else 1.

    Raises:
        ConfigError: a wrong order, or no app server at its URL.
    """
    chosen = _chosen(order)
    ground = _ground(order)
    certificates: list[Certificate] = []
    wrong: list[BaseException] = []

    async def run() -> None:
        certificates.append(await _certify(order, ground, chosen, write))

    try:
        trio.run(run)
    except* ConfigError as errors:  # from a listener that could not be opened, within nurseries
        wrong.append(single(errors))
    except* BrokenPipeError:
        pass  # whoever read has seen enough
    if wrong:
        raise wrong[0]
    return SURVIVED if certificates and certificates[0].survived else FAILED


async def _certify(
    order: Order, ground: Ground, chosen: Sequence[Lifecycle], write: Write
) -> Certificate:
    def write_all(lines: Iterable[str]) -> None:
        if not order.as_json:
            for line in lines:
                write(line)

    certificate = await certify(
        ground,
        lifecycles=chosen,
        seed=order.seed,
        package=order.package,
        one_by_one=order.one_by_one or order.port != 0,
        met=lambda portrait: write_all(
            [*portrait_lines(portrait, url=order.url, seed=order.seed), ""]
        ),
        ended=lambda result: write_all(result_lines(result)),
    )
    write_all(closing_lines(certificate))
    if order.as_json:
        write(json.dumps(as_json(certificate)))
    return certificate


def list_lifecycles(write: Write, *, raw: bool) -> None:
    """Print the name of each lifecycle, and what a user would see."""
    if raw:
        write(json.dumps([lifecycle_json(lifecycle) for lifecycle in LIFECYCLES]))
        return
    for lifecycle in LIFECYCLES:
        write(f"{lifecycle.name:<21} {lifecycle.user}")


def _chosen(order: Order) -> list[Lifecycle]:
    names = {lifecycle.name for lifecycle in LIFECYCLES}
    unknown = [name for name in (*order.only, *order.skip) if name not in names]
    if unknown:
        raise ConfigError(f"there is no lifecycle {unknown[0]!r}; --list shows all of them")
    wanted = set(order.only or names) - set(order.skip)
    if not wanted:
        raise ConfigError("--skip leaves no lifecycle")
    return [lifecycle for lifecycle in LIFECYCLES if lifecycle.name in wanted]


def _ground(order: Order) -> Ground:
    try:
        app_url(order.url, "/webhook")
    except WebhookFailed as error:
        raise ConfigError(f"{order.url!r}: {error}") from None
    if order.host in EVERYWHERE:
        raise ConfigError(f"--host {order.host} is no address at which an app can reach us")
    return Ground(url=order.url, host=order.host, port=order.port)
