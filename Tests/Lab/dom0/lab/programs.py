"""Runs programs in dom0, and records the commands and their outputs."""

import json
import os
import subprocess
import time

from .devices import BY_ADDRESS

MANIFEST = "/run/lab/manifest.yaml"
# Emulation is slow, and even slower if the host's cores are busy.
GUEST_TIMEOUT = "90s"
LONGEST_PROGRAM = 300


class Ended:
    """A program's result: exit status, output, and time."""

    def __init__(self, arguments, status, output, errors, seconds):
        self.arguments, self.status, self.output, self.errors = arguments, status, output, errors
        self.seconds = seconds

    def __str__(self):
        return f"{' '.join(self.arguments)}: status {self.status} after {self.seconds:.2f} s"


def log(*words):
    """Writes a line of the scenario's log, after dom0's uptime."""
    print(f"{time.clock_gettime(time.CLOCK_BOOTTIME):9.2f}", *words, flush=True)


class Running:
    """A running program."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.start = time.monotonic()
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace")

    def end(self, seconds=LONGEST_PROGRAM):
        try:
            output, errors = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, errors = self.process.communicate()
            errors += f"\nkilled: it had not ended within {seconds} s"
        ended = Ended(self.arguments, self.process.returncode, output, errors, time.monotonic() - self.start)
        log(f"$ {ended}")
        for line in (compact(output) + errors).splitlines():
            log("  |", line)
        return ended


def compact(output):
    """Returns a document on one line, because the log is on a slow file system."""
    try:
        return json.dumps(json.loads(output)) + "\n"
    except ValueError:
        return output


def run(*arguments):
    return Running(*arguments).end()


def xl(*arguments):
    return run("xl", *arguments)


def write_manifest(assignments, path=MANIFEST, prune=None, owner=None, after=None):
    """Writes a manifest of `assignments`, {domain: [address or mapping, …]}. Each address also gets its device's id.

    `owner` is the manifest's set, and `after` what happens to prepared devices that are not declared any more.
    """
    assignments = {name: [{"address": device, "id": BY_ADDRESS[device].id}
                          if isinstance(device, str) else device
                          for device in wanted] for name, wanted in assignments.items()}
    document = {"apiVersion": "berth/v1alpha1", "kind": "HostAssignments", "metadata": {"name": "lab"},
                "spec": {"domains": {name: {"devices": devices} for name, devices in assignments.items()}}}
    if owner:
        document["metadata"]["set"] = owner
    policy = {key: value for key, value in (("prune", prune), ("afterDetach", after)) if value}
    if policy:
        document["spec"]["policy"] = policy
    # JSON is YAML.
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
    return path


class Answer:
    """A document of berth, with its exit status."""

    def __init__(self, ended):
        self.ended, self.status = ended, ended.status
        try:
            self.document = json.loads(ended.output)
        except ValueError:
            self.document = {}

    @property
    def domains(self):
        return self.document.get("domains", [])

    @property
    def steps(self):
        return [step for domain in self.domains for step in domain["steps"]]

    def results(self):
        """Returns {address: result} of an apply."""
        return {step["device"]["address"]: step.get("result") for step in self.steps}

    def reasons(self):
        """Returns {address: reason} of a plan."""
        return {step["device"]["address"]: step.get("reason") for step in self.steps}

    def planned(self):
        """Returns {address: (action, reason)} of the plan that an apply carried out."""
        domains = self.document.get("plan", {}).get("domains", [])
        return {step["device"]["address"]: (step["action"], step["reason"])
                for domain in domains for step in domain["steps"]}

    def drivers(self):
        """Returns {address: (action, result)} of what an apply did with drivers."""
        return {outcome["step"]["device"]["address"]: (outcome["step"]["action"], outcome["result"])
                for outcome in self.document.get("drivers", [])}

    def rounds(self):
        return sum(domain.get("rounds", 0) for domain in self.domains)


def berth(command, assignments, *options, prune=None, after=None):
    path = write_manifest(assignments, prune=prune, after=after)
    return Answer(run("berth", command, path, "--output", "json", *options))


def apply_arguments(path, *options, timeout=GUEST_TIMEOUT):
    # A scenario names the guest that it works on; what it leaves out is meant to go.
    return ["berth", "apply", path, "--output", "json", "--yes", "--allow-removals", "--wait-timeout", timeout, *options]


def apply(assignments, *options, timeout=GUEST_TIMEOUT, prune=None, after=None):
    path = write_manifest(assignments, prune=prune, after=after)
    return Answer(run(*apply_arguments(path, *options, timeout=timeout)))


def monitor(command, **arguments):
    """Has a command of the monitor executed by the QEMU that emulates this machine."""
    text = json.dumps({"execute": command, "arguments": arguments})
    log("monitor:", text)
    with open("/dev/console", "w", encoding="utf-8") as console:
        console.write(f"lab-monitor {text}\n")


def kernel_log():
    """Returns dom0's present kernel log."""
    return subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace", check=True).stdout


def exists(path):
    return os.path.lexists(path)
