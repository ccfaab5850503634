"""Guests that do not answer: paused, without a PCI front end, crashed. apply exits with 7, without unfinished work."""

from lab.programs import Answer, Running, apply, apply_arguments, berth, log, write_manifest, xl
from xen.lowlevel import xc

CARD, PLAIN, OTHER = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0"
SHORT = "5s"
SECONDS = 2400

hypervisor = xc.xc()


def run(stand):
    sleeping(stand)
    deaf(stand)
    crashed(stand)


def sleeping(stand):
    """A running guest that is paused: attach and detach, then it wakes and the next apply completes both."""
    guest = stand.guest("sleeper")
    stand.require(apply({"sleeper": [CARD]}).status == 0, "the first device")
    stand.settled(guest, [CARD], "awake")
    xl("pause", "sleeper")
    before = stand.store.tree(guest.back_end)
    for wanted, what in (([CARD, PLAIN], "attach"), ([], "detach")):
        answer = apply({"sleeper": wanted}, timeout=SHORT)
        stand.equal(answer.status, 7, f"{what} while it sleeps")
        stand.equal(stand.store.tree(guest.back_end), before, f"{what} while it sleeps: the back end is as it was")
        stand.agree(guest, [CARD], f"{what} while it sleeps")
        stand.host_agrees({CARD: guest}, f"{what} while it sleeps")
    xl("unpause", "sleeper")
    answer = apply({"sleeper": [CARD, PLAIN]})
    stand.equal(answer.status, 0, "attach when it is awake again")
    stand.settled(guest, [CARD, PLAIN], "awake again")

    caught = 0
    # The guest falls asleep during a round: it may have done any part of its work by then.
    for wanted, state, what in (([CARD, PLAIN, OTHER], "7", "attach"), ([CARD], "7", "detach"),
                                ([CARD, OTHER], "8", "attach"), ([], "8", "detach")):
        had = {entry["dev"] for entry in stand.entries(guest) or []}
        at_work = Running(*apply_arguments(write_manifest({"sleeper": wanted}), timeout=SHORT))
        path = guest.back_end + "/state"
        stand.wait(stand.store.wait, [path], lambda: stand.store.read(path) == state or at_work.process.poll() is not None,
                   300, f"{what}: state {state}")
        hypervisor.domain_pause(guest.id)
        caught += at_work.process.poll() is None
        answer = Answer(at_work.end())
        stand.check(answer.status in (0, 7), f"{what}, asleep in the round: {answer.status} {answer.results()}")
        stand.keep(f"asleep-{what}-{state}")
        xl("unpause", "sleeper")
        stand.wait(guest.wait_connected)
        answer = apply({"sleeper": wanted})
        stand.equal(answer.status, 0, f"{what}, awake again after {sorted(had)}")
        stand.settled(guest, wanted, f"{what}, awake again")
        stand.host_agrees({address: guest for address in wanted}, f"{what}, awake again")
    stand.check(caught > 0, f"{caught} rounds were caught at work")
    guest.destroy()
    stand.host_agrees({}, "the sleeper is gone")


def deaf(stand):
    """A guest whose kernel has no PCI front end: it gets the device, but never confirms it."""
    guest = stand.guest("deaf", pcifront=False)
    answer = apply({"deaf": [PLAIN]}, timeout=SHORT)
    stand.equal(answer.status, 7, "a guest without a front end")
    stand.keep("deaf")
    log("back end", stand.store.tree(guest.back_end))
    again = apply({"deaf": [PLAIN]}, timeout=SHORT)
    stand.equal(again.status, 7, "and once more")
    answer = apply({"deaf": []}, timeout=SHORT)
    log("detach from a deaf guest:", answer.status, answer.results())
    stand.check(answer.status in (0, 7), f"detach from a deaf guest: {answer.status}")
    guest.destroy()
    stand.equal(apply({"deaf": []}).status, 0, "cleaning up after the deaf guest")
    stand.host_agrees({}, "the deaf guest is gone")


def crashed(stand):
    """A crashed guest is kept in its last state, and berth leaves it unchanged."""
    guest = stand.guest("dead", rest='on_crash = "preserve"\n')
    stand.require(apply({"dead": [CARD]}).status == 0, "a device before the crash")
    stand.settled(guest, [CARD], "before the crash")
    xl("sysrq", "dead", "c")
    stand.wait(lambda: stand.store.wait(
        ["@releaseDomain"], lambda: "c" in xl("list", "dead").output.splitlines()[-1].split()[4], 60, "it crashed"))
    before = stand.store.tree(guest.back_end)
    answer = apply({"dead": [CARD, OTHER]}, timeout=SHORT)
    log("apply on a crashed guest:", answer.status, answer.results(), berth("plan", {"dead": [OTHER]}).reasons())
    stand.equal(answer.status, 3, "apply on a crashed guest that is kept")
    stand.equal(berth("plan", {"dead": [OTHER]}).reasons().get(OTHER), "crashed-and-kept", "what the plan says of it")
    stand.equal(stand.store.tree(guest.back_end), before, "its back end is as it was")
    stand.host_agrees({CARD: guest}, "crashed")
    guest.destroy()
    stand.host_agrees({}, "the crashed guest is gone")
