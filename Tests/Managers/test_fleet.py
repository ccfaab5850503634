"""The example fleet of examples/ansible, and the role of the collection: three hosts, one after the other."""

import json
import os
import shutil

import hosts
from ansibles import Play
from hosts import LAN, USB

EXAMPLE = os.path.join(hosts.ROOT, "examples/ansible")
NAMES = ("alpha", "beta", "gamma")
ALL = {"sys-net": [LAN], "sys-usb": [USB]}


class Fleet(Play):
    is_long = True

    def setUp(self):
        super().setUp()
        shutil.copytree(EXAMPLE, self.path("fleet"))
        self.environment["BERTH_FLEET"] = self.folder

    def start(self):
        self.fleet("sandboxes.yaml")

    def nothing_is_left(self):
        """The role makes a directory on each host, and removes it after success and failure."""
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("berth-")], [])

    def fleet(self, *words, code=0):
        return self.play(*words, code=code, where=self.path("fleet"))

    def host(self, name):
        return self.held(self.path(name))


class Ways:
    def test_a_failing_host_stops_the_fleet(self):
        # What fails on the second host shows only when it is applied.
        path = "fleet/scenarios/beta.yaml"
        with open(self.path(path), encoding="utf-8") as file:
            text = file.read()
        self.write(path, text + "  faults:\n    failingCalls: [{call: assign, device: 0000:06:00.0, error: EXDEV}]\n")
        self.start()
        output, results = self.fleet("fleet.yaml", code=2)
        shown = [each for each in results if each["task"].endswith("Apply the manifests")]
        self.assertEqual([(each["host"], each["kind"]) for each in shown][3:], [("alpha", "ok"), ("beta", "failed")])
        self.assertEqual(sorted(each["host"] for each in shown[:3]), list(NAMES))
        self.assertEqual(shown[4]["result"]["rc"], 6)
        self.assertEqual(output.count("+ 0000:03:00.0  lan0: 8086:1533  attach, hot"), 3)
        self.assertEqual(self.host("alpha"), ALL)
        self.assertEqual(self.host("gamma"), {})
        self.assertFalse(os.path.exists(self.path("gamma-manifests")))
        self.nothing_is_left()

    def test_a_host_that_changed_since_the_preview_stops_the_fleet(self):
        self.start()
        # Between the two plays somebody changes the second host.
        with open(self.path("fleet/fleet.yaml"), encoding="utf-8") as file:
            plays = file.read().split("\n- name: Apply")
        other = self.manifest({"sys-net": [LAN], "sys-usb": []}, "other.yaml")
        words = ["berth", "apply", "--yes", other, "--sandbox", self.path("beta")]
        task = {"name": "Somebody else", "ansible.builtin.command": {"argv": words}}
        between = {"hosts": "beta", "gather_facts": False, "tasks": [task]}
        self.write("fleet/fleet.yaml", f"{plays[0]}\n- {json.dumps(between)}\n- name: Apply{plays[1]}")
        _, results = self.fleet("fleet.yaml", code=2)
        last = [each for each in results if each["task"].endswith("Apply the manifests")][-1]
        self.assertEqual((last["host"], last["result"]["stale"]), ("beta", True))
        self.assertEqual([self.host(name) for name in NAMES], [ALL, {"sys-net": [LAN]}, {}])

    def test_a_host_that_is_not_reached_leaves_all_hosts_as_they_are(self):
        # No file can be copied to it. Its directory cannot be removed, either.
        self.write("fleet/host_vars/beta.yaml", "ansible_remote_tmp: /proc/none\n")
        self.start()
        output, _ = self.fleet("fleet.yaml", code=None)
        self.assertIn("unreachable=1", output)
        for name in NAMES:
            self.assertEqual(self.host(name), {})

    def test_a_preview_that_fails_leaves_all_hosts_as_they_are(self):
        path = "fleet/manifests/gamma.yaml"
        with open(self.path(path), encoding="utf-8") as file:
            text = file.read()
        self.write(path, text.replace("1912:0014", "1912:0015"))
        self.start()
        self.fleet("fleet.yaml", code=2)
        for name in NAMES:
            self.assertEqual(self.host(name), {})
            self.assertFalse(os.path.exists(self.path(name + "-manifests")))

        # A manifest that Berth refuses is found before anything is copied or planned.
        self.write(path, text.replace('"0000:03:00.0"', "0000:03:00.0").replace("0000:03:00.0", "180.0"))
        output, _ = self.fleet("fleet.yaml", "--limit", "gamma", code=2)
        self.assertIn("it was probably 0000:03:00.0", output)
        self.assertFalse(os.path.exists(self.path("gamma-manifests")))
        self.nothing_is_left()


class Oldest(Ways, Fleet):
    ansible = "ansible-2.14"


class Role(Fleet):
    def test_the_role_takes_the_files_of_the_host_for_what_it_has(self):
        self.start()
        manifests = self.path("alpha-manifests")
        extra = json.dumps({"berth_manifests": [self.manifest({"sys-net": [LAN]}, "one.yaml")]})
        _, results = self.fleet("fleet.yaml", "--limit", "alpha", "--extra-vars", extra)
        self.assertEqual(self.host("alpha"), {"sys-net": [LAN]})
        # A second file is planned and applied together with the first one.
        more = {"berth_manifests": [self.manifest({"sys-usb": [USB]}, "two.yaml")]}
        _, results = self.fleet("fleet.yaml", "--limit", "alpha", "--check", "--extra-vars", json.dumps(more))
        self.assertEqual(os.listdir(manifests), ["one.yaml"])
        plans = [each["result"]["plan"] for each in results if each["task"].endswith("Apply the manifests")]
        self.assertEqual([plan["summary"]["attach"] for plan in plans], [1, 1])
        self.fleet("fleet.yaml", "--limit", "alpha", "--extra-vars", json.dumps(more))
        self.assertEqual(self.host("alpha"), ALL)
        # A file goes when it is named, and with it its device.
        more.update(berth_removed_manifests=["one.yaml"], berth_allow_removals=True)
        _, results = self.fleet("fleet.yaml", "--limit", "alpha", "--extra-vars", json.dumps(more))
        self.assertEqual(os.listdir(manifests), ["two.yaml"])
        self.assertEqual(self.host("alpha"), {"sys-usb": [USB]})
        # A file that Berth refuses does not replace the old one, even without a preview.
        with open(os.path.join(manifests, "two.yaml"), encoding="utf-8") as file:
            text = file.read()
        play = {"hosts": "alpha", "roles": ["berth.xen.host"], "gather_facts": False}
        self.write("fleet/role.yaml", json.dumps([play]))
        bad = {"berth_manifests": [self.write("bad/two.yaml", text.replace(f'"{USB}"', "360.0"))]}
        output, _ = self.fleet("role.yaml", "--extra-vars", json.dumps(bad), code=2)
        self.assertIn("'360.0' is a number, not a PCI address", output)
        with open(os.path.join(manifests, "two.yaml"), encoding="utf-8") as file:
            self.assertEqual(file.read(), text)
        self.nothing_is_left()


    def test_the_role_installs_a_package(self):
        self.start()
        # A preview installs nothing, so the test leaves the machine as it is.
        self.write("package/DEBIAN/control", (
            "Package: berth-no-such-package\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b>\nDescription: none\n"))
        self.run_program("dpkg-deb", "--build", "--root-owner-group", self.path("package"), self.path("new.deb"))
        for package, task, changed in (("", None, None), ("base-files", "Install the package", False),
                                       (self.path("new.deb"), "Install the package file", True)):
            words = ["--limit", "alpha", "--check", "--extra-vars", json.dumps({"berth_package": package})]
            _, results = self.fleet("fleet.yaml", *words)
            done = [(each["task"].removeprefix("berth.xen.host : "), each["result"]["changed"]) for each in results
                    if " : Install the package" in each["task"]]
            self.assertEqual(done, [(task, changed)] * 2 if task else [])


class Newest(Ways, Fleet):
    ansible = "ansible-newest"


if __name__ == "__main__":
    hosts.unittest.main()
