"""What Ansible's own programs say of the collection."""

import json
import os
import shutil

import hosts
from ansibles import Play

COLLECTION = os.path.join(hosts.COLLECTIONS, "ansible_collections/berth/xen")
MODULES = ("pci_assignments", "pci_info")


class Documents(Play):
    def test_the_documentation_is_shown(self):
        for self.ansible in hosts.ANSIBLES:
            output = self.run_program(
                hosts.tool(self.ansible, "ansible-doc"), "--json", *(f"berth.xen.{name}" for name in MODULES))
            for name in MODULES:
                shown = json.loads(output[output.index("{"):])[f"berth.xen.{name}"]
                self.assertTrue(shown["doc"]["options"] and shown["return"] and shown["examples"], name)
            text = self.run_program(hosts.tool(self.ansible, "ansible-doc"), "berth.xen.pci_assignments")
            self.assertIn("allow_blocked", text)
            self.assertNotIn("[WARNING]", text)
            role = self.run_program(hosts.tool(self.ansible, "ansible-doc"), "--type", "role", "berth.xen.host")
            self.assertIn("berth_manifests", role)

    def test_the_argument_specifications_are_those_of_the_documentation(self):
        collection = self.path("ansible_collections/berth/xen")
        shutil.copytree(COLLECTION, collection)
        python = hosts.tool("ansible-newest", "python")
        packages = self.run_program(python, "-c", "import ansible_test; print(ansible_test.__path__[0])").strip()
        check = os.path.join(packages, "_util/controller/sanity/validate-modules")

        def findings():
            output = self.run_program(
                python, os.path.join(check, "validate.py"), "--format", "json", "--arg-spec",
                "--collection", "ansible_collections/berth/xen", "--collection-version", "0.1.0",
                *(f"plugins/modules/{name}.py" for name in MODULES), where=collection, code=3,
                PYTHONPATH=os.pathsep.join([check, self.folder]), ANSIBLE_COLLECTIONS_PATH=self.folder)
            return {(path, error["code"]) for path, found in json.loads(output).items()
                    for error in found["errors"] + found["warnings"]}

        with open(os.path.join(collection, "tests/sanity/ignore-2.19.txt"), encoding="utf-8") as file:
            ignored = {tuple(line.split("#")[0].strip().replace(" validate-modules:", " ").split(" ")) for line in file}
        self.assertEqual(findings(), ignored)
        # The check sees a difference.
        path = os.path.join(collection, "plugins/modules/pci_info.py")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.write(path, text.replace('manifest=dict(type="list"', 'manifest=dict(type="str"'))
        self.assertTrue(findings() > ignored)

    def test_every_release_ignores_the_same(self):
        texts = set()
        folder = os.path.join(COLLECTION, "tests/sanity")
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                texts.add(file.read())
        self.assertEqual(len(texts), 1)

    def test_the_collection_is_built_and_installed(self):
        for self.ansible in hosts.ANSIBLES:
            folder = self.path(self.ansible)
            galaxy = hosts.tool(self.ansible, "ansible-galaxy")
            self.run_program(galaxy, "collection", "build", COLLECTION, "--output-path", folder)
            there = os.path.join(folder, "there")
            self.run_program(
                galaxy, "collection", "install", os.path.join(folder, "berth-xen-0.1.0.tar.gz"), "--offline",
                "--collections-path", there, ANSIBLE_COLLECTIONS_PATH=there)
            installed = os.path.join(there, "ansible_collections/berth/xen")
            self.assertTrue(os.path.exists(os.path.join(installed, "roles/host/tasks/main.yml")))


if __name__ == "__main__":
    hosts.unittest.main()
