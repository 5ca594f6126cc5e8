# SPDX-License-Identifier: BSD-2-Clause
"""A Haraka from npm with files of its own, and SMTP sessions with it from several addresses."""
import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import threading
import time

from lab import npm
from lab.machine import NETNS, LabError, inside, run
from lab.processes import Process

HELPERS = npm.TREE / "tests/haraka/plugins"
START_SECONDS = 30
ANSWER_SECONDS = 30
CLONE_NEWNET = 0x40000000


class Haraka:
    """One Haraka in a namespace. `files` are those of its config directory, by name."""

    def __init__(self, namespace, work_dir, record, addresses, port=25):
        self.namespace = namespace
        self.root = pathlib.Path(work_dir) / "haraka"
        self.log = self.root / "haraka.log"
        self.record = record
        self.addresses = addresses
        self.port = port
        self.process = None
        (self.root / "config").mkdir(parents=True)
        (self.root / "plugins").mkdir()
        (self.root / "queue").mkdir()
        for plugin in HELPERS.glob("*.js"):
            (self.root / "plugins" / plugin.name).write_text(plugin.read_text())

    def configure(self, plugins=("tallygate", "accept"), nodes=0, **files):
        """`limit_ini` is the file limit.ini, and so on."""
        listen = ",".join(f"[{each}]:{self.port}" if ":" in each else f"{each}:{self.port}"
                          for each in self.addresses)
        texts = {"smtp.ini": f"listen={listen}\nnodes={nodes}\n",
                 "plugins": "\n".join(plugins) + "\n", "me": "mail.example.net\n",
                 "loglevel": "NOTICE\n",
                 "connection.ini": (npm.modules() / "Haraka/config/connection.ini").read_text()}
        texts.update({name.replace("_", "."): text for name, text in files.items()})
        for name, text in texts.items():
            (self.root / "config" / name).write_text(text)

    def start(self):
        """Returns when it greets."""
        modules = npm.modules()
        with contextlib.suppress(FileExistsError):
            (self.root / "node_modules").symlink_to(modules)
        command = (f"exec env NODE_PATH={modules} {npm.node()} {modules}/Haraka/bin/haraka "
                   f"-c {self.root} >>{self.log} 2>&1")
        self.process = Process("Haraka", self.namespace, ["sh", "-c", command], self.record,
                               self.log)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_listening():
            if not self.process.is_running() or time.monotonic() > deadline:
                raise LabError(f"Haraka did not start: {self.process.last_words()}")
            time.sleep(0.05)

    def is_listening(self):
        """On its first address; said by the kernel, for logs may be quiet."""
        done = run(*inside(self.namespace, "ss", "-Hltn", f"sport = :{self.port}"), check=False)
        return self.addresses[0] in done.stdout

    def words(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def workers(self):
        """The processes that it has made."""
        children = pathlib.Path(f"/proc/{self.process.child.pid}/task").glob("*/children")
        return [int(pid) for path in children for pid in path.read_text().split()]

    def stop(self, number=signal.SIGTERM):
        """Workers of one that was killed end by themselves: they lose their master."""
        if not self.process:
            return
        workers = self.workers() if self.process.is_running() else []
        self.process.stop(number)
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.log.write_text("")


def socket_in(namespace, family=socket.AF_INET):
    """A new socket of another network namespace. Only a thread of its own goes there."""
    made = []

    def make():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(NETNS / namespace, "rb") as place:
            if libc.setns(place.fileno(), CLONE_NEWNET) != 0:
                made.append(OSError(ctypes.get_errno(), f"enter {namespace}"))
                return
        made.append(socket.socket(family, socket.SOCK_STREAM))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


class Session:
    """An SMTP session from one address; its greeting is read."""

    def __init__(self, namespace, source, server, port=25, read_greeting=True):
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        self.socket = socket_in(namespace, family)
        self.socket.settimeout(ANSWER_SECONDS)
        self.socket.bind((source, 0))
        self.socket.connect((server, port))
        self.file = self.socket.makefile("rb")
        self.greeting = self.answer() if read_greeting else None

    def answer(self):
        """(code, text of the last line); (None, "") once the server has closed."""
        while True:
            try:
                line = self.file.readline().decode(errors="replace").rstrip("\r\n")
            except ConnectionError:
                line = ""
            if not line:
                return None, ""
            if line[3:4] != "-":
                return int(line[:3]), line[4:]

    def say(self, line):
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(line.encode() + b"\r\n")
        return self.answer()

    def is_closed(self):
        return self.answer()[0] is None

    def close(self):
        self.file.close()
        self.socket.close()
