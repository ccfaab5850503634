"""What texts name and where their links lead."""

import os
import re

from . import policy
from .tree import ROOT, found, lines, read


def check_words(files):
    """Checks hosts, paths, citations and line ends of every text."""
    for path in files:
        if path.startswith(policy.UNREAD_TEXTS) or "/Fixtures/" in path:
            continue
        try:
            text = read(path)
        except UnicodeDecodeError:
            continue
        for number, match in lines(text, r"https?://([\w.-]+)"):
            if match.group(1).lower() not in policy.HOSTS:
                found(f"{path}:{number}", f"{match.group(1)} is not a host the texts name")
        # In Swift only comments: what a literal may name is checked with the code.
        words = re.sub(r"(?m)^((?!//).)*", "", text) if path.endswith(".swift") else text
        for number, match in lines(words, r"(?<![\w.~:/)>*}$\\-])/([a-z][\w-]*)/[\w.-]"):
            if match.group(1) not in policy.PATH_ROOTS and not path.startswith(policy.OWN_MACHINE):
                found(f"{path}:{number}", f"{match.group(0)}… is a path of one machine")
        for number, match in lines(text, r"(?i)§|\bfield[ -]?guide\b"):
            found(f"{path}:{number}", f"'{match.group(0)}': a source is cited by its own name, file and function")
        if "\r" in text or (text and not text.endswith("\n")):
            found(path, "lines end in \\n, the last one too")


def check_links(files):
    """Checks that each link leads somewhere, each document is linked, and each example is used."""
    present = set(files)
    linked = set()
    for path in files:
        if not path.endswith(".md"):
            continue
        for number, match in lines(read(path), r"\]\(([^)\s#]+)(?:#[^)]*)?\)"):
            link = match.group(1)
            if "://" in link:
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(path), link))
            if target not in present and not os.path.isdir(os.path.join(ROOT, target)):
                found(f"{path}:{number}", f"{link} is not there")
            linked.add(target)
    for path in files:
        if path.startswith("docs/") and path.endswith(".md") and not linked & {path, os.path.dirname(path)}:
            found(path, "no link leads here")
    mentions = "".join(read(path) for path in files if path.endswith((".md", ".swift"))
                       or path.startswith((".ci/", "Scripts/")) or path == "Makefile")
    for path in files:
        if path.startswith("examples/") and path.endswith((".yaml", ".yml")):
            if path not in mentions and path[len("examples/"):] not in mentions:
                found(path, "neither a text nor a test speaks of this example")


def check(files):
    check_words(files)
    check_links(files)
