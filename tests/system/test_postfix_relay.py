# SPDX-License-Identifier: BSD-2-Clause
"""Modes B and C: tallygate behind a line of master.cf, and the pieces of configuration."""
import contextlib
import fcntl
import os
import pathlib
import resource
import signal
import socket
import subprocess

import postfix_home
from anvil_client import GREETING, Stream
from fixture import NOBODY
from lab.gate import PROGRAMS, TREE
from test_postfix import IPV4, SMTP, UNIT, PostfixTest

RELAY = PROGRAMS.parent / "lib/tallygate/postfix/anvil-relay"
PIECES = TREE / "integrations/postfix"


class Relay(PostfixTest):
    services = (SMTP, "anvil unix - - y - 1 anvil-relay")

    def enable(self):
        self.home.run("cp", RELAY, "/usr/lib/postfix/sbin/anvil-relay")
        self.start_gate(more=f'\n[anvil]\nsocket = "{postfix_home.SPOOL}/tallygate/anvil"\n'
                        f"time_unit = {UNIT}\n")
        self.postfix.start()

    def relay_process(self):
        """Its line of ps: user and root directory."""
        done = self.home.run("sh", "-c", "for each in /proc/[0-9]*; do "
                             'if [ "$(cat $each/comm 2>/dev/null)" = anvil-relay ]; then '
                             'stat -c %U $each; readlink $each/root; fi; done')
        return done.stdout.split()

    def test_limits_hold_through_it(self):
        client = IPV4[0]
        self.enable()
        for turn in "12":
            self.assertTrue(self.open(turn, client).startswith("220 "))
        self.assertIn("too many connections", self.open("3", client))
        self.assert_soon(2, lambda: self.lookup(client)["count"], "the refused one is gone")
        self.say("1", "QUIT")
        self.assert_soon(1, lambda: self.lookup(client)["count"], "one has quit")
        self.assertIn("Postfix asks tallygate.", self.gate.ask_at_home("postfix", "status").stdout)

    def test_is_nobody_and_in_the_chroot(self):
        self.enable()
        self.open("1", IPV4[0])
        user, root = self.relay_process()
        self.assertEqual(user, "postfix")
        self.assertTrue(root.endswith(postfix_home.SPOOL), root)

    def test_goes_on_without_a_daemon_and_finds_it_again(self):
        client = IPV4[0]
        self.enable()
        self.open("1", client)
        self.gate.stop(signal.SIGKILL)
        self.assertTrue(self.open("2", client).startswith("220 "), "mail goes on")
        self.gate.start()
        self.assertTrue(self.open("3", client).startswith("220 "))
        self.assertGreaterEqual(self.lookup(client)["count"], 1)

    def test_a_reload_keeps_the_rates(self):
        client = IPV4[0]
        self.enable()
        self.open("1", client)
        self.say("1", "QUIT")
        self.postfix.run("reload")
        self.assertTrue(self.postfix.logged("reload -- version"))
        self.assertTrue(self.open("2", client).startswith("220 "))
        self.assertEqual(self.lookup(client)["rate"], 2)

    def test_a_daemon_that_accepts_nobody_stops_no_stream(self):
        """Where its queue is full, a relay that waited would wait for ever."""
        with self.relay_to(target_backlog=0) as target:
            streams = [Stream(self.work_dir / "anvil", greeted=False) for _ in range(3)]
            self.addCleanup(lambda: [stream.close() for stream in streams])
            self.assertEqual(streams[2].reply(), b"", "has no place, and is told so")
            accepted, _ = target.accept()
            with accepted:
                accepted.sendall(GREETING)
                self.assertEqual(streams[0].reply(), GREETING)

    def test_few_descriptors_are_few_streams(self):
        """Who finds none left is told to go; a relay that cannot accept would ask for ever."""
        with self.relay_to(target_backlog=100, descriptors=48) as target:
            streams = [Stream(self.work_dir / "anvil", greeted=False) for _ in range(30)]
            self.addCleanup(lambda: [stream.close() for stream in streams])
            self.assertEqual([stream.reply() for stream in streams[16:]], [b""] * 14)
            accepted, _ = target.accept()
            with accepted:
                accepted.sendall(GREETING)
                self.assertEqual(streams[0].reply(), GREETING)

    @contextlib.contextmanager
    def relay_to(self, target_backlog, **options):
        """A relay that listens at `anvil`, and the socket that it passes streams on to."""
        (self.work_dir / "private").mkdir()
        os.chown(self.work_dir / "private", NOBODY, NOBODY)
        with socket.socket(socket.AF_UNIX) as target, socket.socket(socket.AF_UNIX) as listener:
            target.bind(str(self.work_dir / "target"))
            target.listen(target_backlog)
            listener.bind(str(self.work_dir / "anvil"))
            listener.listen(100)
            status = self.start_relay(listener, **options)
            yield target
        os.close(status)

    def start_relay(self, listener, descriptors=1024):
        """As master does; ends when what this answers is closed."""
        status, status_of_relay = os.pipe()

        def place():
            above = [fcntl.fcntl(number, fcntl.F_DUPFD, 100)
                     for number in (status_of_relay, listener.fileno())]
            for number, place in zip(above, (5, 6)):
                os.dup2(number, place)
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        relay = subprocess.Popen([RELAY, "-n", "anvil", "-t", "unix", "target"],
                                 cwd=self.work_dir, preexec_fn=place, pass_fds=[5, 6])
        os.close(status_of_relay)
        self.addCleanup(relay.wait, 10)
        self.addCleanup(relay.terminate)
        self.assertEqual(len(os.read(status, 100)), 12)
        return status

    def test_is_not_for_people(self):
        done = self.home.run(RELAY, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("started by Postfix's master", done.stderr)


class Bridge(PostfixTest):
    def test_spawn_leads_to_us(self):
        """socat need not be here: a few lines of Python are a bridge as well."""
        bridge = pathlib.Path(__file__).with_name("anvil_bridge.py")
        client = IPV4[0]
        socket = "/var/tallygate-anvil/anvil.sock"
        self.postfix.services(f"anvil unix - n n - 0 spawn user=nobody argv=/usr/bin/python3 "
                              f"{bridge} {socket}")
        self.postfix.set(anvil_time_limit="365d")
        self.start_gate(more=f'\n[anvil]\nsocket = "{socket}"\ntime_unit = {UNIT}\n')
        self.postfix.start()
        for turn in "12":
            self.assertTrue(self.open(turn, client).startswith("220 "))
        self.assertIn("too many connections", self.open("3", client))


class Pieces(PostfixTest):
    def test_postfix_takes_them(self):
        lines = (PIECES / "anvil.main.cf").read_text().splitlines()
        self.postfix.set(**dict(line.split(" = ", 1) for line in lines if not line.startswith("#")))
        guards = [line for line in (PIECES / "anvil.master.cf").read_text().splitlines()
                  if line and not line.startswith("#")]
        self.postfix.services(*guards)
        self.assertEqual(self.postfix.run("check").stderr, "")
        self.assertEqual(self.home.run("postconf", "-n").stderr, "")
        self.gate.ask_at_home("postfix", "enable-anvil")
        written = self.home.run("postconf", "-M", "anvilguard/unix", "anvil/fifo").stdout
        self.assertEqual([line.split() for line in written.splitlines()],
                         [line.split() for line in guards])
