"""What the runner of the configuration managers' tests counts as a failure."""

import io
import os
import tempfile
import unittest
from unittest import mock

import managers

SUITE = """
import unittest
class Good(unittest.TestCase):
    is_long = False
    def test_a(self): pass
    def test_b(self): pass
class Left(unittest.TestCase):
    is_long = True
    @unittest.skip("no reason")
    def test_a(self): pass
    def test_b(self): self.fail()
    def test_c(self): raise OSError()
    @unittest.expectedFailure
    def test_d(self): pass
    def test_e(self): pass
"""


class Runner(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        # A name that no other test of this program has imported.
        self.module = "test_" + os.path.basename(folder)
        with open(os.path.join(folder, self.module + ".py"), "w", encoding="utf-8") as file:
            file.write(SUITE)
        self.folder = folder
        self.enterContext(mock.patch.object(managers, "TESTS", folder))
        self.enterContext(mock.patch("sys.path", [folder]))
        self.enterContext(mock.patch("sys.stdout", io.StringIO()))

    def test_classes_are_chosen_by_length_and_by_name(self):
        good, left = self.module + ".Good", self.module + ".Left"
        self.assertEqual(managers.classes([], {False, True}), [left, good])
        self.assertEqual(managers.classes([], {False}), [good])
        self.assertEqual(managers.classes([self.module], {False}), [left, good])
        self.assertEqual(managers.classes([left], {False}), [left])
        for name in ("Good", self.module[:-1], left + "x"):
            with self.assertRaises(SystemExit):
                managers.classes([name], {False, True})

    def test_all_but_success_is_a_failure(self):
        self.assertEqual(managers.run_class(self.module + ".Good"), {"ran": 2, "failed": []})
        outcome = managers.run_class(self.module + ".Left")
        self.assertEqual([name[-6:] for name in outcome["failed"]], ["test_a", "test_b", "test_c", "test_d"])
        self.assertEqual(outcome["ran"], 5)

    def test_a_file_that_cannot_be_imported_ends_the_program(self):
        with open(os.path.join(self.folder, "test_broken.py"), "w", encoding="utf-8") as file:
            file.write("import nothing_of_this_name\n")
        with self.assertRaises(ImportError):
            managers.classes([], {False, True})

    def test_a_program_that_cannot_be_installed_is_a_failure(self):
        for executable in ("/bin/false", "/bin/true"):  # Without Python, and then without pip.
            with tempfile.TemporaryDirectory() as folder, mock.patch.object(managers, "TOOLS", folder), \
                    mock.patch.object(managers, "ENVIRONMENTS", {"none": ["nothing"]}), \
                    mock.patch.object(managers.sys, "executable", executable):
                self.assertIn("none: ", managers.make_environment("none")[1])
                self.assertFalse(os.path.exists(os.path.join(folder, "none/made")))


if __name__ == "__main__":
    unittest.main()
