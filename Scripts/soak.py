#!/usr/bin/env python3
"""Runs the long versions of the tests, and the fuzzers, and writes the counts to .build/soak.json.

    Scripts/soak.py [--only PART]... [--rounds N] [--races N] [--fuzz-seconds N]

The tests are built with optimisation, into .build-soak: without it they would take a day. A soak takes more than an
hour on two cores. A part can be run by itself: the others keep their figures if those are of the same commit. The exit
code is 0 if every part has run on this commit, and nothing that must be 0 is not.
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
# The tests of each part. Two parts run at the same time. Tests of processes wait most of the time. Tests in memory
# never wait, and in one part with those of processes they would delay them.
TESTS = {"processes": "Races|CutTests|HistoryTests|Contrary runs|SilentStoreTests|Attacks",
         "memory": "ExplorerTests|CrashTests|PortFaultTests|HostileGuestTests|RunOrderTests"}
PARTS = (*TESTS, "fuzz")
RESULT = os.path.join(ROOT, ".build/soak.json")


def build():
    subprocess.run(["swift", "build", "-c", "release", "--build-tests", "-Xswiftc", "-enable-testing",
                    "--scratch-path", BUILD], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


def end_of(parts):
    """Waits for all parts and returns the worst exit code, or a signal's number.

    If the wait is stopped, all parts and their programs end.
    """
    try:
        return max([abs(part.wait()) for part in parts])
    finally:
        for part in parts:
            part.terminate()
            part.wait()


def run_tests(names, arguments):
    """Runs parts at the same time. Returns the figures of each part."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        parts = {name: subprocess.Popen(
            [os.path.join(ROOT, "Scripts/test.py"), "--once", "--filter", TESTS[name]], stdin=subprocess.DEVNULL,
            env=dict(os.environ, BERTH_ROUNDS=str(arguments.rounds), BERTH_RACES=str(arguments.races),
                     BERTH_SOAK_REPORT=os.path.join(folder, name),
                     BERTH_TESTS=os.path.join(BUILD, "release/berthPackageTests.xctest"))) for name in names}
        end_of(parts.values())
        seconds = round(time.monotonic() - start)
        return {name: {"seconds": seconds, "failed": bool(part.returncode)} | read_report(os.path.join(folder, name))
                for name, part in parts.items()}


def read_report(path):
    """Returns the sums of the figures that tests have added to a file, one per line."""
    figures = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, value = line.split()
                figures[key] = figures.get(key, 0) + int(value)
    return figures


def run_fuzzers(arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fuzz.json")
        start = time.monotonic()
        command = [os.path.join(ROOT, "Scripts/fuzz.py"), "--seconds", str(arguments.fuzz_seconds), "--json", path]
        status = end_of([subprocess.Popen(command, stdin=subprocess.DEVNULL)])
        figures = {"fuzz_seconds": round(time.monotonic() - start), "failed": bool(status)}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                figures |= json.load(file)
    return {"fuzz": figures}


def commit():
    """Returns what the tree is: a commit, with a mark if files differ from it."""
    return subprocess.run(["git", "describe", "--always", "--abbrev=40", "--dirty"], cwd=ROOT, check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


def earlier(tree):
    """Returns the parts that have run on this commit already."""
    try:
        with open(RESULT, encoding="utf-8") as file:
            parts = json.load(file)["parts"]
        return {name: part for name, part in parts.items() if part["commit"] == tree and not tree.endswith("-dirty")}
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return {}


def total(parts):
    """Returns the figures of all parts together."""
    figures = dict.fromkeys(KEYS, 0)
    for part in parts.values():
        for key, value in part.items():
            if isinstance(value, int) and not isinstance(value, bool):
                figures[key] = max(figures.get(key, 0), value) if key == "seconds" else figures.get(key, 0) + value
    return figures


def judge(figures):
    """Returns the names of what was not run, and of what failed."""
    return [key for key in COUNTS if not figures.get(key)], [key for key in FAILURES if figures.get(key)]


def remember(parts, figures, tree):
    """Adds what has just run to the parts, and writes the result.

    The other parts are read again: another run of this program may have ended in the meantime.
    """
    for name, part in figures.items():
        parts[name] = part | {"commit": tree}
    for name, part in earlier(tree).items():
        if name not in figures:
            parts[name] = part
    os.makedirs(os.path.dirname(RESULT), exist_ok=True)
    with open(RESULT, "w", encoding="utf-8") as file:
        json.dump(total(parts) | {"parts": parts}, file, indent=2)
        file.write("\n")


def main():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part; the default is all")
    parser.add_argument("--rounds", type=int, default=100, help="bounds everything that has no end of its own")
    parser.add_argument("--races", type=int, default=1000, help="races of processes on each xenstored")
    parser.add_argument("--fuzz-seconds", type=int, default=200, help="for each target")
    arguments = parser.parse_args()
    chosen = arguments.only or PARTS
    tree = commit()
    parts = earlier(tree) if arguments.only else {}
    tests = [name for name in TESTS if name in chosen]
    if tests:
        build()
        remember(parts, run_tests(tests, arguments), tree)
    if "fuzz" in chosen:
        remember(parts, run_fuzzers(arguments), tree)
    figures = total(parts)
    print(json.dumps(figures, indent=2))
    missing, wrong = judge(figures)
    if missing:
        print(f"soak: not run: {', '.join(missing)}", file=sys.stderr)
    if wrong:
        print(f"soak: not 0: {', '.join(wrong)}", file=sys.stderr)
    failed = [name for name, part in parts.items() if part["failed"]]
    if failed:
        print(f"soak: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed or missing or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
