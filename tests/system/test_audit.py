# SPDX-License-Identifier: BSD-2-Clause
"""The audit questions, asked of a running daemon: windows of real connections beside a log of the
clients, reports, series, and Momentum's console."""
import http.client
import ipaddress
import json
import os
import random
import signal
import socket
import time
import unittest
import urllib.parse

from fixture import GateTest

SECONDS = 30
MONITORS = ["5,36", "10,18", "60,5"]
IPV4 = [f"192.0.2.{host}" for host in range(1, 21)] + [f"203.0.113.{host}" for host in range(1, 11)]
IPV6 = [f"2001:db8:1:{site:x}::25" for site in range(1, 11)]
BLOCKS = 20
# How late a connection may land in a window, on a machine that does much else.
LATE_SECONDS = 2.0


def around(address, bits):
    return ipaddress.ip_network(f"{address}/{bits}", strict=False)


class Asker(http.client.HTTPConnection):
    """One connection for all questions: a process for each would take longer than windows last."""

    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def count(self, **parameters):
        self.request("GET", "/v1/count?" + urllib.parse.urlencode(parameters))
        return json.loads(self.getresponse().read())


class Audit(GateTest):
    addresses = [*IPV4, *IPV6]

    def count(self, cidr, monitor, **more):
        words = [word for key, value in more.items() for word in (f"--{key}", str(value))]
        return self.gate.ask_json("count", str(cidr), "--monitor", monitor, *words)

    def value(self, cidr, monitor, **more):
        return self.count(cidr, monitor, **more)["value"]

    def audit(self, *words, check=True):
        return self.gate.ask("audit", *words, check=check)

    def expected(self, ours, begin, end):
        """At least, and at most, how many of these connections landed in a window."""
        sure = sum(begin <= before and after + LATE_SECONDS < end for before, after in ours)
        maybe = sum(begin <= after + LATE_SECONDS and before < end for before, after in ours)
        return sure, maybe

    def connect_for(self, seconds, chance):
        """A log: who, and between which times."""
        log = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            address = chance.choice(self.addresses)
            before = time.time()
            self.connect(address)
            log.append((ipaddress.ip_address(address), before, time.time()))
            time.sleep(0.01)
        return log

    def windows(self, asker, block, monitor):
        """What each window has, in one of them: none begins while we ask."""
        size, kept = map(int, monitor.split(","))
        while True:
            while not 1 < time.time() % size < size - 1:
                time.sleep(0.05)
            answers = [asker.count(cidr=block, monitor=monitor, start=window)
                       for window in range(kept)]
            if answers[0]["as_of"] // size == time.time() // size:
                return answers

    def check_windows(self, asker, log, block, monitor):
        size, kept = map(int, monitor.split(","))
        ours = [times for address, *times in log if address in block]
        whole = {"cidr": block, "monitor": monitor, "start": 0, "end": kept - 1}
        self.assert_soon(len(ours), lambda: asker.count(**whole)["value"], "all")
        answers = self.windows(asker, block, monitor)
        newest = answers[0]["as_of"] // size
        for window, answer in enumerate(answers):
            begin = (newest - window) * size
            sure, maybe = self.expected(ours, begin, begin + size)
            self.assertTrue(sure <= answer["value"] <= maybe,
                            f"{block} {monitor} window {window}: {answer} not {sure}..{maybe}")
        self.assertEqual(sum(answer["value"] for answer in answers), len(ours),
                         f"{block} {monitor}: no connection in two windows")

    def test_windows_agree_with_the_clients_log(self):
        self.start_gate(monitors=MONITORS)
        chance = random.Random(os.getpid())
        log = self.connect_for(SECONDS, chance)
        blocks = [around(chance.choice(IPV4), chance.randint(0, 32)) for _ in range(BLOCKS // 2)]
        blocks += [around(chance.choice(IPV6), chance.randint(0, 64)) for _ in range(BLOCKS // 2)]
        self.assertGreater(len(log), 20)
        asker = Asker(self.gate.socket)
        self.addCleanup(asker.close)
        for monitor in MONITORS:
            for block in blocks:
                with self.subTest(f"{block} {monitor}"):
                    self.check_windows(asker, log, block, monitor)

    def test_the_console_shows_an_address(self):
        self.start_gate(monitors=["1800,2", "60,1"])
        self.connect("192.0.2.1", times=3)
        self.gate.ask("event", "receptions", "192.0.2.1", "--amount", "7")
        self.gate.ask("event", "rejections", "192.0.2.2", "--service", "submission")
        self.assert_soon("3", lambda: self.audit("show", "ip", "192.0.2.0/24").stdout.split()[2],
                         "connections")
        rows = self.audit("show", "ip", "192.0.2.0/24").stdout.splitlines()
        self.assertEqual([row.rpartition(":")[0] for row in rows],
                         [f"{word} {window}" for word in ("Connections", "Receptions", "Rejections")
                          for window in ("1800/0", "1800/1", "60/0")])
        now = {row.partition(":")[0]: int(row.rpartition(" ")[2]) for row in rows}
        self.assertEqual(now["Receptions 1800/0"] + now["Receptions 1800/1"], 7)
        self.assertEqual(now["Rejections 1800/0"] + now["Rejections 1800/1"], 1)
        unknown = self.gate.ask("count", "192.0.2.1", "--monitor", "60,1", "--event", "auth",
                                "--service", "pop3", check=False)
        self.assertEqual(unknown.returncode, 5)
        self.assertIn("expected one of smtp, submission", unknown.stderr)

    def test_series_and_reports_outlive_the_daemon(self):
        self.start_gate(monitors=["3600,2"])
        for name, kind, persist in (("kept", "cidr", "true"), ("senders", "string", "true"),
                                    ("of-a-day", "cidr", "false")):
            self.audit("define", name, kind, "3600,3", "--persist", persist)
        for name, key in (("kept", "192.0.2.1"), ("senders", "ann@example.com"),
                          ("of-a-day", "192.0.2.1")):
            self.audit("add", name, "3600,3", key, "5")
        self.audit("subtract", "kept", "3600,3", "192.0.2.1", "2")
        self.gate.ask("event", "auth", "192.0.2.1", "--amount", "4")

        def counts():
            return [int(self.audit("count_cidr", key, name, "3600,3", "0", "2").stdout)
                    for name, key in (("kept", "192.0.2.0/24"), ("senders", "ann@example.com"),
                                      ("of-a-day", "192.0.2.1"))] + \
                [self.value("192.0.2.1", "3600,2", event="auth", end=1)]

        self.assertEqual(counts(), [3, 5, 5, 4])
        self.gate.stop()
        self.gate.start()
        self.assertEqual(counts(), [3, 5, 0, 4], "what persists, and every definition")

        self.audit("define", "late", "cidr", "60,2")
        series = self.work_dir / "state" / "series"
        saved = series.read_bytes()
        self.assert_soon(True, lambda: series.read_bytes() != saved and
                         b"late" in series.read_bytes(), "a definition is saved at once")
        self.gate.stop(signal.SIGKILL)
        self.gate.start()
        self.assertEqual(counts(), [3, 5, 0, 4])
        self.assertEqual(self.audit("count_cidr", "192.0.2.1", "late", "60,2", "0", "1").stdout,
                         "0")

    def test_a_list_goes_out_and_comes_in(self):
        self.start_gate(monitors=["3600,2"])
        self.audit("define", "clients", "cidr", "3600,2")
        wrong = self.work_dir / "wrong.csv"
        wrong.write_text("192.0.2.1,3\nmail.example.com\n")
        failed = self.audit("load", "clients", str(wrong), check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn(f"{wrong}:2: 'mail.example.com' is not", failed.stderr)
        self.assertEqual(self.audit("show", "all").stdout, "series,parameters,window,key,count")

        right = self.work_dir / "right.csv"
        right.write_text("# clients\n192.0.2.1,3\n192.0.2.2\n192.0.2.1,-1\n")
        self.assertEqual(self.audit("load", "clients", str(right)).stdout, "added 3 lines")
        rows = self.audit("show", "all").stdout.splitlines()[1:]
        self.assertEqual(rows, ['clients,"3600,2",0,192.0.2.1,2', 'clients,"3600,2",0,192.0.2.2,1'])
        self.audit("delete_ip", "192.0.2.1", "clients", "3600,2")
        self.assertEqual(self.audit("count_cidr", "0.0.0.0/0", "clients", "3600,2", "0",
                                    "1").stdout, "1")
        self.assertEqual(self.audit("undefine", "clients", "3600,2").returncode, 0)
        gone = self.audit("count_cidr", "0.0.0.0/0", "clients", "3600,2", "0", "1", check=False)
        self.assertEqual(gone.returncode, 5)

    def test_a_listener_is_counted_apart(self):
        self.start_gate(monitors=["60,3"])
        self.connect("192.0.2.1", keep=1)
        both = self.gate.ask("live", "192.0.2.1", "--service", "smtp")
        self.assertEqual(both.stdout, "1")
        for listener, live in (("198.51.100.25:25", "1"), ("198.51.100.26:25", "0")):
            one = self.gate.ask("live", "192.0.2.1", "--listener", listener)
            self.assertEqual(one.stdout, live, listener)


if __name__ == "__main__":
    unittest.main()
