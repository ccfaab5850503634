"""HVM guests: QEMU shows them their devices. QEMU runs in a stub domain, or in dom0 beside a PV domain in its place."""

import json
import re
import socket
import threading

from .devices import BY_ADDRESS
from .guests import HVM, Guest
from .programs import apply, exists, log, run, xl
from .waiting import Folder, Store, TimedOut

# In emulation, booting as a PC takes several times as long as a PV guest's start.
BOOT_SECONDS = 900
QMP_SECONDS = 60
LOGS = "/var/log/xen"
E1000, PLAIN, OTHER = "0000:00:05.0", "0000:00:07.0", "0000:00:08.0"
# QEMU 10 takes 384 MiB at once when it starts.
STUB = """\
device_model_version = "qemu-xen"
device_model_stubdomain_override = 1
stubdomain_kernel = "/guest/vmlinux"
stubdomain_ramdisk = "/guest/stub.cpio.gz"
stubdomain_cmdline = "console=hvc0 loglevel=5 mitigations=off nokaslr"
stubdomain_memory = 640
"""
# libxl gives a stub domain three consoles, the last one without a destination unless a guest is restored. From QEMU 8.2
# on, dom0's QEMU takes that destination from its own arguments, or does not make the console (`xen_console_device_create`,
# hw/char/xen_console.c). The stub domain's kernel then waits half a minute for it.
CONSOLES_FOR_QEMU = 'device_model_args_pv = ["-serial", "null", "-serial", "null", "-serial", "null"]\n'


class HVMGuest(Guest):
    """An HVM domain, or one whose devices go through a stub domain."""

    kind = HVM
    boot_seconds = BOOT_SECONDS
    stub = None

    def through(self, stub):
        """Makes a PV guest look like this guest's stub domain to toolstacks. QEMU stays in dom0."""
        self.stub = stub
        self.store.write(f"/local/domain/{self.id}/image/device-model-domid", str(stub.id))
        self.store.write(f"/local/domain/{stub.id}/target", str(self.id))

    def create_with_stub(self, tries):
        """Creates the guest paused, with a Linux stub domain from libxl. libxl's limit of 30 s may be too short."""
        rest = STUB + (CONSOLES_FOR_QEMU if qemu_version() >= (8, 2) else "")
        for left in reversed(range(tries)):
            try:
                with StubConsole(f"{self.name}-dm"):
                    self.create(paused=True, rest=rest)
                break
            except RuntimeError:
                if not left:
                    raise
        # QEMU in dom0 keeps the stub domain's console.
        self.stub = Guest(self.store, Folder(LOGS), f"{self.name}-dm")
        self.stub.log = f"{LOGS}/qemu-dm-{self.name}.log"
        self.stub.find()

    @property
    def bus(self):
        """Returns the domain whose back end has the devices."""
        return self.stub or self

    def ask(self, *commands):
        """Returns QEMU's answer to the last of these commands, each a name or (name, arguments)."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(QMP_SECONDS)
            line.connect(f"/var/run/xen/qmp-libxl-{self.id}")
            with line.makefile("rw", encoding="utf-8", newline="\r\n") as file:
                file.readline()
                for command in ("qmp_capabilities", *commands):
                    name, arguments = command if isinstance(command, tuple) else (command, {})
                    file.write(json.dumps({"execute": name, "arguments": arguments, "id": name}) + "\r\n")
                    file.flush()
                    answer = {}
                    while answer.get("id") != name:
                        answer = json.loads(file.readline())
        return answer

    def emulated(self):
        """Returns {QEMU's name: "slot.function"} of the named devices that QEMU shows the guest."""
        found = {}
        for bus in self.ask("query-pci")["return"]:
            for device in bus["devices"]:
                if device["qdev_id"]:
                    found[device["qdev_id"]] = f"{device['slot']:02x}.{device['function']}"
        log(f"QEMU shows {self.name}: {found}")
        return found

    def unplug(self, address):
        """Makes QEMU remove a device, without any toolstack, and waits until the guest has released it."""
        before = len(self.passed())
        log("device_del:", self.ask(("device_del", {"id": qemu_name(address)})))
        self.wait_devices(lambda _: len(self.passed()) < before, "one device less", BOOT_SECONDS)
        self.store.wait([self.back_end], lambda: qemu_name(address) not in self.emulated(), QMP_SECONDS, "QEMU has it no more")

    def passed(self):
        """Returns the guest's report about the lab's devices, without a PC's own devices."""
        ids = {device.id for device in BY_ADDRESS.values()}
        return [device for device in self.devices() if device["id"] in ids]


class StubConsole:
    """Has dom0's QEMU read a stub domain's first console while the stub domain starts.

    From QEMU 8.2 on, QEMU reads a console only if its front end has said that it is connected (`con_event`). The first
    console of a PV domain has no front end that says so, and the domain stops when its ring is full, after 2 KiB.
    """

    def __init__(self, name):
        self.name, self.ended = name, False
        self.thread = threading.Thread(target=self._connect) if qemu_version() >= (8, 2) else None

    def __enter__(self):
        if self.thread:
            self.thread.start()

    def __exit__(self, *_):
        self.ended = True
        if self.thread:
            self.thread.join()

    def _connect(self):
        store = Store()

        def waiting():
            for number in store.list("/local/domain"):
                if store.read(f"/local/domain/{number}/name") == self.name and \
                        store.read(f"/local/domain/0/backend/console/{number}/0/state") == "2":
                    return number
            return self.ended
        try:
            number = store.wait(["/local/domain"], waiting, BOOT_SECONDS, f"QEMU has the console of {self.name}")
        except TimedOut as error:
            log(error)
            return
        if number is not True:
            store.write(f"/local/domain/{number}/console/state", "4")
            log(f"the console of {self.name}, domain {number}, is connected")


def qemu_version():
    """Returns the version of the QEMU that runs in dom0, such as (7, 2)."""
    found = re.search(r"version (\d+)\.(\d+)", run("/usr/libexec/xen-qemu-system-i386", "--version").output)
    return tuple(map(int, found.groups())) if found else (0, 0)


def qemu_name(address):
    _, bus, place = address.split(":")
    return f"pci-pt-{bus}_{place}"


def settled(stand, guest, wanted, what, console=True):
    """Compares every store with `wanted`: the guest first, then QEMU, then the rest."""
    wanted = sorted(wanted)
    emulated = guest.emulated()
    stand.equal(sorted(emulated), sorted(map(qemu_name, wanted)), f"{what}: QEMU shows")
    if console:
        places = sorted(f"0000:00:{place}" for place in emulated.values())

        def has_them(_):
            return sorted(device["at"] for device in guest.passed()) == places
        stand.wait(guest.wait_devices, has_them, f"{len(wanted)} devices where QEMU shows them", BOOT_SECONDS)

        def has_drivers(_):
            macs = sorted(BY_ADDRESS[address].mac for address in wanted if BY_ADDRESS[address].driver)
            return sorted(filter(None, (device.get("mac") for device in guest.passed()))) == macs
        stand.wait(guest.wait_devices, has_drivers, "the cards with their drivers", BOOT_SECONDS)
    bus = guest.bus
    entries = stand.entries(bus)
    stand.equal(sorted(entry["dev"] for entry in entries or []), wanted, f"{what}: the back end lists")
    if wanted:
        stand.equal({entry["state"] for entry in entries or []}, {"3"}, f"{what}: the entries' states")
        state = stand.store.read(bus.back_end + "/state")
        stand.equal(state, "4" if guest.stub else "3", f"{what}: the back end's state")
    else:
        stand.equal(exists(bus.kernel_object), entries is not None, f"{what}: the kernel's object of the bus")
    saved = guest.userdata()
    stand.equal(sorted(stand.saved(saved)), wanted, f"{what}: libxl's saved configuration")
    slots = {address: device.get("vdevfn", 0) >> 3
             for address, device in zip(stand.saved(saved), (saved or {}).get("pcidevs", []))}
    stand.equal(slots, {address: int(emulated.get(qemu_name(address), "0").split(".")[0], 16) for address in wanted},
                f"{what}: the slots that are saved")
    if not guest.stub:
        # For a guest with a stub domain, libxl looks for the devices in a wrong place.
        stand.equal(sorted(stand.pci_list(guest)), wanted, f"{what}: xl pci-list")
    claims = sorted(address for address, owner in stand.claims().items() if owner == guest.id)
    stand.equal(claims, wanted, f"{what}: claims")
    addresses = list(BY_ADDRESS)
    stand.equal(stand.assigned(addresses), set(wanted), f"{what}: assigned, says the hypervisor")
    run("berth", "status")


def through_stub(stand, guest):
    """Attaches devices through a stub domain, first before the guest runs and then while it runs; detaches them."""

    def step(wanted, what, console):
        answer = apply({guest.name: wanted})
        stand.require(answer.status == 0, f"{what}: exit status {answer.status}")
        stand.equal(set(answer.results().values()), {"done"}, f"{what}: results")
        # The stub domain's kernel, on its own console.
        stand.wait(guest.stub.wait_devices, lambda devices: len(devices) == len(wanted), f"{len(wanted)} through pcifront")
        if wanted:
            stand.wait(guest.stub.wait_connected)
        settled(stand, guest, wanted, what, console=console)

    step([E1000], "cold", console=False)
    step([E1000, PLAIN], "cold, a second one", console=False)
    stand.equal(apply({guest.name: [E1000, PLAIN]}).document.get("changed"), False, "once more: nothing")
    xl("unpause", guest.name)
    guest.wait_up()
    settled(stand, guest, [E1000, PLAIN], "started")
    step([E1000, PLAIN, OTHER], "hot", console=True)
    step([PLAIN], "two detached", console=True)
    step([], "all detached", console=True)
    stand.wait(guest.stub.wait_gone)
