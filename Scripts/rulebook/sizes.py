"""How large types are: their functions and their mutable stored fields."""

import collections
import re

from . import policy, swift
from .tree import found, target_of


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


def is_large(count):
    return count.functions > policy.MOST_FUNCTIONS or count.fields > policy.MOST_FIELDS


def judge(types):
    """Yields (place, text) for each type that is larger than it may be, and each comment that is out of date."""
    for name, count in sorted(types.items()):
        place, now = f"{count.path}:{count.line}", (count.functions, count.fields)
        said = f"{name} has {now[0]} functions and {now[1]} mutable fields"
        comment = f"`// Size {now[0]}/{now[1]}: reason`"
        if not count.has_size:
            if is_large(count):
                yield place, (f"{said}; at most {policy.MOST_FUNCTIONS} and {policy.MOST_FIELDS} are allowed: "
                              f"take it apart, or say {comment} above it")
        elif not count.allowed:
            yield place, f"{said}: its comment must have the form {comment}"
        elif now[0] > count.allowed[0] or now[1] > count.allowed[1]:
            yield place, f"{said}; its comment allows {count.allowed[0]} and {count.allowed[1]}"
        elif not is_large(count):
            yield place, f"{name} is no longer large: remove its comment on the size"
        elif now != count.allowed:
            yield place, f"{said}, less than its comment allows: write {comment}"


def largest(types, number=5):
    """Returns lines that name the largest types with both counts."""
    chosen = sorted(types.values(), key=lambda count: (-count.functions, -count.fields, count.name))[:number]
    return [f"  {count.name}: {count.functions} functions, {count.fields} mutable fields" for count in chosen]


def check(texts):
    """Checks the types of Sources; returns the lines that name the largest."""
    types = sizes({path: text for path, text in texts.items() if path.startswith("Sources/")})
    for place, finding in judge(types):
        found(place, finding)
    return largest(types)
