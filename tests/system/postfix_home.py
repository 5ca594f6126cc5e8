# SPDX-License-Identifier: BSD-2-Clause
"""What a test of Postfix has besides: a daemon that sees its files, and SMTP clients."""
import json
import pathlib
import sys

from lab import servers
from lab.gate import Gate
from lab.postfix import LOG, SPOOL, Postfix, make_home
from lab.processes import Process
from fixture import server_for

__all__ = ["LOG", "SPOOL", "HomeGate", "Sessions", "make"]


class HomeGate(Gate):
    """A daemon and a command line that see the files of a Postfix's home."""

    home = None

    def _daemon(self, verb):
        return self.home.among_its_files(*super()._daemon(verb))

    def ask_at_home(self, *words, check=True):
        return self.home.run(self.programs / "tallygate", "--socket", self.socket, *words,
                             check=check)


class Sessions(Process):
    """SMTP clients of the test's client namespace."""

    def __init__(self, namespace, record, log):
        script = pathlib.Path(__file__).with_name("smtp_sessions.py")
        super().__init__("the SMTP clients", namespace, [sys.executable, script], record, log)

    def _ask(self, **request):
        self.write_line(json.dumps(request))
        return json.loads(self.read_line())

    def open(self, session, source, port=25):
        return self._ask(do="open", session=session, to=server_for(source), port=port,
                         **{"from": source})

    def say(self, session, line):
        return self._ask(do="say", session=session, line=line)

    def start_tls(self, session):
        return self._ask(do="start_tls", session=session)

    def close(self, session):
        return self._ask(do="close", session=session)


def make(test, settings=(), services=(), packages=()):
    """A Postfix for a GateTest, in the place of its server; skips where it cannot be had."""
    try:
        home = make_home(test.link.server, test.work_dir, test.record, packages)
    except servers.Unavailable as reason:
        test.skipTest(f"there is no Postfix to be had: {reason}")
    test.addCleanup(home.stop)
    test.server.stop()
    postfix = Postfix(home, settings)
    postfix.services(*services)
    test.addCleanup(postfix.stop)
    return postfix
