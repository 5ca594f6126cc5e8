# SPDX-License-Identifier: BSD-2-Clause
"""The sample script of integrations/sieve, run by Debian's own sieve-test, with programs that ask a
daemon which counts real connections."""
import shutil
import unittest

from fixture import NOBODY, GateTest
from lab import servers
from lab.gate import PROGRAMS, TREE

SAMPLE = TREE / "integrations/sieve/connections.sieve"
FOLDER = PROGRAMS.parent / "lib/tallygate/sieve"
NAMES = ("audit_connections_on_service", "audit_series", "audit_series_add", "ec_ip_connections")
DOVECOT = """
protocols =
ssl = no
mail_location = maildir:{folder}/mail
mail_uid = {user}
mail_gid = {user}
first_valid_uid = 1
first_valid_gid = 1
plugin {{
  sieve_plugins = sieve_extprograms
  sieve_global_extensions = +vnd.dovecot.execute
  sieve_extensions = +vnd.dovecot.execute
  sieve_execute_bin_dir = {folder}/programs
}}
"""
# A series is added to and asked for, with an address that the message does not give.
SERIES = """
require ["variables", "relational", "comparator-i;ascii-numeric", "fileinto",
         "vnd.dovecot.execute"];
execute "audit_series_add" ["seen", "3600,24", "192.0.2.7", "3"];
set "seen" "0";
execute :output "seen" "audit_series" ["seen", "3600,24", "24", "0", "1", "192.0.2.99"];
fileinto "seen ${seen}";
"""


class Sieve(GateTest):
    addresses = ["192.0.2.7", "192.0.2.8", "2001:db8:1::7"]

    def setUp(self):
        super().setUp()
        try:
            packages = servers.unpack("dovecot-sieve", "dovecot-core")
        except servers.Unavailable as reason:
            self.skipTest(str(reason))
        self.work_dir.chmod(0o711)  # sieve-test is nobody
        self.folder = self.work_dir / "sieve"
        self.folder.mkdir()
        self.socket = self.work_dir / "ask.sock"
        self.write_programs()
        self.home = servers.Home(self.link.server, packages, self.work_dir, self.record,
                                 self.work_dir / "helpers.log", fresh=["/etc/dovecot"],
                                 users=["dovecot", "dovenull"])
        self.addCleanup(self.home.stop)
        self.home.path("/etc/dovecot/dovecot.conf").write_text(
            DOVECOT.format(folder=self.folder, user=NOBODY))
        self.folder.chmod(0o777)

    def write_programs(self):
        """Dovecot hands no environment on: which socket, a script has to say (docs/sieve.md)."""
        (self.folder / "programs").mkdir()
        for name in NAMES:
            program = self.folder / "programs" / name
            program.write_text(f"#!/bin/sh\nexport TALLYGATE_SOCKET={self.socket}\n"
                               f'exec {FOLDER / name} "$@"\n')
            program.chmod(0o755)

    def start_gate(self, *arguments, **config):
        more = f'\n[ask]\nsocket = "{self.socket}"\nsocket_mode = "0666"\n'
        super().start_gate(*arguments, **config, more=more)

    def delivered_to(self, headers, script=SAMPLE):
        """Into which folder the script puts a message with those headers."""
        message = self.folder / "message"
        message.write_text(f"{headers}From: ada@example.com\nTo: bob@example.net\n\nHello.\n")
        copy = self.folder / "script.sieve"
        shutil.copy(script, copy)
        done = self.home.run("sieve-test", copy, message, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line for line in done.stdout.splitlines() if "store message in folder" in line]
        self.assertEqual(len(lines), 1, done.stdout + done.stderr)
        return lines[0].partition("folder: ")[2]

    def test_the_sample(self):
        self.start_gate()
        self.connect("192.0.2.7", times=11, keep=11)
        self.connect("192.0.2.8", times=10, keep=10)
        self.connect("2001:db8:1::7", times=11, keep=11)
        for name, headers, folder in (
                ("too many", "X-Client-Address: 192.0.2.7\n", "Too many connections"),
                ("not too many", "X-Client-Address: 192.0.2.8\n", "INBOX"),
                ("somebody else", "X-Client-Address: 203.0.113.1\n", "INBOX"),
                ("IPv6", "X-Client-Address: 2001:db8:1::7\n", "Too many connections"),
                ("IPv6 in brackets", "X-Client-Address: [2001:db8:1::7]\n", "Too many connections"),
                ("the sender's own header below", "X-Client-Address: 192.0.2.7\n"
                 "X-Client-Address: 203.0.113.1\n", "Too many connections"),
                ("no header", "", "INBOX"),
                ("no address", "X-Client-Address: unknown\n", "INBOX")):
            with self.subTest(name):
                self.assert_soon(folder, lambda: self.delivered_to(headers), name)

    def test_who_asks_cannot_decide(self):
        self.start_gate()

        def ask(*words):
            return self.home.run("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                                 "--clear-groups", PROGRAMS / "tallygate", *words,
                                 check=False).returncode

        self.assertEqual(ask("--socket", self.socket, "live", "192.0.2.7"), 0)
        self.assertEqual(ask("--socket", self.socket, "block", "add", "203.0.113.9"), 6)
        self.assertEqual(ask("--socket", self.socket, "mode", "enforce"), 6)
        self.assertEqual(ask("--socket", self.gate.socket, "live", "192.0.2.7"), 4)

    def test_neighbours(self):
        self.start_gate()
        self.connect("192.0.2.8", times=101, keep=101)
        self.assert_soon("Too many connections of neighbours",
                         lambda: self.delivered_to("X-Client-Address: 192.0.2.99\n"), "a /24")
        self.gate.stop()
        self.assertEqual(self.delivered_to("X-Client-Address: 192.0.2.99\n"), "INBOX")

    def test_a_series(self):
        self.start_gate()
        script = self.work_dir / "series.sieve"
        script.write_text(SERIES)
        self.assertEqual(self.delivered_to("", script), "seen 3")
        self.assertEqual(self.delivered_to("", script), "seen 6")


if __name__ == "__main__":
    unittest.main()
