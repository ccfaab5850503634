#!/usr/bin/env python3
"""Runs the tests, and the programs that they start, under the thread sanitizer, and some under the address sanitizer:
those of the code that handles other programs' memory and files, and those of the engine with optimisation.

    Scripts/sanitize.py [thread | address | optimised] [ARGUMENT…]

The arguments are those of Scripts/test.py, for fewer tests. The builds are in .build-sanitize, .build-asan and
.build-asan-release. Every report is printed, and one is enough for exit code 1. The last line of each run has the number
of reports.
"""

import dataclasses
import glob
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PRELOADS = ["libBerthPreload.so", "libBerthCut.so"]
# Parts of the names of tests that cannot run: the sanitizers must be the first library of a process, and reserve more
# memory than a test's limit allows.
UNFIT = ["every call without Xen reports that", "each call makes its hypercall", "input made to exhaust a reader"]


@dataclasses.dataclass(frozen=True)
class Sanitizer:
    name: str
    build: str
    # The variable for its options, and the options without the place of the reports.
    variable: str
    options: str
    # How its reports begin.
    reports: tuple
    # A C file of Tests/Sanitizer that is linked into every program.
    runtime: str | None
    # The names of the suites and targets to run; nothing for all.
    selects: str | None
    # The compiler's own name for it.
    kind: str
    # The optimiser can make faults that a debug build does not have.
    configuration: str = "debug"


THREAD = Sanitizer(
    name="thread", build=".build-sanitize", variable="TSAN_OPTIONS",
    # Handles stay open (Tests/Sanitizer/runtime.c), and with them the threads that read from them.
    options="report_thread_leaks=0", reports=("WARNING: ThreadSanitizer",), runtime="runtime.c", selects=None, kind="thread")
ADDRESS = Sanitizer(
    name="address", build=".build-asan", variable="ASAN_OPTIONS",
    # Swift keeps pointers to values that are made once in a form that the leak detector does not read, so it would report
    # each of these values.
    options=f"detect_stack_use_after_return=1:detect_leaks=0:suppressions={ROOT}/Tests/Sanitizer/address.supp",
    reports=("ERROR: AddressSanitizer",), runtime=None,
    selects="AdapterTests|SandboxTests|ManifestTests", kind="address")
OPTIMISED = dataclasses.replace(
    ADDRESS, name="optimised", build=".build-asan-release", configuration="release",
    selects="ReconcilingTests|PlanningTests")
ALL = (THREAD, ADDRESS, OPTIMISED)


def build(sanitizer):
    folder = os.path.join(ROOT, sanitizer.build)
    os.makedirs(folder, exist_ok=True)
    command = ["swift", "build", "-c", sanitizer.configuration, "--build-tests", "-Xswiftc", "-enable-testing",
               "--sanitize", sanitizer.kind, "--scratch-path", folder]
    if sanitizer.runtime:
        runtime = os.path.join(folder, "runtime.o")
        subprocess.run(["clang", "-O1", "-Wall", "-Werror", "-c", f"Tests/Sanitizer/{sanitizer.runtime}", "-o", runtime],
                       cwd=ROOT, check=True)
        command += ["-Xlinker", runtime]
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    # They are loaded into programs without a sanitizer.
    for name in PRELOADS:
        shutil.copy(os.path.join(ROOT, ".build/debug", name), os.path.join(folder, sanitizer.configuration, name))


def run(sanitizer, arguments):
    """Runs the tests under a sanitizer. Returns whether all passed without a report."""
    build(sanitizer)
    if not arguments and sanitizer.selects:
        arguments = ["--filter", sanitizer.selects]
    with tempfile.TemporaryDirectory(prefix="berth-sanitize-", dir="/tmp") as folder:
        log = os.path.join(folder, "report")
        environment = dict(
            os.environ, BERTH_TESTS=os.path.join(
                ROOT, sanitizer.build, sanitizer.configuration, "berthPackageTests.xctest"),
            BERTH_MINUTES="60", SWIFT_BACKTRACE="enable=no")
        environment[sanitizer.variable] = f"log_path={log}:{sanitizer.options}"
        skips = [word for name in UNFIT for word in ("--skip", name)]
        command = [os.path.join(ROOT, "Scripts/test.py"), "--once", *skips, *arguments]
        status = subprocess.run(command, env=environment, check=False, stdin=subprocess.DEVNULL).returncode
        reports = 0
        for path in sorted(glob.glob(log + ".*")):
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            reports += sum(text.count(word) for word in sanitizer.reports)
            print(text)
    print(f"{reports} reports of the {sanitizer.kind} sanitizer", flush=True)
    return not status and not reports


def main():
    arguments = sys.argv[1:]
    chosen = [sanitizer for sanitizer in ALL if arguments[:1] in ([], [sanitizer.name])]
    if arguments and len(chosen) == 1:
        arguments = arguments[1:]
    results = [run(sanitizer, arguments) for sanitizer in chosen or ALL]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
