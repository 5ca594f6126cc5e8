# SPDX-License-Identifier: BSD-2-Clause
"""What a system test stands on: a server, clients and a gate in namespaces of the test's own.

Names carry the run's process id (tgtest-<pid>-), so that two runs do not meet, and so that a
run can remove what a killed one has left.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

from lab import machine
from lab.gate import Gate, settle
from lab.machine import BPFFS, NETNS, Link
from lab.processes import BannerServer, Clients, Record

PREFIX = f"tgtest-{os.getpid()}-"
SERVER_IPV4 = "198.51.100.25"
SERVER_IPV6 = "2001:db8:25::25"
SERVER_ADDRESSES = [f"{SERVER_IPV4}/24", f"{SERVER_IPV6}/64"]
NOBODY = 65534
FOREIGN_PROGRAM = """
__attribute__((section("xdp"), used)) int somebody_elses(void *ctx) { return 2; }
char license_text[] __attribute__((section("license"), used)) = "GPL";
"""


def server_for(address):
    return SERVER_IPV6 if ":" in address else SERVER_IPV4


def remove_leftovers():
    """Of test runs whose process is gone."""
    places = [*NETNS.glob("tgtest-*"), *BPFFS.glob("tgtest-*"),
              *pathlib.Path(tempfile.gettempdir()).glob("tgtest-*")]
    for path in places:
        owner = re.match(r"tgtest-(\d+)-", path.name)
        if not owner or pathlib.Path(f"/proc/{owner.group(1)}").exists():
            continue
        with contextlib.suppress(OSError):
            Record(path / "processes").end_leftovers()
        if path.parent == NETNS:
            machine.remove_namespace(path.name)
        else:
            shutil.rmtree(path, ignore_errors=True)


class GateTest(unittest.TestCase):
    """Each test has a fresh network, server, clients' process and an empty gate."""

    addresses = ()
    link_type = Link

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        remove_leftovers()
        machine.mount_bpffs()
        self.work_dir = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
        self.addCleanup(shutil.rmtree, self.work_dir, ignore_errors=True)
        self.record = Record(self.work_dir / "processes")

        self.link = self.link_type(PREFIX)
        self.addCleanup(self.link.remove)
        self.link.create(SERVER_ADDRESSES)
        self.add_clients()

        log = self.work_dir / "helpers.log"
        self.server = BannerServer(self.link.server, [SERVER_IPV4, SERVER_IPV6], self.record, log)
        self.addCleanup(self.server.stop)
        self.clients = Clients(self.link.clients, self.record, log)
        self.addCleanup(self.clients.stop)

        pin_dir = BPFFS / f"{PREFIX}pins"
        self.gate = Gate(self.link.guarded, self.work_dir, pin_dir, self.record)
        self.addCleanup(self._remove_gate)

    def _remove_gate(self):
        self.gate.stop()
        self.gate.detach(check=False)
        machine.remove_pins(self.gate.pin_dir)

    def add_clients(self):
        self.link.add_clients([address + ("/128" if ":" in address else "/32")
                               for address in self.addresses])

    def start_gate(self, networks=(), **config):
        self.gate.write_config(networks, **config)
        self.gate.start()

    def connect(self, address, times=1, keep=0):
        return self.clients.connect(address, server_for(address), times, keep)

    def assert_soon(self, wanted, read, what):
        """A last packet may be on its way yet; what is wrong stays wrong for five seconds."""
        self.assertEqual(settle(read, wanted), wanted, what)

    def network(self, name):
        networks = self.gate.ask_json("networks")["networks"]
        return next((each for each in networks if each["name"] == name), None)

    def service(self, name="smtp"):
        services = self.gate.ask_json("status")["services"]
        return next(each for each in services if each["name"] == name)

    def pins(self):
        """Every pin of the gate, by its path below the pin directory."""
        return sorted(str(path.relative_to(self.gate.pin_dir))
                      for path in self.gate.pin_dir.rglob("*") if not path.is_dir())

    def attached(self, interface=Link.SERVER_SIDE):
        """What the kernel says is on a guarded card: [kind, program id], sorted."""
        script = pathlib.Path(__file__).parent / "attached.py"
        done = machine.run(*machine.inside(self.link.guarded, sys.executable, script, interface))
        return json.loads(done.stdout)

    def build_foreign_program(self):
        """Somebody else's XDP program, which passes everything, for `ip link set ... obj`."""
        source, program = self.work_dir / "foreign.c", self.work_dir / "foreign.o"
        source.write_text(FOREIGN_PROGRAM)
        machine.run("clang", "--target=bpf", "-O2", "-c", source, "-o", program)
        return program
