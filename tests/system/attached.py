# SPDX-License-Identifier: BSD-2-Clause
"""Prints the ids of the programs on an interface, asked of the kernel itself, as JSON.

    python3 attached.py INTERFACE

Run in the interface's namespace. bpftool of Debian 12 knows nothing of tcx.
"""
import ctypes
import json
import platform
import socket
import subprocess
import sys

BPF_PROG_QUERY = 16
TCX = {"tcx_ingress": 46, "tcx_egress": 47}
SYSCALL_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROGRAMS_MAX = 16


class Query(ctypes.Structure):
    """The part of union bpf_attr that BPF_PROG_QUERY takes."""

    _fields_ = [("target_ifindex", ctypes.c_uint32), ("attach_type", ctypes.c_uint32),
                ("query_flags", ctypes.c_uint32), ("attach_flags", ctypes.c_uint32),
                ("prog_ids", ctypes.c_uint64), ("prog_cnt", ctypes.c_uint32),
                ("padding", ctypes.c_uint32)]


def tcx_programs(interface, attach_type):
    """None of them where the kernel has no tcx: it came with 6.6."""
    ids = (ctypes.c_uint32 * PROGRAMS_MAX)()
    query = Query(socket.if_nametoindex(interface), attach_type, 0, 0, ctypes.addressof(ids),
                  PROGRAMS_MAX, 0)
    done = ctypes.CDLL(None).syscall(SYSCALL_BPF, BPF_PROG_QUERY, ctypes.byref(query),
                                     ctypes.sizeof(query))
    return list(ids[: query.prog_cnt]) if done == 0 else []


def other_programs(interface):
    """XDP, and what stands in a clsact."""
    shown = subprocess.run(["bpftool", "--json", "net", "show", "dev", interface],
                           capture_output=True, text=True, check=True)
    for group in json.loads(shown.stdout):
        for each in group.get("xdp", []) + group.get("tc", []):
            yield each.get("kind", "xdp"), each.get("id", each.get("prog_id"))


def main():
    interface = sys.argv[1]
    found = [(kind, number) for kind, attach_type in TCX.items()
             for number in tcx_programs(interface, attach_type)]
    found += [each for each in other_programs(interface) if "tcx" not in each[0]]
    print(json.dumps(sorted(found)))


if __name__ == "__main__":
    main()
