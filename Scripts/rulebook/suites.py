"""The names of test suites: `--filter NAME` must run what it names, and nothing else."""

import collections
import os
import re

from . import swift
from .tree import found, read, target_of


def key(name):
    """Returns what tells names apart: case, blanks, `Tests` at the end and plurals do not."""
    words = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"s$", "", re.sub(r"tests?$", "", words))


def suites(texts):
    """Returns (target, name, path) of each suite, and of each file of tests, since a filter also matches files."""
    result = set()
    for path, text in texts.items():
        parts = [part for part in swift.types_of(text, path) if part.has_tests and part.kind != "extension"]
        result |= {(target_of(path), part.name, f"{path}:{part.line}") for part in parts}
        stem = os.path.basename(path)[:-len(".swift")]
        if stem.endswith("Tests"):
            result.add((target_of(path), stem, path))
    return result


def judge(names):
    """Yields (place, text) for each suite whose name another test target uses too."""
    places = collections.defaultdict(list)
    for target, name, place in sorted(names):
        places[key(name)].append((target, name, place))
    for group in places.values():
        if len({target for target, _, _ in group}) > 1:
            for target, name, place in group:
                others = sorted({other for other, _, _ in group if other != target})
                yield place, f"{', '.join(others)} has a suite of the name '{name}', too: say what is held to what"


def promised(text, known):
    """Yields (place, text) for each suite that a promise of SECURITY.md names and no test has."""
    for number, line in enumerate(text.splitlines(), 1):
        columns = line.split(" | ")
        if not line.startswith("| ") or len(columns) != 3:
            continue
        for name in re.findall(r"`(\w+(?:Tests|Attacks))`", columns[2]):
            if name not in known:
                yield f"SECURITY.md:{number}", f"no suite of tests is called {name}"


def check(texts):
    known = {name for _, name, _ in suites({path: text for path, text in texts.items() if path.startswith("Tests/")})}
    for place, finding in promised(read("SECURITY.md"), known):
        found(place, finding)
    for place, finding in judge(suites({path: text for path, text in texts.items() if path.startswith("Tests/")})):
        found(place, finding)
