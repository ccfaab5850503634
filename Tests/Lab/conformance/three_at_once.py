"""Three attaches at once, of a guest's first three devices."""

from lab.conformance import Row
from lab.scenes import at_once

ROUNDS = 4


def run(stand):
    row = Row(stand)
    for number in range(stand.rounds(ROUNDS)):
        at_once(stand, row, f"three{number}", before=[], attach=["0000:00:07.0", "0000:00:08.0", "0000:00:09.0"])
    row.end()
