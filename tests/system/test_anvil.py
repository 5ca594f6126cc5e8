# SPDX-License-Identifier: BSD-2-Clause
"""The anvil socket of a daemon that runs: what outlives it, and who cannot hurt it."""
import http.client
import os
import signal
import socket
import stat
import time

from anvil_client import Stream, request
from fixture import GateTest

CLIENT = "192.0.2.7"
IDENT = f"smtp:{CLIENT}"


class Anvil(GateTest):
    addresses = (CLIENT, "2001:db8:7::7")

    def setUp(self):
        super().setUp()
        self.path = self.work_dir / "anvil"
        self.streams = []
        self.addCleanup(lambda: [stream.close() for stream in self.streams])

    def start(self, more=""):
        self.start_gate(more=f'\n[anvil]\nsocket = "{self.path}"\n{more}\n')

    def stream(self, **options):
        self.streams.append(Stream(self.path, **options))
        return self.streams[-1]

    def metric(self, name):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.gate.socket))
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), None)

    def test_answers_as_anvil_does(self):
        self.start()
        self.assertEqual(stat.S_IMODE(os.lstat(self.path).st_mode), 0o666)
        first, second = self.stream(), self.stream()
        self.assertEqual(first.ask("connect", IDENT), b"status=0\ncount=1\nrate=1\n\n")
        self.assertEqual(second.ask("connect", IDENT), b"status=0\ncount=2\nrate=2\n\n")
        first.close()
        self.assert_soon(1, lambda: second.numbers("lookup", IDENT)["count"], "a stream has ended")

    def test_what_it_knows_outlives_it(self):
        self.start()
        holder = self.stream()
        holder.ask("connect", IDENT)
        holder.ask("message", IDENT)
        self.gate.stop()
        self.assertEqual(holder.reply(), b"", "the stream ends with the daemon")
        self.gate.start()
        again = self.stream()
        self.assertEqual(again.numbers("lookup", IDENT),
                         {"status": 0, "count": 0, "rate": 1, "mail": 1, "rcpt": 0, "newtls": 0,
                          "auth": 0})
        self.assertEqual(again.numbers("message", IDENT), {"status": 0, "rate": 2})
        self.assertEqual(again.numbers("lookup", IDENT)["count"], 1, "the session goes on")
        self.assertEqual(again.numbers("lookup", IDENT)["rate"], 1, "and has not come twice")

    def test_a_daemon_that_is_killed_forgets_little(self):
        self.start()
        stream = self.stream()
        stream.ask("connect", IDENT)
        saved = self.work_dir / "state/anvil"
        self.assert_soon(True, saved.exists, "it is saved while the daemon runs")
        self.gate.stop(signal.SIGKILL)
        self.gate.start()
        self.assertEqual(self.stream().numbers("lookup", IDENT)["rate"], 1)

    def test_reports_what_postfix_tells(self):
        self.start()
        stream = self.stream()
        for event in ("message", "recipient", "recipient", "auth", "newtls"):
            stream.ask(event, IDENT)

        def counts():
            return [int(self.gate.ask("count", "192.0.2.0/24", "--monitor", "3600,24", "--end", "1",
                                      "--event", event).stdout)
                    for event in ("receptions", "recipients", "auth", "tls")]
        self.assert_soon([1, 2, 1, 1], counts, "what was reported")

    def test_the_gate_may_count_connections(self):
        self.start('count_from = "gate"')
        self.connect(CLIENT, times=5, keep=5)
        self.assert_soon(5, lambda: self.gate.live(CLIENT), "live")
        self.assert_soon({"status": 0, "count": 5, "rate": 1},
                         lambda: self.stream().numbers("connect", IDENT) | {"rate": 1}, "count")
        self.assertEqual(self.stream().numbers("lookup", "smtp:192.0.2.0/24")["count"], 5)

    def test_says_when_the_path_leads_elsewhere(self):
        self.start()
        self.assertEqual(self.metric("tallygate_anvil_socket_ours"), 1)
        self.path.rename(self.work_dir / "taken")
        self.assert_soon(0, lambda: self.metric("tallygate_anvil_socket_ours"), "the metric")
        self.assertIn("is gone", self.gate.ask("status").stdout)
        self.assertIn("is gone", self.gate.log.read_text())

    def test_peaks_are_logged_at_the_end(self):
        self.start()
        stream = self.stream()
        stream.ask("connect", IDENT)
        self.gate.stop()
        self.assertRegex(self.gate.log.read_text(),
                         r"statistics: max connection rate 1/60s for \(smtp:192\.0\.2\.7\) at ")

    def test_old_postfix_is_not_greeted(self):
        self.start("before_3_6 = true")
        old = self.stream(greeted=False)
        self.assertEqual(old.ask("connect", IDENT), b"status=0\ncount=1\nrate=1\n\n")
        self.assertEqual(self.stream().numbers("lookup", IDENT)["count"], 1)

    def test_a_thousand_silent_streams_and_noise_hurt_nobody(self):
        self.start("streams_max = 2000")
        silent = [self.stream() for _ in range(1000)]
        half = self.stream()
        half.send(b"request=connect\nident=")
        noise = self.stream()
        noise.send(bytes(range(256)) * 10)
        self.assertEqual(noise.reply(), b"")
        endless = self.stream()
        with self.assertRaises(OSError):
            for _ in range(100):
                endless.send(b"x" * 65536)
            endless.send(b"x")
            if endless.reply() == b"":
                raise ConnectionResetError
        stream = self.stream()
        self.assertEqual(stream.ask("connect", IDENT), b"status=0\ncount=1\nrate=1\n\n")
        self.assertEqual(silent[-1].numbers("lookup", IDENT)["count"], 1)
        half.send(b"x\n\n")
        self.assertEqual(half.reply(), b"status=0\ncount=1\nrate=1\n\n")

    def test_one_stream_cannot_ask_for_all(self):
        """Replies that nobody reads hold up nobody else."""
        self.start()
        greedy = self.stream()
        greedy.socket.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            while True:
                greedy.send(request("lookup", IDENT) * 1000)
        self.assertEqual(self.stream().ask("connect", IDENT), b"status=0\ncount=1\nrate=1\n\n")

    def test_a_reload_takes_the_time_unit(self):
        self.start()
        stream = self.stream()
        stream.ask("connect", IDENT)
        text = self.gate.config.read_text()
        self.gate.config.write_text(text + "time_unit = 1\n")
        self.gate.ask("reload")
        self.assert_soon(0, lambda: stream.numbers("lookup", IDENT)["rate"], "a shorter window")
        self.assertEqual(stream.numbers("lookup", IDENT)["count"], 1)
