"""An attach to a guest that does not answer; the guest answers again later."""

from lab.conformance import Row
from lab.programs import xl


def run(stand):
    row = Row(stand)
    guest = stand.guest("silent")
    row.attach(guest, ["0000:00:05.0"])
    xl("pause", guest.name)
    attached = row.actor.begin_attach(guest, ["0000:00:07.0"]).end()
    xl("unpause", guest.name)
    row.judge([guest], attached=attached)
    row.end()
