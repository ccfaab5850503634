"""An HVM guest's bus that xl left at 7: no apply ends it, nor another guest's, whatever is declared of its devices."""

from lab.hvm import settled
from lab.programs import apply, berth, exists, log, xl

E1000, PLAIN, OTHER, THIRD = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0", "0000:00:09.0"
SECONDS = 3000


def run(stand):
    other = stand.guest("other")
    guest = stand.hvm_guest("hvm")
    stand.require(apply({"hvm": [E1000, PLAIN], "other": [OTHER]}).status == 0, "three devices")
    settled_both(stand, guest, [E1000, PLAIN], other, [OTHER], "before")

    left_at_7(stand, guest)
    answer = apply({"hvm": [E1000, PLAIN], "other": [OTHER]})
    stand.equal(answer.status, 0, "the same manifest")
    settled_both(stand, guest, [E1000, PLAIN], other, [OTHER], "the same manifest")

    left_at_7(stand, guest)
    answer = apply({"hvm": [E1000], "other": [OTHER]}, prune="never")
    stand.check(answer.status in (0, 3), f"the other device alone: {answer.status}")
    lives(stand, guest, other, "the other device alone")
    stand.equal(apply({"hvm": [E1000, PLAIN], "other": [OTHER]}).status, 0, "and the same manifest again")
    settled_both(stand, guest, [E1000, PLAIN], other, [OTHER], "and the same manifest again")

    left_at_7(stand, guest)
    answer = apply({"hvm": [E1000], "other": [OTHER, PLAIN]})
    log("moved:", answer.status, answer.results())
    stand.check(answer.status in (0, 3), f"the device moves: {answer.status}")
    lives(stand, guest, other, "the device moves")
    if answer.status == 0:
        settled_both(stand, guest, [E1000], other, [OTHER, PLAIN], "the device moves")
    stand.equal(apply({"hvm": [E1000, PLAIN], "other": [OTHER]}).status, 0, "and moves back")
    settled_both(stand, guest, [E1000, PLAIN], other, [OTHER], "and moves back")

    left_at_7(stand, guest)
    answer = apply({"hvm": [E1000, PLAIN, THIRD], "other": [OTHER]})
    stand.check(answer.status in (0, 3), f"one more device: {answer.status}")
    lives(stand, guest, other, "one more device")
    if answer.status == 0:
        settled_both(stand, guest, [E1000, PLAIN, THIRD], other, [OTHER], "one more device")
    xl("destroy", "hvm")
    other.destroy()
    stand.equal(stand.claims(), {}, "no claim outlives the guests")


def left_at_7(stand, guest):
    """xl's detach of a device leaves the bus at 7, with pciback holding the device; xl attaches the device again."""
    stand.equal(xl("pci-detach", "hvm", PLAIN).status, 0, "xl detaches one of two")
    stand.equal(xl("pci-attach", "hvm", PLAIN).status, 0, "xl attaches it again")
    stand.equal(stand.store.read(guest.back_end + "/state"), "7", "the back end is at 7")
    log("left behind:", stand.store.tree(guest.back_end))
    berth("status", {"hvm": [E1000, PLAIN]}, "--drift")


def lives(stand, guest, other, what):
    """Checks that neither guest's bus has ended."""
    for one, states in ((guest, ("3", "7")), (other, ("4",))):
        stand.check(stand.store.read(one.back_end + "/state") in states, f"{what}: the back end of {one.name} serves it")
        stand.check(exists(one.kernel_object), f"{what}: dom0's kernel has the bus of {one.name}")
        stand.equal(stand.store.read(f"/local/domain/0/error/backend/pci/{one.id}/0/error"), None,
                    f"{what}: pciback complains of nothing about {one.name}")


def settled_both(stand, guest, wanted, other, others, what):
    lives(stand, guest, other, what)
    stand.agree(other, others, what, console=False)
    # The hypervisor's view of the whole host, which `settled` takes for one guest's.
    before = stand.assigned
    stand.assigned = lambda addresses: before(addresses) - set(others)
    settled(stand, guest, wanted, what)
    stand.assigned = before
