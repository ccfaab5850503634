"""An attach is killed in the middle, and asked for once more."""

from lab.conformance import Row
from lab.programs import log

ROUNDS = 8
DEVICE = "0000:00:07.0"


def run(stand):
    row = Row(stand)
    guest = stand.guest("measured")
    start = stand.now()
    row.attach(guest, [DEVICE])
    longest = stand.now() - start
    guest.destroy()
    rounds = stand.rounds(ROUNDS)
    caught = 0
    for number in range(rounds):
        guest = stand.guest(f"killed{number}")
        # The moments are spread over the time that the attach took.
        was_at_work = row.actor.begin_attach(guest, [DEVICE]).kill(longest * (number + 0.5) / rounds)
        caught += was_at_work
        log("killed at work:", was_at_work)
        row.judge([guest], attached=row.actor.begin_attach(guest, [DEVICE]).end())
        guest.destroy()
        row.clean()
    stand.check(caught >= rounds // 2, f"{caught} of {rounds} were killed at work")
    row.end()
