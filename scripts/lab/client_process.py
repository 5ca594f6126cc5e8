# SPDX-License-Identifier: BSD-2-Clause
"""Mail clients of many addresses in one process, which keeps its own count of what it did.

One request a line on standard input, one answer a line on standard output, both JSON:

    {"do": "connect", "from": "192.0.2.1", "to": "198.51.100.25", "port": 25,
     "times": 10, "keep": 2}      connects so often, and keeps so many of them open
    {"do": "close", "from": A}    closes what A keeps; without "from", what anybody keeps
    {"do": "report"}              {"opened": {address: n}, "live": {address: n},
                                   "seconds": what the request took}

A connection counts as opened once the kernel says that its handshake is done. The end of the
input closes everything.
"""
import collections
import json
import socket
import sys
import time

TIMEOUT_SECONDS = 10


class Clients:
    def __init__(self):
        self.opened = collections.Counter()
        self.kept = collections.defaultdict(list)

    def connect(self, request):
        source, port = request["from"], request.get("port", 25)
        times, keep = request.get("times", 1), request.get("keep", 0)
        for turn in range(times):
            connection = self._open(source, request["to"], port)
            self.opened[source] += 1
            if turn < keep:
                read_line(connection)
                self.kept[source].append(connection)
            else:
                leave(connection)

    def close(self, request):
        for source in [request["from"]] if "from" in request else list(self.kept):
            for connection in self.kept.pop(source, []):
                leave(connection, greeted=True)

    def report(self):
        return {"opened": dict(self.opened),
                "live": {source: len(kept) for source, kept in self.kept.items() if kept}}

    @staticmethod
    def _open(source, server, port):
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.bind((source, 0))
        connection.connect((server, port))
        return connection


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(256)
        if not piece:
            break
        line += piece
    return line


def leave(connection, greeted=False):
    """Says QUIT and waits for the server to close, as a well-behaved client does."""
    if not greeted:
        read_line(connection)
    connection.sendall(b"QUIT\r\n")
    while connection.recv(256):
        pass
    connection.close()


def main():
    clients = Clients()
    actions = {"connect": clients.connect, "close": clients.close, "report": lambda _: None}
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        try:
            actions[request["do"]](request)
            answer = {"seconds": time.monotonic() - started, **clients.report()}
        except OSError as error:
            answer = {"error": f"{request.get('from', 'a client')}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
