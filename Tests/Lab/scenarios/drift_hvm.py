"""Drift of HVM guests: QEMU shows less or more than the back end lists, a back end at 7, a half-removed device."""

from lab.drift import Drift, claim
from lab.hvm import qemu_name, settled
from lab.programs import apply, log, xl
from xen.lowlevel import xc

E1000, PLAIN, OTHER = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0"
SECONDS = 2400

hypervisor = xc.xc()


def run(stand):
    guest = stand.hvm_guest("hvm")
    drift = Drift(stand, "drift-hvm", settled)
    stand.require(apply({"hvm": [E1000, PLAIN]}).status == 0, "two devices")
    settled(stand, guest, [E1000, PLAIN], "before")
    lacking(stand, drift, guest)
    unsettled(stand, drift, guest)
    half_removed(stand, drift, guest)
    only(stand, drift, guest)
    xl("destroy", "hvm")
    stand.equal(stand.claims(), {}, "no claim outlives the guest")
    drift.end()


def lacking(stand, drift, guest):
    """QEMU no longer shows a device, as after a restart of QEMU."""
    guest.unplug(PLAIN)
    drift.mended("device-model-lacks", {PLAIN: {"device-model-lacks"}}, {guest: [E1000, PLAIN]}, "QEMU lost a device")


def unsettled(stand, drift, guest):
    """xl's next attach leaves the back end at 7."""
    stand.equal(xl("pci-attach", "hvm", OTHER).status, 0, "xl attaches one")
    stand.equal(stand.store.read(guest.back_end + "/state"), "7", "and leaves the back end at 7")
    drift.mended("bus-unsettled", {"hvm": {"bus-unsettled"}, OTHER: {"export-pending"}},
                 {guest: [E1000, PLAIN, OTHER]}, "xl's attach")
    stand.store.write(guest.back_end + "/state", "7")
    drift.mended("bus-unsettled", {"hvm": {"bus-unsettled"}}, {guest: [E1000, PLAIN, OTHER]}, "7 alone", rounds=0)


def half_removed(stand, drift, guest):
    """xl's detach leaves the bus in a state in which pciback does nothing: it holds a device without an entry."""
    for wanted, what in (([E1000, PLAIN, OTHER], "declared"), ([E1000, PLAIN], "not declared")):
        stand.equal(xl("pci-detach", "hvm", OTHER).status, 0, "xl pci-detach")
        stand.check(OTHER not in [entry["dev"] for entry in stand.entries(guest)], "there is no entry any more")
        log("left behind:", stand.store.tree(guest.back_end))
        names = {OTHER: {"half-removed"}}
        if stand.store.read(guest.back_end + "/state") != "3":
            names["hvm"] = {"bus-unsettled"}
        drift.mended("half-removed", names, {guest: wanted}, f"xl's detach of a device that is {what}")


def only(stand, drift, guest):
    """Makes the writes of a forced detach during which the guest releases nothing.

    xl itself asks QEMU and continues without an answer; then a sleeping guest releases the device as soon as it wakes.
    """
    for wanted, what in (([E1000, PLAIN], "not declared"), ([E1000, PLAIN, OTHER], "declared")):
        stand.require(apply({"hvm": [E1000, PLAIN, OTHER]}).status == 0, "three devices")
        settled(stand, guest, [E1000, PLAIN, OTHER], f"before the forced detach, {what}")
        force(stand, guest, OTHER)
        log("left behind:", stand.store.tree(guest.back_end))
        stand.check(qemu_name(OTHER) in guest.emulated(), "QEMU still shows it")
        drift.mended("device-model-only", {OTHER: {"device-model-only"}, "hvm": {"bus-unsettled"}}, {guest: wanted},
                     f"a forced detach of a device that is {what}")


def force(stand, guest, address):
    """Removes the last entry as libxl does (`libxl__device_pci_remove_xenstore`), and ends its assignment in Xen."""
    last = len(stand.entries(guest)) - 1
    stand.require(stand.entries(guest)[last]["dev"] == address, "it has the last entry")
    stand.store.write(f"{guest.back_end}/state-{last}", "5")
    stand.store.write(guest.back_end + "/state", "7")
    stand.store.write(guest.back_end + "/num_devs", str(last))
    for name in ("dev", "key", "opts", "state", "vdev", "vdevfn"):
        stand.store.remove(f"{guest.back_end}/{name}-{last}")
    segment, bus, place = address.split(":")
    slot, _, function = place.partition(".")
    hypervisor.deassign_device(guest.id, f"0x{segment},0x{bus},0x{slot},0x{function}")
    stand.equal(stand.assigned([address]), set(), "Xen has it back")
    stand.store.remove(claim(address))
