"""Our server inside another Trio program, which measures how late one of its own tasks is.

That task sleeps for five milliseconds, again and again. SIGUSR1 has it begin anew; at SIGTERM it is
told, as a line of JSON, by how much its sleep was exceeded, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
from pathlib import Path

import trio

from mentra_trio.cli.serve import allow_many_connections, spare_the_garbage_collector
from mentra_trio.config import Config
from mentra_trio.config_sources import load_config
from mentra_trio.server import open_server

PERIOD_S = 0.005


async def tick(late_ms: list[float]) -> None:
    """Sleep, and note by how much too long."""
    while True:
        wanted = trio.current_time() + PERIOD_S
        await trio.sleep_until(wanted)
        late_ms.append((trio.current_time() - wanted) * 1000)


def shares(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile and greatest."""
    ordered = sorted(values) or [0.0]
    p99 = ordered[int(len(ordered) * 0.99)]
    return {"p50": statistics.median(ordered), "p99": p99, "max": ordered[-1]}


async def serve(config: Config) -> None:
    """Serve until SIGTERM."""
    late_ms: list[float] = []
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGUSR1) as signals:
        async with trio.open_nursery() as own, open_server(config) as server:
            own.start_soon(tick, late_ms)
            print(f"ready on {server.http_url}")
            async for number in signals:
                if number == signal.SIGTERM:
                    break
                late_ms.clear()
            print(json.dumps(shares(late_ms)), flush=True)
            own.cancel_scope.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", required=True)
    parser.add_argument("--data-dir", required=True, type=Path)
    options = parser.parse_args()
    sets = [f"server.port={options.port}", f"server.data_dir={options.data_dir}"]
    allow_many_connections()
    spare_the_garbage_collector()
    trio.run(serve, load_config(environ=os.environ, overrides=sets))


if __name__ == "__main__":
    main()
