"""What the reader of Swift takes for a comment, a string, a type, a function and a stored field."""

import unittest

from rulebook import swift


def types(text):
    return {part.name: part for part in swift.types_of(text)}


class Comments(unittest.TestCase):
    def test_comments_go_and_lines_stay(self):
        self.assertEqual(swift.code("a // b\n/* c /* d */\n e */ f"), "a     \n" + " " * 12 + "\n      f")

    def test_a_comment_sign_in_a_string_is_no_comment(self):
        for text in ('"https://x"', '#"a" // b"#', '"\\" // a"', '"""\n// a "quoted" b\n"""', '"\\(f("//")) //"'):
            self.assertEqual(swift.code(text), text)

    def test_a_string_ends_after_its_interpolations(self):
        text = '"a \\(f("}", g("\\(h)"))) {"'
        self.assertEqual(swift.bare(text + " + x"), " " * len(text) + " + x")

    def test_a_raw_string_has_no_escapes_without_its_signs(self):
        self.assertEqual(swift.bare('#"\\"#; x').strip(), "; x")
        self.assertEqual(swift.bare('##"a"# \\##("##")"##; x').strip(), "; x")

    def test_an_open_string_ends_with_its_line(self):
        self.assertEqual(swift.bare('"a\nb').strip(), "b")

    def test_a_quote_in_a_name_begins_no_string(self):
        self.assertEqual(swift.code('func `a "b // c`() {}'), 'func `a "b // c`() {}')


class Functions(unittest.TestCase):
    def test_members_count_and_local_functions_do_not(self):
        found = types("struct A { init() { func b() {} ; class C { func d() {} } }\n static func e<T>() {}\n"
                      "subscript(i: Int) -> Int { 0 } }\nfunc f() {}")
        self.assertEqual({name: part.functions for name, part in found.items()}, {"A": 3})

    def test_calls_of_initialisers_do_not_count(self):
        found = types("final class A { let a: A = .init(), b = B.init(c: 1)\n convenience init?() { self.init(1) }\n"
                      "deinit { } }")
        self.assertEqual(found["A"].functions, 2)

    def test_class_func_is_a_function_and_no_type(self):
        found = types("class A { class func b() {}\n class var c: Int { 1 } }")
        self.assertEqual((found["A"].functions, found["A"].fields, list(found)), (1, 0, ["A"]))

    def test_nested_types_and_extensions_have_whole_names(self):
        found = types("enum A { struct B { func c() {} } }\nextension A.B { func d() {} }\n"
                      "extension A: P where T == B {\n  func e() {} }")
        self.assertEqual(sorted(found), ["A", "A.B"])
        self.assertEqual([part.functions for part in swift.types_of("enum A { struct B { func c() {} } }")], [0, 1])

    def test_what_a_protocol_asks_for_does_not_count(self):
        self.assertEqual(types("protocol P { var a: Int { get }\n func b() }"), {})

    def test_imports_of_one_type_are_no_types(self):
        self.assertEqual(list(types("import struct A.B\nstruct C { func d() {} }")), ["C"])

    def test_braces_in_strings_and_comments_do_not_count(self):
        found = types('struct A { let a = "}" // }\n func b() {} }')
        self.assertEqual(found["A"].functions, 1)


class Fields(unittest.TestCase):
    def fields(self, members):
        return types("final class A {\n" + members + "\n}")["A"].fields

    def test_stored_ones_count(self):
        for members in ("var a = 1", "private(set) var a: Int", "var a: [String: Int] = [:]", "@Wrapped(1) var a: Int?",
                        "var a: Int { didSet { print(1) } }", "lazy var a = { 1 }()", "var a: (Int) -> Void",
                        "var a: Dictionary<Int, Int>", "var a = f(1, b: 2)", "weak var a: A?"):
            self.assertEqual(self.fields(members), 1, members)

    def test_several_in_one_line_count_each(self):
        self.assertEqual(self.fields("var a: Int, b = f(1, 2), c: [Int: Int] = [:]"), 3)

    def test_computed_constant_static_and_local_ones_do_not(self):
        for members in ("var a: Int { 1 }", "var a: Int {\n get { 1 } set {} }", "let a = 1", "static var a = 1",
                        "var a: Int {\n var b = 1\n return b }", "func a() { var b = 1 }",
                        "var a: [Int: Int] {\n [:] }"):
            self.assertEqual(self.fields(members), 0, members)


class SizeComments(unittest.TestCase):
    def size(self, text):
        found = types(text)["A"]
        return found.has_size, found.allowed

    def test_a_comment_is_above_or_beside(self):
        self.assertEqual(self.size("/// Text.\n// Size 46/11: one case per call\n@safe final class A {}"),
                         (True, (46, 11)))
        self.assertEqual(self.size("struct A { // Size 3/5: a table\n}"), (True, (3, 5)))

    def test_an_incomplete_comment_allows_nothing(self):
        for comment in ("// Size:", "// Size: reason", "// Size 3: reason", "// Size 3/5:"):
            self.assertEqual(self.size(f"{comment}\nstruct A {{}}"), (True, ()), comment)

    def test_a_distant_comment_is_none(self):
        self.assertEqual(self.size("// Size 3/5: b\n\nstruct A {}"), (False, ()))


class Strings(unittest.TestCase):
    def test_literals_are_found_whole_and_comments_are_not(self):
        text = 'let a = "b \\(c("d"))" // "e"\nlet f = #"g"#\n'
        self.assertEqual(list(swift.strings(text)), [(8, '"b \\(c("d"))"'), (text.index("#"), '#"g"#')])


class Suites(unittest.TestCase):
    def test_a_type_with_a_test_is_a_suite(self):
        found = types("struct `One` { @Test(arguments: [1]) func `a {`(b: Int) {} }\nstruct Two { let a = 1 }")
        self.assertEqual({name: part.has_tests for name, part in found.items()}, {"One": True, "Two": False})


if __name__ == "__main__":
    unittest.main()
