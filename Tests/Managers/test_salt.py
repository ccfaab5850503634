"""The state of Salt on a sandbox, with Salt 3006, masterless."""

import json
import os
import pwd
import shutil

import hosts
from hosts import LAN, USB


class Salt(hosts.Test):
    def setUp(self):
        super().setUp()
        shutil.copytree(os.path.join(hosts.ROOT, "config/salt"), self.path("states"))
        self.write("etc/minion", json.dumps({
            "id": "host17", "root_dir": self.folder, "file_client": "local", "log_file": self.path("log"),
            "file_roots": {"base": [self.path("states")]}, "user": pwd.getpwuid(os.getuid()).pw_name}))

    def call(self, *words, code=0):
        """Calls a function of Salt, and returns its answer."""
        output = self.run_program(
            hosts.tool("salt", "python"), "-W", "ignore", hosts.tool("salt", "salt-call"), "--local", "--out", "json",
            "--retcode-passthrough", "--config-dir", self.path("etc"), "--log-level", "quiet", *words, code=code)
        return json.loads(output[output.index("{"):])["local"]

    def apply(self, states, *words, code=0):
        """Applies the states {name: arguments} or the formula `states`. Returns {name: result} in their order."""
        if isinstance(states, dict):
            text = {name: {function: [{key: value} for key, value in arguments.items()]}
                    for name, (function, arguments) in states.items()}
            self.write("states/these.sls", json.dumps(text))
            states = "these"
        answer = self.call("state.apply", states, *words, code=code)
        return {result["__id__"]: result for result in sorted(answer.values(), key=lambda each: each["__run_num__"])}

    def test_a_manifest_is_previewed_applied_and_left_alone(self):
        self.call("saltutil.sync_states")
        directory = self.sandbox()
        manifest = self.manifest({"sys-net": [LAN]})
        wrong = self.manifest({"sys-net": [LAN], "sys-usb": [USB]}, "wrong.yaml", ids={USB: "8086:ffff"})
        with open(manifest, encoding="utf-8") as file:
            number = self.write("number.yaml", file.read().replace(f'"{LAN}"', "180.0"))

        def state(path, **more):
            return "berth.assigned", {"manifest": path, "sandbox": directory, **more}

        preview = self.apply({"first": state(manifest)}, "test=True")["first"]
        self.assertIsNone(preview["result"])
        self.assertEqual(preview["changes"], {LAN: {"old": "", "new": "sys-net", "action": "attach"}})
        self.assertEqual(self.held(directory), {})

        results = self.apply({
            "first": state(manifest), "again": state([manifest]), "blocked": state(wrong),
            "allowed": state(wrong, allow_blocked=True), "number": state(number),
            "nobody": state(manifest, executable="/bin/false"),
            "refused": state(self.manifest({"sys-usb": []}, "less.yaml"), allow_blocked=True),
        }, code=2)
        self.assertTrue(results["first"]["result"])
        done = {"domain": "sys-net", "action": "attach", "result": "done"}
        self.assertEqual(results["first"]["changes"], {LAN: done})
        self.assertEqual((results["again"]["result"], results["again"]["changes"]), (True, {}))
        self.assertEqual((results["blocked"]["result"], results["blocked"]["changes"]), (False, {}))
        self.assertIn(f"sys-usb {USB}", results["blocked"]["comment"])
        self.assertTrue(results["allowed"]["result"])
        self.assertIn(f"blocked: sys-usb {USB}", results["allowed"]["warnings"][0])
        self.assertFalse(results["number"]["result"])
        self.assertIn(f"it was probably {LAN}", results["number"]["comment"])
        self.assertFalse(results["nobody"]["result"])
        self.assertFalse(results["refused"]["result"])
        self.assertIn("Berth refuses the whole plan", results["refused"]["comment"])
        self.assertEqual(self.held(directory), {"sys-net": [LAN]})

        after = self.apply({"first": state(manifest)}, "test=True")["first"]
        self.assertEqual((after["result"], after["changes"]), (True, {}))

    def test_the_formula_copies_checks_and_applies(self):
        self.assertEqual(self.call("saltutil.sync_states"), ["states.berth"])
        directory = self.sandbox()
        self.environment["BERTH_SANDBOX"] = directory
        pillar = "pillar=" + json.dumps({"berth": {"directory": self.path("etc-berth")}})
        source = self.manifest({"sys-net": [LAN]}, "states/berth/manifests/host17.yaml")
        results = self.apply("berth", pillar)
        self.assertEqual([result["result"] for result in results.values()], [True, True])
        self.assertEqual(self.held(directory), {"sys-net": [LAN]})
        # A file that Berth refuses does not replace the old one.
        with open(source, encoding="utf-8") as file:
            text = file.read()
        self.write("states/berth/manifests/host17.yaml", text.replace(f'"{LAN}"', "180.0"))
        results = self.apply("berth", pillar, code=2)
        self.assertEqual([result["result"] for result in results.values()], [False, False])
        with open(self.path("etc-berth/host.yaml"), encoding="utf-8") as file:
            self.assertEqual(file.read(), text)
        self.assertEqual(self.held(directory), {"sys-net": [LAN]})


if __name__ == "__main__":
    hosts.unittest.main()
