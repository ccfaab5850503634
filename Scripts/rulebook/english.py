"""Words of the old style, which CONTRIBUTING.md's rules on language replace. Their numbers may only go down."""

import os
import re

from . import policy
from .tree import found, lines, read, write

RATCHETS = "Scripts/ratchets.txt"
ALLOWED = re.compile(r"^word (\d+) (\S.*?)\s*$")


def counts(texts):
    """Returns the places of each word of `policy.WORDS`, in {path: text}."""
    places = {word: [] for word in policy.WORDS}
    for path, text in texts.items():
        for word, pattern in policy.WORDS.items():
            places[word] += [f"{path}:{number}" for number, _ in lines(text, "(?i)" + pattern)]
    return places


def allowed(text):
    """Returns the numbers of the ratchets file, by word."""
    matches = (ALLOWED.match(line) for line in text.splitlines())
    return {match.group(2): int(match.group(1)) for match in matches if match}


def judge(places, numbers):
    """Yields (place, text) for each word that is used more often than allowed, and each number that is out of date."""
    for word in sorted(places.keys() | numbers.keys()):
        if word not in places or word not in numbers:
            yield RATCHETS, f"word '{word}' is in one of policy.py and ratchets.txt only"
        elif len(places[word]) > numbers[word]:
            yield RATCHETS, (f"{len(places[word])} × '{word}', but {numbers[word]} are allowed; "
                             f"use plain words: {' '.join(places[word])}")
        elif len(places[word]) < numbers[word]:
            yield RATCHETS, (f"only {len(places[word])} × '{word}' are left of {numbers[word]}: "
                             "write the new number (RECORD=1 does it)")


def lowered(text, places):
    """Returns the ratchets file with the present numbers of words that became rarer."""
    result = []
    for line in text.splitlines(keepends=True):
        match = ALLOWED.match(line)
        if match and match.group(2) in places:
            number = min(int(match.group(1)), len(places[match.group(2)]))
            line = f"word {number} {match.group(2)}\n"
        result.append(line)
    return "".join(result)


def is_read(path):
    """Returns whether a file's words are counted. Golden files repeat the words of the sources."""
    if "/Fixtures/" in path or path.startswith(policy.UNREAD_TEXTS):
        return False
    return (path.startswith(("Sources/", "Tests/", "docs/")) or path.endswith(".md")
            or path in ("Makefile", "Package.swift"))


def check(files):
    """Checks the words of all sources, tests and documents."""
    texts = {}
    for path in filter(is_read, files):
        try:
            texts[path] = read(path)
        except UnicodeDecodeError:
            continue
    places = counts(texts)
    text = read(RATCHETS)
    if os.environ.get("RECORD") == "1" and lowered(text, places) != text:
        write(RATCHETS, lowered(text, places))
        found(RATCHETS, "written by RECORD=1: read the difference before you commit it")
        text = read(RATCHETS)
    for place, finding in judge(places, allowed(text)):
        found(place, finding)
