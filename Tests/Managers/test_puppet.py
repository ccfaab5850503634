"""The example for Puppet on a sandbox, with Debian's puppet-agent, without a server."""

import os

import hosts
from hosts import LAN, USB


class Puppet(hosts.Test):
    def apply(self, *words, code=0):
        """Applies the example. Puppet ends with 2 if it has changed something, and with 4 or 6 after failures."""
        return self.run_program(
            "puppet", "apply", "--detailed-exitcodes", "--color", "false", "--confdir", self.path("conf"),
            "--vardir", self.path("var"), "--rundir", self.path("run"), "--logdir", self.path("log"),
            "--publicdir", self.path("public"), "--modulepath", self.path("modules"), *words,
            os.path.join(hosts.ROOT, "config/puppet/site.pp"), code=code, FACTER_berth_directory=self.path("manifests"))

    def test_a_manifest_is_previewed_applied_and_left_alone(self):
        directory = self.sandbox()
        source = "modules/berth/files/host.yaml"
        self.manifest({"sys-net": [LAN]}, source)
        self.environment["BERTH_SANDBOX"] = directory

        # The files that noop does not copy are missing, so the plan fails and the apply would run.
        self.assertIn("current_value 'notrun', should be ['0'] (noop)", self.apply("--noop"))
        self.assertEqual(self.held(directory), {})
        self.assertIn("executed successfully", self.apply(code=2))
        self.assertEqual(self.held(directory), {"sys-net": [LAN]})
        self.assertNotIn("Exec[berth apply]", self.apply())

        # A blocked device fails each run, and everything else is done.
        self.manifest({"sys-net": [LAN], "sys-usb": [USB]}, source, ids={LAN: "8086:ffff"})
        output = self.apply(code=6)
        self.assertIn("the manifest says 8086:ffff, but the device is 8086:1533", output)
        self.assertIn("returned 3", output)
        self.assertEqual(self.held(directory), {"sys-net": [LAN], "sys-usb": [USB]})

        # A file that Berth refuses does not replace the old one.
        with open(self.path("manifests/host.yaml"), encoding="utf-8") as file:
            before = file.read()
        self.write(source, before.replace(f'"{LAN}"', "180.0"))
        self.assertIn("is a number, not a PCI address", self.apply(code=4))
        with open(self.path("manifests/host.yaml"), encoding="utf-8") as file:
            self.assertEqual(file.read(), before)


if __name__ == "__main__":
    hosts.unittest.main()
