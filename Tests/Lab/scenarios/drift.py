"""What others left behind on a host: a plan names each thing, and an apply mends it under the guest's eyes."""

import glob
import json

from lab.programs import Running, apply, apply_arguments, berth, log, write_manifest, xl
from lab.waiting import TimedOut
from xen.lowlevel import xc

CARD, PLAIN, OTHER = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0"
SECONDS = 2400
NOBODY = 4000  # The number of no domain.
TRIES = 5

hypervisor = xc.xc()


def run(stand):
    guest = stand.guest("drifting")
    stand.require(apply({"drifting": [CARD, PLAIN]}).status == 0, "two devices")
    stand.settled(guest, [CARD, PLAIN], "before")

    def mended(wanted, what, reasons, rounds=0):
        """A plan gives these reasons, an apply does it, and nothing is left for a second one."""
        plan = berth("plan", {"drifting": wanted})
        for device, reason in reasons.items():
            stand.equal(plan.reasons().get(device), reason, f"{what}: the plan's reason for {device}")
        answer = apply({"drifting": wanted})
        stand.equal(answer.status, 0, f"{what}: the apply")
        if rounds is not None:
            stand.equal(answer.rounds(), rounds, f"{what}: the guest is not bothered" if not rounds else f"{what}: rounds")
        stand.settled(guest, wanted, what)
        stand.host_agrees({address: guest for address in wanted}, what)
        again = apply({"drifting": wanted})
        stand.equal((again.status, again.document.get("changed")), (0, False), f"{what}: once more, nothing")

    claim = f"/libxl/pci/{node(PLAIN)}"
    stand.store.remove(claim)
    mended([CARD, PLAIN], "an erased claim", {PLAIN: "claim-missing"})

    stand.store.write(f"{claim}/domid", str(NOBODY))
    mended([CARD, PLAIN], "a claim in the name of a domain that is gone", {PLAIN: "claim-foreign"})

    stand.store.write(f"/libxl/pci/{node(OTHER)}/domid", str(NOBODY))
    mended([CARD, PLAIN], "a claim on a free device by a domain that is gone", {})

    forget(guest, PLAIN)
    stand.equal(stand.saved(guest.userdata()), [CARD], "the saved configuration has lost a device")
    mended([CARD, PLAIN], "a device missing in the saved configuration", {PLAIN: "store-only"})

    stand.equal(xl("pci-detach", "drifting", PLAIN).status, 0, "xl pci-detach")
    stand.wait(guest.wait_devices, lambda devices: len(devices) == 1, "one device")
    mended([CARD], "a saved line that xl's detach left", {PLAIN: "config-only"})

    stand.require(apply({"drifting": [CARD, PLAIN]}).status == 0, "attached again")
    stand.settled(guest, [CARD, PLAIN], "attached again")
    half_removed(stand, guest, PLAIN)
    # Whoever marked it may still be at work by the index it read, so this waits first. The slot is used again at once.
    mended([CARD, OTHER], "an entry that a killed xl pci-detach left in state 5", {}, rounds=None)

    for attempt in range(1, TRIES + 1):
        was_torn = tear(stand, guest)
        answer = apply({"drifting": [CARD, OTHER]}, timeout="10s")
        stand.equal(answer.status, 0, f"round taken back, {attempt}: an apply")
        stand.settled(guest, [CARD, OTHER], f"round taken back, {attempt}")
        stand.host_agrees({CARD: guest, OTHER: guest}, f"round taken back, {attempt}")
        stand.row(attempt=attempt, torn=was_torn)
        if was_torn:
            break

    guest.destroy()
    stand.host_agrees({}, "the guest is gone")


def tear(stand, guest):
    """Takes a round back under the guest that is at work on it; whether that left back end 4 and front end 7.

    The guest must have read the 7 and not yet have answered it, which is chance.
    """
    had = {entry["dev"] for entry in stand.entries(guest)}
    at_work = Running(*apply_arguments(write_manifest({"drifting": [OTHER]}), timeout="5s"))
    back, front = guest.back_end + "/state", guest.front_end + "/state"
    stand.wait(stand.store.wait, [back], lambda: stand.store.read(back) == "7" or at_work.process.poll() is not None,
               60, "a round has begun")
    hypervisor.domain_pause(guest.id)
    at_work.process.kill()
    at_work.end()
    if (stand.store.read(back), stand.store.read(front)) == ("7", "4"):
        for index, entry in enumerate(stand.entries(guest)):
            if entry["dev"] in had:
                stand.store.write(f"{guest.back_end}/state-{index}", "3")
        stand.store.write(back, "4")
    hypervisor.domain_unpause(guest.id)
    try:
        stand.store.wait([back, front], lambda: (stand.store.read(back), stand.store.read(front)) == ("4", "7"), 10,
                         "the guest answers what is no longer asked")
        return True
    except TimedOut as error:
        log(error)
        return False


def node(address):
    return address.replace(":", "-").replace(".", "-")


def half_removed(stand, guest, address):
    """xl pci-detach is killed while the guest, asleep, does not answer; then the guest wakes and lets go."""
    xl("pause", guest.name)
    detach = Running("xl", "pci-detach", guest.name, address)
    path = guest.back_end + "/state"
    stand.wait(stand.store.wait, [path], lambda: stand.store.read(path) == "7", 60, "xl has begun the detach")
    detach.process.kill()
    detach.end()
    xl("unpause", guest.name)
    stand.wait(guest.wait_connected)
    stand.wait(guest.wait_devices, lambda devices: len(devices) == 1, "one device")
    entries = stand.entries(guest)
    log("left behind:", entries)
    stand.check(any(entry["state"] in ("5", "6") for entry in entries), "an entry stands half removed")


def forget(guest, address):
    """Takes a device out of libxl's saved configuration behind everybody's back."""
    path = glob.glob(f"/var/lib/xen/userdata-d.{guest.id}.{guest.uuid}.libxl-json")[0]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    document = json.loads(text.rstrip("\0"))
    _, _, place = address.partition(":")
    bus, _, rest = place.partition(":")
    slot, _, function = rest.partition(".")
    wanted = (int(bus, 16), int(slot, 16), int(function, 16))
    document["pcidevs"] = [device for device in document["pcidevs"]
                           if (device.get("bus", 0), device.get("dev", 0), device.get("func", 0)) != wanted]
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=4) + ("\0" if text.endswith("\0") else ""))
