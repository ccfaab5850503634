"""Several devices for a PV guest that has not run yet; then it starts."""

from lab.conformance import Row
from lab.programs import xl


def run(stand):
    row = Row(stand)
    guest = stand.guest("cold", paused=True)
    attached = row.actor.begin_attach(guest, ["0000:00:05.0", "0000:00:07.0", "0000:01:00.0"]).end()
    xl("unpause", guest.name)
    guest.wait_up()
    row.judge([guest], attached=attached)
    row.end()
