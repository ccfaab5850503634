#!/usr/bin/env python3
"""Runs the long versions of the tests, and the fuzzers, and writes the counts to .build/soak.json.

    Scripts/soak.py [--rounds N] [--races N] [--fuzz-seconds N]

The tests are built with optimisation, into .build-soak: without it they would take a day. A soak takes more than an
hour on two cores.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, ".build-soak")
KEYS = ("races_c", "races_ox", "races_eagain", "races_beside_xl", "lost_berth", "lost_beside_xl", "readopted",
        "interleavings", "interleaving_violations", "interleaving_refusals", "cut_points", "cut_violations",
        "faults", "fault_violations", "histories", "history_violations",
        "attacks", "attack_failures", "store_stops", "store_stop_failures",
        "store_restarts", "store_restart_failures")
# What must not be 0.
COUNTS = ("races_c", "races_ox", "races_eagain", "races_beside_xl", "interleavings", "cut_points", "faults",
          "histories", "attacks", "store_stops", "store_restarts", "fuzz_runs")
# What must be 0.
FAILURES = ("lost_berth", "lost_beside_xl", "interleaving_violations", "cut_violations", "fault_violations",
            "history_violations", "attack_failures", "store_stop_failures", "store_restart_failures",
            "fuzz_crashes")
# They run at the same time. Tests of processes wait most of the time. Tests in memory never wait, and in one part with
# those of processes they would delay them.
PARTS = ("Races|CutTests|HistoryTests|Contrary runs|SilentStoreTests|Attacks",
         "ExplorerTests|CrashTests|PortFaultTests|HostileGuestTests|RunOrderTests")


def build():
    subprocess.run(["swift", "build", "-c", "release", "--build-tests", "-Xswiftc", "-enable-testing",
                    "--scratch-path", BUILD], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


def end_of(parts):
    """Waits for all parts and returns the worst exit code, or a signal's number. If the wait is stopped, all parts and their programs end."""
    try:
        return max([abs(part.wait()) for part in parts])
    finally:
        for part in parts:
            part.terminate()
            part.wait()


def run_tests(arguments, figures):
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report")
        environment = dict(
            os.environ, BERTH_ROUNDS=str(arguments.rounds), BERTH_RACES=str(arguments.races), BERTH_SOAK_REPORT=report,
            BERTH_TESTS=os.path.join(BUILD, "release/berthPackageTests.xctest"))
        parts = [subprocess.Popen([os.path.join(ROOT, "Scripts/test.py"), "--once", "--filter", part], env=environment,
                                  stdin=subprocess.DEVNULL) for part in PARTS]
        status = end_of(parts)
        if os.path.exists(report):
            with open(report, encoding="utf-8") as file:
                for line in file:
                    key, value = line.split()
                    figures[key] += int(value)
    return status


def run_fuzzers(arguments, figures):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fuzz.json")
        command = [os.path.join(ROOT, "Scripts/fuzz.py"), "--seconds", str(arguments.fuzz_seconds), "--json", path]
        status = end_of([subprocess.Popen(command, stdin=subprocess.DEVNULL)])
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                figures |= json.load(file)
    return status


def judge(figures):
    """Returns the names of what was not run, and of what failed."""
    return [key for key in COUNTS if not figures.get(key)], [key for key in FAILURES if figures.get(key)]


def main():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100, help="bounds everything that has no end of its own")
    parser.add_argument("--races", type=int, default=1000, help="races of processes on each xenstored")
    parser.add_argument("--fuzz-seconds", type=int, default=200, help="for each target")
    arguments = parser.parse_args()
    build()
    figures = dict.fromkeys(KEYS, 0)
    start = time.monotonic()
    status = run_tests(arguments, figures)
    figures["seconds"] = round(time.monotonic() - start)
    start = time.monotonic()
    status = run_fuzzers(arguments, figures) or status
    figures["fuzz_seconds"] = round(time.monotonic() - start)
    text = json.dumps(figures, indent=2)
    os.makedirs(os.path.join(ROOT, ".build"), exist_ok=True)
    with open(os.path.join(ROOT, ".build/soak.json"), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    print(text)
    missing, wrong = judge(figures)
    if missing:
        print(f"soak: not run: {', '.join(missing)}", file=sys.stderr)
    if wrong:
        print(f"soak: not 0: {', '.join(wrong)}", file=sys.stderr)
    return 1 if status or missing or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
