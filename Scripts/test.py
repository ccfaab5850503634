#!/usr/bin/env python3
"""Runs the built tests and counts them. If root runs it, the tests run again as an unprivileged user.

Without arguments it runs the tests in Swift, and then the short ones of the configuration managers.
`Scripts/test.py --managers` runs only the latter, with the arguments of `Scripts/managers.py run`. Other arguments are
passed to the test program: `Scripts/test.py --filter SandboxTests`. `--once`, which must come first, leaves the second
run out. A test that was skipped or cancelled fails the run unless Scripts/skipped-tests.txt names it. The last line has
the counts.
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BERTH = ".build/debug/berth"
PROGRAM = os.environ.get("BERTH_TESTS", ".build/debug/berthPackageTests.xctest")
UNPRIVILEGED = "nobody"
DEADLINE_SECONDS = 60 * int(os.environ.get("BERTH_MINUTES", 25 + int(os.environ.get("BERTH_ROUNDS", "0"))))
# The Debian whose Python runs both the oldest and the newest Ansible, and Salt 3006.
DEBIAN_OF_MANAGERS = "bookworm"
# In the environment of all processes of a run, also of those that leave its session.
MARK = "BERTH_TEST_RUN"


def excused(is_root):
    """Returns the tests that may be left out. A line that begins with `root:` or `unprivileged:` is for such runs only."""
    with open(os.path.join(ROOT, "Scripts/skipped-tests.txt"), encoding="utf-8") as file:
        lines = [line.split("#")[0].strip() for line in file]
    kinds = {"root:": is_root, "unprivileged:": not is_root}
    names = set()
    for line in filter(None, lines):
        kind = next((kind for kind in kinds if line.startswith(kind)), "")
        if kinds.get(kind, True):
            names.add(line.removeprefix(kind).strip())
    return names


class Swift:
    """The tests in Swift: how they are started, and what their events say."""

    name = "Tests"
    # What shows that a user can read the built tests, and start them.
    probe = [PROGRAM, "--testing-library", "swift-testing", "--list-tests"]
    build = ["--build-tests"]

    def __init__(self, arguments):
        self.arguments = arguments

    def prepare(self, root):
        """Returns whether the tests of the tree at `root` can begin."""
        return True

    def command(self, root, events):
        command = [os.path.join(root, PROGRAM), "--testing-library", "swift-testing"]
        return [*command, "--event-stream-output-path", events, *self.arguments]

    def judge(self, who, events, status):
        return judge(who, events, status)


class Managers:
    """The tests of the configuration managers, which are in Python."""

    name = "Tests of the configuration managers"
    probe = [BERTH, "--version"]
    build = ["--product", "berth"]

    def __init__(self, arguments):
        self.arguments = arguments

    def prepare(self, root):
        """Installs what the tests need, in the tree at `root`. Returns whether they can begin."""
        install = [os.path.join(root, "Scripts/managers.py"), "install"]
        return subprocess.run(install, stdin=subprocess.DEVNULL, check=False).returncode == 0

    def command(self, root, results):
        return [os.path.join(root, "Scripts/managers.py"), "run", "--results", results, *self.arguments]

    def judge(self, who, results, status):
        try:
            with open(results, encoding="utf-8") as file:
                counts = json.load(file)
        except (FileNotFoundError, ValueError):
            print(f"The tests of the managers ended as {who} with status {status}, before they had reported.")
            return 0, {"the run itself"}
        return counts["passed"], set(counts["failed"])


def run(root, user, suite):
    """Runs the tests of the tree at `root`. Returns how many passed and how many failed."""
    who = user or pwd.getpwuid(os.getuid()).pw_name
    if not suite.prepare(root):
        print("What the tests need is not there.", flush=True)
        return 0, 1
    print(f"== {suite.name} as {who}", flush=True)
    # Short, since the paths of sockets below it are bounded.
    scratch = tempfile.mkdtemp(prefix="berth-", dir="/tmp")
    try:
        account = pwd.getpwnam(user) if user else None
        if account:
            os.chown(scratch, account.pw_uid, account.pw_gid)
        events = os.path.join(scratch, "events.jsonl")
        environment = dict(os.environ, TMPDIR=scratch, **{MARK: scratch})
        if not sys.stderr.isatty():
            environment["NO_COLOR"] = "1"
        if account:
            environment.update(HOME=scratch, USER=user, LOGNAME=user)
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        process = subprocess.Popen(
            suite.command(root, events), cwd=root, env=environment, stdin=subprocess.DEVNULL, start_new_session=True, **identity)
        try:
            status = process.wait(timeout=DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"The tests did not end within {DEADLINE_SECONDS // 60} minutes.", flush=True)
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            left = list(left_over(f"{MARK}={scratch}"))
            for pid, _ in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        passed, failures = suite.judge(who, events, status)
        for pid, command in left:
            print(f"Left running by a test: {pid} {command}")
            failures.add("every process ends with its test")
        for name in sorted(failures):
            print(f"Failed as {who}: {name}")
        return passed, len(failures)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def judge(who, events, status):
    names, ended, left_out, ended_well = {}, {}, {}, False
    try:
        with open(events, encoding="utf-8") as file:
            records = [json.loads(line) for line in file if line.endswith("}\n")]
    except FileNotFoundError:
        records = []
    for record in records:
        payload = record["payload"]
        if record["kind"] == "test":
            if payload["kind"] == "function":
                names[payload["id"]] = payload.get("displayName", payload["name"])
            continue
        test = payload.get("testID")
        kind = payload["kind"]
        if kind == "runEnded":
            ended_well = True
        elif test in names and kind in ("testSkipped", "testCancelled"):
            left_out[test] = "skipped" if kind == "testSkipped" else "cancelled"
        elif test in names and kind == "testEnded":
            ended[test] = any(message["symbol"] == "fail" for message in payload["messages"])
    failures = {names[test] for test, failed in ended.items() if failed}
    allowed = excused(who == "root")
    for test, how in left_out.items():
        if names[test] not in allowed:
            print(f"Not run as {who}: '{names[test]}' was {how}, and Scripts/skipped-tests.txt does not name it.")
            failures.add(names[test])
    passed = sum(1 for test, failed in ended.items() if not failed and test not in left_out)
    if not ended_well or (status != 0 and not failures):
        print(f"The test program ended as {who} with status {status}, before it had reported everything.")
        failures.add("the run itself")
    if not passed and not failures:
        print("No test ran.")
        failures.add("the run itself")
    return passed, failures


def left_over(mark):
    """Yields the processes that have the mark in their environment."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if mark.encode() not in file.read().split(b"\0"):
                    continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                yield int(name), file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # It ended, or is another user's.


def has_managers():
    """Returns whether the configuration managers can be installed here."""
    if "BERTH_WITHOUT_MANAGERS" in os.environ:  # Set where pip reaches no packages: in the system of another Debian.
        return False
    with open("/etc/os-release", encoding="utf-8") as file:
        return f"VERSION_CODENAME={DEBIAN_OF_MANAGERS}\n" in file.read()


def reachable(user, probe):
    """Returns whether the user can read what the tests need of the tree, and start the built program `probe`."""
    account = pwd.getpwnam(user)
    command = [os.path.join(ROOT, probe[0]), *probe[1:]]
    try:
        return subprocess.run(
            command, cwd="/", user=account.pw_uid, group=account.pw_gid, extra_groups=[], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60).returncode == 0
    except (PermissionError, subprocess.TimeoutExpired):
        return False


def copy_and_build(what):
    """Builds `what` in a copy of the tree that everyone can read, and returns its folder.

    A copy of the built tests is not enough: they contain the absolute paths of their fixtures.
    """
    tree = tempfile.mkdtemp(prefix="berth-tree-", dir="/var/tmp")
    print(f"== {UNPRIVILEGED} cannot read {ROOT}: building a copy in {tree}", flush=True)
    shutil.copytree(ROOT, tree, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns(".build*", ".git"))
    subprocess.run(["swift", "build", *what], cwd=tree, check=True, stdin=subprocess.DEVNULL)
    subprocess.run(["chmod", "-R", "a+rX", tree], check=True)
    return tree


def main():
    # If a run is stopped, all that it has started ends, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    arguments = sys.argv[1:]
    once = arguments[:1] == ["--once"]
    arguments = arguments[once:]
    if arguments[:1] == ["--managers"]:
        suites = [Managers(arguments[1:])]
    else:
        suites = [Swift(arguments)]
        if not arguments and has_managers():
            suites.append(Managers(["--short"]))
        elif not arguments:
            print(f"The configuration managers are not tested: that is for Debian's {DEBIAN_OF_MANAGERS}.", flush=True)
    counts = [run(ROOT, None, suite) for suite in suites]
    if os.getuid() == 0 and not once:
        tree = ROOT if reachable(UNPRIVILEGED, suites[0].probe) else copy_and_build(suites[0].build)
        try:
            counts += [run(tree, UNPRIVILEGED, suite) for suite in suites]
        finally:
            if tree != ROOT:
                shutil.rmtree(tree, ignore_errors=True)
    passed, failed = (sum(column) for column in zip(*counts))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
