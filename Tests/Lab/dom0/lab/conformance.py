"""Compares what a toolstack reported with what each place says of the devices afterwards."""

import os
import subprocess

from .actors import ACTORS
from .devices import DEVICES
from .hvm import HVMGuest, qemu_version
from .present import what_it_has
from .programs import log, xl
from .waiting import TimedOut

ADDRESSES = [device.address for device in DEVICES]
# What is said of a device in each place: the guest's own list, the back end in xenstore, libxl's saved configuration, the
# claim below /libxl/pci, and Xen.
PLACES = ("in the guest", "listed", "saved", "claimed", "assigned")
# Plugging a device into an emulated HVM guest takes long, because both are emulated here.
HVM_SECONDS = 180


class Row:
    """One row of the table: a scenario with one toolstack. Its figures count devices of all rounds."""

    def __init__(self, stand):
        self.stand = stand
        self.actor = ACTORS[os.environ["LAB_ACTOR"]]()
        self.rounds = 0
        self.figures = dict.fromkeys(("asked", "reported", "present", "lost", "unreported"), 0)
        self.left = {}

    def attach(self, guest, addresses):
        """Attaches devices as a preparation. If that fails, the row ends."""
        done = self.actor.begin_attach(guest, addresses).end()
        self.stand.require(all(done.values()), f"{self.actor.name} attaches {addresses} to {guest.name} beforehand")

    def judge(self, guests, attached=None, detached=None):
        """Counts a round. `attached` and `detached` are {address: whether it was reported}, about the first guest."""
        attached, detached = attached or {}, detached or {}
        self.rounds += 1
        has = {guest.name: what_guest_has(self.stand, guest) for guest in guests}
        mine = has[guests[0].name]
        wishes = [(address, done, True) for address, done in attached.items()]
        wishes += [(address, done, False) for address, done in detached.items()]
        lost = [address for address, done, wanted in wishes if done and (address in mine) != wanted]
        unreported = [address for address, done, wanted in wishes if not done and (address in mine) == wanted]
        self.figures["asked"] += len(wishes)
        self.figures["reported"] += sum(done for _, done, _ in wishes)
        self.figures["present"] += sum(address in mine for address in attached)
        self.figures["lost"] += len(lost)
        self.figures["unreported"] += len(unreported)
        left = [text for guest in guests for text in self.disagreements(guest, has[guest.name])]
        left += self.strangers(guests)
        left += self.actor.disagreements({guest: has[guest.name] for guest in guests})
        self.note(left)
        log("round", self.rounds, "lost", lost, "unreported", unreported, "left", left)
        if lost or left:
            self.stand.keep(f"round-{self.rounds}")
        if self.actor.name == "berth":
            self.stand.equal((lost, left), ([], []), f"round {self.rounds}: what berth lost and left")
        else:
            self.stand.checks += 1
        self.stand.row(round=self.rounds, attached=attached, detached=detached, guest=sorted(mine), lost=lost,
                       unreported=unreported, left=left)

    def note(self, left):
        """Counts each kind of disagreement, whatever its device."""
        for text in left:
            kind = text.partition(": ")[2] or text
            self.left[kind] = self.left.get(kind, 0) + 1

    def disagreements(self, guest, has):
        """Returns `address: what holds and what does not` for each device on which the places do not agree."""
        owners, claims = assigned(), self.stand.claims()
        bus = guest.bus if isinstance(guest, HVMGuest) else guest
        entries = self.stand.entries(bus) or []
        saved = self.stand.saved(guest.userdata())
        found = []
        for address in ADDRESSES:
            states = [entry["state"] for entry in entries if entry["dev"] == address]
            said = (address in has, states == ["3"], address in saved, claims.get(address) == guest.id,
                    owners.get(address) == guest.id)
            words = list(PLACES)
            if states and states != ["3"]:
                words[1] = f"listed at state {' and '.join(map(str, states))}"
                said = (said[0], True, *said[2:])
            if any(said) and (not all(said) or words[1] != PLACES[1]):
                yes = ", ".join(word for word, one in zip(words, said) if one)
                no = "".join(f"; not {word}" for word, one in zip(words, said) if not one)
                found.append(f"{address}: {yes}{no}")
        found += ["an entry without a device" for entry in entries if not entry["dev"]]
        rest = ("4", "4") if bus is not guest or not isinstance(guest, HVMGuest) else None
        states = self.stand.store.read(bus.back_end + "/state"), self.stand.store.read(bus.front_end + "/state")
        if entries and rest and states != rest:
            found.append(f"a bus at {states[0]} and {states[1]}, not at 4 and 4")
        return found

    def strangers(self, guests):
        """Returns the devices that are claimed for, or assigned to, a domain that is none of the guests."""
        numbers = {guest.id for guest in guests}
        found = [f"{address}: {word} by a domain that is gone"
                 for word, owners in (("claimed", self.stand.claims()), ("held in Xen", assigned()))
                 for address, owner in owners.items() if owner not in numbers]
        return sorted(found)

    def leave(self, guest):
        """Destroys a guest, and counts what outlives it. Claims that do are removed: they would spoil the next round."""
        ended = guest.ask_to_destroy()
        if ended.status < 0:
            # xl does not survive an entry without a device. The next round needs the guest's end.
            self.note([f"xl destroy of the guest ended with signal {-ended.status}"])
            self.complete_entries(guest)
            guest.ask_to_destroy()
        guest.wait_destroyed()
        left = self.strangers([])
        self.note(left)
        if self.actor.name == "berth":
            self.stand.equal(left, [], f"round {self.rounds}: what outlives {guest.name}")
        for address in self.stand.claims():
            log(f"{address} is still claimed")
            self.stand.store.remove(f"/libxl/pci/{address.replace(':', '-').replace('.', '-')}")

    def complete_entries(self, guest):
        """Writes a device that is not on the bus into each entry that has none. xl reads all these nodes."""
        bus = guest.bus if isinstance(guest, HVMGuest) else guest
        entries = self.stand.entries(bus) or []
        free = [address for address in ADDRESSES if address not in {entry["dev"] for entry in entries}]
        for index, entry in enumerate(entries):
            if entry["dev"]:
                continue
            address = free.pop()
            for name, value in (("key", address), ("dev", address), ("vdev", "0000:00:1f.00"), ("state", "3"),
                                ("opts", "msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=strict")):
                self.stand.store.write(f"{bus.back_end}/{name}-{index}", value)

    def end(self):
        """Hands the row to the runner."""
        self.stand.measure("conformance", self.figures | {
            "actor": self.actor.name, "xen": xen_version(), "linux": os.uname().release,
            "qemu": ".".join(map(str, qemu_version())), "rounds": self.rounds,
            "left": [{"what": what, "count": count} for what, count in sorted(self.left.items())]})


def what_guest_has(stand, guest):
    """Returns the addresses of the lab's devices that a guest has."""
    return has_through_qemu(guest) if isinstance(guest, HVMGuest) else what_it_has(stand, guest)


def has_through_qemu(guest):
    """Returns the addresses of the devices that QEMU shows and the guest sees there, once the guest is at rest."""
    shown = {f"0000:00:{place}": name for name, place in guest.emulated().items() if name.startswith("pci-pt-")}
    try:
        guest.wait_devices(lambda _: {device["at"] for device in guest.passed()} == set(shown), "what QEMU shows",
                           HVM_SECONDS)
    except TimedOut as error:
        log(error)
    seen = {device["at"] for device in guest.passed()}
    return {"0000:" + name.removeprefix("pci-pt-").replace("_", ":") for place, name in shown.items() if place in seen}


def assigned():
    """Returns {address: domain} of the devices that belong to a guest."""
    xl("debug-keys", "Q")
    ended = subprocess.run(["xl", "dmesg"], capture_output=True, text=True, errors="replace", check=True)
    return owners(ended.stdout)


def owners(text):
    """Returns {address: domain} from the last list of `xl debug-keys Q` in Xen's log."""
    _, heading, listing = text.rpartition("==== PCI devices ====")
    if not heading:
        raise ValueError("xl debug-keys Q printed no list")
    found = {}
    for line in listing.splitlines():
        # (XEN) 0000:00:05.0 - d3 - node -1
        words = line.replace("(XEN)", "").split()
        if len(words) > 2 and words[0] in ADDRESSES and words[1] == "-" and words[2][:1] == "d" and words[2][1:].isdigit():
            found[words[0]] = int(words[2][1:])
    return {address: owner for address, owner in found.items() if owner != 0}


def xen_version():
    """Returns Xen's version, such as `4.17.5`."""
    for line in xl("info").output.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "xen_version":
            return value.strip()
    return "unknown"
