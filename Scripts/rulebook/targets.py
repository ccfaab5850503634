"""The arrows between targets. Package.swift alone holds them; here are the rules that it cannot state."""

import json
import os
import re
import subprocess

from . import policy
from .tree import ROOT, found, line_of, lines, read, target_of, write

DOCUMENT = "docs/architecture.md"
BEGIN = "<!-- The table of targets: `RECORD=1 make rules` writes it from Package.swift. -->\n"
END = "<!-- End of the table of targets. -->\n"
IMPORT = (r"^[ \t]*(?:@\w+(?:\([^)]*\))?\s+)*(?:\w+[ \t]+)?import[ \t]+"
          r"(?:(?:struct|class|enum|protocol|typealias|func|var|let)[ \t]+)?(\w+)")


def describe():
    """Returns what SwiftPM says of the package's targets."""
    result = subprocess.run(["swift", "package", "describe", "--type", "json"], cwd=ROOT, check=True,
                            stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout)["targets"]


def graph_of(targets):
    """Returns the targets and products that each target depends on."""
    return {target["name"]: set(target.get("target_dependencies") or []) | set(target.get("product_dependencies") or [])
            for target in targets}


def reachable(graph, name):
    """Returns all that a target depends on, directly or through others."""
    result, waiting = set(), [name]
    while waiting:
        for other in graph.get(waiting.pop(), set()) - result:
            result.add(other)
            waiting.append(other)
    return result


def judge(targets):
    """Yields (place, text) for each arrow that must not be."""
    graph = graph_of(targets)
    named = policy.PURE.keys() | policy.UNREACHABLE.keys() | policy.ADAPTERS | policy.C_IMPORTERS.keys()
    for name in sorted((named | {policy.EXECUTABLE}) - graph.keys()):
        yield "Scripts/rulebook/policy.py", f"{name} is no target of Package.swift"
    for name, allowed in policy.PURE.items():
        for extra in sorted(graph.get(name, set()) - allowed):
            yield "Package.swift", f"{name} is pure and must not depend on {extra}"
    for name, forbidden in policy.UNREACHABLE.items():
        for extra in sorted(reachable(graph, name) & forbidden):
            yield "Package.swift", f"{name} must not reach {extra}"
    for adapter in sorted(policy.ADAPTERS):
        for name in sorted(graph.keys() - policy.ADAPTER_USERS):
            if adapter in graph[name]:
                yield "Package.swift", f"only {policy.EXECUTABLE} joins the adapters, and {name} depends on {adapter}"
    for target in targets:
        module = target["name"]
        if target["module_type"] not in ("ClangTarget", "SystemLibraryTarget"):
            continue
        importers = {name for name in graph if module in graph[name]}
        allowed = policy.C_IMPORTERS.get(module)
        if allowed is None and len(importers) > 1:
            yield "Package.swift", f"{module} has one importer, and here are {', '.join(sorted(importers))}"
        elif allowed is not None and importers != allowed:
            yield "Package.swift", (f"{module} is for {', '.join(sorted(allowed)) or 'nobody'}, "
                                    f"and {', '.join(sorted(importers)) or 'nobody'} imports it")


def table(targets):
    """Returns the table of the product's targets and of what each depends on."""
    rows = ["| target | depends on |\n", "|---|---|\n"]
    for target in sorted(targets, key=lambda target: target["name"].lower()):
        if target["path"].startswith("Sources/"):
            names = sorted(graph_of([target])[target["name"]], key=str.lower)
            rows.append(f"| `{target['name']}` | {', '.join(f'`{name}`' for name in names) or '–'} |\n")
    return "".join(rows)


def check_table(targets):
    text = read(DOCUMENT)
    if BEGIN not in text or END not in text:
        found(DOCUMENT, f"the table of targets has lost its first or last line: {BEGIN.strip()} … {END.strip()}")
        return
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    wanted = f"\n{table(targets)}\n"
    if text[start:end] == wanted:
        return
    if os.environ.get("RECORD") == "1":
        write(DOCUMENT, text[:start] + wanted + text[end:])
        found(DOCUMENT, "written by RECORD=1: read the difference before you commit it")
    else:
        found(f"{DOCUMENT}:{line_of(text, start)}", "the table of targets is not Package.swift's: RECORD=1 writes it")


def imports(text):
    """Yields the line and the module of each import."""
    for number, match in lines(text, IMPORT):
        yield number, match.group(1)


def check_imports(sources):
    """Checks what no arrow says: system modules, and who imports Foundation."""
    for path, text in sources.items():
        target = target_of(path)
        if not path.startswith("Sources/"):
            continue
        for number, module in imports(text):
            place = f"{path}:{number}"
            if target in policy.PURE and module not in policy.PURE[target]:
                found(place, f"{target} is pure and must not import {module}")
            if module == "Testing":
                found(place, "a released build has no Testing, and Sources holds only what such a build compiles")
            if module == "Foundation":
                found(place, "Foundation slows every start: FoundationEssentials, or the standard library")
            if module == "FoundationEssentials" and target not in policy.ESSENTIALS:
                found(place, f"FoundationEssentials is for JSON in {', '.join(sorted(policy.ESSENTIALS))}")
    folder = f"Sources/{policy.EXECUTABLE}/"
    length = sum(text.count("\n") for path, text in sources.items() if path.startswith(folder))
    if length > policy.LONGEST_EXECUTABLE:
        found(folder, f"the executable only joins ports and adapters, and here are {length} lines")


def check(sources):
    targets = describe()
    for place, finding in judge(targets):
        found(place, finding)
    check_table(targets)
    check_imports(sources)
