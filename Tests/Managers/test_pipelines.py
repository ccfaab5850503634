"""All commands of docs/pipelines.md, as they stand there, from the first pull request to a fleet."""

import json
import os

import hosts
import pages

HOST18 = """
apiVersion: berth/v1alpha1
kind: HostAssignments
metadata: {name: host18}
spec:
  domains:
    sys-net: {devices: [{address: "0000:03:00.0", id: "8086:1533"}]}
"""


class Pipelines(pages.Page):
    page = "docs/pipelines.md"
    place = "repository"

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("repository"))
        self.environment.update(
            GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="A",
            GIT_COMMITTER_EMAIL="a@b")
        self.run_program("git", "init", "--quiet", "--initial-branch", "main", where=self.path("repository"))
        # This is the host on which the page's commands are run.
        with open(os.path.join(hosts.ROOT, "examples/sandbox/home.yaml"), encoding="utf-8") as file:
            self.environment["BERTH_SANDBOX"] = self.sandbox("host17", scenario=file.read())

    def add_host18(self):
        """Adds what the page takes for granted: a second host, with its manifest and its snapshot."""
        other = self.sandbox("host18")
        self.run_program("berth", "snapshot", "--sandbox", other, "--out", self.path("repository/snapshots/host18.json"))
        self.write("repository/manifests/host18.yaml", HOST18)

    def test_every_command(self):
        sections = {
            "The first pull request": ["Plan: 1 to adopt.", "Applied: 1 adopted."],
            "Reviews": ["berth: Valid: ", "snapshots/host17.json"],
            "Saved plans": ["Applied: 1 attached", "Nothing to do: 2 devices are as declared."],
            "Pull": ["of main, the first one on this host", "Give sys-net a second card", "Nothing to do: 2 devices are as declared."],
            "A fleet": ["= host17 ", "~ host18 ", "Hosts: 1 with changes, 1 as declared.", "\nhost18\n"],
        }
        with_commands = [heading for heading in self.headings() if self.commands(heading)]
        self.assertEqual(with_commands, list(sections))
        for heading, expected in sections.items():
            if heading == "A fleet":
                self.add_host18()
            output = self.follow(heading)
            for text in expected:
                self.assertIn(text, output, heading)
        # What the page shows is what the program prints.
        shown = self.text().split("```\n" + "Fleet of ")[1].split("```")[0]
        self.assertIn("Fleet of " + shown, self.follow("A fleet"))
        with open(self.path("repository/plan.md"), encoding="utf-8") as file:
            self.assertIn("+ 0000:03:00.0 lan0", file.read())
        with open(self.path("repository/fleet.md"), encoding="utf-8") as file:
            self.assertIn("| `host18` | with changes | 1 to attach |", file.read())

    def test_a_fleet_in_json_is_the_documents_of_its_hosts(self):
        os.mkdir(self.path("fleet"))
        names = ["alpha", "beta"]
        for name in names:
            self.run_program("berth", "snapshot", "--sandbox", self.sandbox(name), "--out", self.path(f"fleet/{name}.json"))
        manifest = self.manifest({"sys-net": [hosts.LAN]})
        whole = json.loads(self.run_program("berth", "plan", "--fleet", self.path("fleet"), manifest, "-o", "json"))
        for name, host in zip(names, whole["hosts"]):
            alone = self.run_program("berth", "plan", "--host", self.path(f"fleet/{name}.json"), manifest, "-o", "json")
            self.assertEqual(host["plan"], json.loads(alone))


if __name__ == "__main__":
    hosts.unittest.main()
