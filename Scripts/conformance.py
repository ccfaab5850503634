#!/usr/bin/env python3
"""Writes the table of docs/conformance.md from .build/conformance.json, which `make lab-conformance` makes.

With --check it writes nothing. The exit code is 1 if the page has another table.
"""

import argparse
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIGURES = os.path.join(ROOT, ".build/conformance.json")
PAGE = os.path.join(ROOT, "docs/conformance.md")
MARKS = "<!-- recorded: conformance -->\n", "<!-- end: conformance -->\n"
HEAD = "| scenario | toolstack | Xen | asked | reported done | in the guest | lost | left over |\n|---|---|---|---|---|---|---|---|\n"


def left(row):
    """Returns what was left over, with the number of devices if it is more than one."""
    texts = [one["what"] + (f" ({one['count']}×)" if one["count"] > 1 else "") for one in row["left"]]
    return "; ".join(texts) or "nothing"


def line(row, is_first):
    name = f"`{row['scenario']}`" if is_first else ""
    lost = f"**{row['lost']}**" if row["lost"] else "0"
    cells = [name, row["actor"], row["xen"], row["asked"], row["reported"], row["present"], lost, left(row)]
    return "| " + " | ".join(map(str, cells)) + " |\n"


def table(rows):
    """Returns one table with all rows, and what each scenario is."""
    titles = dict.fromkeys((row["scenario"], row["title"], row["rounds"]) for row in rows)
    names = list(dict.fromkeys(name for name, _, _ in titles))
    text = ""
    for name in names:
        title = next(title for one, title, _ in titles if one == name)
        counts = sorted({rounds for one, _, rounds in titles if one == name})
        text += f"* `{name}`: {title[0].lower() + title[1:]} Rounds: {' or '.join(map(str, counts))}.\n"
    text += "\n" + HEAD
    for name in names:
        mine = sorted((row for row in rows if row["scenario"] == name), key=lambda row: (row["actor"] != "xl", row["xen"]))
        text += "".join(line(row, number == 0) for number, row in enumerate(mine))
    return text


def page(old, rows):
    """Returns the page with this table."""
    before, mark, rest = old.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not mark or not end:
        sys.exit(f"conformance: {PAGE} lacks the marks of its table")
    return f"{before}{mark}\n{table(rows)}\n{end}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    try:
        with open(FIGURES, encoding="utf-8") as file:
            rows = json.load(file)
    except FileNotFoundError:
        sys.exit("conformance: there are no figures; next: make lab-conformance")
    with open(PAGE, encoding="utf-8") as file:
        old = file.read()
    new = page(old, rows)
    if arguments.check:
        return 0 if new == old else 1
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
