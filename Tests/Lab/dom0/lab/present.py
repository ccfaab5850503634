"""Which devices a PV guest really has: those that dom0's kernel exports to it and that the guest sees at their slots."""

from .devices import BY_ADDRESS
from .programs import kernel_log, log
from .waiting import TimedOut

# After this time, libxl no longer acts on what it once read (libxl__wait_for_backend, libxl_device.c, waits 10 s).
XL_MEMORY = 15


def what_it_has(stand, guest):
    """Returns the addresses that the guest really has, when all programs have ended."""
    try:
        guest.wait_connected(XL_MEMORY)
    except TimedOut as error:
        log(error)
    entries = stand.entries(guest) or []
    wanted = len([entry for entry in entries if entry["state"] == "3"])
    try:
        guest.wait_devices(lambda seen: len(seen) == wanted, f"{wanted} devices", XL_MEMORY)
    except TimedOut as error:
        log(error)
    exported = exports(guest.id)
    slots = {device["at"] for device in guest.devices()}
    log("entries", entries, "exported", exported, "the guest sees", guest.devices())
    # An overwritten entry names the wrong device: the guest has what pciback exported at the slot.
    return {address for address, slot in exported.items() if f"0000:00:{slot:02x}.0" in slots}


def exports(domain):
    """Returns {address: slot} of the devices that dom0's kernel has exported to a domain. The last one of a slot counts."""
    slots, result = {}, {}
    for line in kernel_log().splitlines():
        words = line.partition("pciback ")[2].split()
        if not words or words[0].rstrip(":") not in BY_ADDRESS:
            continue
        address = words[0].rstrip(":")
        if "virtual" in words and "slot" in words:
            slots[address] = int(words[words.index("slot") + 1].split(".")[0])
        elif "registering" in words:
            if words[-1] == str(domain):
                # The kernel does not log that it takes a device back. A slot that is given again was free.
                result = {other: slot for other, slot in result.items() if slot != slots.get(address)}
                result[address] = slots.get(address)
            else:
                result.pop(address, None)
    return {address: slot for address, slot in result.items() if slot is not None}
