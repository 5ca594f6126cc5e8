# SPDX-License-Identifier: BSD-2-Clause
"""Captures for the tests of `tallygated replay`: connections of scapy's packets, and files.

A packet here is an IP packet with the time at which it passed; the link's header is the file's.
"""
import random
import struct

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

SERVER = "198.51.100.25"
SERVER6 = "2001:db8:25::25"
WINDOW = 64240

ETHERNET, NULL, RAW, LOOP, COOKED, IPV4, IPV6, COOKED2 = 1, 0, 101, 108, 113, 228, 229, 276


class Connection:
    """Both sides of one TCP connection. Each call answers with a packet and moves the numbers."""

    def __init__(self, client="192.0.2.10", server=SERVER, sport=40000, dport=25, seed=1):
        self.ends = {"client": (client, sport), "server": (server, dport)}
        numbers = random.Random(seed)
        self.next = {"client": numbers.getrandbits(32), "server": numbers.getrandbits(32)}
        self.seen = {"client": 0, "server": 0}

    def segment(self, side, flags, data=b"", seq=None, **fields):
        """A segment as this side would send it now; `seq` is added to where it stands."""
        other = "server" if side == "client" else "client"
        (source, sport), (dest, dport) = self.ends[side], self.ends[other]
        ip = IPv6(src=source, dst=dest) if ":" in source else IP(src=source, dst=dest)
        start = (self.next[side] + (seq or 0)) % 2**32
        packet = ip / TCP(sport=sport, dport=dport, flags=flags, seq=start,
                          ack=self.seen[side] if "A" in flags else 0, window=WINDOW, **fields)
        if data:
            packet = packet / data
        if seq is None:
            length = len(data) + ("S" in flags) + ("F" in flags)
            self.next[side] = (start + length) % 2**32
            if "R" not in flags:
                self.seen[other] = self.next[side]
        return bytes(packet)

    def syn(self):
        return self.segment("client", "S", options=[("MSS", 1460), ("SAckOK", b"")])

    def handshake(self):
        return [self.syn(), self.segment("server", "SA", options=[("MSS", 1460)]),
                self.segment("client", "A")]

    def talk(self):
        return [self.segment("server", "PA", b"220 ready\r\n"), self.segment("client", "A"),
                self.segment("client", "PA", b"QUIT\r\n"), self.segment("server", "A")]

    def finish(self, first="client"):
        second = "server" if first == "client" else "client"
        return [self.segment(first, "FA"), self.segment(second, "A"),
                self.segment(second, "FA"), self.segment(first, "A")]

    def whole(self):
        return self.handshake() + self.talk() + self.finish()


def ether_type(packet):
    return 0x86dd if packet[0] >> 4 == 6 else 0x0800


def framed(packet, link, tags=()):
    """The packet behind the header of its link. Tags are VLANs: (type, number)."""
    kind = ether_type(packet)
    inner = b""
    for tag_type, number in reversed(tags):
        inner = struct.pack("!HH", number, kind) + inner
        kind = tag_type
    packet = inner + packet
    if link == ETHERNET:
        return bytes.fromhex("020000000001020000000002") + struct.pack("!H", kind) + packet
    if link == COOKED:
        return struct.pack("!HHH8sH", 0, 1, 6, b"\2\0\0\0\0\1", kind) + packet
    if link == COOKED2:
        return struct.pack("!HHIHBB8s", kind, 0, 2, 1, 0, 6, b"\2\0\0\0\0\1") + packet
    if link == NULL:
        return struct.pack("<I", 30 if kind == 0x86dd else 2) + packet
    if link == LOOP:
        return struct.pack("!I", 24 if kind == 0x86dd else 2) + packet
    return packet


def pcap(frames, link=ETHERNET, order="<", nanoseconds=False, snaplen=262144, start=1_700_000_000):
    """A pcap file. A frame is bytes, or (bytes, length on the wire); one each millisecond."""
    magic = 0xa1b23c4d if nanoseconds else 0xa1b2c3d4
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    for number, frame in enumerate(frames):
        frame, wire = frame if isinstance(frame, tuple) else (frame, len(frame))
        kept = frame[:snaplen]
        fraction = number % 1000 * (1_000_000 if nanoseconds else 1000)
        parts.append(struct.pack(order + "IIII", start + number // 1000, fraction, len(kept), wire))
        parts.append(kept)
    return b"".join(parts)


def block(kind, body, order="<"):
    body += b"\0" * (-len(body) % 4)
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def pcapng(frames, links=(ETHERNET,), order="<", snaplen=262144):
    """A pcapng file with an interface for each of `links`; the frames are the first one's."""
    parts = [block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1), order)]
    for link in links:
        parts.append(block(1, struct.pack(order + "HHI", link, 0, snaplen), order))
    for number, frame in enumerate(frames):
        time = 1_700_000_000_000_000 + number * 1000
        kept = frame[:snaplen]
        parts.append(block(6, struct.pack(order + "IIIII", 0, time >> 32, time & 0xffffffff,
                                          len(kept), len(frame)) + kept, order))
    return b"".join(parts)
