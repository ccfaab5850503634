#!/usr/bin/env python3
"""Runs one scenario in dom0, and writes the result for the runner.

    scenario.py NAME            runs it
    scenario.py NAME before     calls its `before`, which prepares the files of a host that is about to start
"""

import importlib.util
import json
import sys
import time
import traceback

from lab.programs import log
from lab.stand import OUT, Failed, Stand

# The runner has put the scenarios there, or the rows of the conformance table.
FOLDER = "/run/lab/scenarios"


def load(name):
    specification = importlib.util.spec_from_file_location("scenario", f"{FOLDER}/{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def main():
    name = sys.argv[1]
    sys.path.insert(0, FOLDER)
    if sys.argv[2:] == ["before"]:
        load(name).before()
        return
    stand = Stand()
    start = time.monotonic()
    try:
        load(name).run(stand)
    except Failed:
        pass  # Noted already.
    except Exception as error:  # Whatever ends a scenario early is its failure.
        log(traceback.format_exc())
        stand.fail(f"{type(error).__name__}: {error}")
    if not stand.checks:
        stand.failures.append("nothing was checked")
    stand.keep("end")
    with open(f"{OUT}/result.json", "w", encoding="utf-8") as file:
        json.dump({"checks": stand.checks, "failures": stand.failures, "measures": stand.measures,
                   "table": stand.table, "seconds": round(time.monotonic() - start, 1)}, file, indent=1)


main()
