# SPDX-License-Identifier: BSD-2-Clause
"""`tallygated replay` with limits and lists: of a gate's own packets, and of made ones."""
import json
import subprocess
import unittest

from flooding import HOT_SOURCES, FloodTest, limit
from lab.gate import PROGRAMS, settle
from lab.machine import Link
from replay_captures import ETHERNET, SERVER6, Connection, framed, pcap
from replay_recorder import Recorder
from test_replay import NAMED, ReplayTest

GOOD = [f"192.0.2.{host}" for host in range(1, 21)] + ["2001:db8:1::1", "2001:db8:2::1"]
PER_SOURCE = limit("per-source", syn_rate="10/s", syn_burst=20)
NEWCOMERS = limit("newcomers", per=["0.0.0.0/0"], who="claimed", syn_rate="100/s", syn_burst=100)
RATE_VERDICTS = ("source_rate", "service_rate")

# How many more or fewer SYNs a limit of a live gate may reject than the replay of its packets.
# The gate reads the kernel's coarse clock, which stands still for a tick (1 to 10 ms); a moment
# later the kernel puts the exact time on the packet. So a SYN may conform on one side and come too
# early on the other. But a limit that rejects lets through its burst and what the rate brings: who
# lets one through earlier waits longer for the next. The two are never further apart than by one
# for each holder: three hot sources, two clients that come too often, and the newcomers' budget.
TOLERANCE = 6


def rejected(limits, key):
    return {each["name"]: each[key] for each in limits}


class Recorded(FloodTest):
    """A gate counts, and beside it the card's packets are written down."""

    addresses = GOOD

    def replay(self, capture, mode):
        """With the gate's own configuration, but for the mode."""
        config = self.work_dir / f"{mode}.toml"
        config.write_text(self.gate.config.read_text("utf-8").replace(
            "[gate]\n", f'[gate]\nmode = "{mode}"\n'))
        done = subprocess.run([PROGRAMS / "tallygated", "replay", "--json", "--config", config,
                               capture], capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        answer = json.loads(done.stdout)
        self.assertEqual(answer["mode"], mode)
        return answer

    def record_a_flood(self):
        """Hot sources over their rate, then so many newcomers that their budget is used up; real
        clients come all the while, one of them too often. Answers the capture."""
        recorder = Recorder(self.link.server, Link.SERVER_SIDE, self.work_dir / "capture")
        self.addCleanup(recorder.stop)
        hot = self.begin_flood("hot", seconds=2, rate=2000)
        for address in GOOD:
            self.connect(address, times=2)
        sent = self.end_flood(hot)
        many = self.begin_flood("64k", seconds=1, rate=2000)
        self.connect(GOOD[0], times=60)
        self.connect(GOOD[-1], times=60)
        sent += self.end_flood(many)
        wanted = sent + 2 * len(GOOD) + 120
        self.assertTrue(settle(lambda: self.syn_total() >= wanted, True))
        recorded = recorder.stop()
        self.assertEqual(recorded["lost"], 0)
        self.assertGreater(recorded["packets"], sent)
        return recorder.path

    def test_a_dry_run_says_what_enforcing_does_with_the_same_packets(self):
        self.start_gate(more=PER_SOURCE + NEWCOMERS)
        capture = self.record_a_flood()
        service = self.service()
        live = rejected(self.gate.ask_json("limits")["limits"], "would_drop")
        observed, enforced = (self.replay(capture, mode) for mode in ("observe", "enforce"))

        self.assertEqual(rejected(observed["limits"], "would_drop"),
                         rejected(enforced["limits"], "dropped"))
        self.assertEqual((observed["would_drop"], observed["dropped"]),
                         (enforced["dropped"], enforced["would_drop"]))
        for name in RATE_VERDICTS:
            self.assertEqual(observed["verdicts"][f"would_drop_{name}"],
                             enforced["verdicts"][f"drop_{name}"])
            self.assertGreater(enforced["verdicts"][f"drop_{name}"], 300, "each limit has work")

        for answer in (observed, enforced):
            self.assertEqual((answer["syn"], answer["opened"]), (service["syn"], service["opened"]))
        self.assertGreaterEqual(service["opened"], 2 * len(GOOD) + 120)
        for name, would_drop in rejected(observed["limits"], "would_drop").items():
            self.assertLessEqual(abs(would_drop - live[name]), TOLERANCE, (name, live, observed))


def syns(source, count, port=20000, server=None):
    """From ports of their own: one each millisecond, as pcap() writes them."""
    connections = [Connection(source, sport=port + number, **({"server": server} if server else {}))
                   for number in range(count)]
    return [framed(each.syn(), ETHERNET) for each in connections]


class Limits(ReplayTest):
    """Captures that we made: which limit rejects what, by the capture's clock."""

    ENFORCE = '[gate]\nmode = "enforce"\n'
    NETWORKS = ('[[network]]\nname = "outer"\ncidrs = ["192.0.2.0/24", "2001:db8::/32"]\n'
                '[[network]]\nname = "inner"\ncidrs = ["192.0.2.0/28"]\n')

    def assert_limits(self, frames, config, rows):
        """Rejects so much of each limit, as a dry run and enforcing."""
        observed = self.replay(pcap(frames), config)
        enforced = self.replay(pcap(frames), self.ENFORCE + config)
        self.assertEqual(rejected(observed["limits"], "would_drop"), rows)
        self.assertEqual(rejected(observed["limits"], "dropped"), dict.fromkeys(rows, 0))
        self.assertEqual(rejected(enforced["limits"], "dropped"), rows)
        self.assertEqual(rejected(enforced["limits"], "would_drop"), dict.fromkeys(rows, 0))
        self.assertEqual(enforced["dropped"], sum(rows.values()))
        for answer in (observed, enforced):
            self.assertEqual(answer["syn"], len(frames))

    def test_what_each_kind_of_limit_rejects(self):
        one = syns("192.0.2.1", 30)
        two = one + syns("192.0.2.99", 30)
        six = syns("2001:db8:1::1", 30, server=SERVER6)
        rows = [
            ("each source", two + six, limit("a", syn_rate="1/s", syn_burst=5), 75),
            ("each /24", two, limit("a", per=["0.0.0.0/24"], syn_rate="1/s", syn_burst=5), 55),
            ("all together", two, limit("a", per=["0.0.0.0/0"], syn_rate="1/s", syn_burst=5), 55),
            ("a rate of the capture's time", one,
             limit("a", syn_rate="100/s", syn_burst=1), 30 - 3),
            ("a network and those around it", two + six,
             limit("a", networks=["outer"], syn_rate="1/s", syn_burst=5), 55 + 25),
            ("a network inside of another", two,
             limit("a", networks=["inner"], syn_rate="1/s", syn_burst=5), 25),
            ("nobody who is proven", two,
             limit("a", who="proven", syn_rate="1/s", syn_burst=5), 0),
        ]
        for name, frames, limits, wanted in rows:
            with self.subTest(name):
                self.assert_limits(frames, NAMED + self.NETWORKS + limits, {"a": wanted})

    def test_a_dry_run_beside_a_limit_that_drops(self):
        dry = limit("dry", syn_rate="1/s", syn_burst=2, action="count")
        config = NAMED + limit("all", per=["0.0.0.0/0"], syn_rate="1/s", syn_burst=5) + dry
        answer = self.replay(pcap(syns("192.0.2.1", 10)), self.ENFORCE + config)
        self.assertEqual(rejected(answer["limits"], "dropped"), {"all": 5, "dry": 0})
        self.assertEqual(rejected(answer["limits"], "would_drop"), {"all": 0, "dry": 8})
        self.assertEqual(answer["dropped"], 5)

    def test_live_limits_hold_what_is_open(self):
        connections = [Connection(sport=20000 + number) for number in range(5)]
        packets = [packet for each in connections for packet in each.handshake()]
        config = NAMED + limit("live", live_max=3)
        answer = self.replay(pcap([framed(each, ETHERNET) for each in packets]), config)
        self.assertEqual(rejected(answer["limits"], "would_drop"), {"live": 2})
        self.assertEqual(answer["opened"], 5, "the capture says that they were let in")

    def test_what_a_limit_has_dropped_is_told_of_services_and_sources(self):
        config = self.ENFORCE + NAMED + limit("a", syn_rate="1/s", syn_burst=5)
        answer = self.replay(pcap(syns("192.0.2.1", 30)), config, "--sources")
        for counts in (answer["services"]["smtp"], answer["sources"][0]):
            self.assertEqual((counts["syn"], counts["dropped"], counts["would_drop"]), (30, 25, 0))

    def test_people_read_it_too(self):
        config = NAMED + limit("per-source", syn_rate="1/s", syn_burst=5)
        shown = self.run_replay(pcap(syns("192.0.2.1", 30)), config).stdout
        self.assertRegex(shown, r"LIMIT +DROPPED +WOULD DROP\nper-source +0 +25\n")
        self.assertRegex(shown, r"would drop +25 .*\nmode +observe\n")
        shown = self.run_replay(pcap(syns("192.0.2.1", 30)), self.ENFORCE + config).stdout
        self.assertRegex(shown, r"\nper-source +25 +0\n")
        self.assertRegex(shown, r"dropped +25 .*\nwould drop +0 .*\nmode +enforce\n")


class Lists(ReplayTest):
    """Who is on a list, and until when: 22:13:20 is when these captures begin."""

    ROWS = [
        ("a block", '[[block]]\ncidrs = ["192.0.2.0/24"]\n', 20),
        ("of somebody else", '[[block]]\ncidrs = ["192.0.3.0/24"]\n', 0),
        ("that ended long ago", '[[block]]\ncidrs = ["192.0.2.0/24"]\n'
                                'until = 2023-01-01T00:00:00Z\n', 0),
        ("that ends while the capture runs", '[[block]]\ncidrs = ["192.0.2.0/24"]\n'
                                             'until = 2023-11-14T22:13:21Z\n', 10),
        ("that has ended by today's clock alone", '[[block]]\ncidrs = ["192.0.2.0/24"]\n'
                                                  'until = 2024-01-01T00:00:00Z\n', 20),
        ("an allowance in it", '[[block]]\ncidrs = ["192.0.2.0/24"]\n'
                               '[[allow]]\ncidrs = ["192.0.2.1/32"]\n', 0),
        ("an allowance that ends", '[[block]]\ncidrs = ["192.0.2.0/24"]\n'
                                   '[[allow]]\ncidrs = ["192.0.2.1/32"]\n'
                                   'until = 2023-11-14T22:13:21Z\n', 10),
        ("a file", '[[block]]\nfile = "{list}"\n', 20),
    ]

    def setUp(self):
        super().setUp()
        self.list = self.write("drop.txt", "; a public list\n192.0.2.0/24 ; SBL1\n203.0.113.7\n")
        # Ten at the beginning, and ten when two seconds have gone.
        others = [framed(Connection("198.51.100.9", dport=22).syn(), ETHERNET)] * 1990
        ours = syns("192.0.2.1", 20)
        self.capture = pcap(ours[:10] + others + ours[10:])

    def test_each_drops_whom_it_names_for_as_long_as_it_says(self):
        for name, lists, wanted in self.ROWS:
            lists = lists.replace("{list}", str(self.list))
            for mode, verdict, total in (("observe", "would_drop_blocked", "would_drop"),
                                         ("enforce", "drop_blocked", "dropped")):
                with self.subTest(name, mode=mode):
                    answer = self.replay(self.capture, f'[gate]\nmode = "{mode}"\n' + NAMED + lists)
                    self.assertEqual((answer["verdicts"][verdict], answer[total], answer["syn"]),
                                     (wanted, wanted, 20))

    def test_an_allowance_beats_limits(self):
        config = NAMED + limit("a", syn_rate="1/s", syn_burst=5)
        allow = '[[allow]]\ncidrs = ["192.0.2.1/32"]\n'
        self.assertEqual(self.replay(self.capture, config + allow)["limits"][0]["would_drop"], 0)
        self.assertGreater(self.replay(self.capture, config)["limits"][0]["would_drop"], 0)

    def test_all_packets_of_a_blocked_source_are_dropped(self):
        """And the server's are not: who is dropped on the way in is answered by nobody."""
        packets = Connection().whole()
        config = Limits.ENFORCE + NAMED + '[[block]]\ncidrs = ["192.0.2.10/32"]\n'
        answer = self.replay(pcap([framed(each, ETHERNET) for each in packets]), config)
        self.assertEqual(answer["verdicts"]["drop_blocked"], 6)
        self.assertEqual((answer["dropped"], answer["services"]["smtp"]["dropped"]), (6, 1))
        self.assertEqual((answer["syn"], answer["opened"]), (1, 0))

    def test_a_mistake_in_a_list_is_78(self):
        for text, word in (("192.0.2.0/24\ngarbage\n", ":2: expected a CIDR block"),
                           ("0.0.0.0/4\n", "0.0.0.0/4")):
            self.list.write_text(text)
            done = self.run_replay(self.capture, NAMED + f'[[block]]\nfile = "{self.list}"\n')
            self.assertEqual((done.returncode, done.stdout), (78, ""))
            self.assertIn(word, done.stderr)
            self.assertIn(str(self.list), done.stderr)


if __name__ == "__main__":
    unittest.main()
