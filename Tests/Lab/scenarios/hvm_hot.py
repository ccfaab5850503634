"""A running HVM guest gets and loses devices through QEMU in dom0: two, at a chosen slot, beside xl, asleep, none."""

import os

from lab.devices import BY_ADDRESS
from lab.hvm import settled
from lab.programs import Running, apply, apply_arguments, berth, write_manifest, xl
from lab.waiting import Folder
from xen.lowlevel import xc

SECONDS = 3600
INTENTS = "/run/berth/intents"
TRIES = 5
E1000, PLAIN, OTHER, THIRD = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0", "0000:00:09.0"


hypervisor = xc.xc()


def run(stand):
    guest = stand.hvm_guest("hvm")

    def step(wanted, what, declared=None):
        answer = apply({"hvm": declared or wanted})
        stand.require(answer.status == 0, f"{what}: exit status {answer.status}")
        stand.equal(set(answer.results().values()), {"done"}, f"{what}: results")
        settled(stand, guest, wanted, what)

    step([E1000, PLAIN], "first two")
    again = apply({"hvm": [E1000, PLAIN]})
    stand.equal((again.status, again.document.get("changed")), (0, False), "once more: nothing")

    place = {"address": OTHER, "id": BY_ADDRESS[OTHER].id, "virtualSlot": 13}
    step([E1000, PLAIN, OTHER], "a slot of choice", declared=[E1000, PLAIN, place])
    stand.equal(guest.emulated().get("pci-pt-00_08.0"), "0d.0", "QEMU shows it at that slot")
    stand.equal(berth("plan", {"hvm": [E1000, PLAIN, place]}, "--detailed-exitcode").status, 0, "nothing left to plan")

    # The guest must release a device. A paused guest cannot, so it is not even asked.
    xl("pause", "hvm")
    answer = apply({"hvm": [E1000, PLAIN]}, timeout="5s")
    stand.equal(answer.status, 7, "a paused guest's detach: exit status")
    settled(stand, guest, [E1000, PLAIN, OTHER], "paused", console=False)
    xl("unpause", "hvm")
    for attempt in range(1, TRIES + 1):
        status = fall_asleep(stand, guest, [E1000, PLAIN], f"asleep when asked, {attempt}")
        stand.check(status in (0, 7), f"asleep when asked, {attempt}: exit status {status}")
        # Chance decides whether it was asleep in time. The answer must be true in both cases.
        settled(stand, guest, [E1000, PLAIN] + [OTHER] * (status == 7), f"asleep when asked, {attempt}", console=False)
        xl("unpause", "hvm")
        step([E1000, PLAIN], "awake again and detached")
        if status == 7:
            break
        step([E1000, PLAIN, OTHER], "attached once more", declared=[E1000, PLAIN, place])
    stand.equal(status, 7, "it fell asleep before it could let go")

    # xl's second attach leaves the back end at 7, where pciback exports no more devices.
    stand.equal(xl("pci-attach", "hvm", THIRD).status, 0, "xl attaches one")
    stand.equal(stand.store.read(guest.back_end + "/state"), "7", "and leaves the back end at 7")
    step([E1000, PLAIN, THIRD], "adopted from xl, and the back end mended")

    step([PLAIN], "all but one detached")
    step([], "all detached")
    stand.wait(guest.wait_gone)
    step([E1000], "attached again")
    xl("destroy", "hvm")
    stand.equal(stand.claims(), {}, "no claim outlives the guest")


def fall_asleep(stand, guest, wanted, what):
    """Pauses the guest as soon as an apply is about to ask QEMU for a device; returns the exit status of the apply."""
    intents = Folder(INTENTS)
    asking = Running(*apply_arguments(write_manifest({guest.name: wanted}), timeout="5s"))

    def has_begun():
        # Until the intent is complete, its name begins with a dot.
        return any(not name.startswith(".") for name in os.listdir(INTENTS)) or asking.process.poll() is not None
    stand.wait(intents.wait, has_begun, 60, f"{what}: the apply has begun")
    hypervisor.domain_pause(guest.id)
    return asking.end().status
