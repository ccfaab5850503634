"""The files of the project, and the findings."""

import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

findings = []


def found(place, text):
    findings.append(f"{place}: {text}")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", newline="") as file:
        return file.read()


def write(path, text):
    with open(os.path.join(ROOT, path), "w", encoding="utf-8", newline="") as file:
        file.write(text)


def tracked():
    """Returns every file of the tree, also those not committed yet."""
    listing = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(path for path in set(listing.split("\0")) if path and os.path.isfile(os.path.join(ROOT, path)))


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def lines(text, pattern):
    """Yields the matches of a pattern, with their line numbers."""
    for match in re.finditer(pattern, text, re.M):
        yield line_of(text, match.start()), match


def target_of(path):
    """Returns the name of the folder below Sources or Tests, which for all but a few is the target's name."""
    return path.split("/")[1]
