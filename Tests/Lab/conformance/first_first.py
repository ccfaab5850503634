"""Two attaches at once, of a guest's first two devices."""

from lab.conformance import Row
from lab.scenes import at_once

ROUNDS = 4


def run(stand):
    row = Row(stand)
    for number in range(stand.rounds(ROUNDS)):
        at_once(stand, row, f"first{number}", before=[], attach=["0000:00:07.0", "0000:00:08.0"])
    row.end()
