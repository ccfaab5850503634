"""Two devices through a Linux stub domain, before the HVM guest has run; then it starts."""

from lab.conformance import Row
from lab.programs import xl

SECONDS = 3600
PCIBACK = "passthrough=1"


def run(stand):
    row = Row(stand)
    guest = stand.stub_guest("vault")
    attached = row.actor.begin_attach(guest, ["0000:00:05.0", "0000:00:07.0"]).end()
    xl("unpause", guest.name)
    guest.wait_up()
    row.judge([guest], attached=attached)
    row.end()
