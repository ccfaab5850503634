"""How a card is bound in dom0, and whether its driver there can use it."""

import os
import socket

from .programs import Answer, exists, run
from .waiting import wait

PCI = "/sys/bus/pci"
PCIBACK = f"{PCI}/drivers/pciback"
PACKETS_SECONDS = 60


def release(address):
    return Answer(run("berth", "release", address, "--yes", "--output", "json"))


def driver(address):
    """Returns the name of the driver that has the card; None if none has."""
    path = f"{PCI}/devices/{address}/driver"
    return os.path.basename(os.path.realpath(path)) if exists(path) else None


def override(address):
    return read(f"{PCI}/devices/{address}/driver_override").strip()


def record(address):
    return exists(f"/var/lib/berth/devices/{address}.json")


def noted(stand, address):
    """Returns libxl's note of the driver that the card had."""
    return stand.store.read("/libxl/pci/" + address.replace(":", "-").replace(".", "-") + "/driver_path")


def slots():
    """Returns what pciback claims whenever it is offered."""
    return read(f"{PCIBACK}/slots").split()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    """Writes into a file of sysfs, as `echo` does; returns the error's name, None if there is none."""
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        return None
    except OSError as error:
        return error.strerror


class Line:
    """The network interface of a card that dom0's driver has."""

    def __init__(self, address):
        folder = f"{PCI}/devices/{address}/net"
        self.name = os.listdir(folder)[0]
        self.counter = f"{folder}/{self.name}/statistics/tx_packets"

    def __enter__(self):
        run("ip", "link", "set", self.name, "up")
        run("ip", "address", "replace", "192.0.2.1/24", "dev", self.name)
        self.before = self.sent()
        return self

    def __exit__(self, *_):
        run("ip", "address", "flush", "dev", self.name)
        run("ip", "link", "set", self.name, "down")

    def sent(self):
        return int(read(self.counter))

    def has_sent(self):
        """Sends a packet. Returns whether the card has sent one since it is up."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            try:
                line.sendto(b"berth", ("192.0.2.255", 9))
            except OSError:  # The link is not up yet.
                return False
        return self.sent() > self.before


def at_home(stand, address, what, record=False):
    """The driver has the card, nothing else is left, and the card carries packets: it is not in quarantine."""
    kept = exists(f"/var/lib/berth/devices/{address}.json")
    stand.equal((driver(address), override(address), kept, noted(stand, address)), ("e1000", "(null)", record, None),
                f"{what}: with its driver, as if nothing had been")
    stand.check(address not in slots(), f"{what}: pciback does not claim it")
    carries(stand, address, what)


def carries(stand, address, what):
    """The card sends packets within the time."""
    with Line(address) as line:
        stand.wait(lambda: wait([], None, line.has_sent, PACKETS_SECONDS, f"{what}: {line.name} has sent packets"))
