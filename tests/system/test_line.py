# SPDX-License-Identifier: BSD-2-Clause
"""The line socket of a daemon that runs: what shells, nc and a real Exim read from it."""
import contextlib
import re
import shutil
import socket
import unittest

from fixture import GateTest
from lab import gate, machine, servers

CLIENT, OTHER, CLIENT_IPV6 = "192.0.2.1", "192.0.2.77", "2001:db8:7::7"
CHECK = """
[[check]]
name = "open"
services = ["smtp"]
count = "live"
per = ["0.0.0.0/32", "::/64"]
max = 2
action = "disconnect"
delay = "10s"
text = "too many"
"""
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
EXIM_CONFIG = """
acl_smtp_connect = acl_tallygate_connect
primary_hostname = mail.example.com
keep_environment =
begin acl
"""
HOSTILE = [
    ("a line without end", b"a" * 100_000),
    ("binary noise", bytes(range(256)) * 16 + b"\n"),
    ("another protocol", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("many empty lines", b"\n" * 20_000),
]


def fields(line):
    """The keys and values of a line of logfmt, out of their quotes."""
    return {key: re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
            for key, value in FIELD.findall(line)}


class Line(GateTest):
    addresses = (CLIENT, OTHER, CLIENT_IPV6)

    def setUp(self):
        super().setUp()
        self.work_dir.chmod(0o755)
        self.path = self.work_dir / "line.sock"

    def start(self, more=CHECK, **config):
        more = f'\n[line]\nsocket = "{self.path}"\nsocket_mode = "0666"\n{more}\n'
        self.start_gate(**config, more=more)

    def open(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(str(self.path))
        self.addCleanup(connection.close)
        return connection

    def ask(self, line):
        connection = self.open()
        connection.sendall(line.encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile() as answer:
            return fields(answer.read())

    def value(self, line):
        return int(self.ask(line)["value"])

    def advice(self, address):
        return self.ask(f"check {address} smtp")["action"]

    def test_says_what_the_command_line_says(self):
        self.start()
        self.connect(CLIENT, times=3, keep=2)
        self.connect(OTHER, times=1, keep=1)
        self.connect(CLIENT_IPV6, times=2, keep=2)
        self.assert_soon(3, lambda: self.value("live 192.0.2.0/24"), "live in a /24")
        self.assertEqual(self.gate.live("192.0.2.0/24"), 3)
        self.assertEqual(self.value(f"audit_connections_on_service {CLIENT}/32"), 2)
        self.assertEqual(self.value("live [2001:db8:7::]/48 smtp\r\n"), 2)
        self.assertEqual(self.value("count 192.0.2.0/24 3600,24 0 1\n"), 4)
        self.assertEqual(self.value("count 192.0.2.0/24 3600,24 0 1 connections smtp\n"), 4)

    def test_checks_advise(self):
        self.start()
        self.connect(CLIENT, times=2, keep=2)
        self.assert_soon(2, lambda: self.value(f"live {CLIENT}"), "live")
        self.assertEqual(self.advice(CLIENT), "pass")
        self.connect(CLIENT, times=1, keep=1)
        self.assert_soon("disconnect", lambda: self.advice(CLIENT), "the third is one too many")
        answer = self.ask(f"check {CLIENT} smtp")
        self.assertEqual(answer["delay"], "10")
        self.assertEqual(answer["text"], "too many (192.0.2.1/32: 3 connections open, limit 2)")
        self.assertEqual(self.advice(OTHER), "pass")
        self.gate.ask("allow", "add", CLIENT)
        self.assert_soon("pass", lambda: self.advice(CLIENT), "an allowed client")

    def test_the_sample_of_momentums_limits(self):
        sample = (gate.TREE / "integrations/postfix/checks.toml").read_text()
        self.start(sample.replace("max = 20000", "max = 12"), monitors=("60,10", "900,4"))

        def said(address):
            answer = self.ask(f"check {address} smtp")
            return answer["code"] + " " + answer.get("text", "").partition(" (")[0]

        self.connect(CLIENT, times=10, keep=10)
        self.assertEqual(said(CLIENT), "250 ", "ten are open")
        self.connect(CLIENT, times=1, keep=1)
        self.assertEqual(said(CLIENT), "421 connection limit exceeded", "eleven")
        self.connect(OTHER, times=100)
        self.assertEqual(said(OTHER), "250 ", "a hundred in an hour")
        self.connect(OTHER, times=1)
        self.assertEqual(said(OTHER), "421 connection rate limit exceeded")
        self.gate.ask("allow", "add", "192.0.2.0/24")
        for client in (CLIENT, OTHER):
            self.assertEqual(said(client), "250 ", "allowed")
        self.connect(OTHER, times=2, keep=2)
        self.assertEqual(said(OTHER), "421 connection limit exceeded", "all together")

    def test_takes_what_is_reported(self):
        self.start()
        self.assertEqual(self.ask(f"event receptions {CLIENT} 5")["recorded"], "5")
        self.assertEqual(self.value("count 192.0.2.0/24 3600,24 0 1 receptions"), 5)
        self.assertEqual(self.ask(f"series_add spam 3600,24 {CLIENT} 3")["value"], "3")
        self.assertEqual(self.value("series_count spam 192.0.2.0/24"), 3)

    def test_a_reload_brings_other_checks(self):
        self.start()
        self.connect(CLIENT, times=1, keep=1)
        self.assert_soon(1, lambda: self.value(f"live {CLIENT}"), "live")
        text = self.gate.config.read_text()
        self.gate.config.write_text(text.replace("max = 2", "max = 0"))
        self.gate.ask("reload")
        self.assertEqual(self.advice(CLIENT), "disconnect")
        self.gate.config.write_text(text.replace("line.sock", "other.sock"))
        self.gate.ask("reload")
        self.assertIn("line.socket has changed", str(self.gate.ask_json("status")["warnings"]))
        self.assertEqual(self.advice(CLIENT), "pass")

    def test_hostile_clients_hurt_nobody(self):
        self.start()
        silent = [self.open() for _ in range(1000)]
        for what, sent in HOSTILE:
            with self.subTest(what):
                connection = self.open()
                with contextlib.suppress(ConnectionError):
                    connection.sendall(sent)
                self.assertEqual(self.advice(CLIENT), "pass")
        silent[0].sendall(b"live ::/0\n")
        self.assertTrue(silent[0].recv(100).startswith(b"value="))
        self.assertEqual(self.gate.ask("live", "0.0.0.0/0").returncode, 0)

    def test_nc(self):
        if not shutil.which("nc") or "-U" not in machine.run("nc", "-h", check=False).stderr:
            self.skipTest("there is no nc that knows Unix sockets")
        self.start()
        self.connect(CLIENT, times=2, keep=2)
        self.assert_soon(2, lambda: self.value(f"live {CLIENT}"), "live")
        done = machine.run("sh", "-c", f"echo 'live {CLIENT}/24' | nc -NU {self.path}")
        self.assertEqual(fields(done.stdout)["value"], "2")

    def exim(self, config, *words):
        """A real Exim, in a home of its own."""
        try:
            folder = servers.unpack("exim4-daemon-light", "exim4-base")
        except servers.Unavailable as reason:
            self.skipTest(f"there is no Exim to be had: {reason}")
        home = servers.Home(self.link.server, folder, self.work_dir, self.record,
                            self.work_dir / "exim.log", fresh=("/var/log", "/var/spool/exim4"),
                            users=("Debian-exim",))
        self.addCleanup(home.stop)
        path = self.work_dir / "exim.conf"
        path.write_text(config)
        home.run("chown", "root:root", path)
        return home.run("/usr/sbin/exim4", "-C", path, *words, check=False)

    def test_a_real_exim_reads_the_socket(self):
        self.start()
        self.connect(CLIENT, times=2, keep=2)
        self.assert_soon(2, lambda: self.value(f"live {CLIENT}"), "live")
        read = f"${{readsocket{{{self.path}}}{{live {CLIENT}/24 smtp\\n}}{{5s}}}}"
        done = self.exim(EXIM_CONFIG, "-be", f"${{extract{{value}}{{{read}}}}}")
        self.assertEqual(done.stdout.strip(), "2", done.stderr)

    def test_the_sample_for_exim(self):
        self.start()
        sample = (gate.TREE / "integrations/exim/tallygate.conf").read_text()
        config = EXIM_CONFIG + sample.replace("/run/tallygate/line.sock", str(self.path))
        self.connect(CLIENT, times=3, keep=3)
        self.assert_soon("disconnect", lambda: self.advice(CLIENT), "one too many")
        rows = (("one too many", CLIENT, "421 too many (192.0.2.1/32: 3 connections open"),
                ("nobody special", OTHER, "220 mail.example.com"))
        for what, client, banner in rows:
            with self.subTest(what):
                done = self.exim(config, "-bh", client)
                self.assertIn(banner, done.stdout, done.stderr)
        self.gate.stop()
        self.assertIn("220 mail.example.com", self.exim(config, "-bh", CLIENT).stdout)


if __name__ == "__main__":
    unittest.main()
