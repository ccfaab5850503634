"""The examples for CI systems: checked by their schemas, and their commands run on the example fleet."""

import json
import os
import shutil

import hosts
from test_fleet import ALL, NAMES, Fleet

FOLDER = os.path.join(hosts.ROOT, "config/ci")
SCHEMAS = {"github.yaml": "vendor.github-workflows", "gitlab.yaml": "vendor.gitlab-ci"}


def jobs(test, name):
    """Returns the commands of each job of an example: {job: [command]}."""
    code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1])), default=str))"
    text = test.run_program(hosts.tool("ansible-newest", "python"), "-c", code, os.path.join(FOLDER, name))
    document = json.loads(text)
    if "jobs" in document:
        return {job: [step["run"] for step in content["steps"] if "run" in step]
                for job, content in document["jobs"].items()}
    return {job: ["\n".join(content["script"])] for job, content in document.items()
            if isinstance(content, dict) and "script" in content}


class Schemas(hosts.Test):
    def test_the_examples_are_as_their_systems_want_them(self):
        check = hosts.tool("check-jsonschema", "check-jsonschema")
        self.assertEqual(sorted(SCHEMAS), sorted(os.listdir(FOLDER)))
        for name, schema in SCHEMAS.items():
            self.run_program(check, "--builtin-schema", schema, os.path.join(FOLDER, name))
            with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
                text = file.read()
            wrong = self.write(name, text.replace("run:", "runs:").replace("script:", "scripts:"))
            self.run_program(check, "--builtin-schema", schema, wrong, code=1)

    def test_the_manifests_of_the_example_are_checked(self):
        shutil.copytree(os.path.join(hosts.ROOT, "examples/ansible"), self.path("fleet"))
        commands = [command.strip() for name in SCHEMAS for steps in jobs(self, name).values() for command in steps
                    if command.startswith("berth validate")]
        self.assertEqual(commands, ["berth validate --strict manifests\nberth fmt --check --diff manifests"] * 2)
        self.run_program("bash", "-ec", commands[0], where=self.path("fleet"))
        with open(self.path("fleet/manifests/beta.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.write("fleet/manifests/beta.yaml", text.replace(": ", ":  "))
        self.run_program("bash", "-ec", commands[0], where=self.path("fleet"), code=2)
        # A device without an id is a warning.
        self.write("fleet/manifests/beta.yaml", text.replace(', id: "8086:1533"', ""))
        self.run_program("bash", "-ec", commands[0], where=self.path("fleet"), code=65)
        self.write("fleet/manifests/beta.yaml", "apiVersion: berth/v1alpha1\n")
        self.run_program("bash", "-ec", commands[0], where=self.path("fleet"), code=65)


class Jobs(Fleet):
    ansible = "ansible-newest"

    def run_job(self, commands, code=0, **more):
        """Runs the commands of a job as both systems do: each in a shell that ends at the first failure."""
        path = os.pathsep.join([os.path.dirname(hosts.tool(self.ansible, "ansible")), self.environment["PATH"]])
        for number, command in enumerate(commands):
            is_last = number == len(commands) - 1
            self.run_program("bash", "-eo", "pipefail", "-c", command, where=self.path("fleet"), PATH=path,
                             code=code if is_last else 0, **more)

    def test_the_jobs_preview_and_apply(self):
        github, gitlab = jobs(self, "github.yaml"), jobs(self, "gitlab.yaml")
        summary = {"GITHUB_STEP_SUMMARY": self.path("summary")}
        self.start()
        self.run_job(github["preview"], **summary)
        with open(self.path("summary"), encoding="utf-8") as file:
            self.assertEqual(file.read().count("Plan: 2 to attach."), 3 * 2)
        for name in NAMES:
            self.assertEqual(self.host(name), {})
        self.run_job(gitlab["apply"])
        for name in NAMES:
            self.assertEqual(self.host(name), ALL)

        # A preview that fails is shown, and fails the job.
        path = "fleet/manifests/beta.yaml"
        with open(self.path(path), encoding="utf-8") as file:
            text = file.read()
        self.write(path, text.replace("1912:0014", "1912:0015"))
        self.run_job(gitlab["preview"], code=2)
        with open(self.path("fleet/preview.txt"), encoding="utf-8") as file:
            self.assertIn("the manifest says 1912:0015, but the device is 1912:0014", file.read())
        self.assertEqual(github["apply"], gitlab["apply"])


if __name__ == "__main__":
    hosts.unittest.main()
