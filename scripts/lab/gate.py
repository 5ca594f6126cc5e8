# SPDX-License-Identifier: BSD-2-Clause
"""tallygate as its operator meets it: a configuration, a daemon, and the command line."""
import json
import os
import pathlib
import signal
import time

from lab.machine import LabError, run
from lab.processes import Process

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
# Another build than the release, such as one with sanitizers, is tested by naming its folder.
PROGRAMS = pathlib.Path(
    os.environ.get("TALLYGATE_PROGRAMS", TREE / "build/release/bin")).absolute()
START_SECONDS = 30


class Gate:
    """One daemon: its files in `work_dir`, its pins in `pin_dir`, in one namespace."""

    def __init__(self, namespace, work_dir, pin_dir, record):
        self.namespace = namespace
        self.work_dir = pathlib.Path(work_dir)
        self.pin_dir = pathlib.Path(pin_dir)
        self.programs = PROGRAMS
        self.record = record
        self.socket = self.work_dir / "control.sock"
        self.config = self.work_dir / "tallygate.toml"
        self.log = self.work_dir / "tallygated.log"
        self.process = None

    def write_config(self, networks, interfaces=("mail0",), monitors=("60,10", "3600,24"),
                     guards="ports = [25]", gate="", state="", more=""):
        """`networks` are (name, [cidr, ...]); `guards` says where the service is; it, `gate`,
        `state` and `more` are lines of TOML as they are."""
        text = (f"[gate]\ninterfaces = {json.dumps(list(interfaces))}\n"
                f"pin_dir = {json.dumps(str(self.pin_dir))}\n{gate}\n"
                f"[state]\ndir = {json.dumps(str(self.work_dir / 'state'))}\n{state}\n"
                f"[control]\nsocket = {json.dumps(str(self.socket))}\n\n"
                f'[[service]]\nname = "smtp"\n{guards}\n\n'
                f"[windows]\nmonitors = {json.dumps(list(monitors))}\n")
        for name, cidrs in networks:
            text += f"\n[[network]]\nname = {json.dumps(name)}\ncidrs = {json.dumps(cidrs)}\n"
        self.config.write_text(text + more)

    def start(self):
        """Starts the daemon, and returns when it answers."""
        self.process = Process("tallygated", self.namespace, self._daemon("run"), self.record,
                               self.log)
        deadline = time.monotonic() + START_SECONDS
        while self.ask("status", check=False).returncode != 0:
            if not self.process.is_running():
                raise LabError(f"tallygated did not start: {self.process.last_words()}")
            if time.monotonic() > deadline:
                raise LabError(f"tallygated does not answer on {self.socket}")
            time.sleep(0.05)

    def stop(self, number=signal.SIGTERM):
        """The daemon ends; the gate stays where it is, and goes on counting."""
        return self.process.stop(number) if self.process else None

    def detach(self, check=True):
        return run(self.programs / "tallygated", "detach", "--pin-dir", self.pin_dir, check=check)

    def daemon(self, verb, *arguments, check=False):
        """Another process of the daemon's program in the server's namespace, run to its end."""
        command = ["nsenter", f"--net=/run/netns/{self.namespace}", "--",
                   *self._daemon(verb), *arguments]
        return run(*command, check=check)

    def ask(self, *words, check=True):
        """The command line, as text: the answer without its last newline in `stdout`."""
        done = run(self.programs / "tallygate", "--socket", self.socket, *words, check=check)
        done.stdout = done.stdout.rstrip("\n")
        return done

    def ask_json(self, *words):
        return json.loads(self.ask("--json", *words).stdout)

    def live(self, block):
        return int(self.ask("live", block).stdout)

    def count(self, block, monitor="3600,24", end=None):
        """Connections in the newest windows of a monitor; two, lest an hour ends meanwhile."""
        last = 1 if end is None else end
        return int(self.ask("count", block, "--monitor", monitor, "--start", "0", "--end",
                            last).stdout)

    def both_families(self, question):
        return question("0.0.0.0/0") + question("::/0")

    def _daemon(self, verb):
        return [self.programs / "tallygated", verb, "--config", self.config]


def settle(read, wanted, seconds=5.0):
    """Reads until the answer is what is wanted, or the time is up; answers what it read last.

    The last packets of a connection may still be on their way when the client has closed it.
    """
    deadline = time.monotonic() + seconds
    while (found := read()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return found

