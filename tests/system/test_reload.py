# SPDX-License-Identifier: BSD-2-Clause
"""A good new configuration takes effect and loses nothing; a bad one changes nothing."""
import os
import signal
import threading
import time
import unittest

from fixture import GateTest

WIDE = ("wide", ["192.0.2.0/24"])
NARROW = ("narrow", ["192.0.2.16/28"])


class Reload(GateTest):
    addresses = ["192.0.2.1", "192.0.2.17"]

    def setUp(self):
        super().setUp()
        self.start_gate([WIDE])
        self.connect("192.0.2.1", times=4, keep=2)
        self.connect("192.0.2.17", times=3, keep=1)
        self.assert_soon(7, lambda: self.gate.count("192.0.2.0/24"), "before")

    def check_new_network(self):
        self.assert_soon(True, lambda: self.network("narrow") is not None, "the new network")
        self.assertEqual(self.gate.count("192.0.2.0/24"), 7)
        self.assertEqual(self.gate.live("192.0.2.0/24"), 3)
        self.connect("192.0.2.17", times=5, keep=1)
        self.assert_soon(5, lambda: self.network("narrow")["opened"], "counts from now on")
        self.assert_soon(12, lambda: self.network("wide")["opened"], "the wider one adds it up")
        self.assert_soon(4, lambda: self.network("wide")["live"], "the wider one's live")
        self.clients.close()
        self.assert_soon(0, lambda: self.gate.live("0.0.0.0/0"), "all closed")
        self.assert_soon(0, lambda: self.network("wide")["live"], "all closed in the network")

    def test_reload_by_command(self):
        self.gate.write_config([WIDE, NARROW])
        self.assertEqual(self.gate.ask("reload").returncode, 0)
        self.check_new_network()

    def test_reload_by_signal(self):
        self.gate.write_config([WIDE, NARROW])
        self.gate.process.child.send_signal(signal.SIGHUP)
        self.check_new_network()

    def test_a_network_that_is_gone_leaves_its_counts_to_the_wider_one(self):
        self.gate.write_config([WIDE, NARROW])
        self.gate.ask("reload")
        self.connect("192.0.2.17", times=5)
        self.assert_soon(12, lambda: self.network("wide")["opened"], "with the narrow one")
        self.gate.write_config([WIDE])
        self.gate.ask("reload")
        self.assertIsNone(self.network("narrow"))
        self.assert_soon(12, lambda: self.network("wide")["opened"], "without it")

    def test_a_pipe_in_the_place_of_the_configuration_keeps_nobody_waiting(self):
        self.gate.config.unlink()
        os.mkfifo(self.gate.config)
        done = self.gate.ask("reload", check=False)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("it is a pipe", done.stderr)
        self.assertEqual(self.gate.count("192.0.2.0/24"), 7)

    def test_a_bad_configuration_changes_nothing(self):
        before = self.attached()
        self.gate.write_config([WIDE, ("broken", ["192.0.2.0/33"])])
        done = self.gate.ask("reload", check=False)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertRegex(done.stderr, r"tallygate\.toml:\d+:\d+: .*192\.0\.2\.0/33")
        self.gate.process.child.send_signal(signal.SIGHUP)
        self.assert_soon(True, lambda: "192.0.2.0/33" in self.gate.log.read_text(),
                         "the log tells what is wrong")
        self.assertEqual(self.attached(), before)
        self.assertIsNone(self.network("broken"))
        self.assertEqual(self.network("wide")["opened"], 7)
        self.assertEqual(self.gate.live("192.0.2.0/24"), 3)

    def test_what_moves_between_the_tables_is_guarded_all_the_while(self):
        listeners = 'listeners = ["198.51.100.25:25", "[2001:db8:25::25]:25"]'
        traffic = threading.Thread(target=self.connect, args=("192.0.2.1", 2000))
        traffic.start()
        for guards in [listeners, "ports = [25]"] * 15:
            self.gate.write_config([WIDE], guards=guards)
            self.gate.ask("reload")
        traffic.join()
        self.clients.close()
        self.assert_soon(2007, lambda: self.gate.count("192.0.2.0/24"), "all of them")
        self.assert_soon(0, lambda: self.gate.live("0.0.0.0/0"), "and their ends")

    def test_a_service_that_is_taken_out_is_followed_to_its_end(self):
        self.gate.write_config([WIDE], guards="ports = [2525]")
        self.gate.ask("reload")
        self.connect("192.0.2.1", times=2)
        self.clients.close()
        self.assert_soon(0, lambda: self.gate.live("0.0.0.0/0"), "those that were open")
        self.assertEqual(self.network("wide")["live"], 0)
        self.assertEqual(self.gate.count("192.0.2.0/24"), 7, "nothing new")

    def test_a_new_monitor_needs_no_restart(self):
        before = time.time()
        self.gate.write_config([WIDE], monitors=["60,10", "3600,24", "86400,2"])
        self.gate.ask("reload")
        self.connect("192.0.2.1", times=2)
        self.assert_soon(True, lambda: self.gate.count("192.0.2.0/24", "86400,2") >= 2, "new")
        self.assert_soon(9, lambda: self.gate.count("192.0.2.0/24"), "old")
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.assertGreater(self.since("86400,2"), before, "what came before is not in it")
            self.assertLess(self.since("3600,24"), before)
            self.gate.stop(number)
            self.gate.start()
        self.assertGreater(self.since("86400,2"), before)

    def since(self, monitor):
        return self.gate.ask_json("count", "192.0.2.0/24", "--monitor", monitor)["since"]


if __name__ == "__main__":
    unittest.main()
