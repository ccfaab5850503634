"""A card is pulled, or another one is in its place, while a guest has it: old rights go, the new card is left alone."""

import os
import re

from lab.devices import BY_ADDRESS
from lab.programs import apply, berth, exists, kernel_log, log, monitor, run as execute, xl
from lab.waiting import wait

CARD, FIRST, SECOND = "0000:00:05.0", "0000:01:00.0", "0000:02:00.0"
SECONDS = 1800
PULL_SECONDS = 120


def run(stand):
    guest = stand.guest("holder")
    stand.require(apply({"holder": [CARD, FIRST, SECOND]}).status == 0, "three devices")
    stand.settled(guest, [CARD, FIRST, SECOND], "before")
    first, second = ranges(FIRST), ranges(SECOND)
    stand.check(first and first <= allowed(stand, guest), f"the guest may reach the memory of {FIRST}")

    pulled(stand, guest, first)
    replaced(stand, guest, second)

    stand.settled(guest, [CARD], "the other card is as it was")
    stand.equal(apply({"holder": [CARD]}).document.get("changed"), False, "once more: nothing")
    guest.destroy()
    stand.equal(stand.claims(), {}, "no claim outlives the guest")


def pulled(stand, guest, memory):
    """The slot is empty: Linux and Xen drop the device, and nobody but Berth takes the guest's rights."""
    pull(stand, "card1", FIRST)
    log("kernel:", [line for line in kernel_log().splitlines() if "pciback" in line][-4:])
    stand.check(memory <= allowed(stand, guest), "the guest still has the rights to its memory")
    names = [drift["name"] for row in berth("status", {"holder": [CARD, SECOND]}, "--drift").document["devices"]
             for drift in row["drift"] if row["device"]["address"] == FIRST]
    stand.check(names, f"the pulled card is drift: {names}")
    answer = apply({"holder": [CARD, SECOND]})
    stand.equal(answer.status, 0, "the pulled card is no longer declared")
    stand.check(not memory & allowed(stand, guest), "the guest's rights to its memory are gone")
    stand.equal([entry["dev"] for entry in stand.entries(guest)], [CARD, SECOND], "its entry is gone")
    stand.settled(guest, [CARD, SECOND], "pulled")


def replaced(stand, guest, memory):
    """Another card is in the slot, and pciback takes it because of its address. It is not the one that was attached."""
    pull(stand, "card2", SECOND)
    monitor("device_add", driver="edu", bus="port2", id="another")
    stand.wait(lambda: wait([], None, lambda: exists(f"/sys/bus/pci/devices/{SECOND}/driver"), PULL_SECONDS,
                            "pciback has the new card"))
    before = config(SECOND)
    stand.equal(BY_ADDRESS[SECOND].id.split(":")[0] != before[:2][::-1].hex(), True, "it is of another vendor")
    blocked = berth("plan", {"holder": [CARD, SECOND]})
    log("declared as the old card:", blocked.status, blocked.reasons())
    stand.equal(blocked.reasons().get(SECOND), "identity-mismatch", "the new card is not the declared one")
    answer = apply({"holder": [CARD]})
    stand.equal(answer.status, 0, "the replaced card is no longer declared")
    stand.equal(config(SECOND), before, "the new card was not touched")
    stand.equal(os.path.basename(os.path.realpath(f"/sys/bus/pci/devices/{SECOND}/driver")), "pciback",
                "the new card is on pciback")
    stand.check(not memory & allowed(stand, guest), "the guest's rights to the old card's memory are gone")
    stand.equal(sorted(stand.claims()), [CARD], "its claim is gone")


def pull(stand, card, address):
    monitor("device_del", id=card)
    stand.wait(lambda: wait([], None, lambda: not exists(f"/sys/bus/pci/devices/{address}"), PULL_SECONDS,
                            f"{address} is pulled"))


def config(address):
    """Returns the part of a device's configuration space that no reset and no driver changes by itself."""
    with open(f"/sys/bus/pci/devices/{address}/config", "rb") as file:
        return file.read(64)


def ranges(address):
    """Returns the page frames of a device's memory."""
    frames = set()
    with open(f"/sys/bus/pci/devices/{address}/resource", encoding="utf-8") as file:
        for line in file.read().splitlines()[:7]:
            first, last, flags = (int(word, 16) for word in line.split())
            if first and not flags & 0x100:
                frames |= set(range(first >> 12, (last >> 12) + 1))
    return frames


def allowed(stand, guest):
    """Returns the page frames that the hypervisor lets the guest map, by its own list of each domain's ranges."""
    xl("dmesg", "-c")
    xl("debug-keys", "q")
    text = execute("xl", "dmesg").output
    part = text.partition(f"General information for domain {guest.id}:")[2].partition("General information for domain")[0]
    found = re.search(r"I/O Memory *\{([^}]*)\}", part)
    stand.check(found, "the hypervisor lists the guest's ranges")
    frames = set()
    for word in (found.group(1) if found else "").replace(",", " ").split():
        first, _, last = word.partition("-")
        frames |= set(range(int(first, 16), int(last or first, 16) + 1))
    return frames
