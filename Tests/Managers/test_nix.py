"""The NixOS module: parsed and evaluated by Debian's Nix, without nixpkgs. What it would build is run by a shell."""

import json
import os

import hosts
from hosts import LAN


class Nix(hosts.Test):
    def setUp(self):
        super().setUp()
        self.environment.update({f"NIX_{name}_DIR": self.path("nix/" + name.lower())
                                 for name in ("STORE", "STATE", "LOG", "LOCALSTATE", "CONF")})

    def instantiate(self, *words):
        # Nix warns of a group that only builds need.
        return self.run_program("nix-instantiate", "--option", "build-users-group", "", *words)

    def test_the_module_makes_manifests_that_are_applied_when_the_system_starts(self):
        module = os.path.join(hosts.ROOT, "config/nix/berth.nix")
        self.assertIn("services", self.instantiate("--parse", module))
        package = os.path.dirname(hosts.PROGRAMS)
        text = self.instantiate(
            "--eval", "--read-write-mode", "--strict", "--json", "--argstr", "package", package,
            "--arg", "module", module, os.path.join(hosts.ROOT, "Tests/Managers/stand-ins.nix"))
        config = json.loads(text[text.index("{"):])
        build = config["environment"]["etc"]["berth"]["source"]
        unit = config["systemd"]["services"]["berth-apply"]
        self.assertEqual(unit["restartTriggers"], [build])
        self.assertEqual(unit["serviceConfig"]["ExecStart"], f"{package}/bin/berth apply --yes {build}")

        # The build checks the manifests, and what it makes is a manifest for the host.
        script = build.split("\n", 1)[1]
        self.run_program("bash", "-euc", script, out=self.path("out"))
        directory = self.sandbox()
        self.run_program("berth", "apply", "--yes", self.path("out"), "--sandbox", directory)
        self.assertEqual(self.held(directory), {"sys-net": [LAN]})

        # A manifest that Berth refuses ends the build.
        bad = self.write("bad.yaml", "apiVersion: berth/v1alpha1\nkind: HostAssignments\n")
        source = next(word for word in script.split() if word.endswith("host.yaml"))
        output = self.run_program("bash", "-euc", script.replace(source, bad, 1), out=self.path("other"), code=65)
        self.assertIn("error", output)

    def test_the_unit_is_that_of_other_systems(self):
        with open(os.path.join(hosts.ROOT, "config/systemd/berth-apply.service"), encoding="utf-8") as file:
            lines = [line.strip() for line in file]
        with open(os.path.join(hosts.ROOT, "config/nix/berth.nix"), encoding="utf-8") as file:
            module = file.read()
        # A line of the unit, and the same in the module.
        for key, form in (("After", '"%s"'), ("Before", '"%s"'), ("Description", '"%s"'), ("Type", '"%s"'),
                          ("TimeoutStartSec", '"%s"')):
            value = next(line for line in lines if line.startswith(key + "="))[len(key) + 1:]
            words = value.split() if key in ("After", "Before") else [value]
            for word in words:
                # Only Debian has this one.
                if word != "xen.service":
                    self.assertIn(form % word, module)


if __name__ == "__main__":
    hosts.unittest.main()
