"""A card comes from its driver in dom0, goes to a guest, and returns to the driver, which carries packets as before."""

from lab.devices import BY_ADDRESS
from lab.drivers import at_home, driver, noted, override, record, release
from lab.programs import Running, apply, apply_arguments, berth, exists, log, run as execute, write_manifest, xl
from lab.stand import identity

CARD, OTHER = "0000:00:05.0", "0000:00:06.0"
# What dom0 itself stands on: its disk, and the folder that it shares with the host.
DISK, SHARE = "0000:00:02.0", "0000:00:03.0"
ROUNDS = 12
SECONDS = 3600
LAST = True


def run(stand):
    execute("modprobe", "e1000")
    guest = stand.guest("router")
    hidden_at_boot(stand)
    there_and_back(stand, guest)
    beside_xl(stand, guest)
    interlocks(stand)
    before_the_guest(stand)
    killed(stand, guest)
    without_pciback(stand, guest)


def hidden_at_boot(stand):
    """A device that pciback got at boot has no record and no note, and goes to the driver that wants it."""
    stand.equal(driver(CARD), "pciback", "hidden at boot")
    stand.on_host.add(CARD)
    stand.equal(release(CARD).drivers().get(CARD), ("release", "done"), "released by hand")
    at_home(stand, CARD, "hidden at boot")
    stand.equal(release(CARD).drivers().get(CARD), ("release", "unchanged"), "released once more")


def there_and_back(stand, guest):
    plan = berth("plan", {"router": [CARD]}, after="restore")
    stand.equal([(step["action"], step["driver"]) for step in plan.document.get("drivers", [])],
                [("prepare", "e1000")], "the plan says what the driver loses")
    answer = apply({"router": [CARD]}, after="restore")
    stand.equal((answer.status, answer.drivers().get(CARD), answer.results().get(CARD)),
                (0, ("prepare", "done"), "done"), "taken from its driver")
    prepared(stand, "in the guest")
    stand.settled(guest, [CARD], "from its driver")
    stand.equal(apply({"router": [CARD]}, after="restore").document.get("changed"), False, "once more: nothing")
    answer = apply({"router": []}, after="restore")
    stand.equal((answer.status, answer.drivers().get(CARD)), (0, ("release", "done")), "returned to its driver")
    stand.wait(guest.wait_gone)
    at_home(stand, CARD, "after a guest")
    stand.equal(apply({"router": []}, after="restore").document.get("changed"), False, "once more: nothing")


def beside_xl(stand, guest):
    """xl takes back what Berth prepared, and Berth gives a guest what xl prepared."""
    stand.equal(apply({"later": [CARD]}).drivers().get(CARD), ("prepare", "done"), "for a domain that comes later")
    stand.check(CARD in xl("pci-assignable-list").output, "xl lists it")
    stand.equal(xl("pci-assignable-remove", "-r", CARD).status, 0, "xl returns it")
    at_home(stand, CARD, "by xl", record=True)
    stand.equal(xl("pci-assignable-add", CARD).status, 0, "xl prepares it")
    answer = apply({"router": [CARD]})
    stand.equal((answer.status, answer.drivers()), (0, {}), "nothing is left to prepare")
    stand.settled(guest, [CARD], "prepared by xl")
    stand.equal(apply({"router": []}).status, 0, "detached")
    stand.wait(guest.wait_gone)
    stand.equal(release(CARD).drivers().get(CARD), ("release", "done"), "released after xl")
    at_home(stand, CARD, "after xl")


def interlocks(stand):
    """dom0's own disk and its share are not taken, whatever is declared."""
    for address, what in ((DISK, "the boot disk"), (SHARE, "the share")):
        wanted = {"router": [{"address": address, "id": identity(address)}]}
        before = driver(address)
        plan = berth("plan", wanted)
        evidence = [step.get("evidence", "") for step in plan.steps]
        log(what, plan.reasons(), evidence)
        stand.check(plan.reasons().get(address) in ("interlocked", "interlock-unknown"), f"{what} is refused")
        stand.equal(apply(wanted).drivers(), {}, f"{what}: nothing is done")
        stand.equal(driver(address), before, f"{what} keeps its driver")
    stand.equal(berth("plan", {"router": [{"address": DISK, "id": identity(DISK)}]}).reasons().get(DISK), "interlocked",
                "the boot disk is known to be one")
    stand.check(any("/" in step.get("evidence", "") and "vda" in step.get("evidence", "") for step in berth(
        "plan", {"router": [{"address": DISK, "id": identity(DISK)}]}).steps), "the way to the root is shown")


def before_the_guest(stand):
    """An apply before xendomains: a guest whose configuration names the card finds the card on pciback."""
    stand.equal(apply({"early": [CARD]}).drivers().get(CARD), ("prepare", "done"), "prepared before the guest")
    guest = stand.guest("early", rest=f'pci = [ "{CARD}" ]\n')
    stand.settled(guest, [CARD], "created with the card")
    stand.equal(apply({"early": [CARD]}).status, 0, "adopted")
    stand.equal(apply({"early": []}, after="restore").status, 0, "taken from it")
    stand.wait(guest.wait_gone)
    at_home(stand, CARD, "after a guest of xl's")
    guest.destroy()


def killed(stand, guest):
    """An apply is killed at moments that are spread over its work. The next one always converges."""
    wanted, seconds = [CARD, OTHER], []
    stand.on_host.add(OTHER)
    release(OTHER)
    for declared in (wanted, [], wanted, []):
        seconds.append(apply({"router": declared}, after="restore").ended.seconds)
    stand.wait(guest.wait_gone)
    longest, rounds, blows = min(seconds[2:]), stand.rounds(ROUNDS), 0
    for number in range(rounds):
        declared = wanted if number % 2 == 0 else []
        delay = longest * (number // 2 + 0.5) / (rounds // 2)
        victim = Running(*apply_arguments(write_manifest({"router": declared}, after="restore")))
        try:
            victim.process.wait(timeout=delay)
        except Exception:  # It is still at work, which is what this is about.
            victim.process.kill()
            blows += 1
        ended = victim.end()
        what = f"round {number}, killed after {delay:.2f} s"
        answer = apply({"router": declared}, after="restore")
        good = stand.equal(answer.status, 0, f"{what}: the clean apply")
        for address in wanted:
            good = stand.equal(driver(address), "pciback" if declared else "e1000", f"{what}: {address}") and good
            good = stand.equal(override(address), "(null)", f"{what}: {address}: no override") and good
        if declared:
            good = stand.settled(guest, declared, what) and good
        else:
            stand.wait(guest.wait_gone)
        again = apply({"router": declared}, after="restore")
        good = stand.equal(again.document.get("changed"), False, f"{what}: nothing is left") and good
        stand.row(round=number, killed_after=round(delay, 2), status=ended.status, converged=good)
    stand.check(blows >= rounds // 3, f"{blows} of {rounds} were killed at work")
    if rounds % 2:
        apply({"router": []}, after="restore")
    at_home(stand, CARD, "after all of them")


def without_pciback(stand, guest):
    """pciback is not loaded: an apply loads it, unless that is forbidden."""
    for address in BY_ADDRESS:
        if address not in (CARD, OTHER) and exists(f"/sys/bus/pci/devices/{address}"):
            stand.on_host.add(address)
    stand.equal(execute("modprobe", "-r", "xen-pciback").status, 0, "pciback is gone")
    forbidden = berth("plan", {"router": [CARD]}, "--no-load-modules")
    stand.equal(forbidden.reasons().get(CARD), "pciback-not-loaded", "forbidden")
    answer = apply({"router": [CARD]}, after="restore")
    stand.equal((answer.status, answer.drivers().get(CARD)), (0, ("prepare", "done")), "loaded, and prepared")
    stand.settled(guest, [CARD], "with pciback loaded by the apply")
    stand.equal(apply({"router": []}, after="restore").status, 0, "and back")
    at_home(stand, CARD, "at the end")


def prepared(stand, what):
    stand.equal((driver(CARD), override(CARD), record(CARD), noted(stand, CARD)),
                ("pciback", "(null)", True, "/sys/bus/pci/drivers/e1000"), f"{what}: on pciback, without a trace of the way")
