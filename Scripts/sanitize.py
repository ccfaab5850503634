#!/usr/bin/env python3
"""Runs the tests, and the programs that they start, under the thread sanitizer.

    Scripts/sanitize.py [ARGUMENT…]     the arguments are those of Scripts/test.py, for fewer tests

The build is in .build-sanitize. Every report is printed, and one is enough for exit code 1. The last line has the
number of reports.
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, ".build-sanitize")
PRELOADS = ["libBerthPreload.so", "libBerthCut.so"]
# Parts of the names of tests that cannot run: the sanitizer must be the first library of a process, and reserves more
# memory than a test's limit allows.
UNFIT = ["every call without Xen reports that", "each call makes its hypercall", "input made to exhaust a reader"]


def build():
    os.makedirs(BUILD, exist_ok=True)
    runtime = os.path.join(BUILD, "runtime.o")
    subprocess.run(["clang", "-O1", "-Wall", "-Werror", "-c", "Tests/Sanitizer/runtime.c", "-o", runtime], cwd=ROOT,
                   check=True)
    subprocess.run(["swift", "build", "--build-tests", "--sanitize", "thread", "--scratch-path", BUILD, "-Xlinker",
                    runtime], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    # They are loaded into programs without a sanitizer.
    for name in PRELOADS:
        shutil.copy(os.path.join(ROOT, ".build/debug", name), os.path.join(BUILD, "debug", name))


def main():
    build()
    with tempfile.TemporaryDirectory(prefix="berth-sanitize-", dir="/tmp") as folder:
        log = os.path.join(folder, "report")
        environment = dict(
            os.environ, BERTH_TESTS=os.path.join(BUILD, "debug/berthPackageTests.xctest"), BERTH_MINUTES="60",
            # Handles stay open (Tests/Sanitizer/runtime.c), and with them the threads that read from them.
            TSAN_OPTIONS=f"log_path={log} report_thread_leaks=0", SWIFT_BACKTRACE="enable=no")
        skips = [word for name in UNFIT for word in ("--skip", name)]
        command = [os.path.join(ROOT, "Scripts/test.py"), "--once", *skips, *sys.argv[1:]]
        status = subprocess.run(command, env=environment, check=False, stdin=subprocess.DEVNULL).returncode
        reports = 0
        for path in sorted(glob.glob(log + ".*")):
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            reports += text.count("WARNING: ThreadSanitizer")
            print(text)
    print(f"{reports} reports of the thread sanitizer")
    return 1 if status or reports else 0


if __name__ == "__main__":
    sys.exit(main())
