# SPDX-License-Identifier: BSD-2-Clause
"""Streams of Postfix's processes, as anvil sees them: plain attributes over a Unix socket."""
import socket

GREETING = b"protocol=anvil_protocol\n\n"
SECONDS = 10


def attributes(*pairs):
    return b"".join(f"{name}={value}\n".encode() for name, value in pairs) + b"\n"


def request(name, ident):
    return attributes(("request", name), ("ident", ident))


class Stream:
    """One connection to an anvil that has greeted."""

    def __init__(self, path, greeted=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(str(path))
        self.read = b""
        if greeted and self.reply() != GREETING:
            raise AssertionError(f"greeted with {self.read!r}")

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """A list of attributes with its empty line; what came before the end, if it has ended."""
        while b"\n\n" not in self.read:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                rest, self.read = self.read, b""
                return rest
            self.read += data
        reply, _, self.read = self.read.partition(b"\n\n")
        return reply + b"\n\n"

    def ask(self, name, ident):
        self.send(request(name, ident))
        return self.reply()

    def numbers(self, name, ident):
        """The reply as a dictionary of numbers."""
        lines = self.ask(name, ident).decode().split()
        return {key: int(value) for key, value in (line.split("=") for line in lines)}

    def end(self):
        """Says no more, and may be answered still."""
        self.socket.shutdown(socket.SHUT_WR)

    def rest(self):
        """All that comes until the other side ends as well."""
        said = b""
        while reply := self.reply():
            said += reply
        return said

    def close(self):
        self.socket.close()
