"""Stock xl attaches to a PV guest and detaches: nodes and saved devices are those that the sandbox's tests have."""

from lab.captures import nodes, saved_devices
from lab.programs import xl


def run(stand):
    guest = stand.guest("pv1", rest="pci = []\n")
    stand.require(guest.id == 1, f"the first guest is domain {guest.id}")
    attach(stand, guest, "00:05.0")
    nodes(stand, "pv-2-attached1")
    attach(stand, guest, "00:07.0")
    attach(stand, guest, "01:00.0")
    nodes(stand, "pv-4-attached3")
    saved_devices(stand, guest, "pv-4-attached3")
    detach(stand, guest, "00:07.0")
    nodes(stand, "pv-5-detached2")
    detach(stand, guest, "00:05.0")
    detach(stand, guest, "01:00.0")
    stand.wait(guest.wait_gone)
    nodes(stand, "pv-6-detached-all")
    attach(stand, guest, "00:05.0")
    nodes(stand, "pv-7-reattached")
    guest.destroy()


def attach(stand, guest, address):
    stand.require(xl("pci-attach", guest.name, address).status == 0, f"xl attaches {address}")
    stand.wait(guest.wait_connected)
    stand.wait(stand.store.wait, [guest.back_end], lambda: (f"0000:{address}", "3") in [
        (entry["dev"], entry["state"]) for entry in stand.entries(guest) or []], 60, f"{address} is exported")


def detach(stand, guest, address):
    stand.require(xl("pci-detach", guest.name, address).status == 0, f"xl detaches {address}")
