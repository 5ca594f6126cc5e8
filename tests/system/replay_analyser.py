# SPDX-License-Identifier: BSD-2-Clause
"""What a capture holds, counted without the gate: by dictionaries, one packet after another.

It shares no code and no table with tallygate, and reads files by scapy.
"""
import contextlib
import dataclasses
import struct

from scapy.utils import RawPcapReader

VLANS = (0x8100, 0x88a8, 0x9100)
HEADER_BYTES = {1: 14, 113: 16, 276: 20, 0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 229: 0}
AHEAD, BEHIND = 8 << 20, 1 << 16
FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclasses.dataclass
class Segment:
    sender: tuple
    receiver: tuple
    seq: int
    ack: int
    flags: int
    payload: int

    def has(self, flag):
        return bool(self.flags & flag)


@dataclasses.dataclass
class Flow:
    """What each side has sent and acknowledged, 0 being the client."""
    start: int
    end: list
    acked: list
    fin: list = dataclasses.field(default_factory=lambda: [None, None])


def newer(one, other):
    return (one - other) % 2**32 < 2**31 and one != other


def ip_packet(link, frame):
    """(version, bytes of the IP packet), or None."""
    at = HEADER_BYTES[link]
    if link in (1, 113, 276):
        place = {1: 12, 113: 14, 276: 0}[link]
        kind, = struct.unpack_from("!H", frame, place)
        for _ in range(2):
            if kind in VLANS:
                kind, = struct.unpack_from("!H", frame, at + 2)
                at += 4
        version = {0x0800: 4, 0x86dd: 6}.get(kind)
    else:
        version = frame[at] >> 4
    return (version, frame[at:]) if version in (4, 6) else None


def segment(link, frame, missing):
    """The TCP segment of a frame of which the capture lacks `missing` bytes at its end, or None."""
    found = ip_packet(link, frame)
    if not found:
        return None
    version, packet = found
    if version == 4:
        header, length = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 2)[0]
        fragment, = struct.unpack_from("!H", packet, 6)
        if packet[9] != 6 or fragment & 0x1fff:
            return None
        ends = packet[12:16], packet[16:20]
    else:
        header, length = 40, 40 + struct.unpack_from("!H", packet, 4)[0]
        if packet[6] != 6:
            return None
        ends = packet[8:24], packet[24:40]
    if length > len(packet) + missing:
        return None
    tcp = packet[header:length]
    sport, dport, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", tcp)
    flags &= FIN | SYN | RST | ACK
    if offset >> 4 < 5 or flags & (FIN | SYN | RST) in (FIN | SYN, SYN | RST, FIN | SYN | RST):
        return None
    if not flags & (SYN | ACK | RST):
        return None
    return Segment((ends[0], sport), (ends[1], dport), seq, ack, flags,
                   length - header - (offset >> 4) * 4)


class Analyser:
    """`port`: whose port is the service's, or None if each is and the sender of the SYN asks."""

    def __init__(self, port):
        self.port = port
        self.counts = {"packets": 0, "syn": 0, "opened": 0, "fin": 0, "rst": 0, "other": 0}
        self.flows = {}
        self.answers = {}
        self.clients = {}

    def read(self, path):
        with contextlib.closing(RawPcapReader(str(path))) as reader:
            for frame, about in reader:
                self.counts["packets"] += 1
                link = getattr(about, "linktype", None)  # in pcapng each packet's own
                found = segment(reader.linktype if link is None else link, frame,
                                about.wirelen - len(frame))
                if found:
                    self.take(found)
        return self.counts

    def live(self):
        return len(self.flows)

    def is_from_client(self, packet):
        if self.port is not None:
            return packet.receiver[1] == self.port if self.port in (
                packet.receiver[1], packet.sender[1]) else None
        pair = frozenset((packet.sender, packet.receiver))
        if packet.has(SYN):
            client = packet.receiver if packet.has(ACK) else packet.sender
            if pair not in self.clients or not self.is_open(pair):
                self.clients[pair] = client
            if not packet.has(ACK):
                return True
        return self.clients.get(pair, packet.sender) == packet.sender

    def is_open(self, pair):
        one, *rest = pair
        return any(key in self.flows for other in rest for key in ((one, other), (other, one)))

    def take(self, packet):
        from_client = self.is_from_client(packet)
        if from_client is None:
            return
        key = (packet.sender, packet.receiver) if from_client else (packet.receiver, packet.sender)
        flow = self.flows.get(key)
        if packet.has(SYN):
            self.take_syn(key, flow, packet, from_client)
        elif packet.has(RST):
            if flow and (not from_client or self.is_reset(flow, packet)):
                self.close(key, "rst")
        elif flow:
            self.take_segment(key, flow, packet, 0 if from_client else 1)
        elif from_client and packet.has(ACK) and self.answers.pop((key, packet.ack), None):
            self.counts["opened"] += 1
            flow = Flow(packet.ack, [packet.seq, packet.ack], [packet.seq, packet.ack])
            self.flows[key] = flow
            self.note(flow, packet, 0)

    def take_syn(self, key, flow, packet, from_client):
        if from_client:
            self.counts["syn"] += not packet.has(ACK)
        elif packet.has(ACK):
            number = (packet.seq + 1) % 2**32
            if flow and flow.start == number:
                return
            if flow:
                self.close(key, "other")
            for old in [each for each in self.answers if each[0] == key]:
                del self.answers[old]
            self.answers[(key, number)] = True

    @staticmethod
    def is_reset(flow, packet):
        expected = flow.acked[0]
        if flow.fin[0] is not None and packet.seq == (expected - 1) % 2**32:
            return True
        return packet.seq == expected or (
            not newer(expected, packet.seq) and not newer(packet.seq, flow.end[0]))

    def take_segment(self, key, flow, packet, side):
        if side == 0:
            ahead = (packet.seq - flow.acked[0] + BEHIND) % 2**32
            unsent = (flow.end[1] - packet.ack) % 2**32
            if ahead > AHEAD + BEHIND or unsent > (flow.end[1] - flow.acked[1]) % 2**32 + BEHIND:
                return
        elif flow.end[1] == flow.start:
            flow.acked[0] = packet.ack
        self.note(flow, packet, side)
        if flow.fin[0] is None or flow.fin[1] is None:
            return
        if not newer(flow.fin[0], flow.acked[0]) and not newer(flow.fin[1], flow.acked[1]):
            self.close(key, "fin")

    @staticmethod
    def note(flow, packet, side):
        end = (packet.seq + packet.payload + packet.has(FIN)) % 2**32
        if newer(end, flow.end[side]):
            flow.end[side] = end
        if packet.has(ACK) and newer(packet.ack, flow.acked[1 - side]):
            flow.acked[1 - side] = packet.ack
        if packet.has(FIN):
            flow.fin[side] = end

    def close(self, key, reason):
        del self.flows[key]
        self.counts[reason] += 1
