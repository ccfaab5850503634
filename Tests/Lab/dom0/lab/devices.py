"""The PCI devices of the lab that may be passed through: what QEMU emulates, and what a guest should report."""


class Device:
    """A device at an address of dom0, with QEMU's arguments for it and, for a network card, driver and MAC."""

    IDS = {"e1000": "8086:100e", "e1000e": "8086:10d3", "edu": "1234:11e8"}

    def __init__(self, address, qemu, driver=None, multifunction=False):
        self.address = "0000:" + address
        self.id = self.IDS[qemu]
        self.driver = driver
        bus, slot = address.split(":")
        self.mac = f"52:54:00:{bus}:{slot[:2]}:00" if driver else None
        place = f"bus=port{int(bus)},id=card{int(bus)}" if bus != "00" else f"addr={slot}"
        # Function 0 says that the slot has others.
        if bus == "00" and multifunction:
            place += ",multifunction=on"
        self.arguments = ["-device", ",".join([qemu, place] + ([f"mac={self.mac}"] if self.mac else []))]


# Each device has its own bus, as a card in a slot does. Buses are numbered in this order.
ROOT_PORTS = ["-device", "pcie-root-port,id=port1,chassis=1,slot=1,addr=10.0",
              "-device", "pcie-root-port,id=port2,chassis=2,slot=2,addr=11.0"]

# No driver knows `edu`, QEMU's device for teaching. A guest only sees it appear and disappear.
DEVICES = [
    Device("00:05.0", "e1000", "e1000"),
    Device("00:06.0", "e1000", "e1000"),
    Device("00:07.0", "edu"),
    Device("00:08.0", "edu"),
    Device("00:09.0", "edu"),
    Device("00:0a.0", "edu"),
    Device("00:0b.0", "edu"),
    Device("00:0c.0", "edu"),
    Device("00:0d.0", "edu"),
    Device("00:0e.0", "edu"),
    # Two functions of one slot. QEMU wants function 0 last, also on its command line.
    Device("00:0f.1", "edu"),
    Device("00:0f.0", "edu", multifunction=True),
    Device("01:00.0", "e1000e", "e1000e"),
    Device("02:00.0", "e1000e", "e1000e"),
]
BY_ADDRESS = {device.address: device for device in DEVICES}
NICS = [device.address for device in DEVICES if device.driver]
PLAIN = [device.address for device in DEVICES if not device.driver]


def qemu_arguments():
    return ROOT_PORTS + [argument for device in DEVICES for argument in device.arguments]
