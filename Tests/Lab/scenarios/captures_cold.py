"""Stock xl creates a PV guest with devices: its nodes are those that the sandbox's tests have."""

from lab.captures import nodes


def run(stand):
    guest = stand.guest("cold", rest='pci = ["00:05.0", "01:00.0,permissive=1"]\n')
    stand.require(guest.id == 1, f"the first guest is domain {guest.id}")
    stand.wait(guest.wait_connected)
    nodes(stand, "cold")
    guest.destroy()
