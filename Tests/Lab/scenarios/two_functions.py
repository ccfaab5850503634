"""Two functions of one card: in a PV guest they share a slot, in an HVM guest each gets its own."""

from lab.hvm import qemu_name, settled
from lab.programs import apply, berth, log, run as execute, write_manifest, xl
from lab.waiting import TimedOut

ZERO, ONE, PLAIN = "0000:00:0f.0", "0000:00:0f.1", "0000:00:07.0"
SECONDS = 3000


def run(stand):
    pv(stand)
    hvm(stand)


def pv(stand):
    guest = stand.guest("pv")
    for wanted, what in (([ZERO, ONE], "both"), ([ONE], "function 1 alone"), ([ZERO, ONE], "both again"),
                         ([ZERO], "function 0 alone"), ([ZERO, ONE, PLAIN], "both and another card")):
        stand.equal(apply({"pv": wanted}).status, 0, what)
        stand.settled(guest, wanted, what)
        slots = {entry["dev"]: entry["vdev"].rpartition(".")[0] for entry in stand.entries(guest)}
        if {ZERO, ONE} <= set(slots):
            stand.equal(slots[ZERO], slots[ONE], f"{what}: they share a slot of the guest")
    stand.equal(apply({"pv": []}).status, 0, "none")
    guest.destroy()


def hvm(stand):
    guest = stand.hvm_guest("hvm")
    for wanted, what in (([ZERO, ONE], "both"), ([ONE], "function 1 alone"), ([ZERO, ONE], "both again")):
        stand.equal(apply({"hvm": wanted}).status, 0, what)
        settled(stand, guest, wanted, what)
    stand.equal(len(set(guest.emulated().values())), 2, "each has its own slot")
    refused(stand, guest)
    by_hand(stand, guest)
    xl("destroy", "hvm")


def refused(stand, guest):
    """One slot for both is refused before anything is touched."""
    place = [{"address": address, "virtualSlot": 13} for address in (ZERO, ONE)]
    before = stand.store.tree(guest.back_end)
    stand.equal(execute("berth", "apply", write_manifest({"hvm": place}), "--yes").status, 65, "one slot for both")
    stand.equal(stand.store.tree(guest.back_end), before, "one slot for both: nothing was touched")


def by_hand(stand, guest):
    """Asks QEMU, without any toolstack, for both in one slot in either order. The answers are measured, not checked."""
    for address in (ZERO, ONE):
        guest.unplug(address)
    for order in ((ONE, ZERO), (ZERO, ONE)):
        answers = []
        for address in order:
            answer = guest.ask(("device_add", {
                "driver": "xen-pci-passthrough", "id": qemu_name(address), "hostaddr": address,
                "addr": f"0d.{address[-1]}", "multifunction": True}))
            answers.append(answer.get("error", {}).get("desc", "accepted"))
        shown = guest.emulated()
        waited(guest, lambda: len(guest.passed()) == 2, "the guest sees both")
        places = sorted(device["at"] for device in guest.passed())
        # Is one function taken alone?
        log("device_del:", guest.ask(("device_del", {"id": qemu_name(order[0])})))
        waited(guest, lambda: qemu_name(order[0]) not in guest.emulated(), "QEMU has taken the first")
        stand.measure(f"two_functions_{order[0][-1]}_first", {
            "QEMU": answers, "shown": shown, "guest": places, "after the first is deleted": guest.emulated()})
        for address in set(order) & {one for one in order if qemu_name(one) in guest.emulated()}:
            log("device_del:", guest.ask(("device_del", {"id": qemu_name(address)})))
        waited(guest, lambda: not guest.emulated(), "QEMU has taken all")
    stand.check(berth("status", {"hvm": [ZERO, ONE]}).status == 0, "berth still answers")


def waited(guest, condition, what):
    """Waits for what may never come, and is no failure then."""
    try:
        guest.wait_devices(lambda _: condition(), what, 60)
    except TimedOut as error:
        log("not so:", error)
