"""How large types are: their functions and their mutable stored fields."""

import collections
import os
import re

from . import policy, swift
from .tree import found, read, target_of, write

RATCHETS = "Scripts/ratchets.txt"
EXCEPTION = re.compile(r"^type (\S+) (\d+) functions (\d+) fields +# *(\S.*)$")


def sizes(texts):
    """Returns a `TypeCount` for each type of each target, by `Target.Type`; fields that need no count are 0."""
    types = collections.defaultdict(lambda: swift.TypeCount(""))
    guarded = set()
    for path, text in texts.items():
        target = target_of(path)
        for part in swift.types_of(text, path):
            name = f"{target}.{part.name}"
            types[name].name = name
            types[name].add(part)
        for first, second in re.findall(r"\bMutex(?:<\s*(\w+)|\(\s*(\w+)\()", swift.bare(text)):
            guarded.add((target, first or second))
    for name, count in types.items():
        target, _, rest = name.partition(".")
        is_guarded = (target, rest.rpartition(".")[2]) in guarded
        # A value that does not change itself is data: whoever holds it in a `let` cannot change it.
        if count.kind not in ("class", "actor") and not count.mutates and not is_guarded:
            count.fields = 0
    return dict(types)


def exceptions(text):
    """Returns the exceptions of the ratchets file: (functions, fields) by name."""
    matches = (EXCEPTION.match(line) for line in text.splitlines())
    return {match.group(1): (int(match.group(2)), int(match.group(3))) for match in matches if match}


def is_large(count):
    return count.functions > policy.MOST_FUNCTIONS or count.fields > policy.MOST_FIELDS


def judge(types, allowed):
    """Yields (place, text) for each type that is larger than it may be, and each exception that is out of date."""
    for name, count in sorted(types.items()):
        place, now = f"{count.path}:{count.line}", (count.functions, count.fields)
        said = f"{name} has {now[0]} functions and {now[1]} mutable fields"
        if name not in allowed:
            if is_large(count) and not count.reason:
                yield place, (f"{said}; at most {policy.MOST_FUNCTIONS} and {policy.MOST_FIELDS} are allowed: "
                              "take it apart, or say `// Size: reason` above it")
        elif now[0] > allowed[name][0] or now[1] > allowed[name][1]:
            yield place, f"{said}; {allowed[name][0]} and {allowed[name][1]} were allowed"
        elif not is_large(count):
            yield RATCHETS, f"{name} is no longer large: remove its line"
        elif now != allowed[name]:
            yield RATCHETS, f"{said}, of {allowed[name][0]} and {allowed[name][1]}: write that down (RECORD=1 does it)"
    for name in sorted(allowed.keys() - types.keys()):
        yield RATCHETS, f"{name} is no longer there: remove its line"


def lowered(text, types):
    """Returns the ratchets file with the present numbers of types that became smaller."""
    result = []
    for line in text.splitlines(keepends=True):
        match = EXCEPTION.match(line)
        if match and match.group(1) in types:
            count = types[match.group(1)]
            numbers = min(count.functions, int(match.group(2))), min(count.fields, int(match.group(3)))
            if not is_large(count):
                continue
            line = f"type {match.group(1)} {numbers[0]} functions {numbers[1]} fields  # {match.group(4)}\n"
        elif match:
            continue
        result.append(line)
    return "".join(result)


def largest(types, number=5):
    """Returns lines that name the largest types with both counts."""
    chosen = sorted(types.values(), key=lambda count: (-count.functions, -count.fields, count.name))[:number]
    return [f"  {count.name}: {count.functions} functions, {count.fields} mutable fields" for count in chosen]


def check(texts):
    """Checks the types of Sources; returns the lines that name the largest."""
    types = sizes({path: text for path, text in texts.items() if path.startswith("Sources/")})
    text = read(RATCHETS)
    if os.environ.get("RECORD") == "1" and lowered(text, types) != text:
        write(RATCHETS, lowered(text, types))
        found(RATCHETS, "written by RECORD=1: read the difference before you commit it")
        text = read(RATCHETS)
    for place, finding in judge(types, exceptions(text)):
        found(place, finding)
    return largest(types)
