# SPDX-License-Identifier: BSD-2-Clause
"""`tallygated replay`: captures made by scapy, held against an analyser that is not the gate."""
import concurrent.futures
import itertools
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile
import unittest

from fixture import NOBODY, PREFIX, GateTest
from lab.gate import PROGRAMS
from replay_analyser import Analyser
from replay_captures import (COOKED, COOKED2, ETHERNET, IPV4, IPV6, LOOP, NULL, RAW, SERVER,
                             SERVER6, Connection, framed, pcap, pcapng)
from scapy.layers.inet import IP, TCP, UDP, ICMP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Ether

CAPTURES = 300
NAMED = '[[service]]\nname = "smtp"\nports = [25]\n'
ANY = '[[service]]\nname = "all"\nports = "any"\n'


class ReplayTest(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.numbers = itertools.count()

    def write(self, name, content):
        path = self.dir / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run_replay(self, capture, config=NAMED, *options, before=()):
        """The process, ended. `capture` is a file's content, or its path."""
        path = self.write("capture", capture) if isinstance(capture, bytes) else capture
        file = self.write(f"replay{next(self.numbers)}.toml", config)
        return subprocess.run([*before, PROGRAMS / "tallygated", "replay", "--config", file, path,
                               *options], capture_output=True, text=True, timeout=60)

    def replay(self, capture, config=NAMED, *options):
        done = self.run_replay(capture, config, "--json", *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        answer = json.loads(done.stdout)
        self.assert_adds_up(answer)
        return answer

    def assert_adds_up(self, answer):
        self.assertEqual(sum(answer["verdicts"].values()), answer["packets"] - answer["skipped"])
        self.assertEqual(answer["opened"] - sum(answer["closed"].values()), answer["live"])
        for each in ("syn", "opened", "live"):
            self.assertEqual(sum(service[each] for service in answer["services"].values()),
                             answer[each])

    def assert_counts(self, answer, syn, opened, fin=0, rst=0, other=0, skipped=0):
        """And all the rest is live."""
        self.assertEqual(
            (answer["syn"], answer["opened"], answer["closed"], answer["skipped"]),
            (syn, opened, {"fin": fin, "rst": rst, "other": other}, skipped), answer)


def ethernet(packets, tags=()):
    return [framed(packet, ETHERNET, tags) for packet in packets]


def ended_by_server():
    connection = Connection()
    return connection.handshake() + connection.finish("server")


def reset_by(side):
    connection = Connection()
    return connection.handshake() + connection.talk() + [connection.segment(side, "RA")]


def reused():
    """The same ends again, while the first connection's end was not seen."""
    return Connection(seed=1).handshake() + Connection(seed=2).whole()


def retransmitted():
    packets = Connection().whole()
    return [packet for packet in packets for _ in range(3)]


def out_of_order():
    packets = Connection().whole()
    packets[3], packets[4] = packets[4], packets[3]
    packets[7], packets[6] = packets[6], packets[7]
    return packets


def with_big_segment():
    """As a capture on the server has it, before the card cuts it up."""
    connection = Connection()
    return (connection.handshake() + [connection.segment("server", "A", b"x" * 40000)] +
            [connection.segment("client", "A")] + connection.finish("server"))


def in_tunnel():
    return [bytes(IP(src="203.0.113.7", dst=SERVER, proto=4) / IP(packet))
            for packet in (Connection().syn(),)]


def extended():
    six = IPv6(src="2001:db8::1", dst=SERVER6)
    segment = TCP(sport=40000, dport=25, flags="S", seq=7)
    return [bytes(six / IPv6ExtHdrDestOpt() / segment), bytes(six / IPv6ExtHdrFragment() / segment)]


def noise():
    return [bytes(IP(src="192.0.2.1", dst=SERVER) / UDP(dport=25) / b"x"),
            bytes(IP(src="192.0.2.1", dst=SERVER) / ICMP()),
            bytes(IP(src="192.0.2.1", dst=SERVER) / TCP(dport=22, flags="S"))]


class Kinds(ReplayTest):
    """What a packet is, and what it stands behind."""

    # What passes -> syn, opened, closed by FIN, by RST, otherwise.
    ROWS = [
        ("a whole connection", ethernet(Connection().whole()), (1, 1, 1, 0, 0)),
        ("the server ends it", ethernet(ended_by_server()), (1, 1, 1, 0, 0)),
        ("nobody ends it", ethernet(Connection().handshake()), (1, 1, 0, 0, 0)),
        ("the client resets it", ethernet(reset_by("client")), (1, 1, 0, 1, 0)),
        ("the server resets it", ethernet(reset_by("server")), (1, 1, 0, 1, 0)),
        ("its ends are used again", ethernet(reused()), (2, 2, 1, 0, 1)),
        ("all three times", ethernet(retransmitted()), (3, 1, 1, 0, 0)),
        ("out of order", ethernet(out_of_order()), (1, 1, 1, 0, 0)),
        ("a segment before segmentation", ethernet(with_big_segment()), (1, 1, 1, 0, 0)),
        ("the client's side alone", ethernet(Connection().whole()[0::2]), (1, 0, 0, 0, 0)),
        ("a VLAN", ethernet(Connection().whole(), [(0x8100, 100)]), (1, 1, 1, 0, 0)),
        ("QinQ", ethernet(Connection().whole(), [(0x88a8, 7), (0x8100, 100)]), (1, 1, 1, 0, 0)),
        ("three VLANs", ethernet(Connection().whole(), [(0x8100, 1)] * 3), (0, 0, 0, 0, 0)),
        ("IPv6", ethernet(Connection("2001:db8:1::1", SERVER6).whole()), (1, 1, 1, 0, 0)),
        ("extension headers", ethernet(extended()), (2, 0, 0, 0, 0)),
        ("a tunnel of nobody we trust", ethernet(in_tunnel()), (0, 0, 0, 0, 0)),
        ("what is not ours", ethernet(noise()) + [bytes(Ether() / ARP())], (0, 0, 0, 0, 0)),
        ("runts", [b"", b"\1", b"\2" * 13, b"\3" * 14, b"\x08\x00" * 8], (0, 0, 0, 0, 0)),
        ("nothing", [], (0, 0, 0, 0, 0)),
    ]

    def test_each_counts_as_it_should(self):
        for name, frames, expected in self.ROWS:
            with self.subTest(name):
                answer = self.replay(pcap(frames))
                self.assertEqual(answer["packets"], len(frames))
                self.assert_counts(answer, *expected)

    def test_every_link_counts_the_same(self):
        packets = Connection().whole()
        six = Connection("2001:db8:1::1", SERVER6).whole()
        links = [(ETHERNET, packets), (COOKED, packets), (COOKED, six), (COOKED2, six),
                 (COOKED2, packets), (RAW, packets + six), (12, six), (14, packets),
                 (IPV4, packets), (IPV6, six), (NULL, packets + six), (LOOP, packets + six)]
        for link, sent in links:
            connections = len(sent) // len(packets)
            for file in (pcap, lambda frames, link: pcapng(frames, [link])):
                with self.subTest(link=link, file=file.__name__):
                    answer = self.replay(file([framed(each, link) for each in sent], link))
                    self.assert_counts(answer, connections, connections, fin=connections)

    def test_a_vlan_on_a_cooked_link_is_opened(self):
        frames = [framed(each, COOKED, [(0x8100, 9)]) for each in Connection().whole()]
        self.assert_counts(self.replay(pcap(frames, COOKED)), 1, 1, fin=1)

    def test_a_trusted_senders_tunnel_is_opened(self):
        """The balancer's packets come in tunnels; the server answers the client directly."""
        packets = [bytes(IP(src="203.0.113.7", dst=SERVER, proto=4) / IP(each))
                   if IP(each).dst == SERVER else each for each in Connection().whole()]
        config = '[gate]\ntunnels_from = ["203.0.113.0/24"]\n'
        for services in (NAMED, ANY):
            answer = self.replay(pcap(ethernet(packets)), config + services, "--sources")
            self.assert_counts(answer, 1, 1, fin=1)
            self.assertEqual(answer["sources"][0]["source"], "192.0.2.10")

    def test_fragments_count_by_their_first(self):
        whole = IP(src="192.0.2.1", dst=SERVER) / TCP(dport=25, flags="S") / (b"x" * 2000)
        frames = ethernet(bytes(each) for each in fragment(whole, 1000))
        self.assert_counts(self.replay(pcap(frames)), 1, 0)

    def test_malformed_packets_would_be_dropped(self):
        bad = [bytes(IP(src="192.0.2.1", dst=SERVER) / TCP(dport=25, flags=flags))
               for flags in ("SF", "", "SR")]
        bogus = [bytes(IP(src="127.0.0.1", dst=SERVER) / TCP(dport=25, flags="S"))]
        answer = self.replay(pcap(ethernet(bad + bogus)))
        self.assertEqual(answer["would_drop"], 4)
        self.assertEqual(answer["verdicts"]["pass_malformed"], 3)
        self.assert_counts(answer, 0, 0)


class Services(ReplayTest):
    """Whose packets they are."""

    def test_the_client_is_who_sent_the_syn(self):
        high = Connection(sport=1024, dport=50000)
        low = Connection(client="192.0.2.11", sport=25, dport=25)
        packets = high.whole() + low.whole()
        self.assert_counts(self.replay(pcap(ethernet(packets)), ANY), 2, 2, fin=2)

    def test_sides_may_change_with_the_next_connection(self):
        there = Connection("192.0.2.10", SERVER, 5000, 6000, seed=1)
        back = Connection(SERVER, "192.0.2.10", 6000, 5000, seed=2)
        answer = self.replay(pcap(ethernet(there.whole() + back.whole())), ANY, "--sources")
        self.assert_counts(answer, 2, 2, fin=2)
        self.assertEqual({each["source"] for each in answer["sources"]}, {"192.0.2.10", SERVER})

    def test_without_its_syn_a_connection_opens_by_its_syn_ack(self):
        self.assert_counts(self.replay(pcap(ethernet(Connection().whole()[1:])), ANY), 0, 1, fin=1)

    def test_there_is_room_for_all_that_a_capture_can_open(self):
        packets = [each for port in range(200)
                   for each in Connection(sport=2000 + port).handshake()[1:]]
        self.assert_counts(self.replay(pcap(packets, RAW)), 0, 200)

    def test_services_are_counted_apart(self):
        config = NAMED + '[[service]]\nname = "listed"\nlisteners = ["198.51.100.26:25"]\n'
        packets = Connection().whole() + Connection(server="198.51.100.26").handshake()
        answer = self.replay(pcap(ethernet(packets)), config)
        self.assertEqual(answer["services"]["smtp"]["closed"]["fin"], 1)
        self.assertEqual(answer["services"]["listed"]["live"], 1)

    def test_sources_come_by_what_they_opened(self):
        packets = [packet for number in range(3) for client in range(number + 1)
                   for packet in Connection(f"192.0.2.{number}", sport=1000 + client).whole()]
        packets += [Connection("192.0.2.9", sport=5000).syn()]
        packets += Connection("2001:db8:1:2:3:4:5:6", SERVER6).whole()
        sources = self.replay(pcap(ethernet(packets)), NAMED, "--sources")["sources"]
        self.assertEqual([(each["source"], each["opened"]) for each in sources],
                         [("192.0.2.2", 3), ("192.0.2.1", 2), ("192.0.2.0", 1),
                          ("2001:db8:1:2::/64", 1), ("192.0.2.9", 0)])

    def test_a_mistake_in_the_configuration_is_78(self):
        capture = pcap([])
        for config in ("", "[[service]]\nname = 'a'\nports = 'all'\n", ANY + NAMED):
            self.assertEqual(self.run_replay(capture, config).returncode, 78, config)


class Files(ReplayTest):
    """What may be wrong with a file, and what is still told."""

    def setUp(self):
        super().setUp()
        self.frames = ethernet(Connection().whole())

    def test_byte_orders_and_precisions(self):
        for order in "<>":
            self.assert_counts(self.replay(pcapng(self.frames, order=order)), 1, 1, fin=1)
            for nanoseconds in (False, True):
                self.assert_counts(self.replay(pcap(self.frames, ETHERNET, order, nanoseconds)),
                                   1, 1, fin=1)

    def test_frames_that_were_cut(self):
        """20 bytes of TCP are enough, options or not; with fewer nobody knows."""
        for snaplen in (54, 60, 64, 96):
            for file in (pcap, pcapng):
                self.assert_counts(self.replay(file(self.frames, snaplen=snaplen)), 1, 1, fin=1)
        for snaplen in (53, 40, 34, 20, 14, 10):
            answer = self.replay(pcap(self.frames, snaplen=snaplen))
            self.assert_counts(answer, 0, 0, skipped=len(self.frames))
        other = ethernet(noise())
        self.assert_counts(self.replay(pcap(other, snaplen=38)), 0, 0)

    def test_a_file_that_ends_early_tells_what_was_before(self):
        whole = pcap(self.frames)
        for missing, packets in ((1, 10), (60, 10), (71, 9), (len(whole) - 24 - 8, 0)):
            done = self.run_replay(whole[:-missing], NAMED, "--json")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"damaged after packet {packets}", done.stderr)
            answer = json.loads(done.stdout)
            self.assertEqual(answer["packets"], packets)
            self.assertIn("damaged", answer["error"])
            self.assert_adds_up(answer)

    def test_files_that_cannot_be_read(self):
        two_links = pcapng(self.frames, (ETHERNET, RAW))
        rows = [("nothing", b"", "the file is empty"),
                ("three bytes", b"\xd4\xc3\xb2", "no pcap"),
                ("a text", b"Received: from mail.example\n" * 20, "no pcap"),
                ("a header alone, cut", pcap([])[:10], "no pcap"),
                ("another link", pcap(self.frames, 105), "IEEE802_11"),
                ("a link of no name", pcap(self.frames, 4000), "4000"),
                ("two links in one file", two_links, "interface")]
        for name, content, word in rows:
            with self.subTest(name):
                done = self.run_replay(content)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(word, done.stderr)
                self.assertIn(str(self.dir / "capture"), done.stderr)
        missing = self.run_replay(self.dir / "missing")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("No such file", missing.stderr)
        self.assertEqual(self.run_replay(self.dir).returncode, 1)

    def test_an_absurd_length_is_damage(self):
        capture = pcap(self.frames) + struct.pack("<IIII", 1, 1, 0x7fffffff, 0x7fffffff) + b"x" * 99
        done = self.run_replay(capture, NAMED, "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["closed"]["fin"], 1)

    def test_times_that_go_back(self):
        back = pcap(self.frames[:5]) + pcap(self.frames[5:], start=1)[24:]
        self.assert_counts(self.replay(back), 1, 1, fin=1)

    def test_exit_codes(self):
        self.assertEqual(self.run_replay(pcap([]), NAMED, "--colour").returncode, 2)
        nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
        self.dir.chmod(0o755)
        done = self.run_replay(pcap(self.frames), NAMED, before=nobody)
        self.assertEqual(done.returncode, 4, done.stderr)

    def test_people_read_it_too(self):
        done = self.run_replay(pcap(self.frames), NAMED, "--sources")
        self.assertEqual(done.returncode, 0)
        for word in ("packets", "pass_opened", "smtp", "192.0.2.10", "would drop"):
            self.assertIn(word, done.stdout)


class BesideAGate(GateTest):
    def test_it_runs_what_is_attached_and_touches_none_of_it(self):
        self.start_gate()
        capture = self.work_dir / "capture"
        capture.write_bytes(pcap(ethernet(Connection().whole())))
        before = self.pins(), self.attached(), self.service()
        done = subprocess.run([PROGRAMS / "tallygated", "replay", "--json", "--config",
                               self.gate.config, capture],
                              capture_output=True, text=True, timeout=60)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["opened"], 1)
        self.assertEqual(answer["program_tag"], self.gate.ask_json("status")["program_tag"])
        self.assertEqual((self.pins(), self.attached(), self.service()), before)


class RandomCaptures(ReplayTest):
    """Many captures of any kind, each counted twice: by the gate and by the analyser."""

    @staticmethod
    def conversation(numbers, number, six):
        client = f"2001:db8:{number:x}::1" if six else f"192.0.2.{number}"
        connection = Connection(client, SERVER6 if six else SERVER, numbers.choice([40000, 30000]),
                                numbers.choice([25, 25, 587]), numbers.getrandbits(32))
        packets = connection.handshake()
        for _ in range(numbers.randrange(3)):
            packets += connection.talk()
            if numbers.random() < 0.2:
                packets.append(connection.segment("client", "R", seq=numbers.getrandbits(32)))
        end = numbers.randrange(5)
        if end < 2:
            packets += connection.finish(("client", "server")[end])
        elif end < 4:
            packets.append(connection.segment(("client", "server")[end - 2], "RA"))
        if numbers.random() < 0.2:
            again = Connection(client, connection.ends["server"][0],
                               connection.ends["client"][1], connection.ends["server"][1],
                               numbers.getrandbits(32))
            packets += again.whole()
        return packets

    @staticmethod
    def disturb(numbers, packets):
        """Lost, sent again, and overtaken."""
        result = []
        for packet in packets:
            chance = numbers.random()
            if chance < 0.03:
                continue
            result.append(packet)
            if chance > 0.94:
                result.append(packet)
            if len(result) > 1 and 0.9 < chance < 0.94:
                result[-1], result[-2] = result[-2], result[-1]
        return result

    @staticmethod
    def is_to_server(packet):
        port, = struct.unpack_from("!H", packet, 22 if packet[0] >> 4 == 4 else 42)
        return port in (25, 587)

    def capture(self, numbers):
        link = numbers.choice([ETHERNET, ETHERNET, ETHERNET, COOKED, COOKED2, RAW, NULL, LOOP])
        tags = numbers.choice([(), (), [(0x8100, 5)], [(0x88a8, 5), (0x8100, 6)]])
        talks = [self.conversation(numbers, number, numbers.random() < 0.3)
                 for number in range(1, numbers.randrange(2, 9))]
        if numbers.random() < 0.15:
            talks = [[each for each in talk if self.is_to_server(each)] for talk in talks]
        talks = [self.disturb(numbers, talk) for talk in talks]
        packets = []
        while any(talks):
            packets.append(numbers.choice([talk for talk in talks if talk]).pop(0))
        frames = [framed(each, link, tags if link in (ETHERNET, COOKED) else ())
                  for each in packets]
        snaplen = numbers.choice([262144, 262144, 128, 96])
        if numbers.random() < 0.4:
            return pcapng(frames, [link], numbers.choice("<>"), snaplen)
        return pcap(frames, link, numbers.choice("<>"), numbers.random() < 0.5, snaplen)

    def count_twice(self, seed, path):
        is_any = seed % 2 == 1
        expected = Analyser(None if is_any else 25)
        counts = expected.read(path)
        answer = self.replay(path, ANY if is_any else NAMED)
        found = {"packets": answer["packets"], "syn": answer["syn"],
                 "opened": answer["opened"], **answer["closed"]}
        self.assertEqual((found, answer["live"]), (counts, expected.live()), f"seed {seed}")
        self.assertEqual(answer["skipped"], 0)

    def test_the_gate_and_the_analyser_agree(self):
        """Each run loads the gate's programs, which takes the kernel's verifier longer than all
        the rest: so there is one run on each CPU, while we make the next captures."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as runs:
            counted = []
            for seed in range(CAPTURES):
                path = self.write(f"capture{seed}", self.capture(random.Random(seed)))
                counted.append(runs.submit(self.count_twice, seed, path))
            for each in counted:
                each.result()


if __name__ == "__main__":
    unittest.main()
