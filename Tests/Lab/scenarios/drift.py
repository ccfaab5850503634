"""Drift in files and nodes about devices: claims, saved lines, records, intents, and leftovers of a gone domain."""

import json
import os

from lab.drift import NOBODY, Drift, claim, forget, recorded
from lab.programs import Running, apply, apply_arguments, log, write_manifest, xl
from lab.waiting import Folder
from xen.lowlevel import xc

CARD, PLAIN, OTHER, THIRD = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0", "0000:00:09.0"
SECONDS = 1200
INTENTS = "/run/berth/intents"

hypervisor = xc.xc()


def run(stand):
    drift = Drift(stand, "drift", lambda stand, *what: stand.settled(*what))
    guest, other = stand.guest("drifting"), stand.guest("other")
    stand.require(apply({"drifting": [CARD, PLAIN], "other": [THIRD]}).status == 0, "two devices, and one")
    stand.settled(guest, [CARD, PLAIN], "before")
    stand.settled(other, [THIRD], "before")
    claims(stand, drift, guest, other)
    gone(stand, drift, guest, other)
    saved(stand, drift, guest)
    killed_toolstack(stand, drift, guest)
    killed_run(stand, drift, guest)
    guest.destroy()
    stand.host_agrees({}, "the guest is gone")
    drift.end()


def claims(stand, drift, guest, other):
    """A missing claim, and a claim by another domain."""
    declared = {guest: [CARD, PLAIN], other: [THIRD]}
    ended = xl("pci-attach", "other", PLAIN)
    stand.check(ended.status != 0, f"xl does not give a device to a second guest: {ended.status}")
    stand.equal(stand.store.read(claim(PLAIN) + "/domid"), None, "and takes the first one's claim away")
    drift.mended("claim-missing", {PLAIN: {"claim-missing"}}, declared, "after an xl pci-attach that failed", rounds=0)
    for owner, whose in ((NOBODY, "of a domain that is gone"), (other.id, "of a domain that has it not")):
        stand.store.write(claim(PLAIN) + "/domid", str(owner))
        drift.mended("claim-foreign", {PLAIN: {"claim-foreign"}}, declared, f"a claim {whose}", rounds=0)


def gone(stand, drift, guest, other):
    """A domain that is destroyed without its toolstack leaves its back end and its claim."""
    number = other.id
    hypervisor.domain_destroy(number)
    stand.wait(stand.store.wait, ["@releaseDomain"], lambda: not os.path.lexists(other.kernel_object), 60,
               "dom0's kernel has let go of the other guest's bus")
    log("left behind:", stand.store.tree(f"/local/domain/0/backend/pci/{number}"))
    both = {guest: [CARD, PLAIN]}
    drift.seen("stale-claim", {THIRD: {"stale-claim", "leaked-back-end"}}, {"drifting": [CARD, PLAIN]}, "a domain is gone")
    drift.mended("leaked-back-end", {THIRD: {"stale-claim", "leaked-back-end"}}, both, "a domain is gone", rounds=0)
    stand.equal(stand.store.list(f"/local/domain/0/backend/pci/{number}"), [], "its back end is gone")
    stand.store.write(claim(THIRD) + "/domid", str(number))
    drift.mended("stale-claim", {THIRD: {"stale-claim"}}, both, "a claim alone", rounds=0)


def saved(stand, drift, guest):
    """Missing and superfluous saved lines, and Berth's record."""
    forget(guest, PLAIN)
    drift.mended("store-only", {PLAIN: {"store-only"}}, {guest: [CARD, PLAIN]}, "a saved line is gone", rounds=0)

    def detach():
        stand.equal(xl("pci-detach", "drifting", PLAIN).status, 0, "xl pci-detach")
        stand.wait(guest.wait_devices, lambda devices: len(devices) == 1, "one device")
    detach()
    drift.mended("config-only", {PLAIN: {"config-only"}}, {guest: [CARD, PLAIN]}, "xl detached what is declared")
    detach()
    drift.mended("config-only", {PLAIN: {"config-only"}}, {guest: [CARD]}, "xl detached what is no longer declared",
                 rounds=0)
    stand.equal(recorded(guest), [CARD], "Berth's record has lost it too")

    stand.require(apply({"drifting": [CARD, PLAIN]}).status == 0, "attached again")
    detach()
    forget(guest, PLAIN)
    drift.mended("record-only", {PLAIN: {"record-only"}}, {guest: [CARD, PLAIN]}, "a record of a device that is declared")
    detach()
    forget(guest, PLAIN)
    stand.equal(recorded(guest), [CARD, PLAIN], "Berth's record has it")
    drift.mended("record-only", {PLAIN: {"record-only"}}, {guest: [CARD]}, "a record of a device that is not", plan=0,
                 rounds=0)
    stand.equal(recorded(guest), [CARD], "Berth's record has it no longer")


def killed_toolstack(stand, drift, guest):
    """xl is killed between its claim and its entry: it waits there for a round during which the guest sleeps."""
    xl("pause", "drifting")
    stand.equal(xl("pci-attach", "drifting", OTHER).status, 0, "xl gives a paused guest a device")
    stand.equal(stand.store.read(guest.back_end + "/state"), "7", "which begins a round")
    attach = Running("xl", "pci-attach", "drifting", PLAIN)
    path = claim(PLAIN) + "/domid"
    stand.wait(stand.store.wait, [path], lambda: stand.store.read(path) is not None, 60, "xl has claimed the next one")
    attach.process.kill()
    attach.end()
    xl("unpause", "drifting")
    stand.wait(guest.wait_connected)
    stand.wait(guest.wait_devices, lambda devices: len(devices) == 2, "two devices")
    drift.mended("claim-only", {PLAIN: {"claim-only"}}, {guest: [CARD, OTHER, PLAIN]}, "xl was killed before its entry")


def killed_run(stand, drift, guest):
    """berth is killed as soon as it has written its intent: an attach, and a detach."""
    for before, wanted, what in (([CARD, OTHER, PLAIN], [CARD, OTHER], "a detach"),
                                 ([CARD, OTHER], [CARD, OTHER, PLAIN], "an attach")):
        intents = Folder(INTENTS)
        running = Running(*apply_arguments(write_manifest({"drifting": wanted})))
        stand.wait(intents.wait, lambda: written(INTENTS) or running.process.poll() is not None, 60, f"{what} has begun")
        hypervisor.domain_pause(guest.id)
        running.process.kill()
        running.end()
        stand.equal(len(written(INTENTS)), 1, f"{what} was killed in time, and left its intent")
        hypervisor.domain_unpause(guest.id)
        stand.wait(guest.wait_connected)
        # Chance decides which marks it had made, and what the guest has answered since.
        drift.mended("leftover-intent", {PLAIN: {"leftover-intent"}}, {guest: wanted}, f"{what} was killed",
                     besides=("half-removed", "export-pending"))
        stand.equal(written(INTENTS), [], f"{what}: no intent is left")
    # If the domain of an ended run is gone, nothing is left to resume.
    with open(f"{INTENTS}/4000-attach-1.json", "w", encoding="utf-8") as file:
        json.dump({"version": 1, "domain": {"id": NOBODY, "uuid": "00000000-0000-0000-0000-000000004000"},
                   "operation": "attach", "devices": [THIRD]}, file)
    drift.mended("leftover-intent", {THIRD: {"leftover-intent"}}, {guest: [CARD, OTHER, PLAIN]},
                 "an intent for a domain that is gone", plan=0, rounds=0)


def written(folder):
    """Returns complete intents: until an intent is complete, its name begins with a dot."""
    return [name for name in os.listdir(folder) if name.endswith(".json") and not name.startswith(".")]
