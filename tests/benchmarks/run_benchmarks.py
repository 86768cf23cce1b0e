"""Measure relaying, starting and idling of the server beside two plain relays, in one run.

The contestants take turns, so that what disturbs the machine disturbs all of them. Absolute
figures depend on the machine; the ratios are what to compare. Everything is bounded in count
and in time: the whole run takes about a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from contestants import EVENT, RELAYED, Contestant, MentraTrio, open_contestants, probe
from lean_socket import TIME_LIMIT_S, LeanSocket

PACKAGES = [f"com.bench.app{number}" for number in range(5)]
WINDOW = 64
Results = dict[str, dict[str, list[float]]]


def relay(
    contestant: Contestant, users: str, apps_number: int, seconds: float
) -> tuple[float, float]:
    """Events per second, and server processor time per event in microseconds."""
    glasses = contestant.glasses(users)
    apps = [contestant.app(glasses, users, package) for package in PACKAGES[:apps_number]]
    drain(apps)
    burst = EVENT * WINDOW
    relay_for(glasses, apps, burst, seconds / 4)  # warm up
    cpu, started = contestant.cpu_s(), time.perf_counter()
    bursts = relay_for(glasses, apps, burst, seconds)
    elapsed, cpu = time.perf_counter() - started, contestant.cpu_s() - cpu
    for socket in (glasses, *apps):
        socket.close()
    events = bursts * WINDOW
    return events / elapsed, cpu / events * 1e6


def drain(apps: list[LeanSocket]) -> None:
    """Throw away the probes of apps that were started later: each app saw a few."""
    time.sleep(0.2)
    for app in apps:
        app.socket.setblocking(False)
        try:
            while True:
                app.count(RELAYED)
        except BlockingIOError:
            app.socket.settimeout(TIME_LIMIT_S)


def relay_for(glasses: LeanSocket, apps: list[LeanSocket], burst: bytes, seconds: float) -> int:
    """Send a window of events, wait until every app has them all, and so on; how many windows."""
    bursts, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        glasses.send(burst)
        for app in apps:
            app.until(RELAYED, WINDOW)
        bursts += 1
    return bursts


def start_ms(contestant: Contestant, user: str, package: str) -> float:
    """From the wish for an app to its ack; for a plain relay, one more connection."""
    glasses = contestant.glasses(user)
    started = time.perf_counter()
    if isinstance(contestant, MentraTrio):
        app = contestant.started_app(glasses, package)
        elapsed = time.perf_counter() - started
    else:
        app = LeanSocket(f"{contestant.url}/app?user={user}&package={package}")
        elapsed = time.perf_counter() - started
        probe(glasses, app)
    app.close()
    glasses.close()
    return elapsed * 1e3


def idle_kb(contestant: Contestant, sessions: int) -> float:
    """Memory per idle session of one glasses and one app, in KiB."""
    before = contestant.memory_bytes()
    sockets = []
    for number in range(sessions):
        user = f"idle{number}@bench.org"
        glasses = contestant.glasses(user)
        sockets += [glasses, contestant.app(glasses, user, PACKAGES[0])]
    time.sleep(0.5)
    after = contestant.memory_bytes()
    for socket in sockets:
        socket.close()
    return (after - before) / sessions / 1024


def measure(contestants: list[Contestant], options: argparse.Namespace) -> Results:
    """All figures, by measure and contestant."""
    results: Results = defaultdict(lambda: defaultdict(list))
    for contestant in contestants:  # first, because a heap that was in use hides what is new
        idle = idle_kb(contestant, options.sessions)
        results["memory per idle session: KiB"][contestant.name].append(idle)
    for repetition in range(options.repetitions):
        order = contestants if repetition % 2 == 0 else contestants[::-1]
        for apps_number in (1, 5):
            for contestant in order:
                user = f"relay{repetition}-{apps_number}@bench.org"
                rate, cpu = relay(contestant, user, apps_number, options.seconds)
                name = f"1 glasses -> {apps_number} app{'s' * (apps_number > 1)}"
                results[f"{name}: events/s"][contestant.name].append(rate)
                results[f"{name}: server CPU us/event"][contestant.name].append(cpu)
        for contestant in order:
            for number in range(options.starts):
                user = f"start{repetition}-{number}@bench.org"
                taken = start_ms(contestant, user, PACKAGES[0])
                results["start to running: ms"][contestant.name].append(taken)
    return results


def print_table(results: Results, names: list[str]) -> None:
    """Medians, and beside those of the others how many times ours theirs are."""
    ours, *others = names
    print(f"{'':42}{ours:>14}" + "".join(f"{name:>24}{'x ours':>9}" for name in others))
    for what, figures in results.items():
        median = {name: statistics.median(figures[name]) for name in names}
        cells = (f"{median[n]:24,.1f}{median[n] / (median[ours] or 1):9.2f}" for n in others)
        print(f"{what:42}{median[ours]:14,.1f}" + "".join(cells))


def leave_first_core() -> None:
    """The contestants have the first core for themselves, if there is another one for the load."""
    if hasattr(os, "sched_setaffinity") and len(cores := os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, cores - {min(cores)})


def main() -> None:
    """Run, print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each relay measurement")
    parser.add_argument("--starts", type=int, default=6, help="app starts in each repetition")
    parser.add_argument("--sessions", type=int, default=150, help="idle sessions")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        contestants = open_contestants(Path(folder), PACKAGES)
        leave_first_core()
        try:
            results = measure(contestants, options)
        finally:
            for contestant in contestants:
                contestant.end()
    print_table(results, [contestant.name for contestant in contestants])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2))
    print(f"every figure: {options.out}")


if __name__ == "__main__":
    main()
