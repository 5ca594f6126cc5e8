# SPDX-License-Identifier: BSD-2-Clause
"""Commands, namespaces, the link between them, and the BPF file system."""
import json
import os
import pathlib
import shutil
import subprocess

BPFFS = pathlib.Path("/sys/fs/bpf")
NETNS = pathlib.Path("/run/netns")


class LabError(Exception):
    """What went wrong, in one sentence for a person."""


def run(*command, stdin=None, check=True, timeout=60):
    """Runs a command to its end; with `check`, a failure is a LabError with its own words."""
    try:
        done = subprocess.run([str(word) for word in command], input=stdin, text=True,
                              capture_output=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise LabError(f"there is no program {command[0]}: build or install it first") from None
    if check and done.returncode != 0:
        words = " ".join(str(word) for word in command)
        reason = (done.stderr or done.stdout).strip()
        raise LabError(f"`{words}` ended with {done.returncode}: {reason}")
    return done


def mount_bpffs():
    """A fresh machine may have no BPF file system mounted; pins need one."""
    if not os.path.ismount(BPFFS):
        run("mount", "-t", "bpf", "bpf", BPFFS)


def inside(namespace, *command):
    """The command line that runs `command` in a namespace.

    Never `ip netns exec`: it mounts a new /sys, and pins made there are pinned nowhere.
    """
    return ["nsenter", f"--net={NETNS / namespace}", "--", *[str(word) for word in command]]


def remove_namespace(name):
    """Its links go with it."""
    if (NETNS / name).exists():
        run("ip", "netns", "delete", name)


def remove_pins(directory):
    """Unpins all under `directory`. What is attached by links pinned there, is detached."""
    shutil.rmtree(directory, ignore_errors=True)


class Link:
    """Two namespaces and the one cable between them; the host's own interfaces take no part."""

    SERVER_SIDE = "mail0"
    CLIENT_SIDE = "world0"

    def __init__(self, prefix):
        self.server = f"{prefix}server"
        self.clients = f"{prefix}clients"
        self.guarded = self.server

    def create(self, server_addresses):
        for name in (self.server, self.clients):
            run("ip", "netns", "add", name)
            self._quiet(name)
        self.plug_in(server_addresses)

    def plug_in(self, server_addresses, make=None):
        """The cable, new. `make` makes it in another way than we do."""
        if make:
            make()
        else:
            run("ip", "-n", self.server, "link", "add", self.SERVER_SIDE, "type", "veth",
                "peer", "name", self.CLIENT_SIDE, "netns", self.clients)
        lines = [f"addr add {address} dev {self.SERVER_SIDE} {no_detection(address)}"
                 for address in server_addresses]
        self._batch(self.server, ["link set lo up", *lines, f"link set {self.SERVER_SIDE} up",
                                  f"route add default dev {self.SERVER_SIDE}",
                                  f"route add ::/0 dev {self.SERVER_SIDE}"])
        self._batch(self.clients, ["link set lo up", f"link set {self.CLIENT_SIDE} up",
                                   f"route add default dev {self.CLIENT_SIDE}",
                                   f"route add ::/0 dev {self.CLIENT_SIDE}"])

    def add_clients(self, addresses):
        """Gives the clients' side these addresses, each for itself."""
        self._batch(self.clients, [f"addr add {address} dev {self.CLIENT_SIDE} "
                                   f"{no_detection(address)}" for address in addresses])

    def unplug(self):
        """Both ends are gone, with their addresses."""
        run("ip", "-n", self.server, "link", "delete", self.SERVER_SIDE)

    def packets(self, direction):
        """What the server's card has counted itself: "rx" or "tx" packets since it was made."""
        done = run("ip", "-n", self.server, "-json", "-stats", "link", "show", self.SERVER_SIDE)
        return json.loads(done.stdout)[0]["stats64"][direction]["packets"]

    def set_sysctl(self, namespace, key, value):
        path = "/proc/sys/" + key.replace(".", "/")
        run(*inside(namespace, "sh", "-c", f"echo {value} >{path}"))

    def remove(self):
        for name in (self.server, self.clients):
            remove_namespace(name)

    def _quiet(self, namespace):
        """No address of its own making and no search for routers: the packets are ours."""
        for scope in ("all", "default"):
            for key, value in (("addr_gen_mode", 1), ("accept_ra", 0), ("accept_dad", 0)):
                self.set_sysctl(namespace, f"net.ipv6.conf.{scope}.{key}", value)

    @staticmethod
    def _batch(namespace, lines):
        run("ip", "-n", namespace, "-batch", "-", stdin="\n".join(lines) + "\n")


def no_detection(address):
    """IPv6 would wait a second for nobody to object to the address."""
    return "nodad" if ":" in address else ""


def network_counters(namespace):
    """As /proc/net/snmp and netstat have them: "Tcp:ActiveOpens" and the like."""
    counters = {}
    done = run(*inside(namespace, "cat", "/proc/net/snmp", "/proc/net/netstat"))
    lines = [line.split() for line in done.stdout.splitlines()]
    for names, values in zip(lines[::2], lines[1::2]):
        counters.update((f"{names[0]}{name}", int(value))
                        for name, value in zip(names[1:], values[1:]))
    return counters


def syns_sent(namespace):
    """By its own connections, as the kernel counts them; those sent again included."""
    counters = network_counters(namespace)
    return counters["Tcp:ActiveOpens"] + counters["TcpExt:TCPSynRetrans"]
