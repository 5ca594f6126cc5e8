# SPDX-License-Identifier: BSD-2-Clause
"""Who has proven himself is remembered where the gate's tables are not."""
import unittest

from fixture import GateTest
from flooding import limit

OLD_FRIEND, NEWCOMER = "192.0.2.1", "192.0.2.2"
# One newcomer in an hour: whoever is let in after the first is not taken for one.
NEWCOMERS = limit("newcomers", per=["0.0.0.0/0"], who="claimed", syn_rate="1/h", syn_burst=1)


class Proven(GateTest):
    addresses = [OLD_FRIEND, NEWCOMER]

    def begin(self, state=""):
        self.gate.write_config([], gate='mode = "enforce"', state=state, more=NEWCOMERS)
        self.gate.start()

    def begin_with_new_tables(self, **config):
        self.gate.stop()
        self.gate.detach()
        self.begin(**config)

    def is_proven(self, address):
        [service] = self.gate.ask_json("explain", address)["services"]
        return service["proven"]

    def test_new_tables_know_old_friends(self):
        self.begin()
        self.connect(OLD_FRIEND)
        self.assert_soon(True, lambda: self.is_proven(OLD_FRIEND), "who has just connected")

        self.begin_with_new_tables()
        self.assertTrue(self.is_proven(OLD_FRIEND))
        self.assertFalse(self.is_proven(NEWCOMER))
        self.assertEqual(self.gate.count(f"{OLD_FRIEND}/32"), 1, "its windows are history")
        self.connect(NEWCOMER)  # and nobody else in this hour
        self.connect(OLD_FRIEND, times=3)

    def test_they_are_remembered_from_one_start_to_the_next(self):
        self.begin()
        self.connect(OLD_FRIEND)
        self.begin_with_new_tables()
        self.begin_with_new_tables()
        self.assertTrue(self.is_proven(OLD_FRIEND), "who did not come back in between")

    def test_nobody_is_remembered_if_that_is_off(self):
        self.begin()
        self.connect(OLD_FRIEND)
        self.begin_with_new_tables(state='remember_proven = "off"')
        self.assertFalse(self.is_proven(OLD_FRIEND))

    def test_a_damaged_list_is_set_aside(self):
        self.begin()
        self.connect(OLD_FRIEND)
        self.gate.stop()
        saved = self.gate.work_dir / "state" / "proven"
        saved.write_bytes(saved.read_bytes()[:-1])
        self.gate.detach()
        self.begin()
        self.assertFalse(self.is_proven(OLD_FRIEND))
        self.assertTrue(saved.with_name("proven.damaged").exists())


if __name__ == "__main__":
    unittest.main()
