# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of lists and safety stand on: lists in files, clients that may be kept out, the
operator's commands that may be refused, and the audit log."""
import ctypes
import json
import os
import random
import socket
import threading
import time

from fixture import server_for
from flooding import FloodTest
from lab.gate import settle
from lab.machine import NETNS, run

ENFORCE = 'mode = "enforce"'
USAGE, UNKNOWN, REFUSED, BAD_CONFIGURATION = 2, 5, 6, 78
CLONE_NEWNET = 0x40000000
# Less than a second, after which the kernel sends a SYN again: such an attempt is one SYN.
SILENCE_SECONDS = 0.5
PATIENCE_SECONDS = 8.0


def many_blocks(count, seed):
    """Distinct IPv4 blocks of 1.0.0.0 to 99.255.255.255, where nobody in these tests lives."""
    chosen, blocks = random.Random(seed), set()
    while len(blocks) < count:
        length = chosen.choice((20, 22, 24, 24, 24, 28, 32))
        address = chosen.randrange(1 << 24, 100 << 24) >> 32 - length << 32 - length
        blocks.add(f"{socket.inet_ntoa(address.to_bytes(4, 'big'))}/{length}")
    return sorted(blocks)


def block_file(path, reason="from a file"):
    """A [[block]] as TOML."""
    return f"\n[[block]]\nfile = {json.dumps(str(path))}\nreason = {json.dumps(reason)}\n"


class GuardTest(FloodTest):
    def write_list(self, name, lines):
        path = self.work_dir / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def assert_served(self, source, why=""):
        self.assertTrue(self.attempt(source, PATIENCE_SECONDS), f"{source} is served: {why}")

    def assert_kept_out(self, source, why=""):
        self.assertFalse(self.attempt(source, SILENCE_SECONDS), f"{source} is kept out: {why}")

    def attempt(self, source, seconds):
        """Whether a client of this address is served. What keeps it out is silence."""
        outcome = []
        thread = threading.Thread(target=self._attempt, args=(source, seconds, outcome))
        thread.start()
        thread.join()
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    def _attempt(self, source, seconds, outcome):
        try:
            # A thread of its own: the namespace is the thread's, and so is the CPU. From two
            # of them the card would lose some of a flood.
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            with open(NETNS / self.link.clients, "rb") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "enter the clients' namespace")
            family = socket.AF_INET6 if ":" in source else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.settimeout(seconds)
                connection.bind((source, 0))
                connection.connect((server_for(source), 25))
                outcome.append(connection.recv(64).startswith(b"220"))
        except socket.timeout:
            outcome.append(False)
        except Exception as error:  # pylint: disable=broad-except
            outcome.append(error)

    def ask_from(self, remote, *words):
        """The command of an operator who is logged in from `remote`."""
        return run("env", f"SSH_CONNECTION={remote} 50000 198.51.100.25 22",
                   self.gate.programs / "tallygate", "--socket", self.gate.socket, *words,
                   check=False)

    def assert_refused(self, code, sentence, *words):
        """With this exit code and one sentence that has `sentence`; and nothing is changed."""
        before = self.entries("block"), self.entries("allow"), self.status("mode_set")
        done = self.gate.ask(*words, check=False)
        self.assertEqual(done.returncode, code, done.stderr or done.stdout)
        self.assertIn(sentence, done.stderr)
        lines = 2 if code == USAGE else 1  # with where to find help
        self.assertEqual(len(done.stderr.strip().splitlines()), lines, done.stderr)
        after = self.entries("block"), self.entries("allow"), self.status("mode_set")
        self.assertEqual(after, before, words)

    def reload(self, **config):
        """Writes a configuration and has it taken; answers the command's outcome."""
        self.gate.write_config([], **config)
        return self.gate.ask("reload", check=False)

    def wait_for_swap(self, before):
        """Until the lists are exchanged, after they were exchanged at `before`: what it took."""
        swapped = settle(lambda: self.status("lists")["swapped_at"] != before, True, seconds=20)
        self.assertTrue(swapped, "the lists are not exchanged")
        return self.status("lists")["swap_seconds_last"]

    def status(self, key):
        return self.gate.ask_json("status")[key]

    def entries(self, kind, origin="control"):
        listed = self.gate.ask_json(kind, "list", "--rows", "10000")["entries"]
        return [each for each in listed if each["origin"] == origin]

    def blocked(self, origin="control"):
        return sorted(each["cidr"] for each in self.entries("block", origin))

    def explain(self, address):
        """At the one service, with the entries that hold it."""
        answer = self.gate.ask_json("explain", address)
        return {**answer["services"][0], "entries": answer["entries"], "mode": answer["mode"]}

    def audit(self, action=None):
        """The records of the audit log, each a line of JSON."""
        path = self.work_dir / "state" / "audit.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()]
        return [each for each in records if action in (None, each["action"])]

    def sleep_until(self, moment):
        span = moment - time.time()
        self.assertLess(span, 10, "an end that is far from what was asked for")
        time.sleep(max(0.0, span))
