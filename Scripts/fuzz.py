#!/usr/bin/env python3
"""Feeds what reads other programs' bytes with bytes that nobody chose, under the address sanitizer.

    Scripts/fuzz.py [--seconds N | --runs N] [TARGET…]    each target for 60 seconds unless said otherwise

What was found interesting stays in .build-fuzz/corpus and is where the next run goes on; bytes that end the program are
kept in .build-fuzz/crashes, and make the exit code 1. Prints the counts as JSON; `--json FILE` writes them too.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, ".build-fuzz")
# Where each target's first bytes are, besides Tests/Fuzz/corpus.
SEEDS = {
    "manifest": ["examples", "Tests/ManifestTests/Fixtures/valid", "Tests/ManifestTests/Fixtures/invalid"],
    "configuration": ["Tests/XenProtocolTests/Fixtures/libxl-json"],
    "bus": [], "qmp": [], "sysfs": [], "records": [],
}


def build():
    command = ["swift", "build", "-c", "release", "--sanitize", "fuzzer", "--sanitize", "address", "-Xswiftc",
               "-enable-testing", "--product", "berth-fuzz", "--scratch-path", BUILD]
    result = subprocess.run(command, cwd=ROOT, env=dict(os.environ, BERTH_FUZZ="1"), check=False, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        sys.exit(result.stdout)
    return os.path.join(BUILD, "release/berth-fuzz")


def feed(program, target, bounds, folder):
    """Runs one target; tells (runs, whether it ended well)."""
    corpus = os.path.join(BUILD, "corpus", target)
    crashes = os.path.join(BUILD, "crashes", target)
    for path in (corpus, crashes):
        os.makedirs(path, exist_ok=True)
    seeds = [os.path.join(ROOT, path) for path in [f"Tests/Fuzz/corpus/{target}", *SEEDS[target]]]
    command = [program, *bounds, "-print_final_stats=1", "-verbosity=1", "-timeout=10", "-rss_limit_mb=2048",
               f"-artifact_prefix={crashes}/", "-max_len=4096",
               f"-dict={ROOT}/Tests/Fuzz/words.dict", corpus, *(path for path in seeds if os.path.isdir(path))]
    environment = dict(os.environ, BERTH_FUZZ_TARGET=target, BERTH_FUZZ_FOLDER=folder, ASAN_OPTIONS="detect_leaks=0")
    # Swift's own account of a crash takes minutes under the sanitizer.
    environment["SWIFT_BACKTRACE"] = "enable=no"
    result = subprocess.run(command, env=environment, check=False, text=True, errors="replace",
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    units = re.search(r"stat::number_of_executed_units:\s+(\d+)", result.stdout)
    runs = int(units.group(1)) if units else max(
        (int(number) for number in re.findall(r"^#(\d+)\t", result.stdout, re.M)), default=0)
    print(f"{target}: {runs} runs", flush=True)
    if result.returncode != 0:
        print("\n".join(result.stdout.splitlines()[-40:]))
        print(f"{target}: the bytes are in {os.path.relpath(crashes, ROOT)}", flush=True)
    return runs, result.returncode == 0


def main():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(SEEDS))
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - SEEDS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(SEEDS)}")
    program = build()
    bounds = [f"-runs={arguments.runs}"] if arguments.runs else [f"-max_total_time={arguments.seconds}"]
    figures = {"fuzz_runs": 0, "fuzz_crashes": 0}
    # Files are written over and over: in memory, where there is such a place.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="berth-fuzz-", dir=place) as folder:
        for target in arguments.targets or SEEDS:
            runs, is_well = feed(program, target, bounds, folder)
            figures["fuzz_runs"] += runs
            figures["fuzz_crashes"] += not is_well
    text = json.dumps(figures, indent=2)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    print(text)
    return 1 if figures["fuzz_crashes"] else 0


if __name__ == "__main__":
    sys.exit(main())
