# SPDX-License-Identifier: BSD-2-Clause
"""Whoever reaches the sessions socket can neither stop the daemon nor make others wait."""
import contextlib
import json
import os
import random
import socket
import time

from fixture import GateTest

ANSWER_SECONDS_MAX = 5.0
IDLE_STREAMS = 900
HELLO = b'{"do":"hello","version":1}\n'
OPEN = b'{"id":1,"do":"open","session":"s","address":"192.0.2.1"}\n'

# (what is sent, its bytes, what the last answer says before the stream is closed)
ENDED = [
    ("no JSON", b"EHLO example.com\r\n", "malformed"),
    ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "malformed"),
    ("bytes of zero", HELLO + b"\0" * 100 + b"\n", "malformed"),
    ("an endless line", HELLO + b'{"do":"' + b"a" * 100_000, "malformed"),
    ("deep brackets", HELLO + b"[" * 10_000 + b"\n", "malformed"),
    ("bytes that are no text", HELLO + b'{"do":"\xff\xfe"}\n', "malformed"),
    ("no hello", OPEN, "version"),
    ("another version", b'{"do":"hello","version":99}\n', "version"),
]


class SessionsSocket(GateTest):
    def setUp(self):
        super().setUp()
        self.path = self.work_dir / "sessions.sock"
        self.start_gate(more=f'\n[sessions]\nsocket = "{self.path}"\n')

    def stream(self):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(ANSWER_SECONDS_MAX)
        made.connect(str(self.path))
        self.addCleanup(made.close)
        return made

    def live(self):
        """What an honest client is told, and in time."""
        started = time.monotonic()
        with self.stream() as stream, stream.makefile("rb") as lines:
            stream.sendall(HELLO + b'{"id":1,"do":"live","blocks":["0.0.0.0/0"]}\n')
            lines.readline()
            answer = json.loads(lines.readline())
        self.assertLess(time.monotonic() - started, ANSWER_SECONDS_MAX)
        return answer["live"][0]

    def test_hostile_lines(self):
        for what, sent, code in ENDED:
            with self.subTest(what):
                stream = self.stream()
                with contextlib.suppress(ConnectionError):
                    stream.sendall(sent)
                received = b""
                with contextlib.suppress(ConnectionError):
                    while piece := stream.recv(65536):
                        received += piece
                self.assertEqual(json.loads(received.splitlines()[-1])["code"], code, received)
                self.assertEqual(self.live(), 0)

    def test_noise(self):
        chance = random.Random(25)
        for _ in range(50):
            with self.stream() as stream, contextlib.suppress(ConnectionError):
                stream.sendall(HELLO + chance.randbytes(chance.randrange(20_000)))
        self.assertEqual(self.live(), 0)

    def test_half_a_line_makes_nobody_wait(self):
        stream = self.stream()
        stream.sendall(HELLO + OPEN[:20])
        self.assertEqual(self.live(), 0)
        stream.sendall(OPEN[20:])
        lines = stream.makefile("rb")
        lines.readline()
        self.assertEqual(json.loads(lines.readline())["live"], [1])
        self.assertEqual(self.live(), 1)

    def test_streams_that_say_nothing(self):
        streams = [self.stream() for _ in range(IDLE_STREAMS)]
        streams[0].sendall(HELLO + OPEN.replace(b'"id":1,', b""))
        self.assert_soon(1, self.live, "the one session")

    def test_one_that_reads_nothing(self):
        """Is not read either, once enough waits for him; others are served."""
        greedy = self.stream()
        greedy.setblocking(False)
        sent = 0
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        greedy.send(HELLO)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while time.monotonic() < deadline:
                sent += greedy.send(b'{"id":1,"do":"live","blocks":["0.0.0.0/0"]}\n' * 100)
        self.assertGreater(sent, 0)
        self.assertEqual(self.live(), 0)

    def test_what_waits_when_a_client_dies(self):
        """Lines that came whole are taken, in order; then all of it ends with the stream."""
        for _ in range(20):
            with self.stream() as stream:
                stream.sendall(HELLO + b"".join(
                    OPEN.replace(b'"id":1,', b"").replace(b'"s"', f'"{number}"'.encode())
                    for number in range(100)))
        self.assert_soon(0, self.live, "sessions of nobody")

    def test_metrics_show_it(self):
        stream = self.stream()
        stream.sendall(HELLO + OPEN)
        self.assert_soon(1, self.live, "the one session")

        def metric(name):
            with socket.socket(socket.AF_UNIX) as control:
                control.connect(str(self.gate.socket))
                control.sendall(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n")
                text = control.makefile().read()
            return [line.split()[-1] for line in text.splitlines() if line.startswith(name)]

        self.assert_soon(["1"], lambda: metric("tallygate_sessions_open "), "sessions")
        self.assertEqual(len(metric("tallygate_sessions_events_total{")), 5)

    def test_who_may_use_it(self):
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o660)
