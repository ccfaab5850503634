"""Patterns in the code: what must not be there, and the places of what may only become less."""

from . import policy
from .tree import found, lines, target_of

# A public declaration; a public import is the compiler's to find.
PUBLIC = (r"^\s*(?:@\w+\s+)*(?:public|open)\s+(?!import)(?:\w+\s+)*"
          r"(?:func|var|let|struct|class|enum|protocol|init|actor|extension|typealias)\b")


def judge(sources):
    """Yields (place, text) for each public declaration, and for each reserved thing outside its files."""
    for path, text in sources.items():
        for number, _ in lines(text, PUBLIC):
            yield f"{path}:{number}", "nothing is public: targets share by `package`"
        for pattern, files, instead in policy.RESERVED:
            if target_of(path) == "TestSupport" or not path.startswith("Sources/") or path in files:
                continue
            for number, match in lines(text, pattern):
                yield f"{path}:{number}", f"{match.group(0)}: {instead}"
        for number, match in lines(text, policy.HOST_PATH):
            is_allowed = path in policy.HOST_PATH_FILES or target_of(path) in policy.HOST_MAKERS
            if path.startswith("Sources/") and not is_allowed:
                yield f"{path}:{number}", f"{match.group(0)[1:]}: a host's paths are built in one place, under a root"


def places(sources, whole):
    """Returns the places of each pattern of `policy.RATCHETS`, and of files that are too long.

    `sources` are without comments; `whole` are the same files with them.
    """
    result = {name: [] for name in policy.RATCHETS}
    long_files = result[f"files over {policy.LONGEST_FILE} lines"] = []
    for path, text in sources.items():
        for name, pattern in policy.RATCHETS.items():
            searched = whole[path] if name in policy.RATCHETS_IN_COMMENTS else text
            result[name] += [f"{path}:{number}" for number, _ in lines(searched, pattern)]
        if text.count("\n") > policy.LONGEST_FILE:
            long_files.append(path)
    return result


def check(sources):
    for place, finding in judge(sources):
        found(place, finding)
