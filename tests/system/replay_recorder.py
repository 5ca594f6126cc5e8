# SPDX-License-Identifier: BSD-2-Clause
"""Records what passes a card in both directions, with the kernel's times.

    replay_recorder.py INTERFACE FILE

Prints "ready" once it listens. When its standard input ends, it writes what has come until then
to FILE, a pcap with nanoseconds, and prints as JSON how many packets it has and how many the
kernel had to leave out.
"""
import json
import socket
import struct
import subprocess
import sys
import threading

from lab import machine

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
QUEUE_BYTES = 128 << 20
FRAME_BYTES = 65536
ETHERNET = 1


class Recorder:
    """The program above, in the namespace of the card."""

    def __init__(self, namespace, interface, path):
        self.path = path
        command = machine.inside(namespace, sys.executable, __file__, interface, path)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={"PYTHONPATH": ":".join(sys.path)})
        if self.process.stdout.readline() != "ready\n":
            raise machine.LabError(f"cannot record what passes {interface}")

    def stop(self):
        """What it says at its end. May be called again."""
        if self.process.poll() is not None:
            return None
        out, _ = self.process.communicate(timeout=30)
        return json.loads(out)


def listen(interface):
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_BYTES)
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    listener.bind((interface, ETH_P_ALL))
    listener.settimeout(0.2)
    return listener


def receive(listener):
    """A frame and its time, as in the file; None if none comes."""
    try:
        frame, ancillary, _, _ = listener.recvmsg(FRAME_BYTES, socket.CMSG_SPACE(16))
    except TimeoutError:
        return None
    times = [data for level, kind, data in ancillary
             if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)]
    seconds, nanoseconds = struct.unpack("qq", times[0])
    return struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame


def main(interface, path):
    listener = listen(interface)
    print("ready", flush=True)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()

    packets = 0
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, FRAME_BYTES, ETHERNET))
        # The last ones may be in the queue when the end comes: it is over once none comes.
        while (record := receive(listener)) or not ended.is_set():
            if record:
                file.write(record)
                packets += 1
    statistics = listener.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
    print(json.dumps({"packets": packets, "lost": struct.unpack("II", statistics)[1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
