"""Words of the old style, which CONTRIBUTING.md's rules on language replace. Their numbers may only go down."""

from . import policy
from .tree import lines, read


def places(texts):
    """Returns the places of each word of `policy.WORDS`, in {path: text}."""
    result = {f"word {word}": [] for word in policy.WORDS}
    for path, text in texts.items():
        for word, pattern in policy.WORDS.items():
            result[f"word {word}"] += [f"{path}:{number}" for number, _ in lines(text, "(?i)" + pattern)]
    return result


def is_read(path):
    """Returns whether a file's words are counted. Golden files repeat the words of the sources."""
    if "/Fixtures/" in path or path.startswith(policy.UNREAD_TEXTS):
        return False
    return (path.startswith(("Sources/", "Tests/", "docs/")) or path.endswith(".md")
            or path in ("Makefile", "Package.swift"))


def texts(files):
    """Returns all sources, tests and documents whose words are counted, as {path: text}."""
    result = {}
    for path in filter(is_read, files):
        try:
            result[path] = read(path)
        except UnicodeDecodeError:
            continue
    return result
