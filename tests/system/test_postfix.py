# SPDX-License-Identifier: BSD-2-Clause
"""A real Postfix that asks tallygate in the place of its own anvil."""
import re
import signal
import socket
import threading

import postfix_home
from anvil_client import Stream
from fixture import BPFFS, PREFIX, GateTest

IPV4 = [f"192.0.2.{number}" for number in range(1, 11)]
IPV6 = [f"2001:db8:{number:x}::{number:x}" for number in range(1, 11)]
CLIENTS = [*IPV4, *IPV6]
UNIT = 900  # seconds: no window ends while a test runs
LIMITS = {
    "anvil_rate_time_unit": f"{UNIT}s",
    "smtpd_client_connection_count_limit": "2",
    "smtpd_client_connection_rate_limit": "6",
    "smtpd_client_message_rate_limit": "2",
    "smtpd_client_recipient_rate_limit": "3",
    "smtpd_client_auth_rate_limit": "1",
    "smtpd_client_new_tls_session_rate_limit": "1",
    "smtpd_client_event_limit_exceptions": "127.0.0.0/8",
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_error_sleep_time": "0",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_chain_files": "/etc/postfix/key-and-certificate.pem",
}
SMTP = "smtp inet n - y - - smtpd"
SUBMISSION = "submission inet n - y - - smtpd"
ANVIL = f"{postfix_home.SPOOL}/private/anvil"


def without_numbers(line):
    """A line of the log without what differs from run to run."""
    return re.sub(r"^.*? postfix/(\w+)\[\d+\]: ", r"\1: ", line)


class PostfixTest(GateTest):
    addresses = CLIENTS
    settings = LIMITS
    services = (SMTP, SUBMISSION)

    def setUp(self):
        super().setUp()
        self.postfix = postfix_home.make(self, self.settings, self.services,
                                         packages=["libsasl2-modules"])
        self.home = self.postfix.home
        self.make_certificate()
        self.home.path("/etc/postfix/sasl").mkdir(exist_ok=True)
        self.home.path("/etc/postfix/sasl/smtpd.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\n")
        self.sessions = postfix_home.Sessions(self.link.clients, self.record,
                                              self.work_dir / "sessions.log")
        self.addCleanup(self.sessions.stop)
        # The daemon has to see the home's files, and so is made anew.
        self.gate = postfix_home.HomeGate(self.link.guarded, self.work_dir,
                                          BPFFS / f"{PREFIX}pins", self.record)
        self.gate.home = self.home

    def make_certificate(self):
        self.home.run("sh", "-ec", "cd /etc/postfix; openssl req -x509 -newkey rsa:2048 -nodes "
                      "-subj /CN=mail.example.com -keyout key.pem -out certificate.pem 2>&1; "
                      "cat key.pem certificate.pem >key-and-certificate.pem; "
                      "chmod 0600 key-and-certificate.pem")

    def start_gate_for_postfix(self, more=""):
        self.start_gate(more=f'\n[anvil]\nsocket = "{ANVIL}"\ntime_unit = {UNIT}\n{more}\n',
                        guards="ports = [25, 587]")

    def enable(self):
        """Everything as its operator does it: the command, then the daemon, then Postfix."""
        self.gate.ask_at_home("postfix", "enable-anvil")
        self.start_gate_for_postfix()
        self.postfix.start()

    def lookup(self, client, service="smtp"):
        stream = Stream(self.home.path(ANVIL))
        try:
            return stream.numbers("lookup", f"{service}:{client}")
        finally:
            stream.close()

    def open(self, name, client, port=25):
        """The banner, or what stands in its place; that there is none is nowhere right."""
        reply = self.sessions.open(name, client, port)
        if not reply[:3].isdigit():
            self.fail(f"{client} was told {reply!r}; Postfix says\n{self.postfix.log()[-3000:]}")
        return reply

    def say(self, name, *lines):
        return [self.sessions.say(name, line) for line in lines]


class Limits(PostfixTest):
    def one_client(self, client):
        """Runs into every limit; answers all replies."""
        first, second = f"{client} 1", f"{client} 2"
        replies = [self.open(first, client), self.open(second, client),
                   self.open(f"{client} 3", client)]
        self.sessions_end(client, 2)
        replies += self.say(first, "EHLO c.example.org",
                            *["MAIL FROM:<a@example.org>", "RSET"] * 3)
        replies += self.say(second, "EHLO c.example.org", *["AUTH PLAIN AGEAYg=="] * 2,
                            *["VRFY a@example.com"] * 4, "QUIT")
        self.sessions_end(client, 1)
        for turn in (4, 5, 6):
            name = f"{client} {turn}"
            replies += [self.open(name, client), *self.say(name, "EHLO c.example.org")]
            replies.append(self.sessions.start_tls(name))
            self.sessions.close(name)
            self.sessions_end(client, 1)
        replies.append(self.open(f"{client} 7", client))
        self.sessions_end(client, 1)
        replies += self.say(first, "QUIT")
        return replies

    def sessions_end(self, client, left):
        """A session that is closed without a word is over when its process has seen it."""
        self.assert_soon(left, lambda: self.lookup(client)["count"], "sessions of " + client)

    def all_clients(self):
        return {client: self.one_client(client) for client in CLIENTS}

    def warnings(self):
        lines = [without_numbers(line) for line in self.postfix.log().splitlines()
                 if "warning:" in line and "smtpd" in line]
        return [line for line in lines if "SASL" not in line]

    def test_fire_as_with_stock_anvil(self):
        self.postfix.start()
        with_stock = self.all_clients()
        stock_warnings = self.warnings()
        self.postfix.stop()
        self.home.path(postfix_home.LOG).write_text("")

        self.enable()
        with_ours = self.all_clients()
        self.assertEqual(with_ours, with_stock)
        self.assertEqual(self.warnings(), stock_warnings)

        replies = with_ours[IPV4[0]]
        client = IPV4[0]
        for wanted in (f"421 4.7.0 mail.example.com Error: too many connections from {client}",
                       f"450 4.7.1 Error: too much mail from {client}",
                       f"450 4.7.1 Error: too many recipients from {client}",
                       f"450 4.7.1 Error: too many AUTH commands from {client}",
                       f"454 4.7.0 Error: too many new TLS sessions from unknown[{client}]"):
            self.assertTrue(any(wanted in reply for reply in replies), (wanted, replies))
        text = "\n".join(self.warnings())
        for wanted in (f"Connection concurrency limit exceeded: 3 from unknown[{client}] for "
                       "service smtp",
                       f"Connection rate limit exceeded: 7 from unknown[{client}]"):
            self.assertIn(wanted, text)


class Live(PostfixTest):
    def test_agrees_with_the_gate(self):
        self.enable()
        for number, client in enumerate(CLIENTS):
            for turn in range(number % 2 + 1):
                self.assertTrue(self.open(f"{client} {turn}", client).startswith("220 "))
        for number, client in enumerate(CLIENTS):
            self.assertEqual(self.lookup(client)["count"], number % 2 + 1, client)
            self.assertEqual(self.gate.live(client), number % 2 + 1, client)
        for client in CLIENTS:
            self.say(f"{client} 0", "QUIT")
            self.sessions.close(f"{client} 0")
        for number, client in enumerate(CLIENTS):
            self.assert_soon(number % 2, lambda: self.lookup(client)["count"], client)
            self.assert_soon(number % 2, lambda: self.gate.live(client), client)

    def test_a_refused_session_makes_room_when_it_is_gone(self):
        client = IPV4[0]
        self.enable()
        self.open("1", client)
        self.open("2", client)
        self.assertIn("too many connections", self.open("3", client))
        self.assert_soon(2, lambda: self.lookup(client)["count"], "the refused one is gone")
        self.say("1", "QUIT")
        self.assert_soon(1, lambda: self.lookup(client)["count"], "one has quit")
        self.assertTrue(self.open("4", client).startswith("220 "))

    def test_services_are_counted_apart_and_exceptions_not_at_all(self):
        client, local = IPV4[0], "127.0.0.1"
        self.postfix.services("198.51.100.25:2525 inet n - y - - smtpd",
                              "[2001:db8:25::25]:2526 inet n - y - - smtpd")
        self.enable()
        self.open("a", client)
        self.open("b", client, port=587)
        self.open("c", client, port=2525)
        self.open("d", IPV6[0], port=2526)
        for service, who in (("smtp", client), ("submission", client),
                             ("198.51.100.25:2525", client),
                             ("[2001:db8:25::25]:2526", IPV6[0])):
            self.assertEqual(self.lookup(who, service)["count"], 1, service)
        self.say("d", "EHLO c.example.org", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.com>")
        self.assert_soon("1", lambda: self.gate.ask(
            "count", IPV6[0] + "/64", "--monitor", "3600,24", "--end", "1", "--event",
            "recipients").stdout, "the client of an address and port is decoded")
        self.home.run("python3", "-c", "import socket; print(socket.create_connection(('127.0.0.1',"
                      " 25)).recv(100))")
        self.assertEqual(self.lookup(local)["rate"], 0, "mynetworks")


class Postscreen(PostfixTest):
    """It takes connections first, and hands those that it lets in to an smtpd of another name."""
    settings = {**LIMITS, "postscreen_access_list": "static:permit",
                "postscreen_client_connection_count_limit": "50"}
    services = ("smtp inet n - y - 1 postscreen", "smtpd pass - - y - - smtpd",
                "dnsblog unix - - y - 0 dnsblog", "tlsproxy unix - - y - 0 tlsproxy")

    def test_those_it_lets_in_are_counted(self):
        self.enable()
        for client in (IPV4[0], IPV6[0]):
            for name in (f"{client} 1", f"{client} 2"):
                self.assertTrue(self.open(name, client).startswith("220 "))
            self.assertIn("too many connections", self.open(f"{client} 3", client))
            self.assert_soon(2, lambda: self.lookup(client, "smtpd")["count"], client)
            self.assertEqual(self.lookup(client, "smtp")["count"], 0, "no such ident")
            self.sessions.close(f"{client} 3")
            self.assert_soon(2, lambda: self.gate.live(client), client)
            self.say(f"{client} 1", "EHLO c.example.org", "MAIL FROM:<a@example.org>",
                     "RCPT TO:<b@example.com>")
            self.assert_soon("1", lambda: self.gate.ask(
                "count", client, "--monitor", "3600,24", "--end", "1", "--event",
                "recipients").stdout, "the ident is decoded")


class Mishaps(PostfixTest):
    def test_a_daemon_that_is_killed_costs_a_second(self):
        client = IPV4[0]
        self.enable()
        self.open("before", client)
        self.gate.stop(signal.SIGKILL)
        self.assertTrue(self.open("while", client).startswith("220 "), "mail goes on")
        self.assertTrue(self.postfix.logged("connect to private/anvil: Connection refused"))
        self.gate.start()
        self.assertEqual(self.say("before", "EHLO c.example.org", "MAIL FROM:<a@example.org>")[1],
                         "250 2.1.0 Ok")
        counts = self.lookup(client)
        self.assertEqual(counts["mail"], 1, "the session is heard of again")
        self.assertEqual(counts["count"], 1)
        self.assertTrue(self.open("after", client).startswith("220 "))

    def test_rates_outlive_a_restart_and_a_reload(self):
        client = IPV4[0]
        self.enable()
        self.open("1", client)
        self.say("1", "EHLO c.example.org", "MAIL FROM:<a@example.org>", "RSET")
        self.gate.stop()
        self.gate.start()
        self.assertEqual(self.say("1", "MAIL FROM:<a@example.org>", "RSET")[0], "250 2.1.0 Ok")
        self.postfix.run("reload")
        self.assertTrue(self.postfix.logged("reload -- version"))
        self.assertIn("450 4.7.1 Error: too much mail",
                      self.say("1", "MAIL FROM:<a@example.org>")[0])
        self.assertEqual(self.lookup(client)["rate"], 1)
        self.assertEqual(self.lookup(client)["count"], 1)

    def test_a_daemon_that_hangs_is_given_up(self):
        """Postfix would wait an hour; the watchdog of the daemon makes it seconds."""
        self.postfix.services(SMTP + " -o ipc_timeout=3s")
        self.enable()
        self.gate.process.child.send_signal(signal.SIGSTOP)
        self.addCleanup(lambda: self.gate.process.is_running() and
                        self.gate.process.child.send_signal(signal.SIGCONT))
        self.assertTrue(self.open("1", IPV4[0]).startswith("220 "))
        self.gate.process.child.send_signal(signal.SIGCONT)

    def test_the_socket_stays_ours(self):
        self.enable()
        inode = self.postfix.inode()
        for verb in ("reload", "check", "stop", "start", "upgrade-configuration", "reload"):
            self.postfix.run(verb)
            self.assertEqual(self.postfix.inode(), inode, verb)
        self.assertEqual(self.home.run("postconf", "-M", "anvil/unix").stdout, "")
        self.open("1", IPV4[0])
        self.assertEqual(self.lookup(IPV4[0])["count"], 1)

    def test_without_the_guard_it_is_taken_back_and_we_say_so(self):
        self.enable()
        inode = self.postfix.inode()
        self.home.run("postconf", "-MX", "anvilguard/unix", "anvil/fifo")
        self.postfix.run("upgrade-configuration")
        self.postfix.run("reload")
        self.assert_soon(True, lambda: self.postfix.inode() != inode, "Postfix has the path")
        self.assert_soon(True, lambda: "belongs to another program" in
                         self.gate.ask("status").stdout, "status")
        self.assertIn("belongs to another program", self.gate.log.read_text())
        status = self.gate.ask_at_home("postfix", "status", check=False)
        self.assertEqual(status.returncode, 1)
        self.assertIn("Postfix does not ask tallygate", status.stdout)


class Command(PostfixTest):
    def master_cf(self):
        return self.home.path("/etc/postfix/master.cf").read_text()

    def test_is_reversible(self):
        before = self.master_cf()
        dry = self.gate.ask_at_home("postfix", "enable-anvil", "--dry-run").stdout
        self.assertIn("postconf -M# anvil/unix", dry)
        self.assertEqual(self.master_cf(), before)

        done = self.gate.ask_at_home("postfix", "enable-anvil").stdout
        self.assertIn(f'socket = "{ANVIL}"', done)
        self.assertIn(f"time_unit = {UNIT}", done)
        self.assertIn("anvilguard unix - - n - 1 anvil", re.sub(" +", " ", self.master_cf()))
        self.assertEqual(self.home.run("postconf", "-M", "anvil/unix").stdout, "")
        # What Debian's package looks for before it adds a line, at every update.
        self.assertRegex(self.master_cf(), re.compile(r"^anvil[ \t]", re.M))
        again = self.gate.ask_at_home("postfix", "enable-anvil").stdout
        self.assertIn("already", again)

        self.gate.ask_at_home("postfix", "disable-anvil")
        self.assertEqual(self.master_cf(), before)
        self.assertIn("already", self.gate.ask_at_home("postfix", "disable-anvil").stdout)
        self.assertEqual([path.name for path in self.home.path("/etc/postfix").glob("master.cf*")],
                         ["master.cf"])

    def test_goes_back_after_it_was_mended(self):
        """What stands in master.cf when a guard is put back is not what was there at first."""
        before = self.home.run("postconf", "-M").stdout
        for broken in ("anvilguard/unix", "anvil/fifo"):
            for upgraded in (False, True):
                with self.subTest(broken, upgraded=upgraded):
                    self.gate.ask_at_home("postfix", "enable-anvil")
                    self.home.run("postconf", "-MX", broken)
                    if upgraded:
                        self.postfix.run("upgrade-configuration")
                    self.gate.ask_at_home("postfix", "enable-anvil")
                    self.assertEqual(self.home.run("postconf", "-M", "anvil/unix").stdout, "")
                    self.gate.ask_at_home("postfix", "disable-anvil")
                    self.assertEqual(sorted(self.home.run("postconf", "-M").stdout.splitlines()),
                                     sorted(before.splitlines()))

    def test_keeps_what_was_changed_meanwhile(self):
        self.gate.ask_at_home("postfix", "enable-anvil")
        self.postfix.services("2500 inet n - n - - smtpd")
        self.gate.ask_at_home("postfix", "disable-anvil")
        self.assertTrue(self.home.run("postconf", "-M", "2500/inet").stdout)
        self.assertEqual(self.home.run("postconf", "-M", "anvil/unix").stdout.split(),
                         "anvil unix - - y - 1 anvil".split())
        guards = self.home.run("postconf", "-M", "anvilguard/unix", "anvil/fifo").stdout
        self.assertEqual(guards, "")

    def test_tells_who_answers(self):
        self.postfix.start()
        status = self.gate.ask_at_home("postfix", "status", check=False)
        self.assertEqual(status.returncode, 1)
        self.assertIn("is answered by Postfix's own anvil", status.stdout)
        self.postfix.stop()
        self.enable()
        status = self.gate.ask_at_home("postfix", "status")
        self.assertIn("Postfix asks tallygate.", status.stdout)

    def test_tells_what_to_do_when_anvil_is_back_and_postfix_not_yet_reloaded(self):
        self.enable()
        self.home.run("postconf", "-MX", "anvilguard/unix", "anvil/fifo")
        self.postfix.run("upgrade-configuration")
        status = self.gate.ask_at_home("postfix", "status", check=False)
        self.assertEqual(status.returncode, 1)
        self.assertIn("is answered by tallygate\n", status.stdout)
        self.assertIn("takes the socket at its next reload. `tallygate postfix enable-anvil`",
                      status.stdout)
        self.gate.ask_at_home("postfix", "enable-anvil")
        status = self.gate.ask_at_home("postfix", "status")
        self.assertIn("Postfix asks tallygate.\n", status.stdout)
        self.assertNotIn("unrecognized", self.postfix.log())

    def test_tells_who_answers_while_we_serve_another_path(self):
        """A daemon with an anvil socket is not a daemon on this Postfix's socket."""
        self.start_gate(more='\n[anvil]\nsocket = "/run/anvil"\n')
        done = self.gate.ask_at_home("postfix", "enable-anvil").stdout
        self.assertIn(f'socket = "{ANVIL}"', done)
        other = self.home.path(ANVIL)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(other))
            listener.listen()

            def greet():
                with listener.accept()[0] as stream:
                    stream.sendall(b"protocol=anvil_protocol\n\n")
                    stream.recv(1000)
                    stream.sendall(b"status=4294967295\n\n")
            greeter = threading.Thread(target=greet)
            greeter.start()
            status = self.gate.ask_at_home("postfix", "status", check=False)
            greeter.join()
        self.assertEqual(status.returncode, 1)
        self.assertIn("or a third", status.stdout)
        self.assertIn("Postfix does not ask tallygate.", status.stdout)

    def test_a_running_postfix_goes_over_and_back(self):
        client = IPV4[0]
        self.postfix.start()
        self.open("1", client)
        self.gate.ask_at_home("postfix", "enable-anvil")
        self.start_gate_for_postfix()
        self.assertEqual(self.say("1", "EHLO c.example.org", "MAIL FROM:<a@example.org>")[1],
                         "250 2.1.0 Ok")
        self.assertEqual(self.lookup(client)["mail"], 1, "the session has found us")
        self.gate.ask_at_home("postfix", "disable-anvil")
        self.assert_soon(1, lambda: self.gate.ask_at_home("postfix", "status",
                                                          check=False).returncode, "status")
        self.assertTrue(self.open("2", client).startswith("220 "))

    def test_without_a_postfix(self):
        done = self.gate.ask_at_home("postfix", "status", "--config-dir", "/nowhere", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere", done.stderr)
