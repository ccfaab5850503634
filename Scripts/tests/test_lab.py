"""What the lab reads from the logs of Xen and of dom0's kernel."""

import os
import sys
import types
import unittest

LAB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Tests/Lab/dom0")
# Xen's binding of libxenstore exists only in dom0.
sys.modules.setdefault("xen", types.ModuleType("xen"))
lowlevel = types.ModuleType("xen.lowlevel")
lowlevel.xs = types.ModuleType("xs")
sys.modules.setdefault("xen.lowlevel", lowlevel)
sys.path.insert(0, os.path.abspath(LAB))

from lab import conformance, present  # noqa: E402 (the modules above must be known first)

KERNEL = """\
[   12.177] pciback 0000:00:05.0: xen_pciback: seizing device
[   24.145] pciback 0000:00:05.0: xen_pciback: vpci: assign to virtual slot 0
[   24.147] pciback 0000:00:05.0: registering for 1
[   27.712] pciback 0000:00:07.0: xen_pciback: vpci: assign to virtual slot 1
[   27.716] pciback 0000:00:07.0: registering for 1
"""


class Exports(unittest.TestCase):
    def test_each_domain_has_its_own(self):
        self.assertEqual(present.exports(KERNEL, 1), {"0000:00:05.0": 0, "0000:00:07.0": 1})
        self.assertEqual(present.exports(KERNEL, 2), {})

    def test_a_slot_that_is_given_again_was_free(self):
        again = KERNEL + ("[   33.471] pciback 0000:00:08.0: xen_pciback: vpci: assign to virtual slot 1\n"
                          "[   33.477] pciback 0000:00:08.0: registering for 1\n")
        self.assertEqual(present.exports(again, 1), {"0000:00:05.0": 0, "0000:00:08.0": 1})

    def test_a_device_of_another_domain_has_left_the_first(self):
        moved = KERNEL + ("[   40.000] pciback 0000:00:07.0: xen_pciback: vpci: assign to virtual slot 0\n"
                          "[   40.001] pciback 0000:00:07.0: registering for 2\n")
        self.assertEqual(present.exports(moved, 1), {"0000:00:05.0": 0})
        self.assertEqual(present.exports(moved, 2), {"0000:00:07.0": 0})


class Owners(unittest.TestCase):
    def test_the_last_list_counts(self):
        text = ("(XEN) ==== PCI devices ====\n(XEN) 0000:00:05.0 - d9 - node -1\n"
                "(XEN) ==== PCI devices ====\n(XEN) ==== segment 0000 ====\n"
                "(XEN) 0000:00:05.0 - d3 - node -1\n(XEN) 0000:00:07.0 - d0 - node -1\n"
                "(XEN) 0000:00:08.0 - DomIO - node -1\n(XEN) 0000:00:1f.2 - d3 - node -1 - MSIs < 33 >\n")
        self.assertEqual(conformance.owners(text), {"0000:00:05.0": 3})

    def test_a_log_without_a_list_is_no_answer(self):
        with self.assertRaises(ValueError):
            conformance.owners("(XEN) Latest ChangeSet\n")


class FakeStore:
    def __init__(self, nodes):
        self.nodes = nodes

    def read(self, path):
        return self.nodes.get(path)


class FakeGuest:
    id, name, back_end, front_end = 3, "guest", "back", "front"

    @staticmethod
    def userdata():
        return {}


class FakeStand:
    """What each place says of a device: in order, unless a test changes it."""

    def __init__(self):
        self.store = FakeStore({"back/state": "4", "front/state": "4"})
        self.listed = [{"dev": "0000:00:07.0", "state": "3"}]
        self.in_configuration = ["0000:00:07.0"]
        self.claimed = {"0000:00:07.0": 3}

    def entries(self, _):
        return self.listed

    def saved(self, _):
        return self.in_configuration

    def claims(self):
        return self.claimed


class Disagreements(unittest.TestCase):
    def setUp(self):
        self.stand, self.owners = FakeStand(), {"0000:00:07.0": 3}
        self.was, conformance.assigned = conformance.assigned, lambda: self.owners
        os.environ["LAB_ACTOR"] = "xl"

    def tearDown(self):
        conformance.assigned = self.was

    def found(self, has=("0000:00:07.0",)):
        return conformance.Row(self.stand).disagreements(FakeGuest(), set(has))

    def test_places_that_agree(self):
        self.assertEqual(self.found(), [])

    def test_each_place_is_named(self):
        self.assertEqual(self.found(has=()), ["0000:00:07.0: listed, saved, claimed, assigned; not in the guest"])
        self.stand.in_configuration = []
        self.assertEqual(self.found(), ["0000:00:07.0: in the guest, listed, claimed, assigned; not saved"])
        self.stand.claimed = {"0000:00:07.0": 4}
        self.assertEqual(self.found(), ["0000:00:07.0: in the guest, listed, assigned; not saved; not claimed"])
        self.owners = {}
        self.assertEqual(self.found(), ["0000:00:07.0: in the guest, listed; not saved; not claimed; not assigned"])

    def test_an_entry_that_is_not_exported(self):
        self.stand.listed = [{"dev": "0000:00:07.0", "state": "1"}]
        self.assertEqual(self.found(), ["0000:00:07.0: in the guest, listed at state 1, saved, claimed, assigned"])

    def test_an_entry_twice(self):
        self.stand.listed *= 2
        self.assertEqual(self.found(), ["0000:00:07.0: in the guest, listed at state 3 and 3, saved, claimed, assigned"])

    def test_a_bus_that_is_stuck(self):
        self.stand.store.nodes["front/state"] = "1"
        self.assertEqual(self.found(), ["a bus at 4 and 1, not at 4 and 4"])


if __name__ == "__main__":
    unittest.main()
