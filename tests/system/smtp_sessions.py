# SPDX-License-Identifier: BSD-2-Clause
"""SMTP sessions that do what they are told, one command and one reply at a time.

A process in the clients' namespace: reads a JSON request a line, answers a JSON reply a line.
"""
import json
import socket
import ssl
import sys

SECONDS = 60


class Session:
    def __init__(self, source, server, port):
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(SECONDS)
        self.socket.bind((source, 0))
        self.socket.connect((server, port))
        self.unread = b""

    def reply(self):
        """All lines of one reply, or "closed"."""
        lines = []
        while not lines or lines[-1][3:4] == "-":
            while b"\n" not in self.unread:
                try:
                    data = self.socket.recv(4096)
                except OSError:
                    data = b""
                if not data:
                    return "|".join([*lines, "closed"])
                self.unread += data
            line, _, self.unread = self.unread.partition(b"\n")
            lines.append(line.decode().rstrip("\r"))
        return "|".join(lines)

    def say(self, line):
        try:
            self.socket.sendall(line.encode() + b"\r\n")
        except OSError:
            return "closed"
        return self.reply()

    def start_tls(self):
        """The reply to STARTTLS, and whether a new TLS session followed."""
        reply = self.say("STARTTLS")
        if reply.startswith("220"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            try:
                self.socket = context.wrap_socket(self.socket)
            except OSError as error:
                return f"{reply} {type(error).__name__}"
        return reply

    def close(self):
        self.socket.close()


def main():
    sessions = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request.get("session")
        what = request["do"]
        try:
            if what == "open":
                sessions[name] = Session(request["from"], request["to"], request["port"])
                answer = sessions[name].reply()
            elif what == "say":
                answer = sessions[name].say(request["line"])
            elif what == "start_tls":
                answer = sessions[name].start_tls()
            else:
                sessions.pop(name).close()
                answer = ""
        except OSError as error:
            answer = f"error: {error}"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
