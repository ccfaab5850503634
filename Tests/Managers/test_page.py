"""All commands of docs/configuration-managers.md, as they stand there."""

import os
import re
import shutil

import hosts
import pages


class Managers(pages.Page):
    is_long = True
    page = "docs/configuration-managers.md"
    place = "clone"

    def setUp(self):
        super().setUp()
        # What a clone has, as far as the page uses it.
        for name in ("config", "examples"):
            shutil.copytree(os.path.join(hosts.ROOT, name), self.path("clone/" + name))
        shutil.copy(os.path.join(hosts.ROOT, ".pre-commit-hooks.yaml"), self.path("clone"))
        programs = [os.path.join(hosts.TOOLS, name, "bin") for name in ("ansible-newest", "salt", "pre-commit")]
        self.environment["PATH"] = os.pathsep.join([hosts.PROGRAMS, *programs, self.environment["PATH"]])
        nix = {f"NIX_{name}_DIR": self.path("nix/" + name.lower())
               for name in ("STORE", "STATE", "LOG", "LOCALSTATE", "CONF")}
        self.environment.update(nix, GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@b",
                                GIT_COMMITTER_NAME="A", GIT_COMMITTER_EMAIL="a@b",
                                ANSIBLE_REMOTE_TEMP=self.path("remote"), PYTHONWARNINGS="ignore")
        for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "State"]):
            self.run_program("git", *command, where=self.path("clone"))

    def test_every_section_with_commands_is_run(self):
        methods = [name for name in dir(self) if name.startswith("test_section_")]
        self.assertEqual(len(methods), sum(bool(self.commands(heading)) for heading in self.headings()))

    def test_section_ansible(self):
        output = self.follow("Ansible")
        self.assertIn("allow_blocked", output)
        self.assertEqual(len(re.findall(r"(?m)^(?:alpha|beta|gamma) .*failed=0", output)), 4 * 3)
        self.assertIn("Plan: 2 to attach.", output)

    def test_section_salt(self):
        output = self.follow("Salt")
        self.assertIn("Devices were changed, and that was proven.", output)
        self.assertIn("The devices are as declared.", output)

    def test_section_puppet(self):
        output = self.follow("Puppet")
        self.assertIn("executed successfully", output)

    def test_section_nixos(self):
        self.assertIn("berth-apply", self.follow("NixOS"))

    def test_section_pre_commit(self):
        self.assertIn("Passed", self.follow("pre-commit"))


if __name__ == "__main__":
    hosts.unittest.main()
