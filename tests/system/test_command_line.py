# SPDX-License-Identifier: BSD-2-Clause
"""Exit codes and outputs that scripts rely on, and what each refusal tells."""
import json
import os
import shutil
import signal
import struct
import subprocess
import unittest

from fixture import NOBODY, GateTest
from lab import machine

AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]

# (what is wrong, the words after `tallygate`, the exit code, what the message holds)
WRONG = [
    ("no verb", [], 2, "--help"),
    ("no such verb", ["lives"], 2, "--help"),
    ("no such option", ["live", "0.0.0.0/0", "--colour"], 2, "--help"),
    ("no block", ["live"], 2, "--help"),
    ("a prefix too long", ["live", "192.0.2.0/33"], 2, "192.0.2.0/33"),
    ("no address at all", ["count", "example.com", "--monitor", "60,10"], 2, "example.com"),
    ("no monitor", ["count", "0.0.0.0/0"], 2, "--help"),
    ("a window before the oldest", ["count", "0.0.0.0/0", "--monitor", "60,10", "--end", "10"],
     None, "10"),
    ("a monitor that is not kept", ["count", "0.0.0.0/0", "--monitor", "61,10"], 5, "60,10"),
    ("a service that nobody knows", ["live", "0.0.0.0/0", "--service", "pop3"], 5, "smtp"),
    ("an event that nobody knows", ["count", "0.0.0.0/0", "--monitor", "60,10", "--event",
                                    "sneezes"], 5, "connections"),
]


class CommandLine(GateTest):
    addresses = ["192.0.2.1", "2001:db8:1:1::25"]

    def setUp(self):
        super().setUp()
        self.start_gate([("quiet", ["192.0.2.0/24"])])
        self.connect("192.0.2.1", times=3, keep=1)
        self.connect("2001:db8:1:1::25", times=2)
        self.assert_soon(3, lambda: self.gate.count("192.0.2.1"), "counted")

    def test_wrong_words(self):
        for what, words, code, says in WRONG:
            with self.subTest(what):
                done = self.gate.ask(*words, check=False)
                self.assertIn(done.returncode, (2, 5) if code is None else (code,), done.stderr)
                self.assertIn(says, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_a_number_alone(self):
        self.assertEqual(self.gate.ask("live", "192.0.2.0/24").stdout, "1")
        self.assertEqual(self.gate.ask("live", "[2001:db8::]/32").stdout, "0")
        self.assertEqual(self.gate.ask("live", "0.0.0.0/0", "--service", "smtp").stdout, "1")
        self.assertEqual(self.gate.ask("live", "0.0.0.0/0", "--listener",
                                       "198.51.100.25:25").stdout, "1")
        self.assertEqual(self.gate.ask("live", "0.0.0.0/0", "--listener",
                                       "198.51.100.26:25").stdout, "0")

    def test_an_answer_in_json(self):
        answer = self.gate.ask_json("count", "192.0.2.0/24", "--monitor", "3600,24", "--end", "1")
        self.assertEqual((answer["schema"], answer["value"], answer["exact"], answer["lower"],
                          answer["upper"]), (1, 3, True, 3, 3))
        self.assertGreater(answer["rate_per_second"], 0)
        self.assertGreater(answer["as_of"], 1.6e9)

    def test_global_options_stand_before_or_after_the_verb(self):
        program = self.gate.programs / "tallygate"
        for words in (["--json", "--socket", self.gate.socket, "live", "192.0.2.1"],
                      ["live", "192.0.2.1", "--json", "--socket", self.gate.socket]):
            self.assertEqual(json.loads(machine.run(program, *words).stdout)["value"], 1)

    def test_the_socket_from_the_environment(self):
        done = machine.run("env", f"TALLYGATE_SOCKET={self.gate.socket}",
                           self.gate.programs / "tallygate", "live", "192.0.2.1")
        self.assertEqual(done.stdout, "1\n")

    def test_no_daemon(self):
        missing = self.work_dir / "nobody.sock"
        done = machine.run(self.gate.programs / "tallygate", "--socket", missing, "status",
                           check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn(str(missing), done.stderr)

    def test_a_socket_that_is_not_ours_to_open(self):
        os.chmod(self.work_dir, 0o755)
        shutil.copy(self.gate.programs / "tallygate", self.work_dir)
        self.gate.socket.chmod(0o600)
        done = machine.run(*AS_NOBODY, self.work_dir / "tallygate", "--socket", self.gate.socket,
                           "status", check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn(str(self.gate.socket), done.stderr)

    def test_what_nobody_may_do(self):
        os.chmod(self.work_dir, 0o755)
        daemon = shutil.copy(self.gate.programs / "tallygated", self.work_dir)
        config, capture = self.work_dir / "lo.toml", self.work_dir / "empty.pcap"
        config.write_text('[gate]\ninterfaces = ["lo"]\n[[service]]\nname = "smtp"\nports = [25]\n')
        capture.write_bytes(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for words in (["probe"], ["run", "--config", config],
                      ["detach", "--pin-dir", self.gate.pin_dir],
                      ["replay", "--config", config, capture]):
            with self.subTest(words[0]):
                done = machine.run(*AS_NOBODY, daemon, *words, check=False)
                self.assertEqual(done.returncode, 4, done.stdout + done.stderr)

    def test_top_and_status_for_people(self):
        self.assertIn("192.0.2.1", self.gate.ask("top").stdout)
        self.assertIn("2001:db8:1:1::/64", self.gate.ask("top").stdout)
        for word in ("smtp", "mail0", "observe"):
            self.assertIn(word, self.gate.ask("status").stdout)
        self.assertIn("quiet", self.gate.ask("networks").stdout)

    def test_watching(self):
        program = self.gate.programs / "tallygate"
        views = self.gate.ask("watch", "--times", "2", "--json").stdout.splitlines()
        first, second = map(json.loads, views)
        self.assertEqual(first["services"][0]["live"], 1)
        self.assertIsNone(first["services"][0]["opened_per_second"])
        self.assertEqual(second["services"][0]["opened_per_second"], 0)
        self.assertIn("192.0.2.1", [row["source"] for row in second["rows"]])
        for told in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([program, "--socket", self.gate.socket, "watch"],
                                  stdout=subprocess.PIPE, text=True) as watching:
                view = "".join(iter(watching.stdout.readline, "\n"))
                watching.send_signal(told)
                self.assertEqual(watching.wait(timeout=10), 0)
            self.assertIn("mode observe", view)


if __name__ == "__main__":
    unittest.main()
