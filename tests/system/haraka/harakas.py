# SPDX-License-Identifier: BSD-2-Clause
"""A real Haraka with our plugin, a real daemon, and sessions from many addresses."""
import contextlib
import json
import socket

from fixture import SERVER_IPV4, SERVER_IPV6, GateTest, server_for
from lab import npm
from lab.haraka import Haraka, Session, socket_in
from lab.servers import Unavailable


class HarakaTest(GateTest):
    addresses = [*(f"192.0.2.{last}" for last in range(1, 100)), "2001:db8::1", "2001:db8::2"]

    def setUp(self):
        try:
            npm.node()
            npm.modules()
        except Unavailable as reason:
            self.skipTest(str(reason))
        super().setUp()
        self.server.stop()  # port 25 is Haraka's
        self.sessions_socket = self.work_dir / "sessions.sock"
        self.haraka = Haraka(self.link.server, self.work_dir, self.record,
                             [SERVER_IPV4, SERVER_IPV6])
        self.addCleanup(self.haraka.stop)
        self.open = []
        self.addCleanup(self.close_all)

    def start_both(self, limit_ini="", own_ini="", sessions="", **more):
        self.start_gate(more=f'\n[sessions]\nsocket = "{self.sessions_socket}"\n{sessions}\n')
        self.haraka.configure(limit_ini=limit_ini,
                              tallygate_ini=f"socket={self.sessions_socket}\n{own_ini}", **more)
        self.haraka.start()

    def session(self, source, **how):
        session = Session(self.link.clients, source, server_for(source), **how)
        self.open.append(session)
        return session

    def sessions(self, source, count):
        """So many that are greeted."""
        made = [self.session(source) for _ in range(count)]
        for each in made:
            self.assertEqual(each.greeting[0], 220, each.greeting)
        return made

    def close_all(self):
        for session in self.open:
            session.close()
        self.open.clear()

    def ask(self, **request):
        """The daemon's answer on its sessions socket; None while there is none."""
        try:
            with socket.socket(socket.AF_UNIX) as stream:
                stream.settimeout(10)
                stream.connect(str(self.sessions_socket))
                lines = [{"do": "hello", "version": 1}, {"id": 1, **request}]
                stream.sendall("".join(json.dumps(each) + "\n" for each in lines).encode())
                file = stream.makefile()
                file.readline()
                return json.loads(file.readline())
        except (ConnectionError, FileNotFoundError):
            return None

    def live(self, block="0.0.0.0/0"):
        answer = self.ask(do="live", blocks=[block])
        return answer["live"][0] if answer else None

    def assert_live(self, wanted, block="0.0.0.0/0"):
        self.assert_soon(wanted, lambda: self.live(block), f"sessions of {block}")

    @staticmethod
    def link_address():
        return SERVER_IPV4

    @contextlib.contextmanager
    def listener(self, port):
        """A socket of the server that accepts and says nothing."""
        with socket_in(self.link.server) as made:
            made.bind((SERVER_IPV4, port))
            made.listen(64)
            yield made
