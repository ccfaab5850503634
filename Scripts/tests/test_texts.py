"""What the rules on hosts, paths, links and examples find, and what they let pass."""

import unittest
from unittest import mock

from rulebook import policy, texts


class Words(unittest.TestCase):
    def places(self, text, path="Sources/T/A.swift"):
        return [place.removeprefix(path) for place, _ in texts.words(path, text)]

    def test_a_machines_path_in_a_literal_is_found(self):
        for literal in ('"/home/me/x"', '"/work/x"', '"/root/z"', '"at /Users/me/x:"', '"file:///opt/x"',
                        '"/home/\\(name)/x"', '#"/mnt/x"#', '"""\n  /srv/x\n  """', '"/tmp/x"'):
            self.assertEqual(len(self.places(f"let a = {literal}\n")), 1, literal)
            self.assertEqual(len(self.places(f"let a = {literal}\n", "Tests/T/A.swift")), 1, literal)
        self.assertEqual(self.places('let a = 1\nlet b = """\n  c\n  /home/me/x\n  """\n'), [":4"])

    def test_other_literals_pass(self):
        for literal in ('"/local/domain/0"', '"/be/num_devs"', '"/var/lib/xen"', '"\\(folder)/root/x"', '"/root"',
                        '"a/home/x"', '"/elsewhere/x"'):
            self.assertEqual(self.places(f"let a = {literal}\n"), [], literal)

    def test_the_paths_of_the_policy_pass(self):
        with mock.patch.object(policy, "MACHINE_PATHS", {"/tmp/ours": "why"}):
            self.assertEqual(self.places('let a = "/tmp/ours-XXXXXX", b = "in /tmp/ours/c"\n'), [])
            self.assertEqual(len(self.places('let a = "/tmp/ours-XXXXXX", b = "/tmp/x"\n')), 1)

    def test_a_machines_path_in_a_comment_or_a_document_is_found(self):
        self.assertEqual(self.places("let a = 1\n// See /home/me/x.\n"), [":2"])
        self.assertEqual(self.places("let a = b/home/c\n"), [])
        self.assertEqual(self.places("See `/home/me/x`, `/var/lib/xen` and docs/home/x.\n", "docs/a.md"), [":1"])
        self.assertEqual(self.places("/root/x\n", policy.OWN_MACHINE + "run"), [])

    def test_unknown_hosts_and_ends_of_lines_are_found(self):
        self.assertEqual(self.places("https://github.com/a https://example.com/b\n", "docs/a.md"), [":1"])
        self.assertEqual(self.places("a\r\n", "docs/a.md"), [""])
        self.assertEqual(self.places("a", "docs/a.md"), [""])


class Links(unittest.TestCase):
    def findings(self, documents, *others):
        present = set(documents) | set(others)
        return [text for _, text in texts.links(documents, present, lambda path: path == "docs/adr")]

    def test_links_lead_to_files_folders_and_headings(self):
        documents = {"README.md": "[a](docs/a.md), [b](docs/a.md#what-is-there), [c](#top), [d](docs/adr), "
                                  "[e](examples/e.yaml), [f](https://swift.org/#x)\n# Top\n",
                     "docs/a.md": "## What is *there*?\n[up](../README.md#top)\n", "docs/adr/1.md": ""}
        self.assertEqual(self.findings(documents, "examples/e.yaml"), [])

    def test_a_link_to_nothing_is_found(self):
        self.assertEqual(self.findings({"README.md": "[a](b.md)\n"}), ["b.md is not there"])

    def test_an_anchor_without_a_heading_is_found(self):
        documents = {"README.md": "[a](docs/a.md#gone) [b](#gone)\n# Top\n", "docs/a.md": "# Here\n"}
        self.assertEqual(self.findings(documents),
                         ["docs/a.md has no heading for #gone", "README.md has no heading for #gone"])

    def test_a_document_without_a_link_is_found(self):
        self.assertEqual(self.findings({"docs/a.md": "[a](#a)\n# A\n"}), ["no link leads here"])

    def test_anchors_are_those_of_github(self):
        text = "# One: `two`, [three](x.md)!\n## Same\n## Same\n```\n# no heading\n```\n### A – b_c\n"
        self.assertEqual(texts.anchors(text), {"one-two-three", "same", "same-1", "a--b_c"})


class Examples(unittest.TestCase):
    def unused(self, **mentions):
        files = {name.replace("_", "."): text for name, text in mentions.items()}
        return texts.unused(["examples/host.yaml", "examples/sandbox/host.yaml"], files)

    def test_whole_paths_and_links_count(self):
        self.assertEqual(self.unused(a_md="[a](examples/host.yaml)", b_swift='root + "examples/sandbox/host.yaml"'), [])
        self.assertEqual(texts.unused(["examples/a.yaml"], {"docs/a.md": "[a](../examples/a.yaml)"}), [])

    def test_a_part_of_a_path_does_not_count(self):
        self.assertEqual(self.unused(a_md="sandbox/host.yaml, host.yaml, my-examples/host.yaml, examples/host.yaml2"),
                         ["examples/host.yaml", "examples/sandbox/host.yaml"])


if __name__ == "__main__":
    unittest.main()
