# SPDX-License-Identifier: BSD-2-Clause
"""Block and allow lists: from files of a hundred thousand prefixes, and by hand."""
import signal
import threading
import time
import unittest

from flooding import HOT_SOURCES, limit
from guarding import (BAD_CONFIGURATION, ENFORCE, UNKNOWN, GuardTest, block_file, many_blocks)
from lab.gate import settle

GOOD = "192.0.2.1"
BAD = "203.0.113.7"
NEIGHBOUR = "203.0.113.70"


class ListsSwap(GuardTest):
    """The lists are replaced as a whole while packets come in."""

    addresses = [GOOD, BAD]

    def test_a_hundred_thousand_prefixes_are_replaced_and_no_packet_sees_an_empty_list(self):
        """Both lists have the senders, under other prefixes, so no node is in both."""
        lists = [self.write_list("wide.txt", many_blocks(99_997, 1) +
                                 ["203.0.113.0/24", "203.0.114.0/23", "100.64.0.0/10"]),
                 self.write_list("narrow.txt", many_blocks(99_997, 2) + HOT_SOURCES)]
        self.start_gate(gate=ENFORCE, more=block_file(lists[0]))
        flood = self.begin_flood("hot", seconds=4)
        settle(lambda: self.verdict("drop_blocked") > 0, True)
        took = []
        while flood.poll() is None and len(took) < 3:
            before = self.status("lists")["swapped_at"]
            done = self.reload(gate=ENFORCE, more=block_file(lists[(len(took) + 1) % 2]))
            self.assertEqual(done.returncode, 0, done.stderr)
            took.append(self.wait_for_swap(before))
            self.assert_served(GOOD, "everybody else is served all the while")
        sent = self.end_flood(flood)

        self.assertGreater(sent, 100_000, "that was no flood")
        self.assertGreater(len(took), 1, "swaps while it lasted")
        self.assert_soon(sent + len(took), self.syn_total, "every SYN is counted")
        self.assertEqual(self.verdict("drop_blocked"), sent, "and each of the blocked dropped")
        self.assertEqual(self.service()["dropped"], sent)
        for seconds in took:
            self.assertTrue(0 < seconds < 10, took)
        self.assertRegex(self.gate.log.read_text(),
                         r"lists: \d+ allowed and 100000 blocked, taken in \d+ ms")

    def test_what_control_sets_during_a_swap_is_in_the_new_lists(self):
        """Also what it takes off meanwhile is off."""
        old = self.write_list("old.txt", ["203.0.114.0/24"])
        new = self.write_list("new.txt", many_blocks(200_000, 3))
        self.start_gate(gate=ENFORCE, more=block_file(old))
        self.gate.ask("block", "add", "203.0.115.0/24")
        self.reload(gate=ENFORCE, more=block_file(new))
        self.gate.ask("block", "add", "203.0.113.0/24")
        self.gate.ask("block", "remove", "203.0.115.0/24")
        self.assertTrue(self.status("lists")["swap_under_way"], "it was over too soon to tell")
        self.assert_kept_out(BAD, "in force in the old lists as well")

        self.assert_soon(False, lambda: self.status("lists")["swap_under_way"], "taken")
        self.assertEqual(self.status("lists")["block"], 200_001)
        self.assert_kept_out(BAD, "and in the new ones")
        for address, verdict in ((BAD, "drop_blocked"), ("203.0.115.9", "pass_syn"),
                                 ("203.0.114.9", "pass_syn")):
            self.assertEqual(self.explain(address)["verdict"], verdict, address)


class ListsOfControl(GuardTest):
    """`tallygate block` and `tallygate allow`."""

    addresses = [GOOD, BAD, NEIGHBOUR, "2001:db8:bad::1"]

    def test_a_block_keeps_out_and_says_who_why_and_until_when(self):
        self.start_gate(gate=ENFORCE)
        self.assert_served(BAD)
        self.gate.ask("block", "add", "203.0.113.9/26", "--for", "1h", "--reason", "ticket 12")
        self.gate.ask("block", "add", "2001:db8:bad::/48")
        self.assert_kept_out(BAD)
        self.assert_kept_out("2001:db8:bad::1")
        self.assert_served(NEIGHBOUR, "the /26 next to it")

        self.assertEqual(self.blocked(), ["2001:db8:bad::/48", "203.0.113.0/26"])
        entry = self.entries("block")[0]
        self.assertEqual((entry["cidr"], entry["reason"], entry["origin"]),
                         ("203.0.113.0/26", "ticket 12", "control"))
        self.assertAlmostEqual(entry["until"], time.time() + 3600, delta=30)
        shown = self.gate.ask("block", "list").stdout
        self.assertRegex(shown, r"203\.0\.113\.0/26 +\d{4}-\S+ .*control +ticket 12")

        self.gate.ask("block", "remove", "203.0.113.0/26")
        self.assert_served(BAD)
        self.assertEqual(self.blocked(), ["2001:db8:bad::/48"])
        self.assert_refused(UNKNOWN, "203.0.113.0/26", "block", "remove", "203.0.113.0/26")

    def test_the_gate_itself_ends_a_block_while_the_daemon_stands_still(self):
        self.start_gate(gate=ENFORCE)
        self.gate.ask("block", "add", BAD, "--for", "3s", "--reason", "a moment")
        ends = self.entries("block")[0]["until"]
        child = self.gate.process.child
        child.send_signal(signal.SIGSTOP)
        try:
            self.assert_kept_out(BAD, "the lease is a minute")
            self.assertLess(time.time(), ends, "too slow to tell")
            self.sleep_until(ends + 0.05)
            self.assert_served(BAD, "nobody but the gate could end it")
        finally:
            child.send_signal(signal.SIGCONT)
        self.assert_soon([], self.blocked, "off the books")
        ended = self.audit("block_end")
        self.assertEqual([each["what"] for each in ended], ["203.0.113.7/32"])

    def test_what_control_set_outlives_kill_9_and_what_has_ended_does_not(self):
        self.start_gate(gate=ENFORCE)
        self.gate.ask("block", "add", BAD, "--for", "1h", "--reason", "stays")
        self.gate.ask("block", "add", "203.0.114.0/24", "--for", "1h")
        self.gate.ask("allow", "add", "198.18.0.1", "--reason", "a friend")
        self.gate.ask("block", "add", NEIGHBOUR, "--for", "2s", "--reason", "ends")
        ends = min(each["until"] for each in self.entries("block"))
        self.gate.ask("block", "remove", "203.0.114.0/24")
        self.gate.stop(signal.SIGKILL)
        self.assert_kept_out(BAD, "the gate goes on")
        self.sleep_until(ends + 0.05)
        self.gate.start()

        self.assertEqual(self.blocked(), ["203.0.113.7/32"])
        self.assertEqual(self.entries("block")[0]["reason"], "stays")
        self.assertEqual([each["reason"] for each in self.entries("allow")], ["a friend"])
        self.assert_kept_out(BAD)
        self.assert_served(NEIGHBOUR)
        self.gate.stop()
        self.gate.start()
        self.assertEqual(self.blocked(), ["203.0.113.7/32"], "and a restart in good order")

    def test_allow_beats_block_beats_limits(self):
        blocked = '\n[[block]]\ncidrs = ["203.0.113.0/24"]\n'
        self.start_gate(gate=ENFORCE, more=limit("one", syn_rate="1/h", syn_burst=1) + blocked)
        self.assert_kept_out(BAD)
        self.gate.ask("allow", "add", BAD)
        for _ in range(3):
            self.assert_served(BAD, "allowed: no block and no limit")
        self.assert_kept_out(NEIGHBOUR, "the block around it stands")
        self.assertEqual(self.gate.ask_json("limits")["limits"][0]["dropped"], 0,
                         "whom a block keeps out never meets a limit")
        self.assert_served(GOOD)
        self.assert_kept_out(GOOD, "the limit holds for others")
        self.gate.ask("allow", "remove", BAD)
        self.assert_kept_out(BAD)


class ListsFromFiles(GuardTest):
    """A file that is wrong changes nothing; one in any of the public formats is taken."""

    addresses = [GOOD, BAD]

    def test_the_formats_of_public_drop_lists(self):
        path = self.write_list("drop.txt", [
            "; Spamhaus DROP List 2025/11/21", "1.10.16.0/20 ; SBL256894", "# a comment",
            "", "5.188.10.0/23;SBL1", "6.6.6.6 # one address", "7.7.0.0 - 7.7.0.255",
            '{"cidr":"203.0.113.0/24","sblid":"SBL123","rir":"apnic"}',
            '{"type":"metadata","timestamp":1763726400,"size":1}', "2001:db8:bad::/48 ; SBL7"])
        self.start_gate(gate=ENFORCE)
        before = self.status("lists")["swapped_at"]
        done = self.reload(gate=ENFORCE, more=block_file(path, "drop"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.wait_for_swap(before)
        self.assertEqual(self.blocked("file"),
                         ["1.10.16.0/20", "2001:db8:bad::/48", "203.0.113.0/24", "5.188.10.0/23",
                          "6.6.6.6/32", "7.7.0.0/24"])
        self.assert_kept_out(BAD)

    def test_a_file_with_a_mistake_changes_nothing(self):
        good = self.write_list("good.txt", ["203.0.113.0/24"])
        rows = [
            ("garbage", ["1.2.3.0/24", "# so far", "<html>404</html>"],
             "rows.txt:3: expected a CIDR block, not '<html>404</html>'"),
            ("a block of everybody", ["1.2.3.0/24", "0.0.0.0/0"], "rows.txt:2: 0.0.0.0/0 is wider"),
            ("more than there is room for", many_blocks(2001, 5),
             "at most gate.lists_max less 128"),
        ]
        small = ENFORCE + "\nlists_max = 2000"
        self.start_gate(gate=small, more=block_file(good))
        status = self.status("lists")
        for what, lines, sentence in rows:
            with self.subTest(what):
                path = self.write_list("rows.txt", lines)
                done = self.reload(gate=small, more=block_file(path) + limit("new", live_max=5))
                self.assertEqual(done.returncode, BAD_CONFIGURATION, done.stderr)
                self.assertIn(sentence, done.stderr)
                self.assertEqual(done.stderr.strip().count("\n"), 0, done.stderr)
                self.assertEqual(self.status("lists"), status, "no list is exchanged")
                self.assertEqual(self.gate.ask_json("limits")["limits"], [], "and no limit new")
                self.assert_kept_out(BAD, "the old list is in force")
        self.assert_served(GOOD)

    def test_ten_million_lines_are_a_sentence_and_not_the_end_of_the_daemon(self):
        good = self.write_list("good.txt", ["203.0.113.0/24"])
        self.start_gate(gate=ENFORCE, more=block_file(good))
        status, memory = self.status("lists"), self.daemon_rss_bytes()
        huge = self.work_dir / "huge.txt"
        lines = "".join(f"1.{each // 10 % 10}.{each % 10}.1\n" for each in range(100_000)).encode()
        with huge.open("wb") as file:
            for _ in range(100):
                file.write(lines)
        reloading = threading.Thread(
            target=lambda: done.append(self.reload(gate=ENFORCE, more=block_file(huge))))
        done = []
        reloading.start()
        while reloading.is_alive():
            begun = time.monotonic()
            self.gate.ask("live", "0.0.0.0/0")
            self.assertLess(time.monotonic() - begun, 10, "an answer meanwhile")
        self.assertEqual(done[0].returncode, BAD_CONFIGURATION)
        self.assertIn("huge.txt:1048449: the list has too many blocks", done[0].stderr)
        self.assertEqual(self.status("lists"), status, "nothing is half applied")
        self.assert_kept_out(BAD)
        self.assertLess(self.daemon_rss_bytes() - memory, 64 << 20, "what it read is forgotten")

    def test_a_bad_limit_changes_nothing(self):
        """The rows of the configuration's own tests have more; here it meets a gate at work."""
        good = block_file(self.write_list("good.txt", ["203.0.113.0/24"]))
        other = block_file(self.write_list("other.txt", ["192.0.2.0/24"]))
        self.start_gate(gate=ENFORCE, more=good)
        for settings in ({"syn_rate": "0/s"}, {"syn_rate": "1/s", "syn_burst": 0},
                         {"live_max": 0}, {"syn_rate": "9999999999/s"}):
            with self.subTest(settings):
                done = self.reload(gate=ENFORCE, more=other + limit("bad", **settings))
                self.assertEqual(done.returncode, BAD_CONFIGURATION, done.stderr)
                self.assertRegex(done.stderr, r"tallygate\.toml:\d+:\d+: ")
                self.assertEqual(self.gate.ask_json("limits")["limits"], [])
        self.assert_served(GOOD)
        self.assert_kept_out(BAD)


if __name__ == "__main__":
    unittest.main()
