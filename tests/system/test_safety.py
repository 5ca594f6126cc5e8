# SPDX-License-Identifier: BSD-2-Clause
"""Nobody is locked out by accident: what is refused, what ends by itself, and who did what."""
import os
import pathlib
import signal
import stat
import time
import unittest

from fixture import SERVER_IPV4, SERVER_IPV6
from flooding import HOT_SOURCES, limit
from guarding import ENFORCE, REFUSED, USAGE, GuardTest, block_file, many_blocks
from lab import machine
from lab.gate import settle
from lab.machine import LabError, Link, run

GOOD = "192.0.2.1"
BAD = "203.0.113.7"
OPERATOR = "203.0.113.50"
BLOCKED_ALL = '\n[[block]]\ncidrs = ["203.0.113.0/24"]\nreason = "a bad neighbourhood"\n'


class SafetyByDefault(GuardTest):
    addresses = [GOOD, BAD]

    def test_a_gate_that_nobody_told_to_enforce_only_counts(self):
        self.start_gate(more=BLOCKED_ALL)
        self.assertEqual(self.status("mode"), "observe")
        self.assertEqual(self.explain(BAD)["verdict"], "would_drop_blocked")
        for _ in range(3):
            self.assert_served(BAD)
        self.assert_soon(3, lambda: self.service()["would_drop"], "what it would have dropped")
        self.assertEqual(self.service()["dropped"], 0)
        self.assertEqual(self.service()["opened"], 3)
        self.assertGreaterEqual(self.verdict("would_drop_blocked"), 3)


class SafetyRefusals(GuardTest):
    """What `block add` refuses, refuses in a sentence and changes nothing."""

    addresses = [GOOD, OPERATOR]

    def start(self, more=""):
        run("ip", "-n", self.link.server, "route", "add", "default", "via", "198.51.100.1", "dev",
            Link.SERVER_SIDE, "metric", "500")
        self.start_gate(gate=ENFORCE, more=more)

    def test_who_is_protected_is_not_blocked(self):
        friend = '\n[[allow]]\ncidrs = ["192.0.2.0/28"]\nreason = "our relays"\n'
        self.start(friend)
        self.assertEqual(self.ask_from(OPERATOR, "block", "add", "203.0.114.1").returncode, 0)
        rows = [
            ("its own address", SERVER_IPV4, "address of mail0"),
            ("its own network", "198.51.100.0/24", "198.51.100.1/32, which is protected: gateway"),
            ("its own address, IPv6", SERVER_IPV6, "address of mail0"),
            ("loopback", "127.0.0.0/8", "loopback"),
            ("a part of loopback", "127.0.0.53", "is in 127.0.0.0/8"),
            ("loopback, IPv6", "::1", "loopback"),
            ("the gateway", "198.51.100.1", "gateway"),
            ("the operator's connection", OPERATOR, "connection of an operator"),
            ("the operator's network", "203.0.113.0/24", "connection of an operator"),
            ("who is allowed", GOOD, "our relays"),
            ("a block that is too wide", "11.0.0.0/7", "wider than /8"),
            ("everybody", "0.0.0.0/0", "wider than /8"),
            ("everybody, IPv6", "::/0", "wider than /16"),
        ]
        for what, block, sentence in rows:
            with self.subTest(what):
                self.assert_refused(REFUSED, sentence, "block", "add", block, "--for", "1m")
        self.assert_served(GOOD)
        self.assertEqual(self.blocked(), ["203.0.114.1/32"])

    def test_what_makes_no_sense_is_a_mistake_of_usage(self):
        self.start()
        for words in (["block", "add", "203.0.113.0/33"], ["block", "add", "nobody"],
                      ["block", "add", "203.0.113.7", "--for", "soon"],
                      ["block", "add", "203.0.113.7", "--for", "0s"],
                      ["block", "add", "203.0.113.7", "--for", "9999d"],
                      ["block", "add", "203.0.113.7", "--reason", "a\nb"],
                      ["block", "add", "203.0.113.7", "--reason", "x" * 201],
                      ["mode", "observe", "--confirm", "1m"]):
            with self.subTest(words):
                self.assert_refused(USAGE, "\nTry 'tallygate ", *words)

    def test_who_is_blocked_by_a_file_and_logs_in_is_let_through(self):
        """The block came first; the operator's connection is no less protected."""
        self.start(block_file(self.write_list("drop.txt", ["203.0.113.0/24"])))
        self.assert_kept_out(OPERATOR)
        self.assertEqual(self.ask_from(OPERATOR, "mode", "enforce").returncode, 0)
        self.assert_served(OPERATOR)

    def test_an_address_that_the_machine_gets_later_is_protected(self):
        self.start()
        self.link.add_clients([])
        run("ip", "-n", self.link.server, "address", "add", "198.51.100.77/24", "dev",
            Link.SERVER_SIDE)
        run("ip", "-n", self.link.server, "link", "set", Link.SERVER_SIDE, "alias", "news")
        self.assert_soon(True, lambda: any(each["cidr"] == "198.51.100.77/32" for each in
                                           self.entries("allow", "protected")), "protected")
        self.assert_refused(REFUSED, "address of mail0", "block", "add", "198.51.100.77")

    def test_the_circuit_breaker_opens_and_closes(self):
        self.start("\n[lists]\nblocks_max = 3\n")
        for number in range(3):
            self.gate.ask("block", "add", f"203.0.114.{number}", "--for", "1h")
        self.assertTrue(self.status("lists")["breaker_open"])
        self.assertIn("circuit breaker", " ".join(self.status("warnings")))
        self.assert_refused(REFUSED, "the circuit breaker is open", "block", "add", "203.0.115.1")
        self.gate.ask("block", "add", "203.0.114.1", "--for", "2h")  # is no further one
        self.gate.ask("allow", "add", "203.0.116.1")
        self.gate.ask("block", "remove", "203.0.114.1")
        self.gate.ask("block", "add", "203.0.115.1")
        words = [(each["before"], each["after"]) for each in self.audit("breaker")]
        self.assertEqual(words, [("closed", "open"), ("open", "closed"), ("closed", "open")])


class SafetyOfTheMode(GuardTest):
    """Enforcing on trial."""

    addresses = [GOOD, BAD]

    def test_what_nobody_confirms_is_taken_back(self):
        self.start_gate(more=BLOCKED_ALL)
        done = self.gate.ask("mode", "enforce", "--confirm", "2s")
        self.assertIn("confirm it with `tallygate mode enforce`", done.stdout)
        trial = self.status("mode_set")
        self.assertEqual((trial["mode"], trial["then"], trial["by"]),
                         ("enforce", "observe", "control"))
        self.assert_kept_out(BAD)
        self.sleep_until(trial["until"])
        self.assert_soon("observe", lambda: self.status("mode"), "by itself")
        self.assert_served(BAD)
        self.assert_soon(None, lambda: self.status("mode_set")["until"], "the gate was first")
        revert, = self.audit("mode_revert")
        self.assertEqual((revert["what"], revert["who"]["user"]), ("observe", "tallygated"))
        self.assertIn("enforce", revert["before"])
        self.assertIn("observe", revert["after"])

    def test_what_is_confirmed_stays_and_observe_is_at_once(self):
        self.start_gate(more=BLOCKED_ALL)
        self.gate.ask("mode", "enforce", "--confirm", "1s")
        until = self.status("mode_set")["until"]
        self.gate.ask("mode", "enforce")
        self.assertLess(time.time(), until, "too slow to tell")
        self.sleep_until(until + 0.6)
        self.assertEqual(self.status("mode"), "enforce")
        self.assert_kept_out(BAD)
        self.gate.stop(signal.SIGKILL)
        self.gate.start()
        self.assertEqual(self.status("mode"), "enforce", "and over a restart")
        self.assert_kept_out(BAD)

        self.gate.ask("mode", "observe")
        self.gate.stop(signal.SIGKILL)
        self.assert_served(BAD, "no longer, at once")
        self.gate.start()
        self.assertEqual(self.status("mode"), "observe", "and what was said last counts")

    def test_the_trial_of_a_daemon_that_dies_ends_in_the_gate(self):
        self.start_gate(more=BLOCKED_ALL)
        self.gate.ask("mode", "enforce", "--confirm", "3s")
        until = self.status("mode_set")["until"]
        self.gate.stop(signal.SIGKILL)
        self.assert_kept_out(BAD, "the trial goes on")
        self.assertLess(time.time(), until, "too slow to tell")
        self.sleep_until(until + 0.1)
        self.assert_served(BAD, "with no daemon there")
        self.gate.start()
        self.assertEqual(self.status("mode"), "observe")
        self.assertEqual(len(self.audit("mode_revert")), 1)

    def test_a_trial_goes_on_over_a_restart_and_ends_when_it_should(self):
        self.start_gate(more=BLOCKED_ALL)
        self.gate.ask("mode", "enforce", "--confirm", "4s")
        until = self.status("mode_set")["until"]
        self.gate.stop(signal.SIGKILL)
        self.gate.start()
        self.assertEqual(self.status("mode_set")["until"], until)
        self.assert_kept_out(BAD)
        self.assertLess(time.time(), until, "too slow to tell")
        self.sleep_until(until)
        self.assert_soon("observe", lambda: self.status("mode"), "by itself")
        self.assert_served(BAD)


class SafetyAudit(GuardTest):
    addresses = [GOOD]

    def test_every_change_is_a_line_that_says_who_what_when_before_and_after(self):
        self.start_gate()
        begun = time.time()
        path = self.work_dir / "state" / "audit.jsonl"
        self.ask_from("192.0.2.9", "block", "add", BAD, "--for", "1h", "--reason", "one")
        self.gate.ask("block", "add", BAD, "--for", "2h", "--reason", "two")
        self.gate.ask("block", "add", SERVER_IPV4, check=False)
        self.gate.ask("block", "remove", BAD)
        self.gate.ask("allow", "add", GOOD)
        self.gate.ask("mode", "enforce")
        self.gate.stop(signal.SIGKILL)
        self.gate.start()
        self.gate.ask("mode", "observe")
        self.reload(more=limit("one", syn_rate="5/s", syn_burst=9, live_max=7))
        self.reload(more="\n[[limit]]\n")
        self.gate.write_config([])
        self.gate.process.child.send_signal(signal.SIGHUP)
        settle(lambda: len(self.audit("reload")), 3)

        one = "one drop 5/s burst 9 live 7"
        rows = [
            ("block_add", "203.0.113.7/32", "^$", r"^until .* \(one\)$", "done"),
            ("block_add", "203.0.113.7/32", r"^until .* \(one\)$", r"^until .* \(two\)$", "done"),
            ("block_add", f"{SERVER_IPV4}/32", "^$", "^$", "protected: address of mail0"),
            ("block_remove", "203.0.113.7/32", r"^until .* \(two\)$", "^$", "done"),
            ("allow_add", f"{GOOD}/32", "^$", "^for good$", "done"),
            ("mode", "enforce", "observe .configured.", "enforce .set by control", "done"),
            ("mode", "observe", "enforce .set by control", "observe", "done"),
            ("reload", "tallygate.toml", "no limits", one, "done"),
            ("reload", "tallygate.toml", one, one, r"tallygate\.toml:\d+:\d+: "),
            ("reload", "tallygate.toml", one, "no limits", "done"),
        ]
        wanted = {row[0] for row in rows}
        records = [each for each in self.audit() if each["action"] in wanted]
        self.assertEqual([each["action"] for each in records], [row[0] for row in rows])
        for record, (action, what, before, after, result) in zip(records, rows):
            with self.subTest(record):
                self.assertEqual(pathlib.PurePath(record["what"]).name if action == "reload" else
                                 record["what"], what)
                self.assertRegex(record["before"], before)
                self.assertRegex(record["after"], after)
                self.assertRegex(record["result"], result)
                self.assertTrue(begun - 1 <= record["time"] <= time.time() + 1)
        self.check_who(records)
        self.assert_soon(True, lambda: bool(self.audit("lists_swap")), "when it was in force")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(path.parent).st_mode) & 0o077, 0)

    def check_who(self, records):
        self.assertEqual(records[0]["who"]["address"], "192.0.2.9")
        for record in records[:-1]:
            self.assertEqual((record["who"]["uid"], record["who"]["user"]), (0, "root"))
            self.assertGreater(record["who"]["pid"], 1)
        self.assertEqual(records[-1]["who"]["user"], "tallygated", "a signal is nobody's")


class SafetyExplains(GuardTest):
    """What `explain` foretells comes true."""

    addresses = [GOOD, BAD, OPERATOR, "192.0.2.2"]
    MORE = (limit("tight", syn_rate="1/h", syn_burst=2) + '\n[[allow]]\ncidrs = ["203.0.113.50"]\n'
            'reason = "our relay"\n')

    def check_forecast(self, address, verdict):
        """A SYN, or one that was sent again, counted as it was foretold."""
        sent = machine.syns_sent(self.link.clients)
        foretold = self.explain(address)
        self.assertEqual(foretold["verdict"], verdict)
        before, packets = self.service(), self.verdict(verdict)
        drops = verdict.startswith("drop_")
        (self.assert_kept_out if drops else self.assert_served)(address)
        sent = machine.syns_sent(self.link.clients) - sent
        after = {"syn": sent, "dropped": sent * int(drops),
                 "would_drop": sent * int(verdict.startswith("would_drop_")),
                 "opened": int(not drops)}
        after = {key: before[key] + more for key, more in after.items()}
        self.assert_soon(after, lambda: {key: self.service()[key] for key in after}, verdict)
        self.assertGreater(self.verdict(verdict), packets, "under that verdict")
        return foretold

    def test_enforcing(self):
        drop = self.write_list("drop.txt", ["# bad", "203.0.113.0/24"])
        self.start_gate([("relays", ["192.0.2.0/24"])], gate=ENFORCE,
                        more=self.MORE + block_file(drop, "drop list"))
        untouched = self.check_forecast(GOOD, "pass_syn")
        self.assertEqual(untouched["entries"], [])
        self.assertEqual((untouched["network"], untouched["proven"]), ("relays", False))
        tight, = untouched["limits"]
        self.assertEqual((tight["limit"], tight["syns_left"], tight["verdict"]), ("tight", 2, ""))
        self.assertRegex(tight["place"], r"tallygate\.toml:\d+")

        self.assert_soon(1, lambda: self.explain(GOOD)["syn"]["value"], "SYNs, a round old")
        known = self.check_forecast(GOOD, "pass_syn")
        self.assertEqual((known["connections"]["value"], known["syn"]["value"]), (1, 1))
        self.assertTrue(known["proven"])
        self.assertEqual(known["limits"][0]["syns_left"], 1)
        over = self.check_forecast(GOOD, "drop_source_rate")
        self.assertEqual(over["limits"][0]["verdict"], "source_rate")
        self.assertTrue(3000 < over["limits"][0]["conforms_in_seconds"] <= 3600, over["limits"])

        blocked = self.check_forecast(BAD, "drop_blocked")
        entry, = blocked["entries"]
        self.assertEqual((entry["cidr"], entry["kind"], entry["reason"], entry["origin"]),
                         ("203.0.113.0/24", "block", "drop list", "file"))
        self.assertIn(str(drop), entry["place"])
        self.assertRegex(entry["place"], r"tallygate\.toml:\d+")
        allowed = self.check_forecast(OPERATOR, "pass_syn")
        self.assertTrue(allowed["allowed"])
        self.assertEqual([each["kind"] for each in allowed["entries"]], ["allow", "block"])
        self.check_words()

    def check_words(self):
        """The same, for a person."""
        for address, words in (
                (GOOD, ["is DROPPED (drop_source_rate): its source sends SYNs too fast",
                        "on no list", "REJECTS it", "network relays", "tallygate.toml:"]),
                (BAD, ["is DROPPED (drop_blocked): its address is blocked",
                       "blocked as 203.0.113.0/24", "drop.txt", "drop list"]),
                (OPERATOR, ["passes (pass_syn): its address is allowed", "our relay"])):
            shown = self.gate.ask("explain", address).stdout
            for word in words:
                self.assertIn(word, shown)

    def test_observing(self):
        self.start_gate(more=self.MORE + BLOCKED_ALL)
        self.check_forecast(BAD, "would_drop_blocked")
        self.check_forecast(GOOD, "pass_syn")
        self.check_forecast(GOOD, "pass_syn")
        self.check_forecast(GOOD, "would_drop_source_rate")
        self.assertIn("nothing is dropped in mode observe", self.gate.ask("explain", GOOD).stdout)
        self.gate.ask("mode", "enforce")
        self.check_forecast(GOOD, "drop_source_rate")


class SafetyOfTheStart(GuardTest):
    """A gate that begins to drop drops nobody before it knows who must not be dropped."""

    addresses = [GOOD]
    ONE = limit("one", syn_rate="1/h", syn_burst=1)

    def write_enforcing(self, gate=ENFORCE):
        """A configuration with a limit, who is allowed, and so many blocks that it takes time."""
        allowed = self.write_list("allowed.txt", HOT_SOURCES)
        blocked = self.write_list("blocked.txt", many_blocks(100_000, 3))
        self.gate.write_config([], gate=gate, more=self.ONE + block_file(blocked) +
                               f'\n[[allow]]\nfile = "{allowed}"\n')

    def check_allowed_are_served(self, begin):
        flood = self.begin_flood("hot", seconds=6, rate=5000)
        begin()
        self.end_flood(flood)
        self.assertGreater(self.verdict("pass_syn"), 1000, "the flood met the gate")
        self.assertEqual(self.verdict("drop_source_rate"), 0)
        self.assertEqual(self.status("mode"), "enforce")
        self.assert_served(GOOD)
        self.assert_kept_out(GOOD, "the limit holds for others")

    def test_the_allowed_are_served_while_the_lists_are_read(self):
        self.write_enforcing()
        self.check_allowed_are_served(self.gate.start)

    def test_the_allowed_are_served_when_a_gate_that_observed_is_taken_over(self):
        self.start_gate()
        self.gate.stop()
        self.write_enforcing()
        self.check_allowed_are_served(self.gate.start)

    def test_the_allowed_are_served_when_a_gate_whose_lease_ran_out_is_taken_over(self):
        self.start_gate(gate=ENFORCE + '\nlease = "1s"')
        self.gate.stop()
        time.sleep(1.1)
        self.write_enforcing()
        self.check_allowed_are_served(self.gate.start)

    def test_the_allowed_are_served_when_a_reload_turns_enforcing_on(self):
        self.start_gate()
        self.write_enforcing()
        self.check_allowed_are_served(lambda: self.gate.ask("reload"))

    def test_the_allowed_are_served_when_control_enforces_right_after_a_reload(self):
        self.start_gate()
        self.write_enforcing(gate="")

        def reload_and_enforce():
            self.gate.ask("reload")
            self.gate.ask("mode", "enforce")

        self.check_allowed_are_served(reload_and_enforce)

    def test_a_start_that_fails_leaves_nobody_dropped(self):
        # Own addresses alone are more than that.
        self.gate.write_config([], gate=ENFORCE + "\nlists_max = 1", more=self.ONE)
        with self.assertRaisesRegex(LabError, "gate.lists_max"):
            self.gate.start()
        for _ in range(3):
            self.assert_served(GOOD)

if __name__ == "__main__":
    unittest.main()
