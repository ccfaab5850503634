"""The modules of the Ansible collection on sandboxes, with the oldest and the newest ansible-core."""

import json

import hosts
from ansibles import Play
from hosts import LAN, NVME, USB


def assignments(name, directory, manifest, **options):
    """Returns a task that calls the module; `check_mode` and `diff` are words of the task."""
    words = {key: options.pop(key) for key in ("check_mode", "diff", "until", "retries", "delay") if key in options}
    module = {"manifest": manifest, "sandbox": directory, **options}
    return {"name": name, "berth.xen.pci_assignments": module, **words}


def status(name, directory):
    words = ["berth", "sandbox", "status", "--sandbox", directory, "-o", "json"]
    return {"name": name, "ansible.builtin.command": {"argv": words}}


def command(name, *words):
    return {"name": name, "ansible.builtin.command": {"argv": ["berth", *words]}}


class Modules:
    def held_then(self, result):
        return hosts.devices_in(json.loads(result["stdout"]))

    def test_a_manifest_is_previewed_applied_and_left_alone(self):
        directory = self.sandbox()
        manifest = self.manifest({"sys-net": [LAN]})
        text = self.run_program("berth", "plan", manifest, "--sandbox", directory)
        output, results = self.tasks([
            assignments("preview", directory, manifest, check_mode=True, diff=True),
            status("after the preview", directory),
            assignments("apply", directory, manifest, diff=True),
            status("after the apply", directory),
            assignments("apply again", directory, manifest, diff=True),
            assignments("preview again", directory, manifest, check_mode=True),
            {"name": "ask", "berth.xen.pci_info": {"sandbox": directory, "manifest": manifest}},
            {"name": "ask in check mode", "berth.xen.pci_info": {"sandbox": directory}, "check_mode": True},
        ])
        preview = results["preview"]
        self.assertEqual((preview["failed"], preview["changed"], preview["rc"]), (False, True, 2))
        self.assertEqual(preview["plan"]["kind"], "Plan")
        self.assertTrue(preview["plan"]["hasChanges"])
        self.assertNotIn("result", preview)
        # The plan is shown in Berth's words, and as it is.
        self.assertIn(f"  + {LAN}  8086:1533  attach, hot\n", text)
        for name in ("preview", "apply"):
            self.assertEqual(results[name]["diff"], [{"prepared": text}])
        self.assertEqual(output.count(text.strip()), 2, output)
        self.assertEqual(self.held_then(results["after the preview"]), {})

        apply = results["apply"]
        self.assertEqual((apply["failed"], apply["changed"], apply["rc"]), (False, True, 0))
        self.assertEqual(apply["result"]["kind"], "ApplyResult")
        self.assertEqual((apply["blocked"], apply["failures"]), ([], []))
        self.assertEqual((apply["busy"], apply["unknown"]), (False, False))
        self.assertEqual(self.held_then(results["after the apply"]), {"sys-net": [LAN]})
        for name in ("apply again", "preview again"):
            self.assertFalse(results[name]["failed"] or results[name]["changed"] or results[name]["rc"], name)
        for name in ("ask", "ask in check mode"):
            self.assertEqual((results[name]["changed"], results[name]["status"]["kind"]), (False, "Status"))
        domains = results["ask"]["status"]["domains"]
        declared = [device["isDeclared"] for domain in domains for device in domain["devices"]]
        self.assertEqual(declared, [True])

    def test_blocked_devices_fail_the_task_and_the_others_are_done(self):
        directory = self.sandbox()
        manifest = self.manifest({"sys-net": [LAN], "sys-usb": [USB]}, ids={LAN: "8086:ffff"})
        fewer = self.manifest({"sys-net": []}, "fewer.yaml")
        output, results = self.tasks([
            assignments("preview", directory, manifest, check_mode=True),
            assignments("apply", directory, manifest),
            status("after the apply", directory),
            assignments("allowed", directory, manifest, allow_blocked=True),
            assignments("refused", directory, fewer, allow_blocked=True),
            assignments("refused preview", directory, fewer, allow_blocked=True, check_mode=True),
            status("after the refusal", directory),
            assignments("removed", directory, fewer, allow_removals=True),
            status("at last", directory),
        ])
        for name, changed in (("preview", True), ("apply", True)):
            result = results[name]
            self.assertEqual((result["failed"], result["changed"], result["rc"]), (True, changed, 3))
            self.assertEqual([(each["domain"], each["device"], each["reason"]) for each in result["blocked"]],
                             [("sys-net", LAN, "identity-mismatch")])
            self.assertIn(f"1 blocked: sys-net {LAN}: ", result["msg"])
            self.assertIn("the manifest says 8086:ffff, but the device is 8086:1533", result["msg"])
        self.assertEqual(self.held_then(results["after the apply"]), {"sys-usb": [USB]})
        allowed = results["allowed"]
        self.assertEqual((allowed["failed"], allowed["changed"], allowed["rc"], len(allowed["blocked"])),
                         (False, False, 3, 1))
        self.assertIn("blocked: sys-net ", " ".join(output.split()))
        for name in ("refused", "refused preview"):
            self.assertEqual((results[name]["failed"], results[name]["changed"], results[name]["rc"]), (True, False, 3))
            self.assertIn("Berth refuses the whole plan", results[name]["msg"])
        self.assertEqual(self.held_then(results["after the refusal"]), {"sys-usb": [USB]})
        self.assertEqual((results["removed"]["failed"], results["removed"]["changed"]), (False, True))
        self.assertEqual(self.held_then(results["at last"]), {})

    def test_an_outcome_that_nobody_knows_is_a_failure(self):
        directory = self.sandbox(answers="never", devices=[LAN])
        manifest = self.manifest({"sys-net": [LAN, USB]})
        _, results = self.tasks([assignments("apply", directory, manifest, wait_timeout="200ms")])
        apply = results["apply"]
        self.assertEqual((apply["failed"], apply["rc"], apply["unknown"], apply["busy"]), (True, 7, True, False))
        self.assertIn("the outcome is unknown", apply["msg"])
        self.assertIn(f"sys-net {USB}", apply["failures"][0])

    def test_a_plan_that_was_agreed_to_is_applied_or_nothing(self):
        directory = self.sandbox()
        first = self.manifest({"sys-net": [LAN]}, "first.yaml")
        second = self.manifest({"sys-net": [LAN], "sys-usb": [USB]}, "second.yaml")
        shown = self.shown(directory, second)
        plans = [self.path(name) for name in ("stale.json", "fresh.json")]
        self.run_program("berth", "plan", second, "--sandbox", directory, "--out", plans[0])

        def saved(name, path, **more):
            task = assignments(name, directory, None, **more)
            del task["berth.xen.pci_assignments"]["manifest"]
            task["berth.xen.pci_assignments"]["saved_plan"] = path
            return task

        _, results = self.tasks([
            assignments("somebody else", directory, first),
            assignments("stale", directory, second, expect=shown, diff=True),
            assignments("stale preview", directory, second, expect=shown, check_mode=True),
            saved("stale plan", plans[0]),
            saved("stale plan in a preview", plans[0], check_mode=True),
            saved("too many options", plans[0], prune="never"),
            assignments("two plans", directory, second, saved_plan=plans[0]),
            {"name": "no plan", "berth.xen.pci_assignments": {"sandbox": directory}},
            status("after them", directory),
            assignments("shown", directory, second, check_mode=True),
            command("save", "plan", second, "--sandbox", directory, "--out", plans[1]),
            saved("preview", plans[1], check_mode=True),
            saved("apply", plans[1], diff=True),
            saved("apply again", plans[1]),
            status("at last", directory),
        ])
        for name in ("stale", "stale preview", "stale plan", "stale plan in a preview"):
            result = results[name]
            self.assertEqual((result["failed"], result["changed"], result["rc"], result["stale"], result["unknown"]),
                             (True, False, 4, True, False), name)
            self.assertIn("nothing was touched (4)", result["msg"])
            of_file = [(each["device"], each["reason"]) for each in result["differences"]]
            self.assertEqual(of_file, [(LAN, "no-longer-needed")] if "plan" in name else [], name)
        self.assertIn("Nothing was touched.", results["stale"]["diff"][0]["prepared"])
        for name in ("too many options", "two plans", "no plan"):
            self.assertTrue(results[name]["failed"], name)
        self.assertEqual(self.held_then(results["after them"]), {"sys-net": [LAN]})
        self.assertNotEqual(results["shown"]["plan"]["fingerprint"], shown)
        self.assertEqual((results["preview"]["failed"], results["preview"]["changed"]), (False, True))
        self.assertEqual((results["apply"]["failed"], results["apply"]["changed"]), (False, True))
        self.assertIn(f"+ {USB}", results["apply"]["diff"][0]["prepared"])
        self.assertEqual((results["apply again"]["failed"], results["apply again"]["changed"]), (False, False))
        self.assertEqual(self.held_then(results["at last"]), {"sys-net": [LAN], "sys-usb": [USB]})

    def shown(self, directory, manifest):
        """Returns the fingerprint of the plan for a manifest."""
        text = self.run_program("berth", "plan", manifest, "--sandbox", directory, "-o", "json")
        return json.loads(text)["fingerprint"]

    def test_a_busy_lock_can_be_tried_again(self):
        directory = self.sandbox()
        manifest = self.manifest({"sys-net": [LAN]})
        _, results = self.tasks([
            command("lock", "sandbox", "lock", "sys-net", "--sandbox", directory),
            {"register": "devices", **assignments(
                "busy", directory, manifest, lock_timeout="100ms", retries=2, delay=0,
                until="not (devices.busy | default(false))")},
            command("unlock", "sandbox", "unlock", "sys-net", "--sandbox", directory),
            assignments("free", directory, manifest),
        ])
        busy = results["busy"]
        self.assertEqual((busy["failed"], busy["changed"], busy["rc"], busy["busy"]), (True, False, 75, True))
        self.assertEqual(busy["attempts"], 2)
        self.assertIn("lock", busy["failures"][0])
        self.assertEqual((results["free"]["failed"], results["free"]["changed"]), (False, True))

    def test_what_cannot_be_read_is_told_in_berths_own_words(self):
        directory = self.sandbox()
        good = self.manifest({"sys-net": [LAN]})
        with open(good, encoding="utf-8") as file:
            text = file.read()
        number = self.write("number.yaml", text.replace(f'"{LAN}"', "180.0"))
        gone = self.path("gone")
        info = {"name": "ask nobody", "berth.xen.pci_info": {"sandbox": gone}}
        _, results = self.tasks([
            assignments("number", directory, number),
            assignments("number in a preview", directory, number, check_mode=True),
            assignments("no file", directory, gone),
            assignments("no manifest", directory, []),
            assignments("no program", directory, good, executable="no-such-berth"),
            assignments("another program", directory, good, executable="/bin/true"),
            assignments("no host", gone, good),
            assignments("a bad duration", directory, good, wait_timeout="soon"),
            info,
            status("at last", directory),
        ])
        codes = {name: result.get("rc") for name, result in results.items() if name != "at last"}
        self.assertEqual(codes, {
            "number": 65, "number in a preview": 65, "no file": 66, "no manifest": 64, "no program": None,
            "another program": 1, "no host": 69, "a bad duration": 64, "ask nobody": 69})
        for name in codes:
            self.assertTrue(results[name]["failed"], name)
            self.assertFalse(results[name].get("changed", False), name)
        for name in ("number", "number in a preview"):
            self.assertIn(f"'180.0' is a number, not a PCI address", results[name]["msg"])
            self.assertIn(f"it was probably {LAN}", results[name]["msg"])
        self.assertIn("no-such-berth", results["no program"]["msg"])
        self.assertEqual(self.held_then(results["at last"]), {})

    def test_warnings_are_shown(self):
        directory = self.sandbox()
        manifest = self.write("manifest.yaml", (
            'apiVersion: berth/v1alpha1\nkind: HostAssignments\n'
            f'spec: {{domains: {{sys-net: {{devices: ["{NVME}"]}}}}}}\n'))
        output, results = self.tasks([assignments("apply", directory, manifest)])
        self.assertFalse(results["apply"]["failed"])
        self.assertIn(f"the id of device {NVME} is not given", " ".join(output.split()))


class Oldest(Modules, Play):
    ansible = "ansible-2.14"


class Newest(Modules, Play):
    ansible = "ansible-newest"


if __name__ == "__main__":
    hosts.unittest.main()
