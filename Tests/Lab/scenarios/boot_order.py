"""A guest of /etc/xen/auto whose card is on its driver when the host starts: berth's unit is first, and the guest has it."""

from lab.devices import BY_ADDRESS, NICS
from lab.drivers import at_home, driver, record, release
from lab.guests import Guest
from lab.programs import apply, run as execute, write_manifest

INIT = "systemd"
CARD = NICS[0]
UNIT = "berth-apply.service"


def before():
    """The files of a host that is about to start: e1000 gets its cards, and pciback is not even loaded."""
    with open("/etc/modules-load.d/lab.conf", "w", encoding="utf-8") as file:
        file.write("e1000\n")
    write_manifest({"early": [CARD]}, path="/etc/berth/lab.yaml", after="restore")
    Guest(None, None, "early").configure(rest=f'pci = [ "{CARD}" ]\n', folder="/etc/xen/auto")


def run(stand):
    # Nothing hides the other devices: they are with a driver of dom0, or without one.
    stand.on_host.update(BY_ADDRESS)
    stand.equal([shown(UNIT, name) for name in ("ActiveState", "Result")], ["active", "success"], "berth's unit")
    guest = Guest(stand.store, stand.consoles, "early")
    stand.guests.append(guest)
    stand.require(guest.find() is not None, "xendomains has created the guest")
    has_it(stand, guest, "after the start of the host")
    stand.check("e1000 0000:00:05.0" in kernel(), "dom0's driver had the card first")

    # The same without berth's unit: this is what the order is for.
    guest.destroy()
    stand.equal(release(CARD).drivers().get(CARD), ("release", "done"), "released")
    at_home(stand, CARD, "released")
    execute("systemctl", "restart", "xendomains.service")
    stand.equal(guest.find(), None, "xendomains alone cannot create the guest")
    stand.equal(driver(CARD), "e1000", "the card stays with its driver")

    # Both once more, as a second start does.
    stand.equal(execute("systemctl", "restart", UNIT).status, 0, "berth's unit once more")
    execute("systemctl", "restart", "xendomains.service")
    stand.require(guest.find() is not None, "xendomains has created the guest once more")
    has_it(stand, guest, "once more")


def has_it(stand, guest, what):
    stand.wait(guest.wait_up)
    stand.equal((driver(CARD), record(CARD)), ("pciback", True), f"{what}: prepared by berth")
    stand.settled(guest, [CARD], what)
    answer = apply({"early": [CARD]}, after="restore")
    stand.equal((answer.status, answer.drivers()), (0, {}), f"{what}: an apply adopts it, and no driver changes")
    stand.settled(guest, [CARD], f"{what}, adopted")


def shown(unit, name):
    return execute("systemctl", "show", "--property", name, "--value", unit).output.strip()


def kernel():
    return execute("dmesg").output
