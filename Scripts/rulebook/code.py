"""Patterns in the code: what must not be there, and what may only become less."""

import re

from . import policy
from .tree import found, lines, read, target_of

NUMBERS = "Scripts/ratchets.txt"
FILES = f"files over {policy.LONGEST_FILE} lines"

# A public declaration; a public import is the compiler's to find.
PUBLIC = (r"^\s*(?:@\w+\s+)*(?:public|open)\s+(?!import)(?:\w+\s+)*"
          r"(?:func|var|let|struct|class|enum|protocol|init|actor|extension|typealias)\b")


def count(sources):
    """Returns how often each pattern of the ratchets is found, and where."""
    counts = dict.fromkeys(policy.RATCHETS, 0)
    places = {name: [] for name in policy.RATCHETS}
    longest = []
    for path, text in sources.items():
        for number, _ in lines(text, PUBLIC):
            found(f"{path}:{number}", "nothing is public: targets share by `package`")
        for number, match in lines(text, policy.HOST_PATH):
            is_allowed = path in policy.HOST_PATH_FILES or target_of(path) in policy.HOST_MAKERS
            if path.startswith("Sources/") and not is_allowed:
                found(f"{path}:{number}", f"{match.group(0)[1:]}: a host's paths are built in one place, under a root")
        for name, pattern in policy.RATCHETS.items():
            whole = read(path) if name == "swift-format-ignore" else text
            for number, _ in lines(whole, pattern):
                counts[name] += 1
                places[name].append(f"{path}:{number}")
        length = text.count("\n")
        if length > policy.LONGEST_FILE:
            longest.append(path)
    counts[FILES] = len(longest)
    places[FILES] = longest
    return counts, places


def check(sources):
    counts, places = count(sources)
    allowed = {}
    for line in read(NUMBERS).splitlines():
        line = line.split("#")[0].strip()
        if line and not line.startswith(("type ", "word ")):
            number, name = line.split(None, 1)
            allowed[name] = int(number)
    for name in sorted(counts.keys() | allowed.keys()):
        if name not in counts or name not in allowed:
            found(NUMBERS, f"'{name}' is in one of policy.py and ratchets.txt only")
        elif counts[name] > allowed[name]:
            found(NUMBERS, f"{counts[name]} × {name}, and {allowed[name]} were allowed: {' '.join(places[name])}")
        elif counts[name] < allowed[name]:
            found(NUMBERS, f"only {counts[name]} × {name} are left of {allowed[name]}: write that down")
