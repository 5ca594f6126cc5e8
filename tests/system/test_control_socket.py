# SPDX-License-Identifier: BSD-2-Clause
"""Whoever reaches the control socket can neither stop the daemon nor make others wait."""
import contextlib
import json
import socket
import sys
import time
import unittest

from fixture import GateTest
from lab import machine

ANSWER_SECONDS_MAX = 2.0

# (what is sent, its bytes, the statuses that are right; None: the connection is closed)
HOSTILE = [
    ("an unknown path", b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    ("a bad block", b"GET /v1/live?cidr=192.0.2.0/99 HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    ("a wrong method", b"DELETE /v1/live?cidr=0.0.0.0/0 HTTP/1.1\r\nHost: x\r\n\r\n", {405}),
    ("no HTTP at all", b"EHLO example.com\r\n\r\n", {400, None}),
    ("a line without end", b"GET /" + b"a" * 100_000, {400, 413, 414, 431, None}),
    ("a header without end", b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000, {400, 413, 431, None}),
    ("a large body", b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" +
     b"a" * 70_000, {400, 413, None}),
    ("bytes of zero", b"\0" * 4096, {400, None}),
]

READ_OVER_TCP = """
import sys, urllib.error, urllib.request
method, path = sys.argv[1:]
request = urllib.request.Request("http://127.0.0.1:9847" + path, method=method)
try:
    answer = urllib.request.urlopen(request, timeout=5)
    print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""


class ControlSocket(GateTest):
    addresses = ["192.0.2.1"]

    def open(self, timeout=5.0):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        connection.connect(str(self.gate.socket))
        self.addCleanup(connection.close)
        return connection

    def status_of(self, request):
        """The status of the answer; None if the connection is closed without one."""
        connection = self.open()
        received = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        with contextlib.suppress(ConnectionError):
            while b"\r\n" not in received and (piece := connection.recv(4096)):
                received += piece
        return int(received.split()[1]) if received.startswith(b"HTTP/") else None

    def assert_answers_others(self):
        started = time.monotonic()
        self.assertEqual(self.gate.ask("live", "0.0.0.0/0").returncode, 0)
        self.assertLess(time.monotonic() - started, ANSWER_SECONDS_MAX)

    def test_hostile_requests(self):
        self.start_gate()
        for what, request, right in HOSTILE:
            with self.subTest(what):
                self.assertIn(self.status_of(request), right)
                self.assert_answers_others()

    def test_half_a_request_makes_nobody_wait(self):
        self.start_gate()
        half = self.open()
        half.sendall(b"GET /v1/live?cidr=0.0")
        self.assert_answers_others()
        half.sendall(b".0.0/0 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(half.recv(64).startswith(b"HTTP/1.1 200"))

    def test_a_thousand_idle_connections(self):
        self.start_gate()
        idle = [self.open() for _ in range(1000)]
        self.assertEqual(len(idle), 1000)
        self.assert_answers_others()

    def test_tcp_is_for_reading_only(self):
        self.start_gate(more='\n[http]\nlisten = "127.0.0.1:9847"\n')
        self.connect("192.0.2.1", times=3, keep=2)

        def over_tcp(method, path):
            done = machine.run(*machine.inside(self.link.server, sys.executable, "-c",
                                               READ_OVER_TCP, method, path))
            status, _, body = done.stdout.partition(" ")
            return int(status), body

        self.assert_soon(2, lambda: json.loads(over_tcp("GET", "/v1/live?cidr=192.0.2.0/24")[1])
                         ["value"], "live over TCP")
        self.assertIn("pass_opened", over_tcp("GET", "/metrics")[1])
        self.assertIn(over_tcp("POST", "/v1/reload")[0], (403, 404, 405))


if __name__ == "__main__":
    unittest.main()
