"""Two attaches at once, to a guest that has a device already."""

from lab.conformance import Row
from lab.scenes import at_once

ROUNDS = 4


def run(stand):
    row = Row(stand)
    for number in range(stand.rounds(ROUNDS)):
        at_once(stand, row, f"nth{number}", before=["0000:00:05.0"], attach=["0000:00:07.0", "0000:00:08.0"])
    row.end()
