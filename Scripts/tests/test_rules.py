"""What the rules on layers, sizes, suites and targets find, and what they let pass."""

import unittest
from unittest import mock

from rulebook import english, layers, policy, sizes, suites, targets


class Layers(unittest.TestCase):
    LAYERS = [{"Up"}, {"Down"}]

    def findings(self, **texts):
        files = {f"Sources/T/{name}/A.swift": text for name, text in texts.items()}
        return [text for _, text in layers.judge(files, "T", self.LAYERS)]

    def test_a_lower_folder_must_not_name_what_is_above_it(self):
        self.assertEqual(self.findings(Up="struct Run { let log: Log }", Down="final class Log {}"), [])
        self.assertEqual(self.findings(Up="struct Run {}", Down="struct Log { let run: Run }"),
                         ["Down must not know Run, which is in Up"])
        self.assertEqual(len(self.findings(Up="protocol Model {}", Down="let model: any Model")), 1)

    def test_comments_strings_members_and_private_types_are_no_names(self):
        self.assertEqual(self.findings(Up="struct Run {}", Down='// Run\nlet a = "Run", b = Other.Run'), [])
        self.assertEqual(self.findings(Up="private struct Run {}", Down="private struct Run {}\nlet run: Run"), [])

    def test_a_folder_without_a_place_is_found(self):
        self.assertEqual(len(self.findings(Side="struct Run {}")), 1)


class Sizes(unittest.TestCase):
    def types(self, text, path="Sources/T/A.swift"):
        return sizes.sizes({path: text})

    def findings(self, text, exceptions=""):
        return [finding for _, finding in sizes.judge(self.types(text), sizes.exceptions(exceptions))]

    def large(self, functions=26, head="struct A"):
        return head + " {\n" + "".join(f"  func f{index}() {{}}\n" for index in range(functions)) + "}\n"

    def test_extensions_of_a_target_count_together(self):
        files = {"Sources/T/A.swift": self.large(13), "Sources/T/B.swift": self.large(13, "extension A"),
                 "Sources/U/A.swift": self.large(13)}
        types = sizes.sizes(files)
        self.assertEqual((types["T.A"].functions, types["U.A"].functions), (26, 13))
        self.assertEqual(types["T.A"].path, "Sources/T/A.swift")

    def test_a_large_type_is_found_unless_a_reason_stands_beside_it(self):
        self.assertEqual(self.findings(self.large(25)), [])
        self.assertEqual(len(self.findings(self.large(26))), 1)
        self.assertEqual(self.findings("// Size: one per request\n" + self.large(26)), [])

    def test_an_exception_is_exact(self):
        def line(functions):
            return f"type T.A {functions} functions 0 fields  # why"
        self.assertEqual(self.findings(self.large(30), line(30)), [])
        self.assertIn("were allowed", self.findings(self.large(30), line(29))[0])
        self.assertIn("write that down", self.findings(self.large(30), line(31))[0])
        self.assertIn("no longer large", self.findings(self.large(3), line(30))[0])
        self.assertIn("no longer there", self.findings("", line(30))[0])

    def test_an_exception_needs_a_reason(self):
        self.assertEqual(len(self.findings(self.large(30), "type T.A 30 functions 0 fields")), 1)

    def test_recording_only_lowers(self):
        types = self.types(self.large(28))
        for before, after in ((30, 28), (27, 27)):
            text = f"# Head\n3 try?\ntype T.A {before} functions 0 fields  # why\n"
            self.assertEqual(sizes.lowered(text, types), text.replace(str(before), str(after)))
        self.assertEqual(sizes.lowered("type T.A 30 functions 0 fields  # why\n", self.types(self.large(2))), "")

    def test_fields_of_data_do_not_count(self):
        fields = "{ var a, b: Int\n var c: Int\n var d: Int\n var e: Int\n var f: Int\n"
        self.assertEqual(self.types(f"struct A {fields} }}")["T.A"].fields, 0)
        for text in (f"final class A {fields} }}", f"struct A {fields} mutating func g() {{}} }}",
                     f"struct A {fields} }}\nextension A {{ mutating func g() {{}} }}",
                     f"struct A {fields} }}\nfinal class B {{ let state: Mutex<A> }}",
                     f"struct A {fields} }}\nfinal class B {{ let state = Mutex(A()) }}"):
            self.assertEqual(self.types(text)["T.A"].fields, 6, text)

    def test_the_largest_are_named_with_both_counts(self):
        self.assertEqual(sizes.largest(self.types(self.large(3, "final class A"))),
                         ["  T.A: 3 functions, 0 mutable fields"])


class English(unittest.TestCase):
    def findings(self, text, ratchets):
        with mock.patch.object(policy, "WORDS", {"mended": policy.WORDS["mended"]}):
            places = english.counts({"docs/a.md": text})
            return [finding for _, finding in english.judge(places, english.allowed(ratchets))]

    def test_a_word_may_only_become_rarer(self):
        text = "It is mended.\nIt mends it, Mended.\n"
        self.assertEqual(self.findings(text, "word 3 mended\n"), [])
        self.assertIn("docs/a.md:1 docs/a.md:2", self.findings(text, "word 2 mended\n")[0])
        self.assertIn("left of 4", self.findings(text, "word 4 mended\n")[0])

    def test_a_name_in_code_is_no_word(self):
        text = 'case "mended": x.mended() + isMended + `mended`; let mended = 1'
        self.assertEqual(self.findings(text, "word 0 mended\n"), [])

    def test_every_word_has_a_number(self):
        self.assertEqual(len(self.findings("", "")), 1)
        self.assertEqual(len(self.findings("", "word 0 mended\nword 0 betwixt\n")), 1)

    def test_recording_only_lowers(self):
        places = {"anew": ["a:1", "b:2"]}
        for before, after in ((3, 2), (1, 1)):
            self.assertEqual(english.lowered(f"# word\n3 try?\nword {before} anew\n", places),
                             f"# word\n3 try?\nword {after} anew\n")

    def test_golden_files_are_not_read(self):
        paths = ["Tests/A/Fixtures/v1/Plan.json", "Scripts/rulebook/policy.py", "Sources/A/B.swift", "docs/a.md",
                 "README.md"]
        self.assertEqual([path for path in paths if english.is_read(path)], paths[2:])


class Suites(unittest.TestCase):
    def findings(self, *files):
        return list(suites.judge(suites.suites(dict(files))))

    def test_one_name_in_two_targets_is_found_in_both(self):
        text = "@Suite struct DriftTests { @Test func a() {} }"
        found = self.findings(("Tests/A/One.swift", text), ("Tests/B/Two.swift", text))
        self.assertEqual([place for place, _ in found], ["Tests/A/One.swift:1", "Tests/B/Two.swift:1"])

    def test_files_and_names_in_words_count_too(self):
        text = "struct `Hostile guests` { @Test func a() {} }"
        self.assertEqual(len(self.findings(("Tests/A/HostileGuestTests.swift", ""), ("Tests/B/C.swift", text))), 2)

    def test_one_target_may_spread_a_suite(self):
        text = "extension DriftTests { @Test func a() {} }"
        self.assertEqual(self.findings(("Tests/A/DriftTests.swift", text), ("Tests/A/B.swift", text)), [])


class Targets(unittest.TestCase):
    def setUp(self):
        for name, value in {"PURE": {"Model": set(), "Ports": {"Model"}}, "UNREACHABLE": {"Engine": {"Sandbox"}},
                            "ADAPTERS": {"Linux"}, "ADAPTER_USERS": {"berth"},
                            "C_IMPORTERS": {"CShared": {"Linux", "Sandbox"}}}.items():
            patch = mock.patch.object(policy, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def findings(self, **changes):
        graph = {"Model": [], "Ports": ["Model"], "Engine": ["Ports"], "Linux": ["Ports", "CShared"], "CShared": [],
                 "Sandbox": ["Ports", "CShared"], "CYAML": [], "Reader": ["CYAML"], "berth": ["Engine", "Linux"]}
        graph |= changes
        return [text for _, text in targets.judge([
            {"name": name, "path": f"Sources/{name}", "target_dependencies": others,
             "module_type": "ClangTarget" if name.startswith("C") else "SwiftTarget"}
            for name, others in graph.items()])]

    def test_the_rules_hold_of_a_good_graph(self):
        self.assertEqual(self.findings(), [])

    def test_each_wrong_arrow_is_found(self):
        for name, others, text in (
                ("Model", ["Ports"], "Model is pure and must not depend on Ports"),
                ("Engine", ["Ports", "Sandbox"], "Engine must not reach Sandbox"),
                ("Engine", ["Linux"], "only berth joins the adapters, and Engine depends on Linux"),
                ("Engine", ["CYAML"], "CYAML has one importer, and here are Engine, Reader"),
                ("Linux", ["Ports"], "CShared is for Linux, Sandbox, and Sandbox imports it")):
            self.assertIn(text, self.findings(**{name: others}))

    def test_an_arrow_through_another_target_is_found(self):
        self.assertEqual(self.findings(Engine=["Helper"], Helper=["Sandbox"]), ["Engine must not reach Sandbox"])

    def test_a_rule_about_no_target_is_found(self):
        with mock.patch.object(policy, "UNREACHABLE", {"Gone": set()}):
            self.assertEqual(self.findings(), ["Gone is no target of Package.swift"])

    def test_imports_of_all_kinds_are_found(self):
        text = "import A\npackage import B\n@testable import C\n@_spi(X) import struct D.E\nimport F\nstruct G {}\n"
        self.assertEqual(list(targets.imports(text)), [(1, "A"), (2, "B"), (3, "C"), (4, "D"), (5, "F")])

    def test_the_table_names_what_each_target_depends_on(self):
        description = [{"name": name, "path": path, "target_dependencies": others} for name, path, others in (
            ("B", "Sources/B", ["C", "a"]), ("a", "Sources/a", None), ("T", "Tests/T", ["a"]))]
        self.assertEqual(targets.table(description).splitlines()[2:], ["| `a` | – |", "| `B` | `a`, `C` |"])


if __name__ == "__main__":
    unittest.main()
