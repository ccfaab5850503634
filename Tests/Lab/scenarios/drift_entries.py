"""Drift in a running guest's entries: not exported, half removed, revoked, overwritten, cut off, without a driver."""

from lab.drift import Drift, bind
from lab.programs import Running, apply, log, xl

CARD, PLAIN, OTHER, THIRD = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0", "0000:00:09.0"
SECONDS = 1200


def run(stand):
    drift = Drift(stand, "drift-entries", lambda stand, *what: stand.settled(*what))
    guest = stand.guest("drifting")

    def before(devices):
        stand.require(apply({"drifting": devices}).status == 0, f"{len(devices)} devices")
        stand.settled(guest, devices, "before")
    before([CARD, PLAIN])
    revoked(stand, drift, guest)
    without_driver(stand, drift, guest)
    before([CARD, PLAIN])
    pending(stand, drift, guest)
    half_removed(stand, drift, guest)
    before([CARD, PLAIN])
    overwritten(stand, drift, guest)
    orphan(stand, drift, guest)
    guest.destroy()
    stand.host_agrees({}, "the guest is gone")
    drift.end()


def pending(stand, drift, guest):
    """xl attaches a device to a sleeping guest, and its round is taken back: the entry stays at 1."""
    xl("pause", "drifting")
    stand.equal(xl("pci-attach", "drifting", OTHER).status, 0, "xl gives a paused guest a device")
    stand.equal([entry["state"] for entry in stand.entries(guest)], ["3", "3", "1"], "which is not exported")
    stand.store.write(guest.back_end + "/state", "4")
    xl("unpause", "drifting")
    stand.wait(guest.wait_connected)
    drift.mended("export-pending", {OTHER: {"export-pending"}}, {guest: [CARD, PLAIN, OTHER]}, "an entry without a round",
                 rounds=1)


def half_removed(stand, drift, guest):
    """xl pci-detach is killed while the guest sleeps; then the guest wakes and releases the device."""
    for wanted, what in (([CARD, PLAIN, OTHER], "a removal of what is declared"), ([CARD, OTHER], "a removal of what is not")):
        xl("pause", "drifting")
        detach = Running("xl", "pci-detach", "drifting", PLAIN)
        path = guest.back_end + "/state"
        stand.wait(stand.store.wait, [path], lambda: stand.store.read(path) == "7", 60, "xl has begun the detach")
        detach.process.kill()
        detach.end()
        xl("unpause", "drifting")
        stand.wait(guest.wait_connected)
        stand.wait(guest.wait_devices, lambda devices: len(devices) == 2, "two devices")
        log("left behind:", stand.entries(guest))
        # libxl ended the device's assignment before it asked the guest.
        drift.mended("half-removed", {PLAIN: {"half-removed"}}, {guest: wanted}, what)
        # The slot is used again at once: a leftover mark would remove the next device, too.
        stand.require(apply({"drifting": [CARD, OTHER, THIRD]}).status == 0, "another device")
        stand.settled(guest, [CARD, OTHER, THIRD], f"{what}, and another device")
        stand.require(apply({"drifting": [CARD, PLAIN, OTHER]}).status == 0, "and back")
        stand.settled(guest, [CARD, PLAIN, OTHER], f"{what}, and back")


def overwritten(stand, drift, guest):
    """xl counts too few entries, as if it had counted before another addition: it overwrites the last entry."""
    stand.store.write(guest.back_end + "/num_devs", "1")
    stand.equal(xl("pci-attach", "drifting", OTHER).status, 0, "xl attaches one")
    stand.wait(guest.wait_devices, lambda devices: len(devices) == 3, "three devices")
    stand.wait(guest.wait_connected)
    stand.equal([entry["dev"] for entry in stand.entries(guest)], [CARD, OTHER], "and has written over an entry")
    drift.mended("overwritten", {PLAIN: {"overwritten"}}, {guest: [CARD, PLAIN, OTHER]}, "an entry was written over",
                 rounds=0)
    stand.store.write(guest.back_end + "/num_devs", "2")
    stand.store.remove(guest.back_end + "/dev-2")
    for name in ("key", "opts", "state", "vdev"):
        stand.store.remove(f"{guest.back_end}/{name}-2")
    lost = ({CARD, PLAIN, OTHER} - {entry["dev"] for entry in stand.entries(guest)}).pop()
    drift.mended("overwritten", {lost: {"overwritten"}}, {guest: [address for address in (CARD, PLAIN, OTHER)
                                                                  if address != lost]},
                 "an entry of what is not declared is gone")


def orphan(stand, drift, guest):
    """A count that was read before the last entry was added cuts that entry off."""
    devices = [entry["dev"] for entry in stand.entries(guest)]
    stand.store.write(guest.back_end + "/num_devs", "1")
    drift.mended("orphan-entry", {devices[1]: {"orphan-entry"}}, {guest: devices}, "a count that is too low", rounds=0)


def revoked(stand, drift, guest):
    """xl detaches a device from a guest that sleeps in a round: Xen's part is done, but the guest is not asked."""
    for wanted, what in (([CARD, PLAIN, OTHER], "revoked, and declared"), ([CARD, OTHER], "revoked, and not declared")):
        if OTHER in [entry["dev"] for entry in stand.entries(guest)]:
            stand.require(apply({"drifting": [CARD, PLAIN]}).status == 0, "without the other")
            stand.settled(guest, [CARD, PLAIN], f"{what}: before")
        xl("pause", "drifting")
        stand.equal(xl("pci-attach", "drifting", OTHER).status, 0, "xl gives a paused guest a device")
        stand.equal(stand.store.read(guest.back_end + "/state"), "7", "which begins a round")
        ended = xl("pci-detach", "drifting", PLAIN)
        log("xl pci-detach of a guest that sleeps:", ended.status)
        xl("unpause", "drifting")
        stand.wait(guest.wait_connected)
        stand.wait(guest.wait_devices, lambda devices: len(devices) == 3, "three devices")
        stand.equal(stand.assigned([PLAIN]), set(), "Xen has taken it from the guest")
        drift.mended("revoked-but-listed", {PLAIN: {"revoked-but-listed", "claim-missing"}}, {guest: wanted}, what)


def without_driver(stand, drift, guest):
    """A device is unbound from pciback while the guest has it."""
    stand.require(apply({"drifting": [CARD, PLAIN, OTHER]}).status == 0, "three devices")
    stand.settled(guest, [CARD, PLAIN, OTHER], "before the unbinding")
    bind(PLAIN, None)
    # pciback has nothing to release, and leaves the round open. The round is ended after a wait without effect.
    drift.mended("not-on-pciback", {PLAIN: {"not-on-pciback"}}, {guest: [CARD, OTHER]}, "it has no driver",
                 then=lambda: bind(PLAIN, "pciback"), timeout="15s")
