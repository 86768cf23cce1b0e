"""Measure the server beside plain relays that do the same over the same protocol, in one run.

The contestants take turns, in reversed order every other time, so that what disturbs the machine
disturbs all of them. Absolute figures depend on the machine; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
import docs_page
import growth
import machine
from contestants import BEFORE, ROOT, Contestant, before, ours, relays, running
from figures import FOOTNOTE, Figures, Run, for_all, goal_lines, lines_of
from load_program import FLOOR, LOAD, TOKENS, Load, built, write_tokens
from workloads import WORKLOADS, Workload, fitting, workload

IN_SHORT = (
    *("us_per_event", "p50_us", "p99_us", "kb_per_connection", "us_per_ping", "rss_kb"),
    *("cpu_s", "wall_s", "load_share", "clean", "slices", "held_back", "wrong", "missing"),
)
KEYS = ("ours", "before", "floor", "bun", "ws", "websockets")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = ",".join(one.name for one in WORKLOADS)
    quick = ",".join(one.name for one in WORKLOADS if one.in_quick)
    parser.add_argument("--contestants", default="", help=f"some of {','.join(KEYS)}")
    parser.add_argument("--workloads", default="", help=f"some of {names}")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="undisturbed, of each run")
    parser.add_argument("--most", type=float, default=4.0, help="seconds of each run, at most")
    parser.add_argument("--quick", action="store_true", help="about two minutes in all")
    parser.add_argument("--smoke", action="store_true", help="only whether everything works")
    parser.add_argument("--before", nargs="?", const=BEFORE, metavar="COMMIT", help="beside this")
    parser.add_argument("--growth", action="store_true", help="cost per event, 10 to 10,000 users")
    parser.add_argument("--real-time", action="store_true", help="SCHED_RR: on a busy machine")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench.json")
    parser.add_argument("--docs", action="store_true", help="only write the last results to docs/")
    options = parser.parse_args(arguments)
    options.workloads = options.workloads or (quick if options.quick else names)
    if options.quick:
        options.repetitions, options.seconds, options.most = 1, 0.8, 1.6
    if options.smoke:
        options.repetitions = 1
    return options


def chosen(options: argparse.Namespace, scratch: Path, load: Load) -> list[Contestant]:
    """Who takes part. Those who cannot are left out, with a word."""
    wanted = options.contestants.split(",") if options.contestants else list(KEYS)
    apps_number = max(workload(name).apps for name in options.workloads.split(",")) or 1
    found: list[Contestant] = []
    if "ours" in wanted:
        found.append(ours(scratch, load.apps_url, apps_number))
    if options.before:
        found.append(before(options.before, scratch, load.apps_url, apps_number))
    rivals = relays(built(FLOOR, "floor", "-lcrypto")) if set(wanted) - {"ours"} else {}
    for key in KEYS:
        rival = rivals.get(key)
        if key not in wanted or rival is None:
            continue
        if isinstance(rival, str):
            print(f"{key} is left out: {rival}")
        else:
            found.append(rival)
    return found


class Bench:
    """One call of the program: what is measured, with what."""

    def __init__(self, options: argparse.Namespace, scratch: Path, load: Load) -> None:
        self.options = options
        self.scratch = scratch
        self.load = load
        self.cores = machine.Cores(real_time=options.real_time)
        self.files = machine.allow_many_files()
        self.cores.for_load()

    def run(self, contestant: Contestant, one: Workload, repetition: int = 0) -> Run:
        """One fresh server under one workload; what went wrong is among the figures."""
        if self.options.smoke:
            one = attrs.evolve(one, heartbeat_s=min(one.heartbeat_s, 1))
        about: Run = {
            "contestant": contestant.key,
            "workload": one.name,
            "repetition": repetition,
        }
        try:
            with running(contestant, one, self.scratch) as server:
                self.cores.for_server(server.pid)
                told = self.load.run(contestant, server, one, self._told(one))
        except RuntimeError as error:
            told = {"error": f"{error} (its log: {self._keep_log(contestant, one)})"}
        print(f"  {contestant.name:22} {one.name:12} {summary(told)}", flush=True)
        if one.mode == "idle":
            told |= for_all(told, workload(one.name))
        return about | told

    def _keep_log(self, contestant: Contestant, one: Workload) -> Path:
        kept = ROOT / "build" / "bench" / f"failed-{contestant.key}-{one.name}.log"
        shutil.copy(self.scratch / "server.log", kept)
        return kept

    def _told(self, one: Workload) -> dict[str, float]:
        if self.options.smoke:
            return one.small
        told: dict[str, float] = {}
        if one.mode in {"relay", "setup"}:
            told = {"seconds": self.options.seconds, "most": self.options.most}
        return told | (one.quick if self.options.quick else {})

    def turns(self, contestants: list[Contestant]) -> Iterator[tuple[int, Workload, Contestant]]:
        """Who is measured with what, in which order."""
        names = self.options.workloads.split(",")
        for repetition in range(self.options.repetitions):
            for name in names:
                one = fitting(workload(name), self.files)
                if one is not workload(name) and repetition == 0:
                    print(f"{name}: {one.options['users']} users, for want of files")
                order = contestants if repetition % 2 == 0 else contestants[::-1]
                for contestant in order:
                    if contestant.key == "ours" or not one.ours_only:
                        yield repetition, one, contestant


def summary(told: dict[str, Any]) -> str:
    """The main figures of one run, in a line."""
    if "error" in told:
        return f"FAILED: {told['error']}"
    return " ".join(f"{name}={told[name]:g}" for name in IN_SHORT if told.get(name))


def stop(_number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C: what was started is ended first."""
    raise KeyboardInterrupt


def measure(bench: Bench, contestants: list[Contestant]) -> Run:
    """Everything that was asked for, as it is written down."""
    options, about = bench.options, machine.described()
    names = {contestant.key: contestant.name for contestant in contestants}
    if options.growth:
        sizes = growth.USERS[:2] if options.smoke else growth.USERS
        turns = [(number, users) for number in range(options.repetitions) for users in sizes]
        return {
            "machine": about,
            "growth": growth.measure(bench.run, contestants, turns, bench.files),
        }
    runs = [
        bench.run(contestant, one, repetition)
        for repetition, one, contestant in bench.turns(contestants)
    ]
    figures = Figures(runs)
    print("\n" + "\n".join(lines_of(figures.table(names))))
    print(f"{FOOTNOTE}\n\n{figures.disturbed()}.")
    print(f"Load of the machine at the start: {about['load_at_start']:.2f}.")
    if not options.smoke:
        print("\n".join(goal_lines(figures)))
    return {"machine": about, "names": names, "runs": runs, "ratios": figures.ratios(names)}


def main() -> int:
    """Run, print, write; 1 if a contestant did something wrong."""
    options = parse()
    growth_file = options.out.with_name(f"{options.out.stem}_growth.json")
    if options.docs:
        docs_page.write(options.out, growth_file)
        return 0
    program = built(LOAD, "load", "-lm")
    if program is None:
        print("the load program needs gcc")
        return 2
    signal.signal(signal.SIGTERM, stop)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        tokens = scratch / "tokens"
        write_tokens(tokens, TOKENS)
        load = Load(program, tokens)
        results = measure(Bench(options, scratch, load), chosen(options, scratch, load))
    target = growth_file if options.growth else options.out
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(results, indent=2))
    print(f"\nevery figure: {target}")
    if options.growth:
        growth.report(results, target)
    return int(any("error" in run for run in results.get("runs", [])))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
