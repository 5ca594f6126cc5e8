# SPDX-License-Identifier: BSD-2-Clause
"""Each limit fires in a real Haraka, with the code and the text of the original."""
from harakas import HarakaTest
from lab.haraka import Session
from lab.machine import run

LIMITS = """
tarpit_delay=0
[concurrency]
enabled=true
max=4
[recipients]
enabled=true
max=3
[unrecognized_commands]
enabled=true
max=2
[errors]
enabled=true
max=2
[rate_conn]
enabled=true
default=0
192.0.2.10=3/1h
example.com=2/1h
2001:db8::2=1/1h
[rate_rcpt_host]
enabled=true
default=0
192.0.2.11=2/1h
[rate_rcpt_sender]
enabled=true
default=0
many@example.org=2/1h
[rate_rcpt]
enabled=true
default=0
busy@example.net=1/1h
[rate_rcpt_null]
enabled=true
default=0
example.net=1/1h
"""

HISTORY = """
[concurrency]
max=4
disconnect_delay=0
history=history
history_good=5
history_bad=1
history_none=2
"""


class HarakaLimits(HarakaTest):
    def mail(self, session, sender, *recipients):
        """The answers to the recipients."""
        self.assertEqual(session.say("EHLO client.example.org")[0], 250)
        self.assertEqual(session.say(f"MAIL FROM:<{sender}>")[0], 250)
        return [session.say(f"RCPT TO:<{each}>") for each in recipients]

    def assert_penalty(self, answer, code, text):
        self.assertEqual(answer[0], code, answer)
        self.assertTrue(answer[1].startswith(text), answer)

    def test_concurrency_by_address(self):
        self.start_both(LIMITS)
        for source in ("192.0.2.1", "2001:db8::1"):
            kept = self.sessions(source, 4)
            fifth = self.session(source)
            self.assert_penalty(fifth.greeting, 421, "Too many concurrent connections")
            self.assertTrue(fifth.is_closed())
            kept[0].close()
            self.assert_live(3, source)
            self.sessions(source, 1)
        self.sessions("192.0.2.2", 4)

    def test_concurrency_by_history_in_the_older_file(self):
        self.start_both(HISTORY, plugins=("history", "tallygate", "accept"))
        for last, most in ((61, 5), (62, 1), (63, 2), (64, 4)):
            source = f"192.0.2.{last}"
            with self.subTest(source):
                self.sessions(source, most)
                self.assert_penalty(self.session(source).greeting, 421,
                                    "Too many concurrent connections")

    def test_concurrency_by_prefix_and_who_is_allowed(self):
        self.start_both(LIMITS, own_ini="[allow]\n192.0.2.99\n"
                        "[concurrency_prefixes]\n0.0.0.0/24=5\n")
        for last in range(1, 6):
            self.sessions(f"192.0.2.{last}", 1)
        self.assert_penalty(self.session("192.0.2.6").greeting, 421,
                            "Too many concurrent connections from your network")
        self.sessions("192.0.2.99", 6)

    def test_what_the_gates_allow_list_says(self):
        self.start_both(LIMITS)
        run(self.gate.programs / "tallygate", "--socket", self.gate.socket, "allow", "add",
            "192.0.2.98", "--reason", "a test")
        self.sessions("192.0.2.98", 6)

    def test_recipients_commands_and_errors(self):
        self.start_both(LIMITS)
        session = self.session("192.0.2.3")
        answers = self.mail(session, "a@example.org",
                            *(f"r{number}@example.com" for number in range(4)))
        self.assertEqual([code for code, _ in answers], [250, 250, 250, 450])
        self.assertTrue(answers[3][1].startswith("Too many recipient attempts"), answers)

        session = self.session("192.0.2.3")
        for _ in range(2):
            self.assertEqual(session.say("NONSENSE")[0], 500)
        self.assert_penalty(session.say("NONSENSE"), 421, "Too many unrecognized commands")
        self.assertTrue(session.is_closed())

        session = self.session("192.0.2.3")
        for _ in range(3):
            self.assertEqual(session.say("RCPT TO:<a@example.com>")[0], 503)
        code, text = session.say("EHLO client.example.org")
        self.assertIn(code, (421, 450))
        self.assertTrue(text.startswith("Too many errors"), text)
        self.assertTrue(session.is_closed())

    def test_rates_of_connections(self):
        self.start_both(LIMITS)
        # By address, by the name without its left, and by an IPv6 address in short.
        for source, most in (("192.0.2.10", 3), ("192.0.2.50", 2), ("2001:db8::2", 1)):
            with self.subTest(source):
                for session in self.sessions(source, most):
                    session.close()
                over = self.session(source)
                self.assert_penalty(over.greeting, 421, "connection rate limit exceeded")
                self.assertTrue(over.is_closed())

    def test_rates_of_recipients(self):
        self.start_both(LIMITS)
        session = self.session("192.0.2.11")
        answers = self.mail(session, "a@example.org", *(f"r{i}@example.com" for i in range(3)))
        self.assertEqual([code for code, _ in answers], [250] * 3)
        over = self.session("192.0.2.11")
        self.assert_penalty(over.greeting, 421, "recipient rate limit exceeded")
        self.assert_penalty(over.say("NOOP"), 421, "recipient rate limit exceeded")

        rows = [("many@example.org", [f"m{i}@example.com" for i in range(3)],
                 "rcpt rate limit exceeded"),
                ("b@example.org", ["Busy@example.net"] * 2, "rate limit exceeded"),
                ("", ["n1@example.net", "n2@example.net"], "null recip rate limit")]
        for sender, recipients, text in rows:
            with self.subTest(text):
                *passed, last = self.mail(self.session("192.0.2.12"), sender, *recipients)
                self.assertEqual({code for code, _ in passed}, {250})
                self.assert_penalty(last, 450, text)

    def test_bad_syntax_limits_nothing_and_is_one_line(self):
        self.start_both("[concurrency]\nmax=-4\n[rate_conn]\nenabled=true\ndefault=5/5x\n")
        self.sessions("192.0.2.4", 8)
        for place in ("[concurrency] max", "[rate_conn] default"):
            self.assertEqual(self.haraka.words().count(f"limit.ini {place}"), 1)

    def test_a_socket_that_is_not_there(self):
        self.start_both(LIMITS)
        self.haraka.stop()
        self.haraka.configure(limit_ini=LIMITS, tallygate_ini="socket=/nonexistent/socket\n")
        self.haraka.start()
        self.sessions("192.0.2.5", 8)
        self.assertEqual(self.haraka.words().count("no tallygate on /nonexistent/socket"), 1)

    def test_the_gate_counts_for_it(self):
        self.start_gate(guards="ports = [25, 2525]",
                        more=f'\n[sessions]\nsocket = "{self.sessions_socket}"\n'
                        'count_from = "gate"\nservices = ["smtp"]\n')
        self.haraka.configure(limit_ini=LIMITS, tallygate_ini=f"socket={self.sessions_socket}\n")
        self.haraka.start()
        # Connections that Haraka knows nothing of: to its port, and to another of the service.
        first = self.sessions("192.0.2.7", 2)
        with self.listener(2525):
            others = [Session(self.link.clients, "192.0.2.7", self.link_address(), 2525,
                              read_greeting=False) for _ in range(2)]
            self.assert_soon(4, lambda: self.gate.live("192.0.2.7"), "connections at the gate")
            over = self.session("192.0.2.7")
            self.assert_penalty(over.greeting, 421, "Too many concurrent connections")
            for each in (over, *others):
                each.close()
        self.assert_soon(2, lambda: self.gate.live("192.0.2.7"), "connections at the gate")
        self.assertEqual(self.session("192.0.2.7").greeting[0], 220)
        self.assertEqual(len(first), 2)

    def test_the_first_of_a_burst_get_in_where_the_gate_counts(self):
        self.start_both(LIMITS, sessions='count_from = "gate"')
        for source in ("192.0.2.7", "2001:db8::1"):
            burst = [self.session(source, read_greeting=False) for _ in range(10)]
            codes = [session.answer()[0] for session in burst]
            self.assertEqual(sorted(codes), [220] * 4 + [421] * 6, source)

    def test_a_proxy_that_speaks_xclient(self):
        self.start_both("[concurrency]\nmax=1\ndisconnect_delay=0\n",
                        plugins=("xclient", "tallygate", "accept"),
                        xclient_hosts="192.0.2.20\n192.0.2.21\n")
        command = "XCLIENT ADDR=203.0.113.7 NAME=mx.example.org"
        first = self.sessions("192.0.2.20", 1)[0]
        self.assertEqual(first.say(command)[0], 220)
        self.assert_live(1, "203.0.113.7/32")
        self.assert_live(1)
        second = self.sessions("192.0.2.21", 1)[0]
        self.assert_penalty(second.say(command), 421, "Too many concurrent connections")
        self.assert_live(1)
        first.close()
        self.assert_live(0)

    def test_the_ledger_is_told(self):
        self.start_both()
        session = self.session("192.0.2.8")
        answers = self.mail(session, "a@example.org", "x@example.com", "refused@example.com")
        self.assertEqual([code for code, _ in answers], [250, 550])
        self.assertEqual(session.say("DATA")[0], 354)
        self.assertEqual(session.say("Subject: test\r\n\r\ntest\r\n.")[0], 250)
        self.assertEqual(session.say("QUIT")[0], 221)

        def events():
            return {event: int(self.gate.ask("count", "192.0.2.8", "--monitor", "3600,24",
                                             "--end", "1", "--event", event).stdout)
                    for event in ("recipients", "rejections", "receptions")}

        self.assert_soon({"recipients": 2, "rejections": 1, "receptions": 1}, events, "events")
