"""Two devices through a Linux stub domain, while the HVM guest runs; then one of them is detached."""

from lab.conformance import Row
from lab.programs import xl

SECONDS = 3600
PCIBACK = "passthrough=1"


def run(stand):
    row = Row(stand)
    guest = stand.stub_guest("vault")
    xl("unpause", guest.name)
    guest.wait_up()
    attached = row.actor.begin_attach(guest, ["0000:00:05.0", "0000:00:07.0"]).end()
    row.judge([guest], attached=attached)
    detached = row.actor.begin_detach(guest, ["0000:00:07.0"]).end()
    row.judge([guest], detached=detached)
    row.end()
