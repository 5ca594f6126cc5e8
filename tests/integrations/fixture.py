# SPDX-License-Identifier: BSD-2-Clause
"""A ledger that can be told what happened and when, and whoever asks it from outside."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TALLYGATE_BUILD", TREE / "build/release")).absolute()
SECONDS_MAX = 20


class Speaker:
    """A process that answers each line with one."""

    def __init__(self, *command, **environment):
        self.child = subprocess.Popen([str(word) for word in command], text=True, bufsize=1,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      env={**os.environ, **environment})

    def say(self, line):
        self.child.stdin.write(line + "\n")
        return self.hear()

    def hear(self):
        return self.child.stdout.readline().rstrip("\n")

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()


class LedgerTest(unittest.TestCase):
    """Each test has an empty ledger at noon, with the monitors 60,10, 60,1, 300,6 and 1800,4."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tgledger-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.socket = self.folder / "control.sock"
        self.start_ledger()

    def start_ledger(self):
        self.ledger = Speaker(BUILD / "tests/ledger_server", self.socket)
        self.addCleanup(self.ledger.end)
        self.assertEqual(self.ledger.hear(), "ok")

    def tell(self, line):
        self.assertEqual(self.ledger.say(line), "ok", line)

    def connect(self, address, opened, closed=0, service="smtp", listener="198.51.100.25:25"):
        self.tell(f"connect {address} {service} {listener} {opened} {closed}")

    def forward(self, seconds):
        self.tell(f"forward {seconds}")
