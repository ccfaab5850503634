"""What the programs of Scripts count as a failure."""

import os
import tempfile
import unittest
from unittest import mock

import fuzz
import soak


class Fuzz(unittest.TestCase):
    def test_every_target_has_inputs(self):
        for target in fuzz.SEEDS:
            self.assertTrue(fuzz.seeds(target), target)

    def test_a_folder_without_inputs_ends_the_program(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(fuzz, "ROOT", folder):
            os.mkdir(os.path.join(folder, "empty"))
            for path in ("empty", "gone"):
                with mock.patch.object(fuzz, "SEEDS", {"bus": [path]}), self.assertRaises(SystemExit) as raised:
                    fuzz.seeds("bus")
                self.assertEqual(raised.exception.code, f"fuzz: bus: {path} has no inputs")

    def test_inputs_are_counted_even_without_statistics(self):
        self.assertEqual(fuzz.runs_of("#2\tINITED\n#70\tNEW\nstat::number_of_executed_units: 71\n"), 71)
        self.assertEqual(fuzz.runs_of("#2\tINITED\n#70\tNEW\n==1==ERROR\n"), 70)
        self.assertEqual(fuzz.runs_of("==1==ERROR\n"), 0)

    def test_a_crash_and_a_target_that_ran_nothing_are_failures(self):
        self.assertEqual(fuzz.failures({"bus": (5, True)}), [])
        self.assertEqual(fuzz.failures({"bus": (5, False), "qmp": (0, True)}),
                         ["bus: the program ended badly", "qmp: no input was run"])


class Soak(unittest.TestCase):
    def test_all_counts_are_needed_and_failures_are_found(self):
        figures = dict.fromkeys((*soak.KEYS, "fuzz_runs", "fuzz_crashes"), 0)
        missing, wrong = soak.judge(figures | {"cut_violations": 1})
        self.assertEqual(missing, list(soak.COUNTS))
        self.assertEqual(wrong, ["cut_violations"])
        self.assertEqual(soak.judge(figures | dict.fromkeys(soak.COUNTS, 1)), ([], []))
        self.assertEqual(soak.judge(dict.fromkeys(soak.KEYS, 1))[0], ["fuzz_runs"])

    def test_a_part_that_a_signal_ends_is_a_failure(self):
        for codes, worst in [((0, 0), 0), ((0, 1), 1), ((-9, 0), 9)]:
            parts = [mock.Mock(**{"wait.return_value": code}) for code in codes]
            self.assertEqual(soak.end_of(parts), worst)

    def test_a_part_counts_for_its_own_commit_only(self):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(soak, "RESULT", os.path.join(folder, "build/soak.json")):
            self.assertEqual(soak.earlier("a"), {})
            parts = {}
            soak.remember(parts, {"memory": {"seconds": 9, "failed": False, "faults": 3}}, "a")
            self.assertEqual(soak.earlier("a"), parts)
            self.assertEqual(soak.earlier("b"), {})
            soak.remember(parts, {"processes": {"seconds": 7, "failed": True, "attacks": 2}}, "a-dirty")
            self.assertEqual(list(soak.earlier("a")), ["memory"])
            self.assertEqual(soak.earlier("a-dirty"), {})
            figures = soak.total(parts)
            self.assertEqual((figures["faults"], figures["attacks"], figures["seconds"]), (3, 2, 9))
            self.assertNotIn("failed", figures)

    def test_every_kind_of_race_is_needed(self):
        self.assertLessEqual({key for key in soak.KEYS if key.startswith("races_")}, set(soak.COUNTS))


if __name__ == "__main__":
    unittest.main()
