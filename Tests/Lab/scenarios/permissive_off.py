"""`permissive` ends in pciback if it is no longer declared, for this guest, for the next one, and after xl's attaches."""

from lab.devices import BY_ADDRESS
from lab.drift import Drift
from lab.programs import apply, berth, xl

CARD, PLAIN = "0000:00:05.0", "0000:00:07.0"
SECONDS = 1800
PERMISSIVE = "/sys/bus/pci/drivers/pciback/permissive"


def run(stand):
    drift = Drift(stand, "permissive-off", lambda stand, *what: stand.settled(*what))
    guest, other = stand.guest("trusted"), stand.guest("untrusted")
    given = {"address": CARD, "id": BY_ADDRESS[CARD].id, "permissive": True}

    stand.require(apply({"trusted": [given, PLAIN]}).status == 0, "a permissive device and another one")
    stand.settled(guest, [CARD, PLAIN], "permissive")
    stand.equal(permissive(), {CARD}, "pciback has it")

    plan = berth("plan", {"trusted": [CARD, PLAIN]})
    stand.check("permissive" in str([step.get("effects") for step in plan.steps]), "the plan says what ends it")
    answer = apply({"trusted": [CARD, PLAIN]})
    stand.equal((answer.status, answer.results().get(CARD)), (0, "done"), "no longer declared")
    stand.settled(guest, [CARD, PLAIN], "no longer permissive")
    stand.equal(permissive(), set(), "pciback has it no more")
    stand.equal(apply({"trusted": [CARD, PLAIN]}).document.get("changed"), False, "once more: nothing")

    stand.require(apply({"trusted": [given, PLAIN]}).status == 0, "permissive again")
    stand.equal(permissive(), {CARD}, "pciback has it again")
    stand.equal(apply({"trusted": [PLAIN], "untrusted": [CARD]}).status, 0, "the device moves")
    stand.settled(other, [CARD], "moved")
    stand.settled(guest, [PLAIN], "left behind")
    stand.equal(permissive(), set(), "the permission did not move along")
    stand.host_agrees({CARD: other, PLAIN: guest}, "moved")

    # xl's detach and attach leave the permission, though the new entry denies it.
    given["permissive"] = True
    stand.require(apply({"trusted": [given, PLAIN], "untrusted": []}).status == 0, "permissive once more")
    stand.settled(guest, [CARD, PLAIN], "permissive once more")
    stand.equal(xl("pci-detach", "trusted", CARD).status, 0, "xl detaches it")
    stand.wait(guest.wait_devices, lambda devices: len(devices) == 1, "one device")
    stand.equal(xl("pci-attach", "trusted", CARD).status, 0, "xl attaches it without the option")
    stand.settled(guest, [CARD, PLAIN], "attached by xl")
    stand.equal(permissive(), {CARD}, "and it is permissive all the same")
    drift.mended("permissive-left", {CARD: {"permissive-left"}}, {guest: [CARD, PLAIN]}, "xl's attach")
    stand.equal(permissive(), set(), "the repair ended it")
    guest.destroy()
    other.destroy()
    stand.host_agrees({}, "the guests are gone")
    drift.end()


def permissive():
    with open(PERMISSIVE, encoding="utf-8") as file:
        return set(file.read().split())
