"""Xen says which devices share a requester id or reserved memory, and refuses the latter unless the policy is relaxed."""

from lab.devices import DEVICES
from lab.programs import Answer, apply, run as execute, xl
from lab.stand import identity

# Two devices behind a bridge to conventional PCI, whose requests have the bridge's id.
MORE_DEVICES = ["pcie-pci-bridge,id=old,addr=12.0", "edu,bus=old,addr=1.0", "edu,bus=old,addr=2.0"]
BEHIND = ["0000:03:01.0", "0000:03:02.0"]
# Xen adds this to what the firmware has reserved: pages of the firmware itself, for two devices.
XEN = "rmrr=f0-f7=0:7.0,0:8.0"
RESERVED = ["0000:00:07.0", "0000:00:08.0"]
MEMORY = [{"first": "0xf0000", "last": "0xf7fff"}]
CARD = "0000:00:05.0"


def run(stand):
    asked(stand, "all with pciback, and those behind the bridge in dom0")
    guest = stand.guest("router")
    stand.equal(apply({"router": [CARD]}).status, 0, "attached")
    stand.settled(guest, [CARD], "attached")
    asked(stand, "one in a guest")
    for address in BEHIND:
        stand.equal(xl("pci-assignable-add", address).status, 0, f"{address} to pciback")
    asked(stand, "those behind the bridge in quarantine")
    refused(stand, guest)


def asked(stand, when):
    document = Answer(execute("berth", "devices", "-o", "json")).document
    found = {device["address"]: device for device in document.get("devices", [])}
    for address in [device.address for device in DEVICES] + BEHIND:
        device = found.get(address, {})
        expected = (others(address, BEHIND), MEMORY if address in RESERVED else [], others(address, RESERVED))
        stand.equal((device.get("companions"), device.get("reservedMemory"), device.get("sharesReservedMemoryWith")),
                    expected, f"{address}, {when}")
        unknown = {fact["fact"] for fact in device.get("unknown", [])}
        stand.equal(unknown & {"companions", "reserved-memory"}, set(), f"{address}: Xen was asked, {when}")


def others(address, group):
    return [other for other in group if other != address] if address in group else []


def refused(stand, guest):
    """Xen refuses a device whose reserved memory another one shares, and takes `rdmPolicy: relaxed` for consent."""
    answer = apply({"router": [CARD, RESERVED[0]]})
    stand.equal(answer.status != 0, True, "the strict policy fails")
    stand.check("assign-refused" in answer.ended.output, "Xen refuses the device")
    stand.settled(guest, [CARD], "refused")
    relaxed = {"address": RESERVED[0], "id": identity(RESERVED[0]), "rdmPolicy": "relaxed"}
    answer = apply({"router": [CARD, relaxed]})
    stand.equal((answer.status, answer.results().get(RESERVED[0])), (0, "done"), "the relaxed policy")
    stand.settled(guest, [CARD, RESERVED[0]], "relaxed")
