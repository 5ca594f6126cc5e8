# SPDX-License-Identifier: BSD-2-Clause
"""The programs for Sieve. The numbers in the names of rows are those of the acceptance cases."""
import os
import subprocess

from fixture import BUILD, SECONDS_MAX, LedgerTest

PROGRAMS = BUILD / "lib/tallygate/sieve"


class ProgramTest(LedgerTest):
    def run_program(self, words, socket=None):
        name, *arguments = words
        return subprocess.run([PROGRAMS / name, *arguments], text=True, capture_output=True,
                              check=False, timeout=SECONDS_MAX,
                              env={**os.environ, "TALLYGATE_SOCKET": str(socket or self.socket)})

    def check(self, rows):
        """(name, words, what is printed), or with an exit code and what is said about it. Words
        are a list where one of them is empty."""
        for name, words, printed, *failure in rows:
            code, said = failure or (0, "")
            with self.subTest(name, words=words):
                done = self.run_program(words.split() if isinstance(words, str) else words)
                self.assertEqual((done.stdout, done.returncode), (printed, code), done.stderr)
                self.assertIn(said, done.stderr)
