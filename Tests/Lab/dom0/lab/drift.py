"""Drift made on purpose: what berth reports, what an apply does, and whether every name has a scenario."""

import glob
import json
import os

from .programs import Answer, apply, berth, log, run, xl

# The scenario that makes each drift. Each drift that an apply repairs, according to `berth explain`, must be here. Each
# scenario must have made the drifts that it has here.
WHERE = {
    "claim-missing": "drift", "claim-foreign": "drift", "stale-claim": "drift", "claim-only": "drift",
    "store-only": "drift", "config-only": "drift", "record-only": "drift", "leftover-intent": "drift",
    "leaked-back-end": "drift",
    "export-pending": "drift-entries", "half-removed": "drift-entries", "revoked-but-listed": "drift-entries",
    "overwritten": "drift-entries", "orphan-entry": "drift-entries", "not-on-pciback": "drift-entries",
    "bus-torn": "drift-bus", "bus-replaced": "drift-bus", "bus-vanishing": "drift-bus",
    "bus-closing": "drift-bus",
    "permissive-left": "permissive-off",
    "device-model-lacks": "drift-hvm", "device-model-only": "drift-hvm", "bus-unsettled": "drift-hvm",
}
# Drifts that an apply repairs but no scenario makes, with the reason.
NOT_LEFT = {
    "rights-left": "it takes a card that is pulled while a guest has it, and has in-memory tests",
    "round-unheard": "the guests' Linux takes up a round that it sees before it has connected (`pcifront_detach_devices`)",
    "attached-twice": "it takes an xl detach that a PV guest slept through and a bus of an HVM guest that xl left at 7, and has "
                      "an in-memory test",
}
NOBODY = 4000  # The number of no domain.


class Drift:
    """The steps that scenarios of drift repeat. `settled` compares every store with what a guest should have."""

    def __init__(self, stand, scenario, settled):
        self.stand, self.scenario, self.settled = stand, scenario, settled
        self.covered = set()

    def found(self, assignments, what, prune=None):
        """Returns {device or domain: names} of all findings of `berth status --drift`, and {name: outcomes}."""
        answer = berth("status", assignments, "--drift", "--detailed-exitcode", prune=prune)
        findings = [(row["device"]["address"], drift) for row in answer.document.get("devices", [])
                    for drift in row["drift"]]
        findings += [(drift["domain"].get("name"), drift) for drift in answer.document.get("domains", [])]
        names, outcomes = {}, {}
        for subject, drift in findings:
            names.setdefault(subject, set()).add(drift["name"])
            outcomes.setdefault(drift["name"], set()).add(drift["outcome"])
        # A missing answer must not pass for a host in order.
        self.stand.equal(answer.status, 2 if findings else 0, f"{what}: status --drift")
        self.stand.check("devices" in answer.document, f"{what}: there is a matrix")
        return names, outcomes

    def seen(self, name, expected, assignments, what, prune=None, besides=()):
        """Returns whether exactly these drifts are found, and the plan has a step about `name`."""
        names, outcomes = self.found(assignments, what, prune)
        for subject in names:
            if subject in expected:
                names[subject] -= set(besides) - expected[subject]
        self.stand.equal(names, expected, f"{what}: drift")
        self.stand.equal(outcomes.get(name), {"mended"}, f"{what}: the next apply repairs {name}")

    def mended(self, name, expected, assignments, what, *, wanted=None, prune=None, plan=2, rounds=None, besides=(),
               then=None, timeout="90s"):
        """Finds a drift, has it repaired, and finds nothing more. `assignments` is {guest: declared devices}.

        `expected` is {device or domain: names}. `wanted` is what each guest has afterwards, if that differs from the
        declaration. `besides` are names that chance may add. `then` is done between the apply and the looks.
        """
        stand, start = self.stand, self.stand.now()
        log(f"== {name}: {what}")
        declared = {guest.name: devices for guest, devices in assignments.items()}
        self.seen(name, expected, declared, what, prune, besides)
        stand.equal(berth("plan", declared, "--detailed-exitcode", prune=prune).status, plan, f"{what}: the plan")
        answer = apply(declared, prune=prune, timeout=timeout)
        stand.equal(answer.status, 0, f"{what}: the apply")
        if rounds is not None:
            stand.equal(answer.rounds(), rounds, f"{what}: rounds")
        if then:
            then()
        self.quiet(wanted or assignments, declared, what, prune)
        self.covered.add(name)
        stand.row(name=name, what=what, seconds=round(stand.now() - start, 1))
        return answer

    def quiet(self, wanted, declared, what, prune=None):
        """Checks that every store is as the guests should have it, and that berth has nothing to report or do."""
        stand = self.stand
        for guest, devices in wanted.items():
            if guest.id is not None:
                self.settled(stand, guest, [device for device in devices if isinstance(device, str)], what)
        stand.host_agrees({device: guest for guest, devices in wanted.items() for device in devices}, what)
        stand.equal(self.found(declared, f"{what}: afterwards", prune)[0], {}, f"{what}: no drift is left")
        again = apply(declared, prune=prune)
        stand.equal((again.status, again.document.get("changed")), (0, False), f"{what}: once more, nothing")

    def end(self):
        """Fails if a name is missing here, or in all scenarios."""
        stand = self.stand
        document = Answer(run("berth", "explain", "--output", "json")).document
        repairs = {one["name"]: one["repair"] for one in document.get("explanations", []) if one.get("repair")}
        stand.check(len(repairs) >= len(WHERE), f"berth explain names {len(repairs)} kinds of drift")
        repaired = {name for name, repair in repairs.items() if not repair.startswith("Left: ")}
        stand.equal(sorted(repaired - set(WHERE) - set(NOT_LEFT)), [], "repairs of an apply without a scenario")
        mine = {name for name, scenario in WHERE.items() if scenario == self.scenario}
        stand.equal(sorted(mine - self.covered), [], "what this scenario should have left behind, and has not")
        stand.measure(f"{self.scenario.replace('-', '_')}_names", sorted(self.covered))


def node(address):
    """Returns a device in the form of a node's name."""
    return address.replace(":", "-").replace(".", "-")


def claim(address):
    return f"/libxl/pci/{node(address)}"


def forget(guest, address):
    """Removes a device's saved line, without any toolstack."""
    path = glob.glob(f"/var/lib/xen/userdata-d.{guest.id}.{guest.uuid}.libxl-json")[0]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    document = json.loads(text.rstrip("\0"))
    _, bus, place = address.split(":")
    slot, _, function = place.partition(".")
    wanted = (int(bus, 16), int(slot, 16), int(function, 16))
    document["pcidevs"] = [device for device in document["pcidevs"]
                           if (device.get("bus", 0), device.get("dev", 0), device.get("func", 0)) != wanted]
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=4) + ("\0" if text.endswith("\0") else ""))


def recorded(guest):
    """Returns Berth's record of a guest."""
    try:
        with open(f"/var/lib/berth/domains/{guest.uuid}.json", encoding="utf-8") as file:
            return sorted(json.load(file)["devices"])
    except FileNotFoundError:
        return []


def bind(address, driver):
    """Binds a device of dom0 to a driver, such as pciback; None unbinds the device."""
    folder = f"/sys/bus/pci/devices/{address}/driver"
    if os.path.lexists(folder):
        with open(f"{folder}/unbind", "w", encoding="utf-8") as file:
            file.write(address)
    if driver:
        xl("pci-assignable-add", address)
