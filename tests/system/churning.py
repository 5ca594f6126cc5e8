# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the live counts stand on: many real connections, and who else counts them.

`churn` makes connections and ends them in every way there is; `kernel_counter` is told of them
by TCP itself; `ss` shows the sockets. The gate has to agree with both, and sees only packets.
"""
import collections
import json

from fixture import GateTest
from lab import machine
from lab.gate import PROGRAMS, settle
from lab.machine import Link
from lab.processes import Process

TOOLS = PROGRAMS.parent / "tests"
PORT = 25
SERVERS = ["198.51.100.26", "2001:db8:25::26"]
SOURCES = [f"192.0.2.{host}" for host in range(1, 21)] + \
          [f"2001:db8:1:{site:x}::{host:x}" for site in range(1, 7) for host in (1, 2)]
# What the gate calls live: proven, and not yet both FINs acknowledged, nor a RST seen.
LIVE_STATES = {"ESTAB", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "LAST-ACK", "CLOSING"}
# Until the last FIN that was lost has been sent again and again.
SETTLE_SECONDS = 65


class Tool(Process):
    """A process that answers a line with a line of JSON."""

    def ask(self, *words):
        self.write_line(" ".join(str(word) for word in words))
        return self.read_answer()

    def read_answer(self):
        return json.loads(self.read_line())


class ChurnTest(GateTest):
    """A churn server on addresses of its own, and the kernel's counter beside it."""

    addresses = SOURCES
    servers = SERVERS

    def setUp(self):
        super().setUp()
        for address in self.servers:
            self.add_server_address(address)
        for namespace in (self.link.server, self.link.clients):
            # Or a full queue drops the ACK that the gate has counted.
            self.link.set_sysctl(namespace, "net.core.somaxconn", 65535)
            self.link.set_sysctl(namespace, "net.ipv4.tcp_max_syn_backlog", 65535)
            self.link.set_sysctl(namespace, "net.ipv4.tcp_tw_reuse", 1)
        self.counter = self.start_tool(self.link.server, "kernel_counter", PORT)
        self.counter.read_answer()

    def add_server_address(self, address):
        machine.run("ip", "-n", self.link.server, "addr", "add",
                    address + ("/128" if ":" in address else "/32"), "dev", Link.SERVER_SIDE,
                    *machine.no_detection(address).split())

    def start_tool(self, namespace, name, *words):
        tool = Tool(name, namespace, [TOOLS / name, *words], self.record,
                    self.work_dir / f"{name}.log")
        self.addCleanup(tool.stop)
        return tool

    def start_server(self, *options, addresses=None, namespace=None):
        server = self.start_tool(namespace or self.link.server, "churn", "server",
                                 *(addresses or self.servers), *options)
        server.read_answer()
        return server

    def start_client(self, *options, sources=None, servers=None):
        return self.start_tool(self.link.clients, "churn", "client",
                               "--from", *(sources or self.addresses),
                               "--to", *(servers or self.servers), *options)

    def sockets(self, namespace=None):
        """What the kernel says is live, by client address."""
        return collections.Counter(peer for _, peer in self._list_sockets(namespace))

    def socket_states(self):
        return collections.Counter(state for state, _ in self._list_sockets())

    def _list_sockets(self, namespace=None):
        """(state, client address) of each live socket of the port."""
        shown = machine.run("ss", "-HOtan", "-N", namespace or self.link.server,
                            f"sport = :{PORT}").stdout
        for line in shown.splitlines():
            state, _, _, _, peer = line.split()[:5]
            if state in LIVE_STATES:
                yield state, peer.rpartition(":")[0].strip("[]")

    def live_by_source(self, sources=None):
        """What the gate says, without those that have none; asked as an operator would."""
        answers = {source: self.gate.live(source) for source in sources or self.addresses}
        return {source: live for source, live in answers.items() if live}

    def totals(self):
        """(opened, closed, live) of the gate."""
        service = self.service()
        return service["opened"], service["opened"] - service["live"], service["live"]

    def kernel_totals(self):
        counted = self.counter.ask("report")
        return counted["opened"], counted["closed"]

    def assert_all_closed(self, already_open=0):
        """Both have seen the same, and nothing is left. `already_open` came before the counter."""
        def differences():
            opened, closed, live = self.totals()
            kernel_opened, kernel_closed = self.kernel_totals()
            return {"opened": opened - kernel_opened - already_open,
                    "closed": closed - kernel_closed - already_open, "live": live}
        wanted = {"opened": 0, "closed": 0, "live": 0}
        found = settle(differences, wanted, SETTLE_SECONDS)
        self.assertEqual(found, wanted, f"gate minus kernel; {self.evidence()}")

    def reconciled(self):
        """What reconcile has done, or nothing if the daemon knows of none."""
        return self.gate.ask_json("status").get("reconcile", {})

    def wait_for_rounds(self, count):
        """Of reconcile, from begin to end: the one under way does not count."""
        rounds = self.reconciled()["rounds"]
        self.assertTrue(settle(lambda: self.reconciled()["rounds"] > rounds + count, True,
                               5 * (count + 1)), "reconcile stands still")

    def evidence(self):
        """The numbers that a failed test needs."""
        status = self.gate.ask_json("status")
        verdicts = {hook: {name: count for name, count in counts.items() if count}
                    for hook, counts in status["verdicts"].items()}
        return json.dumps({"gate": self.totals(), "kernel": self.kernel_totals(),
                           "sockets": sum(self.sockets().values()),
                           "reconcile": status.get("reconcile"), "verdicts": verdicts})
