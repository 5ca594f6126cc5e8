# SPDX-License-Identifier: BSD-2-Clause
"""A real Postfix asks the policy socket: when clients connect, for each recipient, and while
nobody answers."""
import socket
import threading
import time
import unittest

import postfix_home
from fixture import GateTest
from lab.gate import TREE

CLIENT, OTHER, CLIENT_IPV6 = "192.0.2.1", "192.0.2.77", "2001:db8:7::7"
OPEN = """
[[check]]
name = "open"
services = ["smtp"]
count = "live"
per = ["0.0.0.0/32", "::/64"]
max = {max}
action = "{action}"
text = "too many"
{more}
"""
SENDERS = """
[[check]]
name = "mailfrom"
key = "sender"
monitor = "900,4"
end = 3
max = 2
action = "defer"
text = "Sender message rate limit exceeded"
"""
SERVICES = ("smtp inet n - n - - smtpd",)


class Policy(GateTest):
    addresses = (CLIENT, OTHER, CLIENT_IPV6)

    def setUp(self):
        super().setUp()
        self.work_dir.chmod(0o755)
        self.path = self.work_dir / "policy"
        self.ask = (f"check_policy_service {{ unix:{self.path}, timeout=5s, try_limit=1, "
                    "default_action=DUNNO }")
        self.sessions = postfix_home.Sessions(self.link.clients, self.record,
                                              self.work_dir / "sessions.log")
        self.addCleanup(self.sessions.stop)

    def start_policy(self, checks, policy=""):
        self.start_gate(monitors=("60,10", "900,4", "3600,24"),
                        more=f'\n[policy]\nsocket = "{self.path}"\nsocket_mode = "0666"\n'
                             f"{policy}\n{checks}\n")

    def start_postfix(self, where, **settings):
        """Which asks in these restrictions."""
        postfix = postfix_home.make(self, {**settings, where: self.ask}, SERVICES)
        postfix.start()
        return postfix

    def at_connect(self):
        return self.start_postfix("smtpd_client_restrictions", smtpd_delay_reject="no")

    def at_rcpt(self):
        return self.start_postfix("smtpd_recipient_restrictions")

    def mail(self, session, sender="ann@example.net", recipients=("bob@example.com",)):
        """The replies to each recipient, and to the message if one was taken."""
        self.sessions.say(session, f"MAIL FROM:<{sender}>")
        replies = [self.sessions.say(session, f"RCPT TO:<{each}>") for each in recipients]
        if any(reply.startswith("250") for reply in replies):
            self.sessions.say(session, "DATA")
            replies.append(self.sessions.say(session, "Subject: x\r\n\r\nx\r\n."))
        else:
            self.sessions.say(session, "RSET")
        return replies

    def open(self, session, source=CLIENT):
        reply = self.sessions.open(session, source)
        if reply.startswith("220"):
            self.sessions.say(session, "EHLO client.example.net")
        return reply

    def metric(self, line):
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.connect(str(self.gate.socket))
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        with connection.makefile() as answer:
            rows = [row.split() for row in answer.read().splitlines()]
        return next((float(row[-1]) for row in rows if row[:-1] == [line]), None)

    def test_when_clients_connect(self):
        self.start_policy(OPEN.format(max=2, action="disconnect", more=""))
        self.at_connect()
        for source in (CLIENT, CLIENT_IPV6):
            with self.subTest(source):
                for number in range(2):
                    self.assertRegex(self.open(f"{source} {number}", source), "^220 ")
                third = self.open("third", source)
                self.assertRegex(third, r"^421 4\.7\.0 .*too many \(.*: 3 connections open, "
                                        r"limit 2\)")
                self.sessions.close(f"{source} 0")
                self.sessions.close("third")
                self.assert_soon(1, lambda: self.gate.live(source), "two have gone")
                self.assertRegex(self.open("again", source), "^220 ")
        self.assertRegex(self.open("other", OTHER), "^220 ")
        self.assertEqual(self.metric('tallygate_policy_answers_total{action="disconnect"}'), 2)
        self.assertEqual(self.metric('tallygate_check_exceeded_total{check="open"}'), 2)

    def test_all_recipients_of_a_message_fare_alike(self):
        self.start_policy(OPEN.format(max=1, action="defer", more=""))
        self.at_rcpt()
        self.open("first")
        self.assertRegex(self.mail("first")[0], "^250 ")
        self.sessions.say("first", "MAIL FROM:<ann@example.net>")
        self.assertRegex(self.sessions.say("first", "RCPT TO:<bob@example.com>"), "^250 ")
        self.open("second")
        self.assertRegex(self.sessions.say("first", "RCPT TO:<eve@example.com>"), "^250 ",
                         "the message was let in before the second connection came")
        self.assertRegex(self.mail("second")[0], r"^450 4\.7\.1 .*2 connections open, limit 1")

    def test_marks_warns_and_waits(self):
        self.start_policy(OPEN.format(max=0, action="mark", more='delay = "1s"'))
        postfix = self.start_postfix("smtpd_recipient_restrictions",
                                     header_checks="regexp:{{/^X-Tallygate:/ WARN}}")
        self.open("one")
        started = time.monotonic()
        self.assertRegex(self.mail("one")[0], "^250 ")
        self.assertGreaterEqual(time.monotonic() - started, 1)
        self.assertTrue(postfix.logged("warning: header X-Tallygate: open too many"))
        text = self.gate.config.read_text()
        self.gate.config.write_text(text.replace('"mark"', '"warn"'))
        self.gate.ask("reload")
        self.assertRegex(self.mail("one")[0], "^250 ")
        self.assertTrue(postfix.logged(r"warn: RCPT .*too many .*1 connections open, limit 0"))

    def test_counts_the_messages_of_a_sender(self):
        self.start_policy(SENDERS)
        self.at_rcpt()
        self.open("one")
        two = ("bob@example.com", "eve@example.com")
        self.assertRegex(self.mail("one", recipients=two)[1], "^250 ")
        self.assertRegex(self.mail("one", recipients=two)[1], "^250 ")
        for reply in self.mail("one", recipients=two):
            self.assertRegex(reply, r"^450 4\.7\.1 .*ann@example\.net: 3 messages in 1h, limit 2")
        self.assertRegex(self.mail("one", sender="eve@example.net")[0], "^250 ")
        self.assertRegex(self.mail("one", sender="")[0], "^250 ", "a bounce")

    def test_only_reports(self):
        self.start_policy(OPEN.format(max=0, action="disconnect", more=""), "report_only = true")
        self.at_connect()
        self.assertRegex(self.open("one"), "^220 ")
        self.assert_soon(True, lambda: "check open would answer disconnect: 192.0.2.1 too many"
                         in self.gate.log.read_text(), "the log says what would be")

    def test_counts_the_ends_of_messages(self):
        self.start_policy("", "report = true")
        self.start_postfix("smtpd_end_of_data_restrictions")
        self.open("one")
        self.mail("one", recipients=("bob@example.com", "eve@example.com"))
        self.mail("one")
        self.assertEqual(self.gate.ask("count", CLIENT, "--monitor", "3600,24", "--start", "0",
                                       "--end", "1", "--event", "receptions").stdout, "2")
        self.assertEqual(self.gate.ask("count", CLIENT, "--monitor", "3600,24", "--start", "0",
                                       "--end", "1", "--event", "recipients").stdout, "3")

    def test_mail_flows_while_tallygate_is_dead(self):
        self.start_policy(OPEN.format(max=0, action="disconnect", more=""))
        postfix = self.at_connect()
        self.assertRegex(self.open("one"), "^421 ")
        self.gate.stop()
        self.assertRegex(self.open("two"), "^220 ")
        self.assertRegex(self.mail("two")[0], "^250 ")
        self.assertTrue(postfix.logged(r"warning: .*policy"))
        self.gate.start()
        self.assertRegex(self.open("three"), "^421 ")

    def test_mail_flows_while_an_answer_does_not_come(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(str(self.path))
        self.path.chmod(0o666)
        listener.listen(10)
        held = []
        threading.Thread(target=lambda: held.append(listener.accept()), daemon=True).start()
        self.start_gate()
        postfix = self.at_connect()
        self.assertRegex(self.open("one"), "^220 ")
        self.assertTrue(postfix.logged(r"warning: .*policy"))
        self.assertTrue(held)

    def test_the_samples(self):
        lines = (TREE / "integrations/postfix/policy.main.cf").read_text().splitlines()
        sample = " ".join(line.strip() for line in lines if line.startswith(" "))
        self.ask = sample.replace("unix:tallygate/policy", f"unix:{self.path}")
        self.start_policy((TREE / "integrations/postfix/checks.toml").read_text())
        self.at_connect()
        for number in range(10):
            self.assertRegex(self.open(str(number)), "^220 ")
        self.assertRegex(self.open("11"), r"^421 4\.7\.0 .*connection limit exceeded "
                                          r"\(192\.0\.2\.1/32: 11 connections open, limit 10\)")
        self.assertRegex(self.open("other", OTHER), "^220 ")


    def tallygate(self, postfix, *words):
        return postfix.home.run(self.gate.programs / "tallygate", "--socket", self.gate.socket,
                                "postfix", *words).stdout

    def test_one_command_and_back(self):
        self.start_policy("")
        postfix = postfix_home.make(self, {}, SERVICES)
        main_cf = postfix.home.path("/etc/postfix/main.cf")
        before = main_cf.read_text()
        self.assertIn("postconf -e 'smtpd_client_restrictions = permit_mynetworks check_policy",
                      self.tallygate(postfix, "enable-policy", "--dry-run"))
        self.assertEqual(main_cf.read_text(), before)
        self.assertIn('socket = "/var/spool/postfix/tallygate/policy"',
                      self.tallygate(postfix, "enable-policy"))
        self.assertIn("already", self.tallygate(postfix, "enable-policy"))
        postfix.start()
        self.assertRegex(self.open("one"), "^220 ", "nobody answers there")
        self.assertRegex(self.mail("one")[0], "^250 ")
        self.assertTrue(postfix.logged("warning: .*tallygate/policy"), "but it was asked")
        self.tallygate(postfix, "disable-policy")
        self.assertEqual(main_cf.read_text(), before)
        self.assertIn("does not ask", self.tallygate(postfix, "disable-policy"))

    def test_what_its_operator_wrote_stays_as_it_was(self):
        self.start_policy("")
        postfix = postfix_home.make(self, {}, SERVICES)
        main_cf = postfix.home.path("/etc/postfix/main.cf")
        with main_cf.open("a") as file:
            file.write("smtpd_client_restrictions =\n"
                       "smtpd_recipient_restrictions =\n    reject_unauth_destination,\n"
                       "# friends\n    permit_mynetworks,\n    permit\n\n"
                       "# behind\nsoft_bounce = no\n")
        before = main_cf.read_text()
        owner = main_cf.stat()
        at_rcpt = ("--at", "rcpt")
        self.assertIn("    permit_mynetworks,\n    check_policy_service {",
                      self.tallygate(postfix, "enable-policy", *at_rcpt, "--dry-run"))
        self.assertEqual(main_cf.read_text(), before)
        self.tallygate(postfix, "enable-policy")
        self.tallygate(postfix, "enable-policy", *at_rcpt)
        value = postfix.home.run("postconf", "-h", "smtpd_recipient_restrictions").stdout
        self.assertRegex(value, r"^\s*reject_unauth_destination,\s+permit_mynetworks,\s+"
                                r"check_policy_service \{ unix:tallygate/policy,.*\}, permit\s*$")
        self.assertEqual(postfix.run("check").stderr, "")
        self.tallygate(postfix, "disable-policy")
        self.tallygate(postfix, "disable-policy", *at_rcpt)
        self.assertEqual(main_cf.read_text(), before)
        self.assertEqual((main_cf.stat().st_mode, main_cf.stat().st_uid),
                         (owner.st_mode, owner.st_uid))


if __name__ == "__main__":
    unittest.main()
