"""What texts name and where their links lead."""

import os
import re

from . import policy, swift
from .tree import ROOT, found, line_of, lines, read

# A path with at least two components, and no part of a longer path, of an address or of a pattern.
_PATH = r"(?<![\w.~:/)>*}$\\-])/([A-Za-z][\w-]*)/[\w.-]"
# The same in a literal, in which an interpolation may precede or follow.
_LITERAL_PATH = r"(?<![\w.~)-])/([A-Za-z][\w-]*)/[\w.\\-]"
_LINK = r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)"


def words(path, text):
    """Yields (place, text) for each host, path, citation and line end of a text that must not be there."""
    for number, match in lines(text, r"https?://([\w.-]+)"):
        if match.group(1).lower() not in policy.HOSTS:
            yield f"{path}:{number}", f"{match.group(1)} is not a host the texts name"
    is_swift = path.endswith(".swift")
    # Literals of Swift have a rule of their own: they name nodes of xenstore, and parts of paths.
    prose = re.sub(r"(?m)^((?!//).)*", "", text) if is_swift else text
    if not path.startswith(policy.OWN_MACHINE):
        for number, match in lines(prose, _PATH):
            if match.group(1) not in policy.PATH_ROOTS:
                yield f"{path}:{number}", f"{match.group(0)}… is a path of one machine"
        for offset, literal in swift.strings(text) if is_swift else ():
            for match in re.finditer(_LITERAL_PATH, literal):
                if match.group(1) in policy.MACHINE_ROOTS and not literal.startswith(
                        tuple(policy.MACHINE_PATHS), match.start()):
                    place = f"{path}:{line_of(text, offset + match.start())}"
                    yield place, f"{match.group(0)}… in a literal is a path of one machine"
    for number, match in lines(text, r"(?i)§|\bfield[ -]?guide\b"):
        yield f"{path}:{number}", f"'{match.group(0)}': a source is cited by its own name, file and function"
    if "\r" in text or (text and not text.endswith("\n")):
        yield path, "lines end in \\n, the last one too"


def anchors(text):
    """Returns the anchors of a document's headings, as GitHub makes them."""
    result = set()
    for _, match in lines(re.sub(r"(?ms)^```.*?^```", "", text), r"^#+ +(.*?)\s*$"):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1)).lower()
        slug = anchor = re.sub(r"[^\w -]", "", title).replace(" ", "-")
        number = 0
        while anchor in result:
            number += 1
            anchor = f"{slug}-{number}"
        result.add(anchor)
    return result


def links(documents, present, is_folder):
    """Yields (place, text) for each link that leads nowhere, and each document of docs to which no link leads.

    `documents` is {path: text}, `present` has the paths of all files, and `is_folder` answers for a path.
    """
    linked = set()
    for path, text in documents.items():
        for number, match in lines(text, _LINK):
            link, anchor = match.groups()
            if "://" in link:
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(path), link)) if link else path
            if target not in present and not is_folder(target):
                yield f"{path}:{number}", f"{link} is not there"
            elif anchor and target in documents and anchor not in anchors(documents[target]):
                yield f"{path}:{number}", f"{target} has no heading for #{anchor}"
            if link:
                linked.add(target)
    for path in documents:
        if path.startswith("docs/") and not linked & {path, os.path.dirname(path)}:
            yield path, "no link leads here"


def unused(examples, mentions):
    """Returns the examples whose whole path no text of `mentions` has, neither from the root nor in a link."""
    used = set()
    for path, text in mentions.items():
        used |= {match.group() for _, match in lines(text, r"(?<![\w-])examples/[\w./-]*\w")}
        if path.endswith(".md"):
            used |= {os.path.normpath(os.path.join(os.path.dirname(path), match.group(1)))
                     for _, match in lines(text, _LINK)}
    return [path for path in examples if path not in used]


def check(files):
    for path in files:
        if path.startswith(policy.UNREAD_TEXTS) or "/Fixtures/" in path:
            continue
        try:
            text = read(path)
        except UnicodeDecodeError:
            continue
        for place, finding in words(path, text):
            found(place, finding)
    documents = {path: read(path) for path in files if path.endswith(".md")}
    for place, finding in links(documents, set(files), lambda path: os.path.isdir(os.path.join(ROOT, path))):
        found(place, finding)
    mentions = documents | {path: read(path) for path in files if path.endswith(".swift") or path == "Makefile"
                            or path.startswith((".ci/", "Scripts/")) and not path.startswith(policy.UNREAD_TEXTS)}
    examples = [path for path in files if path.startswith("examples/") and path.endswith((".yaml", ".yml"))]
    for path in unused(examples, mentions):
        found(path, "neither a text nor a test speaks of this example")
