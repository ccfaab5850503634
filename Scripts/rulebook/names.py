"""The names of tests that the programs of Scripts select or leave out: each must be a test's or a suite's."""

import re

import sanitize
import soak

from . import swift
from .tree import found, read

SKIPPED = "Scripts/skipped-tests.txt"
_DECLARED = re.compile(r"\b(?:func|struct|class|enum|actor|extension)\s+(?:`([^`\n]+)`|(\w+))")


def declared(texts):
    """Returns the names of the functions and types of all tests."""
    matches = (match for path, text in texts.items() if path.startswith("Tests/")
               for match in _DECLARED.finditer(swift.bare(text)))
    return {match.group(1) or match.group(2) for match in matches}


def skipped(text):
    """Returns the names that a list of skipped tests has."""
    lines = (line.split("#")[0].strip().removeprefix("unprivileged:").removeprefix("root:").strip() for line in text.splitlines())
    return [line for line in lines if line]


def judge(names, unfit, parts, skips):
    """Yields (place, text) for each part of a filter that matches no name, and each skipped test that is no name."""
    filters = [("Scripts/sanitize.py", unfit), ("Scripts/soak.py", [word for part in parts for word in part.split("|")])]
    for place, words in filters:
        for word in words:
            if not any(re.search(word, name) for name in names):
                yield place, f"'{word}' is in the name of no test and no suite"
    for name in skips:
        if name not in names:
            yield SKIPPED, f"'{name}' is the name of no test"


def check(texts):
    for place, finding in judge(declared(texts), sanitize.UNFIT, soak.TESTS.values(), skipped(read(SKIPPED))):
        found(place, finding)
