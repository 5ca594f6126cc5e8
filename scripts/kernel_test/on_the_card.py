# SPDX-License-Identifier: BSD-2-Clause
"""The gate on a card of this kernel: each way to attach counts real connections of both families,
outlives a daemon that is killed, is replaced in place by the next one, and leaves when told to."""
import ipaddress
import signal

from fixture import GateTest
from lab.story import Truth

IPV4 = [f"192.0.2.{host}" for host in range(1, 6)]
IPV6 = [f"2001:db8:1:{site:x}::25" for site in range(1, 6)]
BLOCKS = ["0.0.0.0/0", "::/0", "192.0.2.3", "2001:db8:1:3::/64"]
# The machine is a small one, and its tables need not be large.
SIZES = ("sources_max = 4096\nclaims_max = 4096\nflows_max = 4096\npending_max = 4096\n"
         "networks_max = 64\n")


class OnTheCard(GateTest):
    addresses = [*IPV4, *IPV6]

    def start(self, attach):
        self.start_gate([("quiet", ["192.0.2.0/24"])], gate=f'attach = "{attach}"\n{SIZES}')

    def connect_everybody(self, times, keep):
        for address in self.addresses:
            self.connect(address, times=times, keep=keep)

    def check_counts(self):
        """Against what the clients' process says it did."""
        truth = Truth(self.clients.report())
        for block in BLOCKS:
            whole = str(ipaddress.ip_network(block))
            self.assert_soon(truth.live(whole), lambda: self.gate.live(block), f"live {block}")
            self.assert_soon(truth.opened(whole), lambda: self.gate.count(block), f"count {block}")
        return truth.opened()

    def attachments(self):
        return {each["direction"]: each for each in self.gate.ask_json("status")["attachments"]}

    def check_way(self, attach, ways, times):
        self.start(attach)
        self.assertIn(self.attachments()["ingress"]["how"], ways)
        self.connect_everybody(times, keep=2)
        self.check_counts()

        before = self.attached()
        self.gate.stop(signal.SIGKILL)
        self.assertEqual(self.attached(), before, "a killed daemon leaves the gate in place")
        self.connect_everybody(times=2, keep=0)
        self.gate.start()
        after = self.attached()
        self.assertTrue(all(each["adopted"] for each in self.attachments().values()))
        self.assertEqual([kind for kind, _ in after], [kind for kind, _ in before])
        self.assertTrue(all(new[1] != old[1] for new, old in zip(after, before)),
                        "each program is replaced by the one of this start")
        self.clients.close()
        opened = self.check_counts()

        self.gate.stop()
        self.gate.detach()
        self.assertEqual((self.attached(), self.pins()), ([], []))
        self.connect_everybody(times=1, keep=0)
        return opened

    def test_native_xdp_counts_300_connections(self):
        self.assertGreaterEqual(self.check_way("native", {"native"}, times=30), 300)

    def test_generic_xdp_counts(self):
        self.check_way("generic", {"generic"}, times=5)

    def test_tc_counts(self):
        self.check_way("tc", {"tcx", "clsact"}, times=5)
