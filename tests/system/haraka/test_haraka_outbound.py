# SPDX-License-Identifier: BSD-2-Clause
"""Deliveries: no more at a time to a domain than configured, and all of them in the end."""
import socketserver
import threading
import time

from fixture import SERVER_IPV4
from harakas import HarakaTest
from lab.haraka import socket_in

SINK_PORT = 2526
MAILS = 6
DEADLINE_SECONDS = 40


class Sink(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Takes mail slowly, and remembers how many it took at a time."""

    daemon_threads = True

    def __init__(self, listening):
        super().__init__(None, Delivery, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.lock = threading.Lock()
        self.now = self.most = self.taken = self.refused = 0

    def change(self, by):
        with self.lock:
            self.now += by
            self.most = max(self.most, self.now)


class Delivery(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 sink\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"MAIL":
                self.server.change(1)
                time.sleep(0.3)  # so that others are under way at the same time
            refusals = {b"<gone@": b"550 gone\r\n", b"<later@": b"450 later\r\n"}
            refusal = next((text for who, text in refusals.items() if who in line), None)
            self.server.refused += b"<gone@" in line
            self.wfile.write(refusal or {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(
                verb, b"250 ok\r\n"))
            if verb == b"DATA":
                while self.rfile.readline().strip() != b".":
                    pass
                self.server.change(-1)
                self.server.taken += 1
                self.wfile.write(b"250 taken\r\n")


class HarakaOutbound(HarakaTest):
    def setUp(self):
        super().setUp()
        listening = socket_in(self.link.server)
        listening.bind((SERVER_IPV4, SINK_PORT))
        listening.listen(64)
        self.sink = Sink(listening)
        threading.Thread(target=self.sink.serve_forever, daemon=True).start()
        self.addCleanup(self.sink.server_close)
        self.addCleanup(self.sink.shutdown)

    def send(self, count, recipients=("b",)):
        session = self.session("192.0.2.1")
        self.assertEqual(session.say("EHLO client.example.org")[0], 250)
        for number in range(count):
            for line, code in ((f"MAIL FROM:<a{number}@example.org>", 250),
                               *((f"RCPT TO:<{each}@relay.example>", 250) for each in recipients),
                               ("DATA", 354), (f"Subject: {number}\r\n\r\nx\r\n.", 250)):
                self.assertEqual(session.say(line)[0], code, line)

    def assert_delivered(self, count):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.sink.taken < count and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(self.sink.taken, count, self.haraka.words())

    def test_one_at_a_time(self):
        self.start_both("[outbound]\nenabled=true\ndelay=1\nrelay.example=1\n",
                        plugins=("tallygate", "accept"))
        self.send(MAILS)
        self.assert_delivered(MAILS)
        self.assertEqual(self.sink.most, 1)
        self.assert_none_under_way()

    def test_one_that_is_neither_taken_nor_refused_as_a_whole(self):
        """Haraka makes two of it, which are deferred and bounced, and drops it without a word."""
        self.start_both("[outbound]\nenabled=true\ndelay=1\nrelay.example=1\n")
        self.send(1, ["gone", "later"])
        self.assert_soon(1, lambda: self.sink.refused, "mails that were refused")
        self.send(1)
        self.assert_delivered(2)  # it, and the bounce
        self.assert_none_under_way()

    def test_a_rate(self):
        self.start_both("[rate_outbound]\nenabled=true\nrelay.example=2/1h\n", loglevel="DEBUG\n")
        self.send(3)
        self.assert_delivered(2)
        self.assert_soon(1, lambda: self.haraka.words().count("Delivery of this email delayed"),
                         "deliveries that wait")
        answer = {"count": 2, "over": False}
        self.assert_soon(answer, lambda: {key: value for key, value in self.ask(
            do="rate", rate="rate_outbound", key="relay.example", limit=2, span=3600,
            amount=0).items() if key in answer}, "what counted")
        self.assertEqual(self.sink.taken, 2)

    def assert_none_under_way(self):
        answer = {"live": [1], "opened": True}
        self.assert_soon(answer, lambda: self.without_id(
            self.ask(do="deliver", session="x", domain="relay.example")), "deliveries")

    @staticmethod
    def without_id(answer):
        return {key: value for key, value in (answer or {}).items() if key != "id"}
