"""The arrows between the folders of one target: no folder names a type of a folder above it."""

import re

from . import policy, swift
from .tree import found


def declared(text):
    """Returns the names of the types that a file declares for others."""
    bare = swift.bare(text)
    names = {part.name for part in swift.types_of(text) if part.kind != "extension" and "." not in part.name}
    names |= set(re.findall(r"^(?:package\s+)?protocol\s+(\w+)", bare, re.M))
    return names - set(re.findall(r"\b(?:fileprivate|private)\s+(?:\w+\s+)*(?:struct|class|enum|actor)\s+(\w+)", bare))


def judge(texts, target, layers, beside=()):
    """Yields (place, text) for each type of a higher layer that a lower one names, and each file without a place.

    The files of `beside` are in no folder, and below all of them.
    """
    levels = {folder: level for level, folders in enumerate(layers) for folder in folders}
    files = {}
    for path, text in texts.items():
        parts = path.split("/")
        if parts[:2] != ["Sources", target]:
            continue
        if path in beside:
            files[path] = (len(layers), target, swift.bare(text))
        elif len(parts) < 4:
            yield path, f"the file is in no folder of {target}, and policy.py's BESIDE_LAYERS does not list it"
        elif parts[2] in levels:
            files[path] = (levels[parts[2]], parts[2], swift.bare(text))
        else:
            yield path, f"the folder {parts[2]} of {target} has no place in policy.py's LAYERS"
    for folder in sorted(levels.keys() - {folder for _, folder, _ in files.values()}):
        yield "Scripts/rulebook/policy.py", f"LAYERS names {folder}, which is no folder of {target}"
    for path in sorted(set(beside) - files.keys()):
        yield "Scripts/rulebook/policy.py", f"BESIDE_LAYERS names {path}, which is no file of {target}"
    owners = {name: (level, folder) for level, folder, text in files.values() for name in declared(text)}
    for path, (level, folder, text) in sorted(files.items()):
        for number, line in enumerate(text.splitlines(), 1):
            for word in re.findall(r"(?<![.\w])[A-Z]\w+", line):
                if word in owners and owners[word][0] < level:
                    yield f"{path}:{number}", f"{folder} must not know {word}, which is in {owners[word][1]}"


def check(texts):
    for target, layers in policy.LAYERS.items():
        beside = {path for path in policy.BESIDE_LAYERS if path.startswith(f"Sources/{target}/")}
        for place, text in judge(texts, target, layers, beside):
            found(place, text)
