"""How the tests start Ansible, and read its results."""

import json
import os

import hosts


class Play(hosts.Test):
    """A test that runs plays with the Ansible `ansible` of `hosts.ANSIBLES`."""

    ansible = hosts.ANSIBLES[0]

    def setUp(self):
        super().setUp()
        self.environment.update(
            ANSIBLE_CALLBACK_PLUGINS=os.path.join(hosts.ROOT, "Tests/Managers/callback"),
            ANSIBLE_CALLBACKS_ENABLED="results", ANSIBLE_COLLECTIONS_PATH=hosts.COLLECTIONS, ANSIBLE_NOCOLOR="1",
            ANSIBLE_HOME=self.path("ansible"), ANSIBLE_LOCAL_TEMP=self.path("local"), ANSIBLE_PIPELINING="1",
            ANSIBLE_REMOTE_TEMP=self.path("remote"), ANSIBLE_NOCOWS="1", RESULTS=self.path("results"))

    def play(self, *words, code=0, **more):
        """Runs ansible-playbook. Returns its output, and the results of the tasks in their order."""
        self.write("results", "")
        output = self.run_program(hosts.tool(self.ansible, "ansible-playbook"), *words, code=code, **more)
        with open(self.path("results"), encoding="utf-8") as file:
            return output, [json.loads(line) for line in file]

    def tasks(self, tasks):
        """Runs tasks on this machine, each whatever became of those before it. Returns output and {name: result}."""
        play = {
            "hosts": "all", "gather_facts": False, "ignore_errors": True, "tasks": tasks,
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}}
        output, results = self.play("-i", "here,", self.write("play.yaml", json.dumps([play])))
        named = {each["task"]: dict(each["result"], failed=each["kind"] != "ok")
                 for each in results if each["kind"] != "retry"}
        self.assertEqual(list(named), [task["name"] for task in tasks])
        return output, named
