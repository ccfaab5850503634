"""Detaches, one after the other, of three of a guest's devices: what libxl's saved configuration keeps."""

from lab.conformance import Row


def run(stand):
    row = Row(stand)
    guest = stand.guest("saved")
    devices = ["0000:00:05.0", "0000:00:07.0", "0000:00:08.0"]
    for device in devices:
        row.attach(guest, [device])
    detached = {}
    for device in devices:
        detached |= row.actor.begin_detach(guest, [device]).end()
    row.judge([guest], detached=detached)
    row.end()
