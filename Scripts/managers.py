#!/usr/bin/python3
"""Tests Berth with the real configuration managers: Ansible, Salt, Puppet, Nix, pre-commit.

    Scripts/managers.py install
    Scripts/managers.py run [--short | --long] [--results FILE] [NAME…]

`install` installs what the tests need: Debian packages, if root runs it, and environments of pip below .build/managers.
It fails if one of them cannot be had. `run` runs the tests of Tests/Managers: all of them, the short or the long ones,
or those that NAME selects, such as `test_fleet` or `test_fleet.Oldest`. A test that is skipped has failed.
Scripts/test.py runs both, as root and as an unprivileged user.

It is for Debian 12's own Python: every user can run it, and it runs both the oldest and the newest Ansible.
"""

import argparse
import concurrent.futures
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TESTS = os.path.join(ROOT, "Tests/Managers")
TOOLS = os.path.join(ROOT, ".build/managers")

# The environments of pip: a name, and what pip is to install.
ENVIRONMENTS = {
    # What Debian 12 has. The newest one is the newest that this Python can run.
    "ansible-2.14": ["ansible-core>=2.14.18,<2.15"],
    # The two below it are what Ansible's own check of modules imports.
    "ansible-newest": ["ansible-core", "voluptuous", "antsibull-docs-parser"],
    "pre-commit": ["pre-commit"],
    # Salt 3006 does not name all that it imports.
    "salt": ["salt==3006.9", "msgpack", "distro", "looseversion", "packaging", "pyyaml", "jinja2", "requests",
             "tornado", "pyzmq", "psutil", "pycryptodomex", "markupsafe"],
    "check-jsonschema": ["check-jsonschema"],
}


def make_environment(name):
    """Installs an environment, unless it is there. Returns the seconds that this took, and the messages of a failure."""
    folder = os.path.join(TOOLS, name)
    made = os.path.join(folder, "made")
    wanted = json.dumps([sys.version, ENVIRONMENTS[name]])
    try:
        with open(made, encoding="utf-8") as file:
            if file.read() == wanted:
                return 0, None
    except FileNotFoundError:
        pass
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    pip = [os.path.join(folder, "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", folder], [*pip, *ENVIRONMENTS[name]]):
        try:
            subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return 0, f"{name}: {error}\n{getattr(error, 'output', '')}"
    with open(made, "w", encoding="utf-8") as file:
        file.write(wanted)
    return time.monotonic() - began, None


def install():
    """Installs all that the tests need. Returns whether everything is there."""
    began = time.monotonic()
    if subprocess.run([os.path.join(ROOT, "Scripts/deps.sh"), "managers"], check=False).returncode:
        return False
    os.makedirs(TOOLS, exist_ok=True)
    # All users run the programs.
    os.umask(0o022)
    with open(os.path.join(TOOLS, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            made = list(pool.map(make_environment, ENVIRONMENTS))
    for _, failure in made:
        if failure:
            print(f"managers: {failure}", flush=True)
    if any(seconds for seconds, _ in made):
        print(f"managers: the installation took {time.monotonic() - began:.0f} s", flush=True)
    return not any(failure for _, failure in made)


def classes(names, kinds):
    """Returns the names of the test classes that are to run, long ones first."""
    sys.path.insert(0, TESTS)
    found = {}
    for suite in unittest.TestLoader().discover(TESTS, top_level_dir=TESTS):
        for each in suite:
            for test in (each if isinstance(each, unittest.TestSuite) else [each]):
                kind = type(test)
                if not hasattr(kind, "is_long"):
                    test.debug()  # A file that could not be imported: this raises the cause.
                found[f"{kind.__module__}.{kind.__qualname__}"] = kind.is_long
    for name in names:
        if not any(selects(name, each) for each in found):
            sys.exit(f"managers: no test is named {name}")
    wanted = [each for each, is_long in found.items()
              if any(selects(name, each) for name in names) or not names and is_long in kinds]
    return sorted(wanted, key=lambda each: not found[each])


def selects(name, each):
    return each == name or each.startswith(name + ".")


def run_class(name):
    """Runs the tests of a class in this process, and returns what became of them."""
    sys.path.insert(0, TESTS)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(unittest.TestLoader().loadTestsFromName(name))
    bad = [*result.errors, *result.failures, *result.skipped]
    failed = sorted({test.id() for test, _ in bad} | {test.id() for test in result.unexpectedSuccesses})
    return {"ran": result.testsRun, "failed": failed}


def run_apart(name):
    """Runs the tests of a class in a process of its own. Returns what became of them, with output and seconds."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile() as file:
        result = subprocess.run(
            [sys.executable, "-B", os.path.abspath(__file__), "class", name, file.name], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        try:
            outcome = json.load(file)
        except ValueError:
            outcome = {"ran": 1, "failed": [name]}
    if result.returncode and not outcome["failed"]:
        outcome["failed"] = [name]
    return dict(outcome, name=name, output=result.stdout, seconds=time.monotonic() - began)


def run(arguments):
    began = time.monotonic()
    kinds = {is_long for is_long, other in ((False, arguments.long), (True, arguments.short)) if not other}
    # More than there are cores, since guests and locks are waited for.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() + 1) as pool:
        outcomes = list(pool.map(run_apart, classes(arguments.names, kinds)))
    failed = sorted(name for outcome in outcomes for name in outcome["failed"])
    ran = sum(outcome["ran"] for outcome in outcomes)
    for outcome in outcomes:
        if outcome["failed"]:
            print(outcome["output"], flush=True)
    for outcome in sorted(outcomes, key=lambda each: -each["seconds"])[:3]:
        print(f"managers: {outcome['seconds']:.0f} s for {outcome['name']}")
    print(f"managers: {time.monotonic() - began:.0f} s for all", flush=True)
    if not ran:
        failed = failed or ["no test ran"]
    if arguments.results:
        with open(arguments.results, "w", encoding="utf-8") as file:
            json.dump({"passed": max(0, ran - len(failed)), "failed": failed}, file)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("install")
    one = verbs.add_parser("class")
    one.add_argument("name")
    one.add_argument("results")
    some = verbs.add_parser("run")
    lengths = some.add_mutually_exclusive_group()
    lengths.add_argument("--short", action="store_true")
    lengths.add_argument("--long", action="store_true")
    some.add_argument("--results")
    some.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.verb == "install":
        return 0 if install() else 1
    if arguments.verb == "class":
        outcome = run_class(arguments.name)
        with open(arguments.results, "w", encoding="utf-8") as file:
            json.dump(outcome, file)
        return 1 if outcome["failed"] else 0
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
