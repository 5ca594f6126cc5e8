# SPDX-License-Identifier: BSD-2-Clause
"""Debian's own anvil and ours, side by side: the same requests, the same bytes back."""
import os
import random

import postfix_home
from anvil_client import Stream, attributes, request
from fixture import GateTest

UNIT = 900
STREAMS = 6
IDENTS = ["smtp:192.0.2.1", "smtp:192.0.2.2", "submission:192.0.2.1", "smtp:2001:db8::1",
          "192.0.2.1:2525:192.0.2.3", "smtp:unknown", "", "a=b c", "smtp:192.0.2.0/24"]
REQUESTS = ["connect"] * 4 + ["disconnect"] * 3 + ["message", "recipient", "auth", "newtls",
                                                   "newtls_status", "lookup", "lookup"]
BROKEN = [
    ("ident first", attributes(("ident", "x"), ("request", "connect"))),
    ("something in between", attributes(("request", "connect"), ("x", 1), ("ident", "x"))),
    ("something after", attributes(("request", "connect"), ("ident", "x"), ("more", 1))),
    ("a list in a list", b"request=connect\nident=x\nmore=" + request("lookup", "x")),
    ("no ident", attributes(("request", "connect"))),
    ("nothing", b"\n"),
    ("upper case", attributes(("REQUEST", "connect"), ("ident", "x"))),
    ("no value", b"request\nident=x\n\n"),
    ("no value for ident", b"request=connect\nident\n\n"),
    ("an empty name", b"=connect\nident=x\n\n"),
    ("unknown request", request("bogus", "x")),
    ("empty request", request("", "x")),
    ("a request with CR", request("connect\r", "x")),
    ("CRLF", b"request=connect\r\nident=x\r\n\r\n\n"),
    ("a value with a zero", b"request=connect\nident=x\0y\n\n"),
    ("a name with a zero", b"request\0=connect\nident=x\n\n"),
    ("high bytes", request("connect", "\xff\xfe")),
]

ENDS = [b"", b"request=con", b"request=lookup\nident=x\n", request("lookup", "x"),
        request("message", "y"), request("bogus", ""), b"\xff\0\n"]


class BesideStock(GateTest):
    def setUp(self):
        super().setUp()
        self.postfix = postfix_home.make(self, {"anvil_rate_time_unit": f"{UNIT}s"})
        self.postfix.start()
        self.stock = self.postfix.home.path(f"{postfix_home.SPOOL}/private/anvil")
        self.ours = self.work_dir / "anvil"
        self.start_gate(more=f'\n[anvil]\nsocket = "{self.ours}"\ntime_unit = {UNIT}\n')
        self.pairs = {}
        self.addCleanup(self.close_all)

    def close_all(self):
        for number in list(self.pairs):
            self.close(number)

    def close(self, number):
        for stream in self.pairs.pop(number, ()):
            stream.close()

    def pair(self, number):
        if number not in self.pairs:
            self.pairs[number] = (Stream(self.stock), Stream(self.ours))
        return self.pairs[number]

    def ask_both(self, number, data):
        replies = []
        for stream in self.pair(number):
            stream.send(data)
            replies.append(stream.reply())
        return replies

    def assert_same(self, number, data, what):
        stock, ours = self.ask_both(number, data)
        self.assertEqual(ours, stock, what)
        return stock

    def counts(self, path):
        """What a stream of its own sees."""
        stream = Stream(path)
        try:
            return [stream.ask("lookup", ident) for ident in IDENTS]
        finally:
            stream.close()

    def test_random_sequences_on_several_streams(self):
        seed = int.from_bytes(os.urandom(4), "big")
        dice = random.Random(seed)
        for step in range(4000):
            number = dice.randrange(STREAMS)
            what = f"seed {seed}, step {step}"
            if dice.random() < 0.02 and number in self.pairs:
                self.close(number)
                # Both see the end of a stream when they come to it.
                self.assert_soon(True, lambda: self.counts(self.ours) == self.counts(self.stock),
                                 what)
                continue
            self.assert_same(number, request(dice.choice(REQUESTS), dice.choice(IDENTS)), what)

    def test_what_is_broken(self):
        for number, (what, data) in enumerate(BROKEN):
            reply = self.assert_same(number, data, what)
            if reply:
                followers = [self.follow(stream) for stream in self.pair(number)]
                self.assertEqual(followers[1], followers[0], what)
            self.close(number)

    @staticmethod
    def follow(stream):
        try:
            stream.send(request("lookup", "nobody"))
        except OSError:
            return b""
        return stream.reply()

    def test_streams_that_are_closed_on_one_side(self):
        for number, held in enumerate((False, True) * len(ENDS)):
            data = ENDS[number // 2]
            what = f"{'a session' if held else 'nothing'}, then {data!r}"
            if held:
                self.assert_same(number, request("connect", f"held {number}"), what)
            said = []
            for stream in self.pair(number):
                stream.send(data)
                stream.end()
                said.append(stream.rest())
            self.assertEqual(said[1], said[0], what)
            self.close(number)

    def test_stated_differences(self):
        stock, ours = self.ask_both(1, request("newtls_report", "x"))
        self.assertEqual(stock, b"status=4294967295\n\n")
        self.assertEqual(ours, b"status=0\nrate=0\n\n")
        stock, ours = self.ask_both(2, request("tlstr", "x"))
        self.assertEqual(stock, b"status=4294967295\n\n")
        self.assertEqual(ours, b"status=0\nrate=1\n\n")
        stream = Stream(self.ours)
        self.addCleanup(stream.close)
        stream.send(request("lookup", "y") * 2)
        self.assertTrue(stream.reply() and stream.reply(), "both of two at once are answered")

    def test_a_session_that_a_broken_list_ends(self):
        for number, (what, data) in enumerate(BROKEN):
            self.assert_same(number, request("connect", f"held {number}"), what)
            stock, ours = self.ask_both(number, data)
            self.assertEqual(ours, stock, what)
            self.close(number)
