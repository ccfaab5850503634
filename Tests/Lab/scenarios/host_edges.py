"""What xl, libvirt, hands and a wrong list leave of a card on its way: each state has its way out."""

import os

from lab.devices import BY_ADDRESS
from lab.drivers import (PCI, PCIBACK, Line, at_home, carries, driver, noted, override, read, record, release, slots,
                         write)
from lab.programs import Answer, apply, exists, run as execute, xl
from lab.waiting import wait

CARD, OTHER = "0000:00:05.0", "0000:00:06.0"
# A port, and the card behind it.
PORT, BEHIND = "0000:00:10.0", "0000:01:00.0"
OPTIONS = "/etc/modprobe.d/lab.conf"
SECONDS = 2400
FAULT_SECONDS = 60
LAST = True


def run(stand):
    stand.on_host.update(BY_ADDRESS)
    execute("modprobe", "e1000")
    acpi_table(stand)
    hidden_at_boot(stand)
    override_left(stand)
    by_libvirt(stand)
    still_quarantined(stand)
    still_quarantined_unrecorded(stand)
    bridge_in_slots(stand)
    bad_entry(stand)


def acpi_table(stand):
    """Xen renames the table of its IOMMU, so that dom0's kernel does not use it, and dom0 has no groups."""
    tables = os.listdir("/sys/firmware/acpi/tables")
    stand.equal(("RMAD" in tables, "DMAR" in tables), (True, False), "the table has Xen's name for it")
    stand.equal(os.listdir("/sys/kernel/iommu_groups"), [], "dom0's kernel has no groups")


def hidden_at_boot(stand):
    """xl cannot return a card that was never quarantined; after `pci-assignable-add` it can. Berth needs no such step."""
    stand.check(xl("pci-assignable-remove", CARD).status != 0, "xl fails")
    stand.equal((driver(CARD), CARD in slots()), ("pciback", True), "and changes nothing")
    stand.equal(xl("pci-assignable-add", CARD).status, 0, "xl quarantines it")
    stand.equal(xl("pci-assignable-remove", CARD).status, 0, "xl returns it")
    stand.equal((driver(CARD), CARD in slots()), (None, False), "to no driver")
    stand.equal(write(f"{PCI}/drivers/e1000/bind", CARD), None, "by hand")
    at_home(stand, CARD, "hidden at boot, by xl")
    stand.equal(release(OTHER).drivers().get(OTHER), ("release", "done"), "berth returns the other one at once")
    at_home(stand, OTHER, "hidden at boot, by berth")


def override_left(stand):
    """An override that is left on a prepared card stops `xl pci-assignable-remove -r` half-way. A release finishes."""
    stand.equal(apply({"later": [CARD]}).drivers().get(CARD), ("prepare", "done"), "prepared")
    write(f"{PCI}/devices/{CARD}/driver_override", "pciback")
    stand.check(xl("pci-assignable-remove", "-r", CARD).status != 0, "xl fails")
    stand.equal((driver(CARD), noted(stand, CARD)), (None, "/sys/bus/pci/drivers/e1000"), "half-way")
    stand.equal(release(CARD).drivers().get(CARD), ("release", "done"), "berth finishes")
    at_home(stand, CARD, "after xl failed")


def by_libvirt(stand):
    """libvirt's way: the override stays, and nothing is recorded or quarantined."""
    write(f"{PCI}/devices/{CARD}/driver_override", "pciback")
    write(f"{PCI}/drivers/e1000/unbind", CARD)
    write(f"{PCI}/drivers_probe", CARD)
    stand.equal((driver(CARD), override(CARD), record(CARD)), ("pciback", "pciback", False), "as libvirt leaves it")
    guest = stand.guest("router")
    stand.equal(apply({"router": [CARD]}).status, 0, "given to a guest as it is")
    stand.settled(guest, [CARD], "by libvirt")
    stand.equal(apply({"router": []}).status, 0, "taken from the guest")
    stand.wait(guest.wait_gone)
    guest.destroy()
    stand.equal(release(CARD).drivers().get(CARD), ("release", "done"), "released")
    at_home(stand, CARD, "after libvirt")


def still_quarantined(stand):
    """A card that hands gave to its driver in quarantine looks well and sends nothing. A release repairs it."""
    stand.equal(apply({"later": [CARD]}).drivers().get(CARD), ("prepare", "done"), "prepared")
    by_hand(stand, "recorded")
    stand.equal(release(CARD).drivers().get(CARD), ("release", "done"), "released")
    at_home(stand, CARD, "out of the quarantine")


def still_quarantined_unrecorded(stand):
    """The same, without a record: xl prepared it."""
    stand.equal(xl("pci-assignable-add", CARD).status, 0, "prepared by xl")
    by_hand(stand, "not recorded")
    stand.equal(release(CARD).drivers().get(CARD), ("release", "done"), "released")
    carries(stand, CARD, "out of the quarantine, not recorded")
    stand.equal(release(CARD).drivers().get(CARD), ("release", "unchanged"), "and once more")
    stand.equal((driver(CARD), noted(stand, CARD), record(CARD)), ("e1000", None, False), "nothing is left")


def by_hand(stand, what):
    """Gives the card to its driver, and leaves it in quarantine."""
    write(f"{PCIBACK}/unbind", CARD)
    write(f"{PCIBACK}/remove_slot", CARD)
    stand.equal(write(f"{PCI}/drivers/e1000/bind", CARD), None, f"{what}: bound by hand")
    before = faults()
    with Line(CARD) as line:
        def is_refused():
            line.has_sent()
            return faults() > before
        stand.wait(lambda: wait([], None, is_refused, FAULT_SECONDS, f"{what}: Xen refuses the card's requests"))
        stand.equal(line.sent(), line.before, f"{what}: nothing was sent")


def faults():
    """Returns how many requests of the card Xen has refused. Its log is short, so it is emptied each time."""
    global refused
    text = execute("xl", "dmesg", "-c").output
    refused += sum("DMA" in line and CARD in line for line in text.splitlines())
    return refused


refused = 0


def bridge_in_slots(stand):
    """pciback takes all that is behind a bridge that it was given. doctor names the bridge, and a release still works."""
    execute("modprobe", "e1000e")
    release(BEHIND)
    stand.equal((driver(BEHIND), BEHIND in slots()), ("e1000e", False), "with its driver")
    stand.check(("bridge-in-slots", PORT) not in found(), "nothing is wrong")
    stand.equal(write(f"{PCIBACK}/new_slot", PORT), None, "the port is given to pciback")
    write(f"{PCI}/drivers/e1000e/unbind", BEHIND)
    write(f"{PCI}/drivers_probe", BEHIND)
    stand.equal((driver(BEHIND), BEHIND in slots()), ("pciback", False), "pciback takes what is behind the port")
    stand.check(("bridge-in-slots", PORT) in found(), "doctor names the port")
    # Nobody knows which driver had it, and pciback is the first that wants it.
    stand.equal(release(BEHIND).drivers().get(BEHIND), ("release", "failed"), "a release says that it did not succeed")
    stand.equal((driver(BEHIND), record(BEHIND)), ("pciback", False), "pciback took it again")
    stand.equal(apply({"later": [OTHER]}).drivers().get(OTHER), ("prepare", "done"), "a device that is behind no bridge")
    stand.equal(release(OTHER).drivers().get(OTHER), ("release", "done"), "is not concerned")
    stand.equal(write(f"{PCIBACK}/remove_slot", PORT), None, "the port is removed")
    stand.check(("bridge-in-slots", PORT) not in found(), "nothing is wrong any more")
    stand.equal(release(BEHIND).drivers().get(BEHIND), ("release", "done"), "released")
    stand.equal(driver(BEHIND), "e1000e", "with its driver again")
    # Berth takes it from that driver, so it knows which one gets it back, whatever pciback claims.
    stand.equal(apply({"later": [BEHIND]}).drivers().get(BEHIND), ("prepare", "done"), "prepared")
    write(f"{PCIBACK}/new_slot", PORT)
    stand.equal(release(BEHIND).drivers().get(BEHIND), ("release", "done"), "released with the port among the slots")
    stand.equal((driver(BEHIND), record(BEHIND)), ("e1000e", False), "with the driver that had it")
    write(f"{PCIBACK}/remove_slot", PORT)


def bad_entry(stand):
    """One wrong entry in the list of pciback's module, and the module does not load. doctor says which file has it."""
    stand.equal(execute("modprobe", "-r", "xen-pciback").status, 0, "pciback is gone")
    with open(OPTIONS, "w", encoding="utf-8") as file:
        file.write(f"options xen-pciback hide=({OTHER})(00:zz.0)\n")
    stand.check(execute("modprobe", "xen-pciback").status != 0, "the module does not load")
    stand.check(not exists(PCIBACK), "and there is no pciback")
    findings = found()
    stand.check(("boot-hide-unparsable", OPTIONS) in findings, f"doctor names the file: {findings}")
    answer = apply({"later": [CARD]})
    stand.equal(answer.status != 0, True, "an apply cannot load it, either")
    stand.equal((driver(CARD), record(CARD), override(CARD)), ("e1000", False, "(null)"), "and changes nothing")
    with open(OPTIONS, "w", encoding="utf-8") as file:
        file.write("options xen-pciback hide=(00:1e.0)\n")
    answer = apply({"later": [CARD]})
    stand.equal((answer.status, answer.drivers().get(CARD)), (0, ("prepare", "done")), "with a right list it is prepared")
    stand.equal(release(CARD).drivers().get(CARD), ("release", "done"), "released")
    at_home(stand, CARD, "at the end")


def found():
    document = Answer(execute("berth", "doctor", "--output", "json")).document
    return [(finding["name"], finding["subject"]) for finding in document.get("findings", [])]
