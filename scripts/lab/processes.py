# SPDX-License-Identifier: BSD-2-Clause
"""The processes of a laboratory: started, written down, and ended, also by a later run."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from lab.machine import LabError, inside

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
STOP_SECONDS = 10


def start_time(pid):
    """In clock ticks since boot: a number that is used again belongs to a later start.

    None for a process that has ended, also if nobody has taken note of that yet.
    """
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


class Record:
    """A file of what was started, so that a run after a SIGKILL can end it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def add(self, pid):
        with self.path.open("a") as file:
            file.write(json.dumps({"pid": pid, "start_time": start_time(pid)}) + "\n")

    def end_leftovers(self):
        """Ends what is still running of it, and answers how many that were."""
        if not self.path.exists():
            return 0
        ended = 0
        for line in self.path.read_text().splitlines():
            with contextlib.suppress(ValueError, KeyError, ProcessLookupError):
                entry = json.loads(line)
                if start_time(entry["pid"]) == entry["start_time"]:
                    os.kill(entry["pid"], signal.SIGKILL)
                    wait_until_gone(entry["pid"], entry["start_time"])
                    ended += 1
        self.path.unlink()
        return ended


def wait_until_gone(pid, started):
    deadline = time.monotonic() + STOP_SECONDS
    while start_time(pid) == started and time.monotonic() < deadline:
        time.sleep(0.01)


class Process:
    """A child in a namespace. Its standard input is ours: when we die, its input ends."""

    def __init__(self, name, namespace, command, record, log):
        self.name = name
        self.log = pathlib.Path(log)
        with self.log.open("a") as stderr:
            self.child = subprocess.Popen(
                inside(namespace, *command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=stderr, text=True, bufsize=1, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONDONTWRITEBYTECODE": "1"})
        record.add(self.child.pid)

    def read_line(self):
        line = self.child.stdout.readline()
        if not line:
            raise LabError(f"{self.name} has closed its output: {self.last_words()}")
        return line.rstrip("\n")

    def write_line(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def is_running(self):
        return self.child.poll() is None

    def last_words(self):
        """For a message: how it ended, if it has, and the end of its log."""
        lines = self.log.read_text().strip().splitlines()[-3:]
        code = self.child.poll()
        ended = "still running" if code is None else f"exit code {code}"
        return ": ".join([ended, " / ".join(lines) or "it left no word"])

    def stop(self, number=signal.SIGTERM):
        """Ends it, and answers its exit code. Harmless if it has ended already."""
        if self.is_running():
            self.child.send_signal(number)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            with contextlib.suppress(OSError):
                stream.close()
        return self.child.returncode


class BannerServer(Process):
    def __init__(self, namespace, addresses, record, log, port=25):
        super().__init__("the mail server", namespace,
                         [sys.executable, "-m", "lab.banner_server", port, *addresses],
                         record, log)
        self.read_line()


class Clients(Process):
    """The clients' process; what it says it did is what the gate has to agree with."""

    def __init__(self, namespace, record, log):
        super().__init__("the clients' process", namespace,
                         [sys.executable, "-m", "lab.client_process"], record, log)

    def ask(self, **request):
        self.write_line(json.dumps(request))
        answer = json.loads(self.read_line())
        if "error" in answer:
            raise LabError(f"a client could not do its part: {answer['error']}")
        return answer

    def connect(self, source, server, times=1, keep=0, port=25):
        return self.ask(**{"do": "connect", "from": source, "to": server, "port": port,
                           "times": times, "keep": keep})

    def close(self, source=None):
        return self.ask(do="close", **({"from": source} if source else {}))

    def report(self):
        return self.ask(do="report")
