"""How long everything else waits while there is much to be relayed, for each driver.

The server runs inside another Trio program (``ticking_server``), on the first core; the load runs
on the second, as in ``run_benchmarks.py``. Meanwhile three things are measured, in milliseconds:
by how much a task of that program oversleeps, how long ``GET /livez`` takes on a connection of its
own, and how long the start of an app takes, from the command of the glasses to its ack. The
drivers take turns; the medians of their runs are told.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import machine
from contestants import PACKAGES, Contestant, Running
from lean_server import LeanServer
from lean_socket import LeanSocket, frame
from load_program import LOAD, TOKENS, Load, built, write_tokens
from ticking_server import shares
from workloads import Workload, workload

PROBED = "com.bench.probed"
PROBE_EVERY_S = 0.02
WITHIN_S = 0.5
"""From its beginning, the load needs at most this long until everybody is connected."""
SERVING = (str(Path(__file__).with_name("ticking_server.py")),)
NO_DOORMAN = {
    "MENTRA_TRIO_LIMITS_UPGRADES_PER_S": "1000000",
    "MENTRA_TRIO_LIMITS_UPGRADES_BURST": "1000000",
}

Row = dict[str, dict[str, float]]


def again_and_again(
    probe: Callable[[], None], over: threading.Event, took_ms: list[float]
) -> threading.Thread:
    """Call ``probe`` in a thread of its own until ``over``, and note how long each call takes."""

    def run() -> None:
        while not over.wait(PROBE_EVERY_S):
            began = time.perf_counter()
            probe()
            took_ms.append((time.perf_counter() - began) * 1000)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def livez(server: LeanServer) -> None:
    """One request on a connection of its own."""
    url = server.url.replace("ws", "http", 1) + "/livez"
    urllib.request.urlopen(url, timeout=30).read()


def app_start(server: LeanServer, glasses: LeanSocket) -> None:
    """Start an app; what its end takes is not measured, for it ends with the next start."""
    server.started_app(glasses, PROBED).close()
    stop = {"type": "stop_app", "packageName": PROBED}
    glasses.send(frame(json.dumps(stop).encode()))


def measure(
    load: Load, one: Workload, seconds: float, cores: machine.Cores, serving: tuple[str, ...]
) -> Row:
    """One run of a fresh server."""
    told = ("--url", load.apps_url, "--permission", "MICROPHONE")
    others = {
        package: ("--type", "background" if number else "standard", *told)
        for number, package in enumerate(PACKAGES[: one.apps])
    }
    with tempfile.TemporaryDirectory() as name:
        server = LeanServer(Path(name), [PROBED], serving=serving, of_others=others)
        try:
            cores.for_server(server.process.pid)
            glasses = server.glasses("probe@bench.org")
            livez_ms, start_ms, over = list[float](), list[float](), threading.Event()
            probes = [
                again_and_again(lambda: livez(server), over, livez_ms),
                again_and_again(lambda: app_start(server, glasses), over, start_ms),
            ]
            begin = threading.Timer(WITHIN_S, server.process.send_signal, [signal.SIGUSR1])
            begin.start()
            _run_load(load, server, one, seconds)
            over.set()
            for probe in probes:
                probe.join()
            server.process.terminate()
            server.process.wait(timeout=60)
            lateness = json.loads((Path(name) / "server.log").read_text().splitlines()[1])
            return {"lateness": lateness, "livez": shares(livez_ms), "start": shares(start_ms)}
        finally:
            over.set()
            server.end()


def _run_load(load: Load, server: LeanServer, one: Workload, seconds: float) -> None:
    port = int(server.url.rpartition(":")[2])
    ours = Contestant(key="ours", name="ours", command=(), apps_url=load.apps_url)
    times = {"seconds": seconds, "most": seconds}
    load.run(ours, Running(server.process.pid, port), one, times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drivers", default="trio,pump")
    parser.add_argument("--workloads", default="W3,W1")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--real-time", action="store_true", help="SCHED_RR: on a busy machine")
    options = parser.parse_args()
    program = built(LOAD, "load", "-lm")
    if program is None:
        parser.error("the load program needs gcc")
    cores = machine.Cores(real_time=options.real_time)
    machine.allow_many_files()
    cores.for_load()
    os.environ |= NO_DOORMAN
    drivers = {
        driver: ({"MENTRA_TRIO_SERVER_DRIVER": driver}, SERVING)
        for driver in options.drivers.split(",")
    }
    with tempfile.TemporaryDirectory() as name:
        tokens = Path(name) / "tokens"
        write_tokens(tokens, TOKENS)
        load = Load(program, tokens)
        for workload_name in options.workloads.split(","):
            rows: dict[str, list[Row]] = defaultdict(list)
            for repetition in range(options.repetitions):
                turn = list(drivers) if repetition % 2 == 0 else list(drivers)[::-1]
                for driver in turn:
                    os.environ |= drivers[driver][0]
                    one = workload(workload_name)
                    rows[driver].append(
                        measure(load, one, options.seconds, cores, drivers[driver][1])
                    )
            report(workload_name, rows)


def report(name: str, rows: dict[str, list[Row]]) -> None:
    """The medians of the runs."""
    for driver, runs in rows.items():
        parts = []
        for what in ("lateness", "livez", "start"):
            medians = [
                statistics.median(run[what][key] for run in runs) for key in ("p50", "p99", "max")
            ]
            parts.append(f"{what} " + "/".join(f"{value:.2f}" for value in medians))
        print(f"{name} {driver:6} p50/p99/max ms: {', '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
