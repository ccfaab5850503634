#!/usr/bin/env python3
"""Feeds random bytes to all code that reads other programs' bytes, under the address sanitizer.

    Scripts/fuzz.py [--seconds N | --runs N] [TARGET…]    each target for 60 seconds unless said otherwise

Inputs that reach new code stay in .build-fuzz/corpus, and the next run continues from them. Inputs that end the program
stay in .build-fuzz/crashes. The exit code is then 1, also if a target did not run at all. Prints the counts as JSON;
`--json FILE` writes them too.
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
# The folders of each target's first inputs.
SEEDS = {
    "manifest": ["Tests/Fuzz/corpus/manifest", "examples", "Tests/ManifestTests/Fixtures/valid",
                 "Tests/ManifestTests/Fixtures/invalid"],
    "fmt": ["Tests/Fuzz/corpus/fmt", "Tests/Fuzz/corpus/manifest", "examples", "Tests/ManifestTests/Fixtures/valid"],
    "configuration": ["Tests/XenProtocolTests/Fixtures/libxl-json"],
    "bus": ["Tests/Fuzz/corpus/bus"],
    "qmp": ["Tests/Fuzz/corpus/qmp"],
    "sysfs": ["Tests/Fuzz/corpus/sysfs"],
    "inventory": ["Tests/Fuzz/corpus/inventory"],
    "records": ["Tests/Fuzz/corpus/records"],
    "store": ["Tests/Fuzz/corpus/store"],
    "outside": ["Tests/Fuzz/corpus/outside"],
    "snapshot": ["Tests/Fuzz/corpus/snapshot"],
    "plan": ["Tests/Fuzz/corpus/plan"],
}


def build():
    command = ["swift", "build", "-c", "release", "--sanitize", "fuzzer", "--sanitize", "address", "-Xswiftc",
               "-enable-testing", "--product", "berth-fuzz", "--scratch-path", BUILD]
    result = subprocess.run(command, cwd=ROOT, env=dict(os.environ, BERTH_FUZZ="1"), check=False, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        sys.exit(result.stdout)
    return os.path.join(BUILD, "release/berth-fuzz")


def seeds(target):
    """Returns the folders of a target's first inputs. Ends the program if one has no file."""
    folders = [os.path.join(ROOT, path) for path in SEEDS[target]]
    for folder in folders:
        if not os.path.isdir(folder) or not os.listdir(folder):
            sys.exit(f"fuzz: {target}: {os.path.relpath(folder, ROOT)} has no inputs")
    return folders


def runs_of(output):
    """Returns how many inputs the fuzzer says it ran: its last count, if it did not get to the statistics."""
    units = re.search(r"stat::number_of_executed_units:\s+(\d+)", output)
    return int(units.group(1)) if units else max(
        (int(number) for number in re.findall(r"^#(\d+)\t", output, re.M)), default=0)


def failures(figures):
    """Returns what is wrong with the counts of a run, as {target: (runs, whether it ended well)}."""
    crashed = [f"{target}: the program ended badly" for target, (_, is_well) in figures.items() if not is_well]
    return crashed + [f"{target}: no input was run" for target, (runs, _) in figures.items() if not runs]


def feed(program, target, bounds, folder):
    """Runs one target. Returns how many inputs it ran, and whether it ended well."""
    corpus = os.path.join(BUILD, "corpus", target)
    crashes = os.path.join(BUILD, "crashes", target)
    for path in (corpus, crashes):
        os.makedirs(path, exist_ok=True)
    command = [program, *bounds, "-print_final_stats=1", "-verbosity=1", "-timeout=10", "-rss_limit_mb=2048",
               f"-artifact_prefix={crashes}/", "-max_len=4096",
               f"-dict={ROOT}/Tests/Fuzz/words.dict", corpus, *seeds(target)]
    environment = dict(os.environ, BERTH_FUZZ_TARGET=target, BERTH_FUZZ_FOLDER=folder, ASAN_OPTIONS="detect_leaks=0")
    # Swift's own report of a crash takes minutes under the sanitizer.
    environment["SWIFT_BACKTRACE"] = "enable=no"
    result = subprocess.run(command, env=environment, check=False, text=True, errors="replace",
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    runs = runs_of(result.stdout)
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
    targets = arguments.targets or list(SEEDS)
    for target in targets:
        seeds(target)
    program = build()
    bounds = [f"-runs={arguments.runs}"] if arguments.runs else [f"-max_total_time={arguments.seconds}"]
    results = {}
    # Files are written very often, so they are in memory if the machine has such a place.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="berth-fuzz-", dir=place) as folder:
        for target in targets:
            results[target] = feed(program, target, bounds, folder)
    figures = {"fuzz_runs": sum(runs for runs, _ in results.values()),
               "fuzz_crashes": sum(not is_well for _, is_well in results.values())}
    text = json.dumps(figures, indent=2)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    print(text)
    wrong = failures(results)
    for failure in wrong:
        print(f"fuzz: {failure}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
