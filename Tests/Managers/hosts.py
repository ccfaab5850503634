"""What the tests of the configuration managers have in common: sandboxes, manifests and programs."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = os.path.join(ROOT, ".build/managers")
PROGRAMS = os.path.join(ROOT, ".build/debug")
COLLECTIONS = os.path.join(ROOT, "config/ansible")
DEADLINE_SECONDS = 300
ANSIBLES = ("ansible-2.14", "ansible-newest")

LAN, USB, NVME = "0000:03:00.0", "0000:06:00.0", "0000:04:00.0"
IDS = {LAN: "8086:1533", USB: "1912:0014", NVME: "144d:a80a"}

SCENARIO = """
apiVersion: berth/v1alpha1
kind: SandboxScenario
metadata: {name: %(name)s}
spec:
  devices:
    - {address: "0000:03:00.0", id: "8086:1533", irq: 16, resources: [memory 0xa1200000-0xa121ffff]}
    - {address: "0000:06:00.0", id: "1912:0014", class: 0c0330, irq: 17}
    - {address: "0000:04:00.0", id: "144d:a80a", class: "010802", irq: 18}
  domains:
    - {name: sys-net, domid: 1, answers: %(answers)s%(devices)s}
    - {name: sys-usb, domid: 2}
"""


def tool(environment, name):
    """Returns the path of a program that `Scripts/managers.py` has installed."""
    return os.path.join(TOOLS, environment, "bin", name)


def environment(folder, **more):
    """Returns an environment in which programs write only below `folder`, and find the built `berth`."""
    kept = {name: os.environ[name] for name in ("BERTH_TEST_RUN",) if name in os.environ}
    path = os.pathsep.join([PROGRAMS, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    return dict(kept, PATH=path, HOME=folder, TMPDIR=folder, LC_ALL="C.UTF-8", NO_COLOR="1",
                PYTHONDONTWRITEBYTECODE="1", **more)


class Test(unittest.TestCase):
    """A test with a folder of its own, which goes with all that it started."""

    # Whether only `make managers` runs it.
    is_long = False

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="m-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.stop_sandboxes)
        self.environment = environment(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_program(self, *words, code=0, where=None, **environment):
        """Runs a program, wants its exit code, and returns its output and its messages together."""
        words = [str(word) for word in words]
        result = subprocess.run(
            words, cwd=where or self.folder, env=dict(self.environment, **environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE_SECONDS, check=False,
            text=True, encoding="utf-8")
        if code is not None:
            self.assertEqual(result.returncode, code, f"{' '.join(words)}\n{result.stdout}")
        return result.stdout

    def sandbox(self, name="host", answers="normal", devices=(), scenario=None):
        """Starts a sandbox of two guests and three free devices, and returns its directory."""
        directory = self.path(name)
        had = f", devices: {json.dumps(list(devices))}" if devices else ""
        text = scenario or SCENARIO % {"name": name, "answers": answers, "devices": had}
        self.run_program("berth", "sandbox", "start", self.write(name + ".scenario", text), "--sandbox", directory)
        return directory

    def stop_sandboxes(self):
        """Stops all sandboxes in the test's folder, whoever started them."""
        for directory in [parent for parent, _, names in os.walk(self.folder) if "sandbox.json" in names]:
            self.run_program("berth", "sandbox", "stop", "--sandbox", directory, code=None)

    def manifest(self, devices, name="manifest.yaml", ids={}):
        """Writes a manifest: {domain: [address]}. `ids` says which devices have other ids than those of the sandbox."""
        declared = {
            domain: {"devices": [{"address": address, "id": ids.get(address, IDS[address])} for address in addresses]}
            for domain, addresses in devices.items()}
        text = {"apiVersion": "berth/v1alpha1", "kind": "HostAssignments", "spec": {"domains": declared}}
        return self.write(name, "---\n" + json.dumps(text) + "\n")

    def held(self, directory):
        """Returns what the kernels of the guests have: {domain: [address]}, without guests that have nothing."""
        status = self.run_program("berth", "sandbox", "status", "--sandbox", directory, "-o", "json")
        return devices_in(json.loads(status))


def devices_in(status):
    """Returns what a document of `berth sandbox status` says of the kernels of guests: {domain: [address]}."""
    found = {domain["name"]: sorted(domain["guestDevices"].values()) for domain in status["domains"]}
    return {name: addresses for name, addresses in found.items() if addresses}
