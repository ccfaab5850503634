"""The hooks for pre-commit, tried on repositories of git."""

import os
import shutil

import hosts
from hosts import LAN, USB


class PreCommit(hosts.Test):
    def setUp(self):
        super().setUp()
        self.environment.update(
            PRE_COMMIT_HOME=self.path("cache"), GIT_CONFIG_GLOBAL=self.path("gitconfig"), GIT_CONFIG_NOSYSTEM="1",
            GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="A", GIT_COMMITTER_EMAIL="a@b")
        # pre-commit clones the repository of the hooks, of which it needs only this file.
        self.git("hooks", ".pre-commit-hooks.yaml")

    def git(self, name, *files):
        """Makes a repository with files of the top of this one."""
        folder = self.path(name)
        os.makedirs(folder, exist_ok=True)
        self.run_program("git", "init", "--quiet", "--initial-branch", "main", folder)
        for file in files:
            shutil.copy(os.path.join(hosts.ROOT, file), folder)
        self.commit(name)
        return folder

    def commit(self, name):
        self.run_program("git", "add", "--all", where=self.path(name))
        self.run_program("git", "commit", "--quiet", "--allow-empty", "--message", "State", where=self.path(name))

    def try_hook(self, hook, *words, code=0):
        self.run_program("git", "add", "--all", where=self.path("fleet"))
        return self.run_program(
            hosts.tool("pre-commit", "pre-commit"), "try-repo", self.path("hooks"), hook, "--verbose", *words,
            where=self.path("fleet"), code=code)

    def test_changed_manifests_are_checked(self):
        self.git("fleet")
        self.manifest({"sys-net": [LAN]}, "fleet/host17/berth/host.yaml")
        self.write("fleet/other.yaml", "no: manifest\n")
        self.write("fleet/host17/berth/host17.lock.yaml", "no: manifest\n")
        self.assertIn("Passed", self.try_hook("berth-validate", "--all-files"))
        path = self.manifest({"sys-usb": [USB]}, "fleet/host18/berth/host.yaml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.write(path, text.replace(f'"{USB}"', "360.0"))
        output = self.try_hook("berth-validate", "--files", "host18/berth/host.yaml", code=1)
        self.assertIn("- exit code: 65", output)
        self.assertIn("host18/berth/host.yaml:2:", output)

    def test_manifests_that_use_each_others_names_are_checked_together(self):
        self.git("fleet")
        self.write("fleet/berth/devices.yaml", (
            "apiVersion: berth/v1alpha1\nkind: HostAssignments\n"
            f'spec: {{devices: {{lan0: {{address: "{LAN}", id: "8086:1533"}}}}}}\n'))
        self.write("fleet/berth/domains.yaml", (
            "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec: {domains: {sys-net: {devices: [lan0]}}}\n"))
        self.try_hook("berth-validate", "--files", "berth/domains.yaml", code=1)
        # Only the directories that `args` names are checked.
        self.write("fleet/host18/berth/host.yaml", "apiVersion: berth/v1alpha1\n")
        files = ["--files", "berth/domains.yaml", "host18/berth/host.yaml"]
        self.assertIn("Passed", self.try_hook("berth-validate-together", *files))

    def test_changed_manifests_get_the_one_style(self):
        self.git("fleet")
        path = self.manifest({"sys-net": [LAN]}, "fleet/berth/host.yaml")
        self.assertIn("Passed", self.try_hook("berth-fmt", "--all-files"))
        with open(path, encoding="utf-8") as file:
            text = file.read()
        odd = text.replace(": ", ":  ")
        self.assertNotEqual(odd, text)
        self.write("fleet/other.yaml", odd)
        self.write("fleet/berth/host.lock.yaml", odd)
        self.write(path, odd)
        self.assertIn("files were modified by this hook", self.try_hook("berth-fmt", "--all-files", code=1))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), text)
        for other in ("fleet/other.yaml", "fleet/berth/host.lock.yaml"):
            with open(self.path(other), encoding="utf-8") as file:
                self.assertEqual(file.read(), odd)

    def test_the_example_stops_a_commit(self):
        self.environment["PATH"] += os.pathsep + os.path.join(hosts.TOOLS, "pre-commit/bin")
        fleet = self.git("fleet", "config/pre-commit/.pre-commit-config.yaml")
        # The example names a clone beside the repository.
        os.rename(self.path("hooks"), self.path("berth"))
        self.run_program("pre-commit", "install", where=fleet)
        self.manifest({"sys-net": [LAN]}, "fleet/berth/host.yaml")
        self.commit("fleet")
        self.write("fleet/berth/host.yaml", "apiVersion: berth/v1alpha1\n")
        self.run_program("git", "add", "--all", where=fleet)
        self.assertIn("berth/host.yaml", self.run_program("git", "commit", "--message", "Bad", where=fleet, code=1))


if __name__ == "__main__":
    hosts.unittest.main()
