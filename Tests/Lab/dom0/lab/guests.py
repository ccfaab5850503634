"""PV guests: how one is created, and what it reports about itself."""

import glob
import json
import sys

from .programs import exists, log, xl
from .waiting import CONSOLES, Folder, Store

BOOT_SECONDS = 180
PCI_SECONDS = 90

CONFIGURATION = """\
name = "{name}"
ramdisk = "/guest/guest.cpio.gz"
vcpus = 1
"""
PV = """\
type = "pv"
kernel = "/guest/vmlinux"
extra = "console=hvc0 loglevel=5 mitigations=off nokaslr sysrq_always_enabled {extra}"
memory = 128
"""
# A scan of every possible bus, and a measured clock, would take minutes of emulation.
HVM = """\
type = "hvm"
kernel = "/guest/vmlinuz"
extra = "console=hvc0 loglevel=5 mitigations=off nokaslr pci=noearly tsc=reliable {extra}"
memory = 256
vga = "none"
vnc = 0
usb = 0
"""


class Guest:
    """A domain of the lab, identified by its name. Its number changes when it reboots."""

    kind = PV
    boot_seconds = BOOT_SECONDS

    def __init__(self, store, consoles, name):
        self.store, self.consoles, self.name = store, consoles, name
        self.id = None
        self.uuid = None
        self.log = f"{CONSOLES}/guest-{name}.log"

    def configure(self, passthrough=True, pcifront=True, rest="", folder="/run/lab"):
        """Writes the guest's configuration, and returns its path. `passthrough=False` leaves the guest permanently without
        an IOMMU."""
        path = f"{folder}/{self.name}.cfg"
        rest = ('passthrough = "enabled"\n' if passthrough else "") + rest
        extra = "" if pcifront else "lab_no_pcifront=1"
        with open(path, "w", encoding="utf-8") as file:
            file.write((CONFIGURATION + self.kind).format(name=self.name, extra=extra) + rest)
        return path

    def create(self, paused=False, **options):
        """Starts the guest, with xl's output in the log. The options are those of `configure`."""
        path = self.configure(**options)
        ended = xl("create", "-q", *(["-p"] if paused else []), path)
        if ended.status:
            raise RuntimeError(f"{self.name} could not be created: {ended.errors}")
        self.find()
        return self

    def find(self):
        """Looks up the number and the UUID; both are None if the domain does not exist."""
        self.id = self.uuid = None
        for number in self.store.list("/local/domain"):
            if number != "0" and self.store.read(f"/local/domain/{number}/name") == self.name:
                self.id = int(number)
                self.uuid = (self.store.read(f"/local/domain/{number}/vm") or "").rpartition("/")[2]
        log(f"{self.name} is domain {self.id}, {self.uuid}")
        return self.id

    @property
    def back_end(self):
        return f"/local/domain/0/backend/pci/{self.id}/0"

    @property
    def front_end(self):
        return f"/local/domain/{self.id}/device/pci/0"

    @property
    def kernel_object(self):
        return f"/sys/bus/xen-backend/devices/pci-{self.id}-0"

    def userdata(self):
        """Returns libxl's saved configuration; None if there is none."""
        files = glob.glob(f"/var/lib/xen/userdata-d.{self.id}.{self.uuid}.libxl-json")
        if not files:
            return None
        with open(files[0], encoding="utf-8") as file:
            return json.loads(file.read().rstrip("\0"))

    # What the guest reports

    def console(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return file.read().replace("\r", "")
        except FileNotFoundError:
            return ""

    def reports(self):
        """Returns every list of PCI devices that the guest has printed, oldest first."""
        found = []
        for line in self.console().split("\n")[:-1]:
            # The line may begin with a message of the kernel.
            _, mark, text = line.partition("lab-pci ")
            if mark:
                try:
                    found.append(json.loads(text))
                except ValueError:
                    log("a line of the console is torn:", line)
        return found

    def devices(self):
        """Returns the last list of devices."""
        reports = self.reports()
        return reports[-1] if reports else []

    def wait_up(self):
        """Waits until the guest has loaded its modules and examined its bus."""
        self.consoles.wait(lambda: self.reports(), self.boot_seconds, f"{self.name} has started")
        return self

    def wait_devices(self, condition, what, seconds=PCI_SECONDS):
        """Waits until the guest's report fulfils a condition."""
        return self.consoles.wait(lambda: condition(self.devices()), seconds, f"{self.name} sees {what}")

    # What the stores hold

    def wait_connected(self, seconds=PCI_SECONDS):
        """Waits until the bus is at rest and connected at both ends."""
        paths = [self.back_end + "/state", self.front_end + "/state"]
        return self.store.wait(
            paths, lambda: all(self.store.read(path) == "4" for path in paths), seconds,
            f"{self.name}'s bus is connected")

    def wait_gone(self, seconds=PCI_SECONDS):
        """Waits until neither dom0's kernel nor xenstore has a bus of the guest."""
        return self.store.wait(
            [self.back_end], lambda: self.store.read(self.back_end + "/state") is None
            and not exists(self.kernel_object), seconds, f"{self.name}'s bus is gone")

    def destroy(self):
        """Destroys the domain, and waits until its number is gone."""
        if self.id is not None:
            self.ask_to_destroy()
            self.wait_destroyed()

    def ask_to_destroy(self):
        """Returns how `xl destroy` of the domain ended."""
        return xl("destroy", str(self.id))

    def wait_destroyed(self):
        """Waits until the domain's number is gone."""
        number = self.id
        self.store.wait(
            ["@releaseDomain"], lambda: self.store.read(f"/local/domain/{number}/name") is None
            and not exists(self.kernel_object), PCI_SECONDS, f"{self.name} is destroyed")
        self.find()


def main(name, *options):
    Guest(Store(), Folder(), name).create(paused="-p" in options)


if __name__ == "__main__":
    main(*sys.argv[1:])
