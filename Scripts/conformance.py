#!/usr/bin/env python3
"""Writes the tables of docs/conformance.md from .build/conformance.json, which `make lab-conformance` makes."""

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIGURES = os.path.join(ROOT, ".build/conformance.json")
PAGE = os.path.join(ROOT, "docs/conformance.md")
MARKS = "<!-- recorded: conformance -->\n", "<!-- end: conformance -->\n"
ACTORS = ["xl", "berth"]
# The order in which a reader meets the scenarios. Others follow.
ORDER = ["first-first", "nth-nth", "three-at-once", "add-remove", "killed-attach", "taken-device", "silent-attach",
         "silent-detach", "cold-several", "detach-saved", "stub-cold", "stub-hot"]
COUNTS = ["asked", "reported", "present", "lost", "unreported"]
SUMS = "| toolstack | Xen | Linux, QEMU | asked | reported done | lost | unreported | disagreements |"
ROWS = "| scenario | toolstack | Xen | asked | reported done | in the guest | lost | unreported | disagreements |"


def rule(head):
    """Returns a table's head with the line below it."""
    return head + "\n" + "|---" * (head.count("|") - 1) + "|\n"


def cells(*values):
    return "| " + " | ".join(map(str, values)) + " |\n"


def strong(number):
    return f"**{number}**" if number else "0"


def disagreements(row):
    """Returns what the places did not agree on, and of how many devices."""
    texts = [one["what"] + (f" ({one['count']}×)" if one["count"] > 1 else "") for one in row["left"]]
    return "; ".join(texts) or "none"


def is_measured(row):
    return all(name in row for name in [*COUNTS, "left", "release"])


def sums(rows):
    """Returns a table with one row per toolstack and release."""
    text = rule(SUMS)
    for actor in ACTORS:
        for debian in sorted({row["debian"] for row in rows}):
            mine = [row for row in rows if row["actor"] == actor and row["debian"] == debian and is_measured(row)]
            if mine:
                asked, reported, _, lost, unreported = (sum(row[name] for row in mine) for name in COUNTS)
                left = sum(one["count"] for row in mine for one in row["left"])
                text += cells(actor, mine[0]["xen"], f"{mine[0]['linux']}, {mine[0]['qemu']}", asked, reported, strong(lost),
                              strong(unreported), strong(left))
    return text


def scenarios(rows):
    names = {row["scenario"] for row in rows}
    return [name for name in ORDER if name in names] + sorted(names - set(ORDER))


def details(rows):
    """Returns what each scenario does, and a table with one row per scenario, toolstack and release."""
    text, table = "", rule(ROWS)
    releases = {row["debian"]: row["release"] for row in rows if is_measured(row)}
    for name in scenarios(rows):
        mine = [row for row in rows if row["scenario"] == name]
        title = mine[0]["title"]
        rounds = sorted({row["rounds"] for row in mine if is_measured(row)})
        times = " or ".join(map(str, rounds)) + (" round" if rounds == [1] else " rounds") if rounds else "not measured"
        text += f"* `{name}`: {title[0].lower() + title[1:]} ({times})\n"
        for actor in ACTORS:
            for debian in sorted(releases):
                row = next((row for row in mine if (row["actor"], row["debian"]) == (actor, debian)), {})
                label = f"`{name}`" if (actor, debian) == (ACTORS[0], sorted(releases)[0]) else ""
                if not is_measured(row):
                    why = row["failures"][0].splitlines()[0] if row.get("failures") else "not run"
                    table += cells(label, actor, releases[debian], *[""] * 5, f"not measured: {why}")
                    continue
                asked, reported, present, lost, unreported = (row[name] for name in COUNTS)
                table += cells(label, actor, row["release"], asked, reported, present, strong(lost), strong(unreported),
                               disagreements(row))
    return text + "\n" + table


def page(old, rows):
    """Returns the page with these tables."""
    before, mark, rest = old.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not mark or not end:
        sys.exit(f"conformance: {PAGE} lacks the marks of its tables")
    days = sorted({row["ended"][:10] for row in rows})
    when = f"Measured on {days[0]}" + (f" to {days[-1]}" if days[1:] else "") + "."
    return f"{before}{mark}\n{when}\n\n{sums(rows)}\n{details(rows)}\n{end}{after}"


def main():
    try:
        with open(FIGURES, encoding="utf-8") as file:
            rows = json.load(file)
    except FileNotFoundError:
        sys.exit("conformance: there are no figures; next: make lab-conformance")
    with open(PAGE, encoding="utf-8") as file:
        old = file.read()
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page(old, rows))


if __name__ == "__main__":
    main()
