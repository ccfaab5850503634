"""What the rules on layers, sizes, numbers, names, suites and targets find, and what they let pass."""

import os
import unittest
from unittest import mock

from rulebook import code, english, layers, names, policy, ratchets, sizes, suites, swift, targets, tree


class Layers(unittest.TestCase):
    LAYERS = [{"Up"}, {"Down"}]

    def findings(self, **texts):
        files = {f"Sources/T/{name}/A.swift": text for name, text in ({"Up": "", "Down": ""} | texts).items()}
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

    def test_a_folder_that_is_gone_is_found(self):
        self.assertEqual(list(layers.judge({"Sources/T/Up/A.swift": ""}, "T", self.LAYERS)),
                         [("Scripts/rulebook/policy.py", "LAYERS names Down, which is no folder of T")])

    def test_a_file_in_no_folder_is_found_unless_it_is_listed(self):
        files = {"Sources/T/Up/A.swift": "struct Run {}", "Sources/T/Down/A.swift": "", "Sources/T/B.swift": ""}
        place = "Sources/T/B.swift"
        self.assertEqual([found for found, _ in layers.judge(files, "T", self.LAYERS)], [place])
        self.assertEqual(list(layers.judge(files, "T", self.LAYERS, {place})), [])
        self.assertEqual([text for _, text in layers.judge(files | {place: "let run: Run"}, "T", self.LAYERS, {place})],
                         ["T must not know Run, which is in Up"])
        del files[place]
        self.assertEqual([text for _, text in layers.judge(files, "T", self.LAYERS, {place})],
                         [f"BESIDE_LAYERS names {place}, which is no file of T"])


class Sizes(unittest.TestCase):
    def types(self, text, path="Sources/T/A.swift"):
        return sizes.sizes({path: text})

    def findings(self, text):
        return [finding for _, finding in sizes.judge(self.types(text))]

    def large(self, functions=26, head="struct A"):
        return head + " {\n" + "".join(f"  func f{index}() {{}}\n" for index in range(functions)) + "}\n"

    def test_extensions_of_a_target_count_together(self):
        files = {"Sources/T/A.swift": self.large(13), "Sources/T/B.swift": self.large(13, "extension A"),
                 "Sources/U/A.swift": self.large(13)}
        types = sizes.sizes(files)
        self.assertEqual((types["T.A"].functions, types["U.A"].functions), (26, 13))
        self.assertEqual(types["T.A"].path, "Sources/T/A.swift")

    def test_a_large_type_is_found(self):
        self.assertEqual(self.findings(self.large(25)), [])
        self.assertIn("// Size 26/0: reason", self.findings(self.large(26))[0])

    def test_a_comment_allows_its_numbers_and_no_others(self):
        def findings(numbers, functions):
            return self.findings(f"// Size {numbers}: one per request\n" + self.large(functions))
        self.assertEqual(findings("30/0", 30), [])
        self.assertIn("its comment allows 29 and 0", findings("29/0", 30)[0])
        self.assertIn("write `// Size 30/0: reason`", findings("31/0", 30)[0])
        self.assertIn("write `// Size 30/0: reason`", findings("30/1", 30)[0])
        self.assertIn("no longer large", findings("30/0", 3)[0])

    def test_a_comment_without_numbers_or_reason_is_found(self):
        for comment in ("// Size: one per request", "// Size 30/0:", "// Size 30: one per request"):
            self.assertIn("must have the form", self.findings(f"{comment}\n{self.large(30)}")[0], comment)

    def test_the_comment_of_a_declaration_counts_for_its_extensions(self):
        files = {"Sources/T/A.swift": "// Size 30/0: why\n" + self.large(13),
                 "Sources/T/B.swift": self.large(17, "extension A")}
        self.assertEqual(list(sizes.judge(sizes.sizes(files))), [])

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


class Ratchets(unittest.TestCase):
    def findings(self, text, places):
        return list(ratchets.judge(places, ratchets.allowed(text)))

    def test_what_is_counted_may_only_become_rarer(self):
        for name in ("try?", "@unchecked Sendable", "files over 400 lines", "word nil where"):
            def line(number):
                return f"word {number} nil where\n" if name.startswith("word") else f"{number} {name}\n"
            places = {name: ["a:1", "b:2"]}
            self.assertEqual(self.findings("# Head\n\n" + line(2), places), [])
            self.assertIn("a:1 b:2", self.findings(line(1), places)[0])
            self.assertIn("left of 3", self.findings(line(3), places)[0])

    def test_each_name_has_a_number_and_each_number_a_name(self):
        self.assertEqual(len(self.findings("", {"try?": []})), 1)
        self.assertEqual(len(self.findings("0 try?\nword 0 betwixt\n", {"try?": []})), 1)

    def test_recording_only_lowers(self):
        places = {"word anew": ["a:1", "b:2"], "try?": ["a:1"]}
        for before, after in ((3, 2), (1, 1)):
            self.assertEqual(ratchets.lowered(f"# word\n{before} try?\nword {before} anew\n", places),
                             f"# word\n1 try?\nword {after} anew\n")


class English(unittest.TestCase):
    def places(self, text):
        return english.places({"docs/a.md": text})["word mended"]

    def test_words_are_found_in_all_their_forms(self):
        self.assertEqual(self.places("It is mended.\nIt mends it, Mended.\n"),
                         ["docs/a.md:1", "docs/a.md:2", "docs/a.md:2"])

    def test_a_name_in_code_is_no_word(self):
        self.assertEqual(self.places('case "mended": x.mended() + isMended + `mended`; let mended = 1'), [])

    def test_golden_files_are_not_read(self):
        paths = ["Tests/A/Fixtures/v1/Plan.json", "Scripts/rulebook/policy.py", "Sources/A/B.swift", "docs/a.md",
                 "README.md"]
        self.assertEqual([path for path in paths if english.is_read(path)], paths[2:])


class Code(unittest.TestCase):
    def test_public_declarations_are_found_and_public_imports_are_not(self):
        text = "public import A\npublic struct B {}\n  @safe open class C {}\npackage func d() {}\n"
        self.assertEqual([place for place, _ in code.judge({"Sources/T/A.swift": text})],
                         ["Sources/T/A.swift:2", "Sources/T/A.swift:3"])

    def test_a_path_of_a_host_is_found_outside_its_file(self):
        def places(path):
            return [place for place, _ in code.judge({path: 'let a = "/proc"\nlet b = root + "/dev/null" + "/proc/self/fd/1"\n'})]
        self.assertEqual(places("Sources/T/A.swift"), ["Sources/T/A.swift:1"])
        for path in (*policy.HOST_PATH_FILES, "Sources/Sandbox/A.swift", "Tests/T/A.swift"):
            self.assertEqual(places(path), [], path)

    def test_a_second_way_to_print_is_found(self):
        def found(line, path="Sources/T/A.swift"):
            return len(list(code.judge({path: line + "\n"})))
        for line in ('print("a")', "debugPrint(a)", "fputs(text, log)", "write(2, start, count)", "let f = FileHandle()",
                     "Glibc.write(STDOUT_FILENO, start, 1)", "TerminalText(own: name)"):
            self.assertEqual(found(line), 1, line)
            self.assertEqual(found(line, "Tests/T/A.swift"), 0, line)
            self.assertEqual(found(line, "Sources/TestSupport/A.swift"), 0, line)
        for line in ("let sprint = blueprint(a)", "write(text)", 'TerminalText("a")', "context.standardError(text)"):
            self.assertEqual(found(line), 0, line)
        for _, files, _ in policy.RESERVED:
            for path in files:
                self.assertTrue(os.path.exists(os.path.join(tree.ROOT, path)), path)

    def test_a_release_of_xen_is_named_in_the_table_only(self):
        def found(text, path="Sources/T/A.swift"):
            return len(list(code.judge({path: swift.code(text + "\n")})))
        for text in ('let a = "xen-4.17"', 'let a = "Xen 4.20 does"', "let a = 4.21"):
            self.assertEqual(found(text), 1, text)
            self.assertEqual(found(text, "Sources/XenProtocol/Releases/XenRelease.swift"), 0, text)
        for text in ("/// As in Xen 4.17.", 'let a = "14.175"', "let a = XenRelease(4, 17)"):
            self.assertEqual(found(text), 0, text)

    def test_patterns_are_counted_in_code_and_some_in_comments(self):
        whole = {"Sources/T/A.swift": "try? a()  // try?\n// swift-format-ignore\n"}
        found = code.places({path: swift.code(text) for path, text in whole.items()}, whole)
        self.assertEqual(found["try?"], ["Sources/T/A.swift:1"])
        self.assertEqual(found["swift-format-ignore"], ["Sources/T/A.swift:2"])

    def test_a_long_file_is_counted(self):
        name = f"files over {policy.LONGEST_FILE} lines"
        for length, found in ((policy.LONGEST_FILE, []), (policy.LONGEST_FILE + 1, ["Sources/T/A.swift"])):
            files = {"Sources/T/A.swift": "\n" * length}
            self.assertEqual(code.places(files, files)[name], found)


class Names(unittest.TestCase):
    TEXTS = {"Tests/T/A.swift": 'struct `Two runs` { @Test func `a name (of all)`() { run("a stale name") } }\n'
                                "struct RaceTests { @Test func each() {} }",
             "Sources/T/B.swift": "struct Engine {}"}

    def findings(self, unfit=(), parts=(), skipped=""):
        return list(names.judge(names.declared(self.TEXTS), unfit, parts, names.skipped(skipped)))

    def test_names_of_tests_and_suites_pass(self):
        self.assertEqual(self.findings(["a name"], ["Race|Two runs", "each"],
                                       "# Head\n\nunprivileged: a name (of all)  # Why.\n"), [])

    def test_a_stale_name_is_found_wherever_it_is(self):
        self.assertEqual(self.findings(unfit=["a stale name"]),
                         [("Scripts/sanitize.py", "'a stale name' is in the name of no test and no suite")])
        self.assertEqual(self.findings(parts=["Race|Engine"]),
                         [("Scripts/soak.py", "'Engine' is in the name of no test and no suite")])
        self.assertEqual(self.findings(skipped="a name  # Not the whole one."),
                         [("Scripts/skipped-tests.txt", "'a name' is the name of no test")])


class Suites(unittest.TestCase):
    def findings(self, *files):
        return list(suites.judge(suites.suites(dict(files))))

    def test_promises_name_suites_that_exist(self):
        text = "| promise | against | held by |\n|---|---|---|\n| it ends | guests | `ATests`, `BAttacks` |\n"
        self.assertEqual(list(suites.promised(text, {"ATests", "BAttacks"})), [])
        self.assertEqual(list(suites.promised(text, {"ATests"})),
                         [("SECURITY.md:3", "no suite of tests is called BAttacks")])

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
