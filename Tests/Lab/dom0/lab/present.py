"""Which devices a PV guest has: those that dom0's kernel exports to it, at slots where the guest sees a device."""

import time

from .devices import BY_ADDRESS
from .programs import kernel_log, log
from .stand import virtual_address
from .waiting import TimedOut

# The time for bus and guest to come to rest after all programs have ended.
SETTLE_SECONDS = 30


def what_it_has(stand, guest):
    """Returns the addresses that the guest has, once bus and guest are at rest or SETTLE_SECONDS have passed."""
    deadline = time.monotonic() + SETTLE_SECONDS

    def at_rest(devices):
        # pciback publishes the slot of each entry that it has exported.
        slots = {virtual_address(entry["vdev"]) for entry in stand.entries(guest) or [] if entry["state"] == "3"}
        return {device["at"] for device in devices} == slots
    try:
        guest.wait_connected(SETTLE_SECONDS)
        guest.wait_devices(at_rest, "what the back end lists", max(1, deadline - time.monotonic()))
    except TimedOut as error:
        log(error)
    exported = exports(kernel_log(), guest.id)
    slots = {device["at"] for device in guest.devices()}
    log("entries", stand.entries(guest), "exported", exported, "the guest sees", guest.devices())
    # An overwritten entry names the wrong device: the guest has what pciback exported at the slot.
    return {address for address, slot in exported.items() if f"0000:00:{slot:02x}.0" in slots}


def exports(text, domain):
    """Returns {address: slot} of the devices that a kernel log says are exported to a domain. The last one of a slot counts.

    The kernel does not log that it takes a device back. A slot that it gives again was free.
    """
    slots, result = {}, {}
    for line in text.splitlines():
        words = line.partition("pciback ")[2].split()
        if not words or words[0].rstrip(":") not in BY_ADDRESS:
            continue
        address = words[0].rstrip(":")
        if "virtual" in words and "slot" in words:
            slots[address] = int(words[words.index("slot") + 1].split(".")[0])
        elif "registering" in words:
            result.pop(address, None)
            if words[-1] == str(domain):
                result = {other: slot for other, slot in result.items() if slot != slots.get(address)}
                result[address] = slots.get(address)
    return {address: slot for address, slot in result.items() if slot is not None}
