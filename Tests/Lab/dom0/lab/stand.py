"""A scenario's view of the host: guests, checks, measures and evidence."""

import glob
import json
import os
import shutil
import subprocess
import time

from .devices import BY_ADDRESS, DEVICES
from .guests import Guest
from .hvm import HVMGuest
from .programs import exists, kernel_log, log, run, xl
from .waiting import Folder, Store, TimedOut

OUT = "/lab/out"
# Keeping everything takes time, and the first failure shows the most.
KEPT_FAILURES = 3


class Failed(Exception):
    """A failed check without which the scenario cannot continue."""


class Stand:
    """The argument of a scenario's `run`."""

    def __init__(self):
        self.store = Store()
        self.consoles = Folder()
        self.guests = []
        self.checks = 0
        self.failures = []
        self.measures = {}
        self.table = []
        # The devices that a scenario gave to drivers of dom0.
        self.on_host = set()

    def guest(self, name, **options):
        """Creates a guest. Unless it is paused, it has started when this returns."""
        return self._start(Guest(self.store, self.consoles, name), options)

    def hvm_guest(self, name, **options):
        """Creates an HVM guest, with QEMU in dom0, as `guest` does."""
        return self._start(HVMGuest(self.store, self.consoles, name), options)

    def stub_guest(self, name):
        """Creates an HVM guest, which stays paused, with a Linux stub domain from libxl."""
        guest = HVMGuest(self.store, self.consoles, name)
        self.guests.append(guest)
        guest.create_with_stub(tries=3)
        return guest

    def _start(self, guest, options):
        guest.create(**options)
        self.guests.append(guest)
        if not options.get("paused"):
            guest.wait_up()
        return guest

    @property
    def boot(self):
        """Returns the number of this boot; the first one has 0."""
        return int(os.environ.get("LAB_BOOT") or 0)

    # Checks

    def check(self, condition, text):
        """Records a failure with the whole evidence, and continues."""
        self.checks += 1
        log("ok  " if condition else "FAIL", text)
        if not condition:
            self.fail(text)
        return bool(condition)

    def fail(self, text):
        self.failures.append(text)
        if len(self.failures) <= KEPT_FAILURES:
            self.keep(f"failure-{len(self.failures)}")

    def require(self, condition, text):
        if not self.check(condition, text):
            raise Failed(text)

    def equal(self, seen, wanted, what):
        return self.check(seen == wanted, f"{what}: {seen!r}" + ("" if seen == wanted else f", not {wanted!r}"))

    def wait(self, wait, *arguments):
        """Makes a wait that times out a failed check."""
        try:
            wait(*arguments)
            return True
        except TimedOut as error:
            return self.check(False, str(error))

    def measure(self, name, value):
        log(f"measured {name} = {value}")
        self.measures[name] = value

    def row(self, **columns):
        log("row", columns)
        self.table.append(columns)

    @staticmethod
    def rounds(usual):
        """Returns the number of rounds: the usual one, unless the runner has another."""
        return int(os.environ.get("LAB_ROUNDS") or usual)

    @staticmethod
    def now():
        """Returns seconds, for measuring."""
        return time.monotonic()

    # What all stores hold

    def claims(self):
        """Returns {address: domain number} of the nodes by which toolstacks reserve devices."""
        result = {}
        for name in self.store.list("/libxl/pci"):
            owner = self.store.read(f"/libxl/pci/{name}/domid")
            segment, bus, device, function = name.split("-")
            if owner is not None:
                result[f"{segment}:{bus}:{device}.{function}"] = int(owner)
        return result

    def entries(self, guest):
        """Returns the back end's entries, in their order; None if there is no back end."""
        count = self.store.read(guest.back_end + "/num_devs")
        if count is None:
            return None
        names = ("dev", "state", "vdev", "opts")
        return [{name: self.store.read(f"{guest.back_end}/{name}-{index}") for name in names}
                for index in range(int(count))]

    def assigned(self, addresses):
        """Returns those devices that belong to a guest according to the hypervisor."""
        ended = run("probe", "assigned", *addresses)
        return set(ended.output.split()) if ended.status == 0 else None

    def settled(self, guest, wanted, what):
        """Waits for the guest, then compares every store with `wanted`, the guest first."""
        wanted = sorted(wanted)
        log(f"-- {what}: {guest.name} should have {wanted or 'nothing'}")

        def has_them(devices):
            # A card also needs its driver, which binds a moment later.
            nics = sorted(BY_ADDRESS[address].mac for address in wanted if BY_ADDRESS[address].driver)
            return len(devices) == len(wanted) and sorted(filter(None, (d.get("mac") for d in devices))) == nics \
                or not wanted and not devices
        waited = self.wait(guest.wait_devices, has_them, f"{len(wanted)} devices, the cards with their drivers")
        if wanted:
            self.wait(guest.wait_connected)
        return self.agree(guest, wanted, what) and waited

    def agree(self, guest, wanted, what, console=True):
        """Returns whether the guest has exactly these devices according to every store."""
        before = len(self.failures)
        wanted = sorted(wanted)
        entries = self.entries(guest)
        listed = [entry["dev"] for entry in entries or []]
        self.equal(sorted(listed), wanted, f"{what}: the back end lists")
        if wanted and entries is not None:
            self.equal({entry["state"] for entry in entries}, {"3"}, f"{what}: the entries' states")
            states = self.store.read(guest.back_end + "/state"), self.store.read(guest.front_end + "/state")
            self.equal(states, ("4", "4"), f"{what}: back end and front end")
            below = self.store.list(guest.back_end)
            extra = [name for name in below if "-" in name and name.rpartition("-")[2].isdigit()
                     and int(name.rpartition("-")[2]) >= len(entries)]
            self.equal(extra, [], f"{what}: nodes beyond num_devs")
        if not wanted:
            self.equal(exists(guest.kernel_object), bool(entries is not None), f"{what}: the kernel's object of the bus")
        if console:
            self.guest_agrees(guest, entries or [], what)
        self.equal(sorted(self.pci_list(guest)), wanted, f"{what}: xl pci-list")
        self.equal(sorted(self.saved(guest.userdata())), wanted, f"{what}: libxl's saved configuration")
        self.equal(sorted(self.long_list(guest)), wanted, f"{what}: xl list -l")
        claims = sorted(address for address, owner in self.claims().items() if owner == guest.id)
        self.equal(claims, wanted, f"{what}: claims")
        # A card that a scenario has pulled is nowhere.
        for address in filter(lambda address: exists(f"/sys/bus/pci/devices/{address}"), BY_ADDRESS):
            driver = os.path.basename(os.path.realpath(f"/sys/bus/pci/devices/{address}/driver"))
            if driver != "pciback" and address not in self.on_host:
                self.check(False, f"{what}: {address} is on pciback, not on {driver}")
        return len(self.failures) == before

    def guest_agrees(self, guest, entries, what):
        """Returns whether the guest sees each device at pciback's address, with the right identity, driver and MAC."""
        wanted = []
        for entry in entries:
            device = BY_ADDRESS.get(entry["dev"])
            words = {"at": virtual_address(entry["vdev"]), "id": identity(entry["dev"])}
            if device and device.driver:
                words |= {"driver": device.driver, "mac": device.mac}
            wanted.append(words)
        seen = [dict(device) for device in guest.devices()]
        self.equal(sorted(seen, key=lambda d: d["at"]), sorted(wanted, key=lambda d: d["at"] or ""),
                   f"{what}: the guest's own list")

    def host_agrees(self, wanted, what):
        """Compares hypervisor, claims and xl's free list with `wanted`, {address: guest} of all devices in use."""
        addresses = [device.address for device in DEVICES]
        before = len(self.failures)
        self.equal(self.assigned(addresses), set(wanted), f"{what}: assigned, says the hypervisor")
        self.equal(self.claims(), {address: guest.id for address, guest in wanted.items()}, f"{what}: all claims")
        free = {line.split()[0] for line in xl("pci-assignable-list").output.splitlines() if line.strip()}
        self.equal(free, set(addresses) - set(wanted), f"{what}: xl pci-assignable-list")
        return len(self.failures) == before

    def pci_list(self, guest):
        # "05.0 0000:00:05.0", below one line of titles.
        lines = xl("pci-list", guest.name).output.splitlines()[1:]
        return [line.split()[-1] for line in lines if line.strip()]

    def long_list(self, guest):
        ended = xl("list", "-l", guest.name)
        try:
            return self.saved(json.loads(ended.output)[0]["config"])
        except (ValueError, KeyError, IndexError):
            return ["not to be read"]

    @staticmethod
    def saved(configuration):
        """Returns the addresses in a libxl configuration."""
        return [f"{d.get('domain', 0):04x}:{d.get('bus', 0):02x}:{d.get('dev', 0):02x}.{d.get('func', 0)}"
                for d in (configuration or {}).get("pcidevs", [])]

    # Evidence

    def keep(self, name):
        """Saves the stores' present content, for the analysis of a failure."""
        folder = f"{OUT}/{name}"
        os.makedirs(folder, exist_ok=True)
        programs = [(["xenstore-ls", "-fp"], "xenstore"), (["xl", "list", "-l"], "xl-list.json")]
        if shutil.which("berth"):
            programs.append((["berth", "status", "-v"], "berth-status"))
        for arguments, file in programs:
            ended = subprocess.run(arguments, capture_output=True, text=True, errors="replace", check=False)
            with open(f"{folder}/{file}", "w", encoding="utf-8") as output:
                output.write(ended.stdout + ended.stderr)
        for path in glob.glob("/var/lib/xen/userdata-*") + glob.glob("/var/lib/berth/domains/*"):
            shutil.copy(path, folder)
        for path in glob.glob("/var/log/xen/console/*") + glob.glob("/var/log/xen/*.log"):
            shutil.copy(path, folder)
        with open(f"{folder}/dom0-kernel.log", "w", encoding="utf-8") as output:
            output.write(kernel_log())


def virtual_address(vdev):
    """Returns a vdev node, "0000:00:01.00" (xen_pcibk_publish_pci_dev, Linux 6.1), in a guest's form."""
    if not vdev:
        return None
    place, _, function = vdev.rpartition(".")
    return f"{place}.{int(function, 16)}"


def identity(address):
    words = []
    for name in ("vendor", "device"):
        with open(f"/sys/bus/pci/devices/{address}/{name}", encoding="utf-8") as file:
            words.append(file.read().strip()[2:])
    return ":".join(words)
