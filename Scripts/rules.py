#!/usr/bin/env python3
"""Checks the project rules that neither the compiler nor the formatter can check.

Every finding is printed with its place; the exit code is 1 if there is one. CONTRIBUTING.md explains the rules, and
rulebook/policy.py has their data. RECORD=1 writes the table of targets in docs/architecture.md, and lower numbers into
ratchets.txt. That fails the run, so that somebody reads the difference.
"""

import sys

sys.dont_write_bytecode = True

from rulebook import (code, english, layers, names, ratchets, sizes, suites, swift, targets, texts,  # noqa: E402
                      tree)


def main():
    files = tree.tracked()
    swift_files = {path: tree.read(path) for path in files
                   if path.endswith(".swift") and path.startswith(("Sources/", "Tests/"))}
    sources = {path: swift.code(text) for path, text in swift_files.items()}
    targets.check(sources)
    code.check(sources)
    layers.check(swift_files)
    largest = sizes.check(swift_files)
    suites.check(swift_files)
    names.check(swift_files)
    texts.check(files)
    ratchets.check(code.places(sources, swift_files) | english.places(english.texts(files)))
    print("The largest types:", *largest, sep="\n")
    for finding in tree.findings:
        print(finding)
    if tree.findings:
        print(f"{len(tree.findings)} against the project rules (CONTRIBUTING.md explains them)")
        return 1
    print("The project rules hold.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
