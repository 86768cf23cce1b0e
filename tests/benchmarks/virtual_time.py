"""How fast virtual time passes in a simulated world: virtual seconds per second.

All sessions are idle but for their heartbeats: each link is pinged every ten seconds. What is
told is of the processor's time, which other programs disturb little, and of real time. The target
is 1,000 with 100 sessions of glasses; an app for each session doubles the links.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import AsyncExitStack

import trio
from trio.testing import MockClock

from mentra_trio.clients.app import App
from mentra_trio.testing.world import World, open_world

PACKAGE = "com.bench.idle"
TARGET = 1_000


async def measure(sessions: int, apps: int, seconds: float) -> dict[str, float]:
    """Virtual seconds per second of the processor, and per real second."""
    async with open_world(seed=0) as world, AsyncExitStack() as worn:
        for number in range(sessions):
            await worn.enter_async_context(world.glasses(f"u-{number}@x.org"))
        await start(world, sessions, apps)
        await trio.sleep(60)
        cpu, real = time.process_time(), time.perf_counter()
        await trio.sleep(seconds)
        cpu, real = time.process_time() - cpu, time.perf_counter() - real
        assert all(user.connected for user in world.server.users())
        return {"per_cpu_s": seconds / cpu, "per_real_s": seconds / real}


async def start(world: World, sessions: int, apps: int) -> None:
    """Run so many apps for each user."""
    for number in range(apps):
        app = App(f"{PACKAGE}{number}", api_key="key")
        await world.add(app)
        for user in range(sessions):
            result = await world.server.start_app(f"u-{user}@x.org", app.package)
            assert result.success, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--apps", type=int, default=0, help="for each session")
    parser.add_argument("--seconds", type=float, default=1_000.0, help="virtual ones, each run")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    results = [
        trio.run(
            measure,
            options.sessions,
            options.apps,
            options.seconds,
            clock=MockClock(autojump_threshold=0),
        )
        for _ in range(options.runs)
    ]
    told = {
        "sessions": options.sessions,
        "apps": options.apps,
        "virtual_s_per_cpu_s": round(statistics.median(one["per_cpu_s"] for one in results)),
        "virtual_s_per_real_s": round(statistics.median(one["per_real_s"] for one in results)),
        "target": TARGET,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
