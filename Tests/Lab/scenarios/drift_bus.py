"""Drift of a whole PCI bus: torn, a round too early, recreated under its guest, removed, and half closed."""

import os

from lab.drift import Drift
from lab.programs import Running, apply, apply_arguments, log, write_manifest, xl
from lab.waiting import TimedOut
from xen.lowlevel import xc

CARD, PLAIN, OTHER = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0"
SECONDS = 1200
TRIES = 5
# How long a repair first waits without effect.
SHORT = "15s"

hypervisor = xc.xc()


def run(stand):
    drift = Drift(stand, "drift-bus", lambda stand, *what: stand.settled(*what))
    unheard(stand, drift)
    guest = stand.guest("drifting")
    stand.require(apply({"drifting": [CARD, PLAIN]}).status == 0, "two devices")
    stand.settled(guest, [CARD, PLAIN], "before")
    torn(stand, drift, guest)
    closing(stand, drift, guest)
    vanishing(stand, drift, guest)
    replaced(stand, drift, guest)
    guest.destroy()
    stand.host_agrees({}, "the guest is gone")
    drift.end()


def states(stand, guest):
    return stand.store.read(guest.back_end + "/state"), stand.store.read(guest.front_end + "/state")


def unheard(stand, drift):
    """xl begins a round before the guest has connected. The guest handles the round when it connects.

    The guest must be caught before it has read that pciback is connected.
    """
    guest = stand.guest("early", paused=True)
    stand.require(apply({"early": [CARD]}).status == 0, "a device before the start")
    back, front = guest.back_end + "/state", guest.front_end + "/state"
    xl("unpause", "early")
    # pciback gets the same event, and makes a few requests to xenstored before it connects.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    stand.wait(stand.store.wait, [front], lambda: stand.store.read(front) == "3", 180, "the guest has begun")
    hypervisor.domain_pause(guest.id)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    log("when it was paused:", states(stand, guest))
    stand.wait(stand.store.wait, [back], lambda: stand.store.read(back) == "4", 60, "pciback has connected")
    stand.equal(xl("pci-attach", "early", PLAIN).status, 0, "xl pci-attach")
    stand.equal(states(stand, guest), ("7", "3"), "a round before the guest has connected")
    hypervisor.domain_unpause(guest.id)
    guest.wait_up()
    stand.equal(apply({"early": [CARD, PLAIN]}).status, 0, "a round before the guest had connected: the apply")
    drift.quiet({guest: [CARD, PLAIN]}, {"early": [CARD, PLAIN]}, "a round before the guest had connected")
    guest.destroy()


def torn(stand, drift, guest):
    """A round is taken back while the guest works on it. Chance decides whether the guest has read the 7 by then."""
    for _ in range(TRIES):
        had = {entry["dev"] for entry in stand.entries(guest)}
        at_work = Running(*apply_arguments(write_manifest({"drifting": [OTHER]}), timeout="5s"))
        back, front = guest.back_end + "/state", guest.front_end + "/state"
        stand.wait(stand.store.wait, [back], lambda: stand.store.read(back) == "7" or at_work.process.poll() is not None,
                   60, "a round has begun")
        hypervisor.domain_pause(guest.id)
        at_work.process.kill()
        at_work.end()
        if states(stand, guest) == ("7", "4"):
            for index, entry in enumerate(stand.entries(guest)):
                if entry["dev"] in had:
                    stand.store.write(f"{guest.back_end}/state-{index}", "3")
            stand.store.write(back, "4")
        hypervisor.domain_unpause(guest.id)
        try:
            stand.store.wait([back, front], lambda: states(stand, guest) == ("4", "7"), 10,
                             "the guest answers what is no longer asked")
            break
        except TimedOut as error:
            log(error)
            stand.require(apply({"drifting": [CARD, PLAIN]}).status == 0, "two devices again")
            stand.settled(guest, [CARD, PLAIN], "once more")
    # The ended run was to remove both.
    drift.mended("bus-torn", {"drifting": {"bus-torn"}, CARD: {"leftover-intent"}, PLAIN: {"leftover-intent"}},
                 {guest: [CARD, OTHER]}, "a round taken back", timeout=SHORT)


def closing(stand, drift, guest):
    """berth is killed between the removal of the last device and the removal of its bus."""
    at_work = Running(*apply_arguments(write_manifest({"drifting": []})))
    path = guest.back_end + "/state"
    stand.wait(stand.store.wait, [path], lambda: stand.store.read(path) == "5" or at_work.process.poll() is not None,
               60, "the bus is being closed")
    at_work.process.kill()
    at_work.end()
    stand.wait(stand.store.wait, [path], lambda: stand.store.read(path) == "6", 60, "both ends have closed")
    log("left behind:", stand.store.tree(guest.back_end))
    names, _ = drift.found({"drifting": [CARD]}, "a bus that was not taken away")
    log("of the dead run there is", names)
    expected = {"drifting": {"bus-closing"}}
    for device in (CARD, OTHER):
        if device in names:
            expected[device] = {"leftover-intent"}
    drift.mended("bus-closing", expected, {guest: [CARD]}, "a bus that was not taken away", timeout=SHORT)


def vanishing(stand, drift, guest):
    """The back end is removed without a toolstack, and the guest's end of the bus stays."""
    stand.store.remove(guest.back_end.rpartition("/")[0])
    stand.wait(guest.wait_gone)
    stand.equal(stand.store.read(guest.front_end + "/state"), "4", "the front end is still there")
    drift.mended("bus-vanishing", {"drifting": {"bus-vanishing"}, CARD: {"overwritten"}}, {guest: [CARD]},
                 "a back end that is gone", timeout=SHORT)


def replaced(stand, drift, guest):
    """xl takes its device for the first one, as it does while another toolstack attaches the first one."""
    stand.store.remove(guest.back_end + "/num_devs")
    stand.equal(xl("pci-attach", "drifting", PLAIN).status, 0, "xl makes a bus")
    log("left behind:", stand.store.tree(guest.back_end), states(stand, guest))
    # The guest writes that after it has examined the bus, during which xl creates its own bus.
    stand.store.write(guest.front_end + "/state", "4")
    stand.equal(states(stand, guest), ("1", "4"), "both ends")
    drift.mended("bus-replaced", {"drifting": {"bus-replaced"}, CARD: {"overwritten"}, PLAIN: {"export-pending"}},
                 {guest: [CARD, PLAIN]}, "a bus made over another one", timeout=SHORT)
