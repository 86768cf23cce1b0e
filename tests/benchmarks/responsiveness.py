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
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import machine
from contestants import NO_DOORMAN, PACKAGES, Contestant, Running
from lean_server import LeanServer
from lean_socket import LeanSocket, frame
from load_program import LOAD, TOKENS, Load, built, write_tokens
from ticking_server import shares
from workloads import Workload, workload

PROBED = "com.bench.probed"
PROBE_EVERY_S = 0.02
WITHIN_S = 2.0
"""From its beginning, the load needs about this long until everybody is connected; only then is
anything measured."""
SERVING = (str(Path(__file__).with_name("ticking_server.py")),)
SHARES = ("p50", "p99", "max")

Row = dict[str, dict[str, float]]


def again_and_again(
    probe: Callable[[], None], over: threading.Event, took_ms: list[float]
) -> threading.Thread:
    """Call ``probe`` in a thread of its own until ``over``, and note how long each call takes."""

    def run() -> None:
        over.wait(WITHIN_S)
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


@attrs.frozen
class Bench:
    """What every run needs.

    Attributes:
        serving: the program that serves, and measures how late its own task is.
        seconds: how long the load lasts, once everybody is connected.
    """

    load: Load
    cores: machine.Cores
    seconds: float
    serving: tuple[str, ...] = SERVING

    def measure(self, driver: str, one: Workload) -> Row:
        """One run of a fresh server."""
        os.environ["MENTRA_TRIO_SERVER_DRIVER"] = driver
        with tempfile.TemporaryDirectory() as name:
            others = self._apps(one)
            server = LeanServer(Path(name), [PROBED], serving=self.serving, of_others=others)
            try:
                self.cores.for_server(server.process.pid)
                row = self._probed(server, one)
                server.process.terminate()
                server.process.wait(timeout=60)
            finally:
                server.end()
            lateness = json.loads((Path(name) / "server.log").read_text().splitlines()[1])
            return {"lateness": lateness, **row}

    def _apps(self, one: Workload) -> dict[str, tuple[str, ...]]:
        told = ("--url", self.load.apps_url, "--permission", "MICROPHONE")
        return {
            package: ("--type", "background" if number else "standard", *told)
            for number, package in enumerate(PACKAGES[: one.apps])
        }

    def _probed(self, server: LeanServer, one: Workload) -> Row:
        """Probe while the load lasts."""
        glasses = server.glasses("probe@bench.org")
        livez_ms, start_ms, over = list[float](), list[float](), threading.Event()
        probes = [
            again_and_again(partial(livez, server), over, livez_ms),
            again_and_again(partial(app_start, server, glasses), over, start_ms),
        ]
        begin = threading.Timer(WITHIN_S, server.process.send_signal, [signal.SIGUSR1])
        begin.start()
        try:
            self._put_load_on(server, one)
        finally:
            begin.cancel()
            over.set()
            for probe in probes:
                probe.join()
        return {"livez": shares(livez_ms), "start": shares(start_ms)}

    def _put_load_on(self, server: LeanServer, one: Workload) -> None:
        port = int(server.url.rpartition(":")[2])
        ours = Contestant(key="ours", name="ours", command=(), apps_url=self.load.apps_url)
        times = {"seconds": self.seconds, "most": self.seconds}
        self.load.run(ours, Running(server.process.pid, port), one, times)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drivers", default="trio,pump")
    parser.add_argument("--workloads", default="W3,W1")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--real-time", action="store_true", help="SCHED_RR: on a busy machine")
    return parser.parse_args()


def main() -> int:
    """Run, and print what was seen."""
    options = parse()
    program = built(LOAD, "load", "-lm")
    if program is None:
        print("the load program needs gcc")
        return 2
    cores = machine.Cores(real_time=options.real_time)
    machine.allow_many_files()
    cores.for_load()
    os.environ |= NO_DOORMAN
    drivers = options.drivers.split(",")
    with tempfile.TemporaryDirectory() as name:
        tokens = Path(name) / "tokens"
        write_tokens(tokens, TOKENS)
        bench = Bench(Load(program, tokens), cores, options.seconds)
        for one in map(workload, options.workloads.split(",")):
            rows: dict[str, list[Row]] = defaultdict(list)
            for repetition in range(options.repetitions):
                for driver in drivers if repetition % 2 == 0 else drivers[::-1]:
                    rows[driver].append(bench.measure(driver, one))
            report(one.name, rows)
    return 0


def report(name: str, rows: dict[str, list[Row]]) -> None:
    """The medians of the runs: median, 99th percentile, greatest."""
    for driver, runs in rows.items():
        told = [f"{name} {driver:6}"]
        for what in ("lateness", "livez", "start"):
            values = [statistics.median(run[what][key] for run in runs) for key in SHARES]
            told.append(f"{what} " + " / ".join(f"{value:.2f}" for value in values))
        print("; ".join(told), flush=True)


if __name__ == "__main__":
    sys.exit(main())
