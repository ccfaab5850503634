"""Numbers that may only go down: how often a pattern or a word may occur. ratchets.txt holds them."""

import os
import re

from .tree import found, read, write

FILE = "Scripts/ratchets.txt"
# A number and the name of a pattern, or `word`, a number and a word.
_LINE = re.compile(r"^(word )?(\d+) (\S.*?)\s*$")


def _entry(line):
    """Returns (name, number) of a line, or None. The name of a word begins with `word`."""
    match = _LINE.match(line)
    return match and ((match.group(1) or "") + match.group(3), int(match.group(2)))


def allowed(text):
    """Returns the numbers of a ratchets file, by name."""
    return dict(filter(None, map(_entry, text.splitlines())))


def judge(places, numbers):
    """Yields what is wrong: names that occur more often than allowed, and numbers that are out of date."""
    for name in sorted(places.keys() | numbers.keys()):
        if name not in places or name not in numbers:
            yield f"'{name}' is in one of policy.py and ratchets.txt only"
        elif len(places[name]) > numbers[name]:
            yield f"{len(places[name])} × '{name}', but {numbers[name]} are allowed: {' '.join(places[name])}"
        elif len(places[name]) < numbers[name]:
            yield (f"only {len(places[name])} × '{name}' are left of {numbers[name]}: "
                   "write the new number (RECORD=1 does it)")


def lowered(text, places):
    """Returns a ratchets file with the present numbers of what became rarer."""
    result = []
    for line in text.splitlines(keepends=True):
        name, number = _entry(line) or ("", 0)
        if name in places and len(places[name]) < number:
            line = line.replace(str(number), str(len(places[name])), 1)
        result.append(line)
    return "".join(result)


def check(places):
    """Compares the places of each pattern and word with the numbers; with RECORD=1 writes the lower numbers."""
    text = read(FILE)
    if os.environ.get("RECORD") == "1" and lowered(text, places) != text:
        text = lowered(text, places)
        write(FILE, text)
        found(FILE, "written by RECORD=1: read the difference before you commit it")
    for finding in judge(places, allowed(text)):
        found(FILE, finding)
