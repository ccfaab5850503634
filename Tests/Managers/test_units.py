"""The units of systemd: whether systemd understands them, and whether Berth understands what they run."""

import os
import shlex

import hosts

FOLDER = os.path.join(hosts.ROOT, "config/systemd")


def settings(name):
    """Returns the settings of a unit: {key: [value]}."""
    found = {}
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        for line in file:
            key, equals, value = line.strip().partition("=")
            if equals and not key.startswith("#"):
                found.setdefault(key, []).append(value)
    return found


class Units(hosts.Test):
    def verify(self, names, edit=lambda text: text, code=0):
        """Lets systemd check units, with a program in Berth's place that is there. Returns what it says."""
        paths = []
        for name in names:
            with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
                paths.append(self.write("units/" + name, edit(file.read().replace("/usr/bin/berth", "/bin/true"))))
        return self.run_program("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *paths, code=code)

    def test_systemd_understands_the_units(self):
        names = sorted(os.listdir(FOLDER))
        self.assertEqual(names, ["berth-apply.service", "berth-pull.service", "berth-pull.timer"])
        self.assertEqual(self.verify(names), "")
        said = self.verify(names, edit=lambda text: text.replace("RandomizedDelaySec=", "RandomDelay=").replace(
            "ProtectHome=", "ProtectHomes="), code=None)
        # Releases of systemd differ in the words, and in the exit code.
        for key in ("ProtectHomes", "RandomDelay"):
            self.assertRegex(said, f"Unknown key.*'{key}'")

    def test_both_services_wait_for_the_same_units(self):
        def after(name):
            return {unit for value in settings(name)["After"] for unit in value.split()}
        apply, pull = after("berth-apply.service"), after("berth-pull.service")
        self.assertLessEqual(apply, pull)
        # A unit that is required and missing would fail the start.
        for name in os.listdir(FOLDER):
            self.assertFalse({"Requires", "BindsTo", "Requisite"} & set(settings(name)))

    def test_nothing_pulls_before_somebody_has_enabled_it(self):
        self.assertNotIn("WantedBy", settings("berth-pull.service"))
        self.assertEqual(settings("berth-pull.timer")["WantedBy"], ["timers.target"])

    def test_the_service_does_what_its_file_says(self):
        sandbox = self.sandbox()
        self.manifest({"sys-net": [hosts.LAN]}, name="fleet/hosts/manifest.yaml")
        git = ["git", "-C", self.path("fleet"), "-c", "user.name=A", "-c", "user.email=a@b"]
        for words in (["init", "--quiet", "--initial-branch=main"], ["add", "--all"], ["commit", "--quiet", "-m", "x"]):
            self.run_program(*git, *words, GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null")
        file = self.write("pull.yaml", "apiVersion: berth/v1alpha1\nkind: PullSource\nspec:\n"
                          f"  url: file://{self.path('fleet')}\n  branch: main\n  directory: hosts\n")
        command, = settings("berth-pull.service")["ExecStart"]
        self.assertEqual(settings("berth-pull.service")["ConditionPathExists"], ["/etc/berth-pull.yaml"])
        words = shlex.split(command.replace("/etc/berth-pull.yaml", file).replace("/usr/bin/berth", "berth"))
        for _ in range(2):
            self.run_program(*words, BERTH_SANDBOX=sandbox)
        self.assertEqual(self.held(sandbox), {"sys-net": [hosts.LAN]})


if __name__ == "__main__":
    hosts.unittest.main()
