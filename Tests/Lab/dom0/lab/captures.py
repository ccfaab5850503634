"""What stock xl and pciback write about PCI devices, beside what the tests of the sandbox have of a real host.

These fixtures are of one release. If another one writes something else, the sandbox has to know both.
"""

import glob
import os
import shutil
import subprocess

from .stand import OUT

# The runner has put the fixtures there.
FIXTURES = "/lab/captures"
PLACES = ("/local/domain/0/backend/pci", "/local/domain/1/device/pci", "/local/domain/1/error/device/pci", "/libxl/pci")


def nodes(stand, name):
    """Compares the nodes of PCI devices, in the form of `xenstore-ls -fp`, with a fixture."""
    ended = subprocess.run(["xenstore-ls", "-fp"], capture_output=True, text=True, errors="replace", check=True)
    lines = [line for line in ended.stdout.splitlines() if line.startswith(PLACES)]
    with open(place(f"{name}.txt"), "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
    with open(f"{FIXTURES}/{name}.txt", encoding="utf-8") as file:
        wanted = [line for line in file.read().splitlines() if line.startswith(PLACES)]
    stand.check(wanted, f"{name}: the fixture has {len(wanted)} nodes")
    stand.equal(sorted(set(lines) - set(wanted)), [], f"{name}: nodes that the fixture lacks")
    stand.equal(sorted(set(wanted) - set(lines)), [], f"{name}: nodes that only the fixture has")


def saved_devices(stand, guest, name):
    """Compares the devices in libxl's saved configuration with a fixture, byte for byte."""
    shutil.copy(glob.glob(f"/var/lib/xen/userdata-d.{guest.id}.{guest.uuid}.libxl-json")[0], place(f"{name}.json"))
    texts = []
    for path in (place(f"{name}.json"), f"{FIXTURES}/{name}.json"):
        with open(path, "rb") as file:
            texts.append(file.read().partition(b'"pcidevs"')[2])
    stand.check(texts[0] and texts[0] == texts[1], f"{name}: the saved devices are the fixture's")


def place(name):
    """Returns the place for a capture among the evidence."""
    os.makedirs(f"{OUT}/captures", exist_ok=True)
    return f"{OUT}/captures/{name}"
