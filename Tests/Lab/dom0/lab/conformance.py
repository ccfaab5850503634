"""What every store says of each device once a toolstack has ended, and what that makes of its report.

A device is attached if all places agree that a guest has it, and detached if none says so. Everything else is left
over. The guest's own list counts for the guest.
"""

import os
import subprocess

from .actors import ACTORS
from .devices import DEVICES
from .hvm import HVMGuest
from .present import what_it_has
from .programs import log, xl

ADDRESSES = [device.address for device in DEVICES]
# What is said of a device in each place: the guest's own list, the back end in xenstore, libxl's saved configuration, the
# claim below /libxl/pci, and Xen.
PLACES = ("in the guest", "listed", "saved", "claimed", "assigned")


class Row:
    """One row of the table: a scenario with one toolstack. Its figures count devices of all rounds."""

    def __init__(self, stand):
        self.stand = stand
        self.actor = ACTORS[os.environ["LAB_ACTOR"]]()
        self.asked = self.reported = self.present = self.lost = self.rounds = 0
        self.left = {}

    def attach(self, guest, addresses):
        """Attaches devices as a preparation. Without them, the row says nothing."""
        done = self.actor.begin_attach(guest, addresses).end()
        self.stand.require(all(done.values()), f"{self.actor.name} attaches {addresses} to {guest.name} beforehand")

    def judge(self, guests, attached=None, detached=None):
        """Counts a round. `attached` and `detached` are {address: whether it was reported}, about the first guest."""
        attached, detached = attached or {}, detached or {}
        self.rounds += 1
        has = {guest.name: self.stand_has(guest) for guest in guests}
        mine = has[guests[0].name]
        self.asked += len(attached) + len(detached)
        self.reported += sum(attached.values()) + sum(detached.values())
        self.present += sum(address in mine for address in attached)
        wrong = [f"{address} was reported as attached, and {guests[0].name} has it not"
                 for address, done in attached.items() if done and address not in mine]
        wrong += [f"{address} was reported as detached, and {guests[0].name} has it"
                  for address, done in detached.items() if done and address in mine]
        self.lost += len(wrong)
        left = self.leftovers(guests, has) + self.actor.leftovers()
        for text in wrong + left:
            log("round", self.rounds, text)
        for text in left:
            self.left[text.partition(": ")[2] or text] = self.left.get(text.partition(": ")[2] or text, 0) + 1
        if wrong or left:
            self.stand.keep(f"round-{self.rounds}")
        if self.actor.name == "berth":
            self.stand.equal((wrong, left), ([], []), f"round {self.rounds}: what berth left")
        else:
            self.stand.checks += 1
        self.stand.row(round=self.rounds, attached=attached, detached=detached, guest=sorted(mine), lost=wrong, left=left)

    def stand_has(self, guest):
        return has_through_qemu(guest) if isinstance(guest, HVMGuest) else what_it_has(self.stand, guest)

    def leftovers(self, guests, has):
        """Returns `address: what holds and what does not` for each device on which the places do not agree."""
        owners = assigned()
        claims = self.stand.claims()
        found = []
        for guest in guests:
            bus = guest.bus if isinstance(guest, HVMGuest) else guest
            listed = {entry["dev"]: entry["state"] for entry in self.stand.entries(bus) or []}
            saved = self.stand.saved(guest.userdata())
            for address in ADDRESSES:
                said = (address in has[guest.name], listed.get(address) == "3", address in saved,
                        claims.get(address) == guest.id, owners.get(address) == guest.id)
                if any(said) and not all(said):
                    yes = ", ".join(place for place, one in zip(PLACES, said) if one)
                    no = ", ".join(f"not {place}" for place, one in zip(PLACES, said) if not one)
                    found.append(f"{address}: {yes}; {no}")
                elif address in listed and listed[address] != "3":
                    found.append(f"{address}: listed at state {listed[address]}")
        numbers = {guest.id for guest in guests}
        found += [f"{address}: assigned to a domain that is none of the guests"
                  for address in sorted(owners) if owners[address] not in numbers]
        found += [f"{address}: claimed by a domain that is none of the guests"
                  for address in sorted(claims) if claims[address] not in numbers]
        return found

    def clean(self):
        """Removes the claims of domains that are gone, which would reserve their devices in the next round."""
        for address, owner in self.stand.claims().items():
            if self.stand.store.read(f"/local/domain/{owner}/name") is None:
                log(f"{address} is still claimed by domain {owner}, which is gone")
                self.stand.store.remove(f"/libxl/pci/{address.replace(':', '-').replace('.', '-')}")

    def end(self):
        """Hands the row to the runner."""
        self.stand.measure("conformance", {
            "actor": self.actor.name, "xen": xen_version(), "rounds": self.rounds, "asked": self.asked,
            "reported": self.reported, "present": self.present, "lost": self.lost,
            "left": [{"what": what, "count": count} for what, count in sorted(self.left.items())]})


def has_through_qemu(guest):
    """Returns the addresses of the devices that QEMU shows and the guest sees there."""
    places = {device["at"] for device in guest.passed()}
    found = set()
    for name, place in guest.emulated().items():
        if name.startswith("pci-pt-") and f"0000:00:{place}" in places:
            bus, slot = name.removeprefix("pci-pt-").split("_")
            found.add(f"0000:{bus}:{slot}")
    return found


def assigned():
    """Returns {address: domain} of the devices that belong to a guest, as `xl debug-keys Q` prints them."""
    xl("debug-keys", "Q")
    owners = {}
    # The whole log stays for the evidence. Its last list is the answer.
    ended = subprocess.run(["xl", "dmesg"], capture_output=True, text=True, errors="replace", check=True)
    for line in ended.stdout.rpartition("==== PCI devices ====")[2].splitlines():
        # (XEN) 0000:00:05.0 - d3 - node -1
        words = line.replace("(XEN)", "").split()
        if len(words) > 2 and words[0] in ADDRESSES and words[1] == "-" and words[2].startswith("d") \
                and words[2][1:].isdigit():
            owners[words[0]] = int(words[2][1:])
    return {address: owner for address, owner in owners.items() if owner != 0}


def xen_version():
    for line in xl("info").output.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "xen_version":
            return value.strip()
    return "unknown"


