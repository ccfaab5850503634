"""An attach is killed in the middle, and asked for once more. Only the second call's report counts."""

from lab.conformance import Row
from lab.programs import log

ROUNDS = 8
DEVICE = "0000:00:07.0"


def run(stand):
    row = Row(stand)
    longest = length(stand, row)
    rounds = stand.rounds(ROUNDS)
    killed = number = 0
    while killed < rounds and number < 3 * rounds:
        guest = stand.guest(f"killed{number}")
        # The moments are spread over the time that the attach took.
        was_at_work = row.actor.begin_attach(guest, [DEVICE]).kill(longest * (killed + 0.5) / rounds)
        number += 1
        if was_at_work:
            killed += 1
            row.judge([guest], attached=row.actor.begin_attach(guest, [DEVICE]).end())
            row.leave(guest)
        else:
            log("the attach had ended already")
            longest *= 0.9
            guest.destroy()
    stand.check(killed == rounds, f"{killed} of {rounds} were killed at work")
    row.end()


def length(stand, row):
    """Returns how long an attach takes, in seconds, once its code is in the emulator's cache."""
    guest = stand.guest("measured")
    row.attach(guest, [DEVICE])
    row.actor.begin_detach(guest, [DEVICE]).end()
    start = stand.now()
    row.attach(guest, [DEVICE])
    longest = stand.now() - start
    row.leave(guest)
    return longest
