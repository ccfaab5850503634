"""An attach of a device that another guest has, which must fail and leave that guest alone."""

from lab.conformance import Row


def run(stand):
    row = Row(stand)
    owner = stand.guest("owner")
    row.attach(owner, ["0000:00:05.0", "0000:00:07.0"])
    other = stand.guest("other")
    row.attach(other, ["0000:00:08.0"])
    row.judge([other, owner], attached=row.actor.begin_attach(other, ["0000:00:07.0"]).end())
    row.end()
