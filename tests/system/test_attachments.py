# SPDX-License-Identifier: BSD-2-Clause
"""What is attached stays attached: interfaces that come back, strangers, another layout."""
import os
import unittest

from fixture import SERVER_ADDRESSES, GateTest
from lab import machine
from lab.machine import Link

CLIENT = "192.0.2.1"


class Attachments(GateTest):
    addresses = [CLIENT, "2001:db8:1::1"]

    def ways(self):
        return {each["direction"]: each["in_place"]
                for each in self.gate.ask_json("status")["attachments"]}

    def assert_guarded(self, what):
        self.assert_soon({"ingress": True, "egress": True}, self.ways, what)

    def log_lines(self, words):
        return [line for line in self.gate.log.read_text().splitlines() if words in line]

    def make_beside_a_stranger(self):
        """The server's card, with somebody's program on it before it has its name."""
        machine.run("ip", "-n", self.link.server, "link", "add", "new0", "type", "veth",
                    "peer", "name", Link.CLIENT_SIDE, "netns", self.link.clients)
        machine.run("ip", "-n", self.link.server, "link", "set", "new0", "xdpdrv", "obj",
                    self.build_foreign_program(), "sec", "xdp")
        machine.run("ip", "-n", self.link.server, "link", "set", "new0", "name", Link.SERVER_SIDE)

    def test_an_interface_that_comes_back(self):
        for attach in ("auto", "tc"):
            with self.subTest(attach):
                self.gate.log.write_text("")
                self.start_gate(gate=f'attach = "{attach}"')
                before = self.gate.count(CLIENT)
                self.connect(CLIENT, times=3)
                self.assert_soon(before + 3, lambda: self.gate.count(CLIENT), "before")
                attached = self.attached()

                self.link.unplug()
                self.assert_soon({"ingress": False, "egress": False}, self.ways, "it is gone")
                self.assert_soon(1, lambda: len(self.log_lines("the interface is gone")), "told")
                self.link.plug_in(SERVER_ADDRESSES)
                self.add_clients()
                self.assert_guarded("it is back")
                self.assertEqual([kind for kind, _ in self.attached()],
                                 [kind for kind, _ in attached])
                self.connect(CLIENT, times=5)
                self.assert_soon(before + 8, lambda: self.gate.count(CLIENT), "counts go on")
                self.assert_soon(0, lambda: self.gate.live(CLIENT), "nothing is left over")
                self.assertEqual(len(self.log_lines("the interface is gone")), 1)
                self.assertEqual(len(self.log_lines("is guarded again")), 1)
                self.assertEqual(len([pin for pin in self.pins() if "/links/" in pin]), 2)
                self.gate.stop()
                self.gate.detach()

    def test_an_interface_that_comes_back_with_a_stranger(self):
        self.start_gate()
        self.connect(CLIENT, times=3)
        self.assert_soon(3, lambda: self.gate.count(CLIENT), "before")
        self.link.unplug()
        self.link.plug_in(SERVER_ADDRESSES, self.make_beside_a_stranger)
        self.add_clients()

        told = lambda: len(self.log_lines("somebody_elses"))  # noqa: E731
        self.assert_soon(1, told, "the log says whose it is")
        [[kind, _]] = self.attached()
        self.assertEqual(kind, "xdp", "it is left alone, and ours is not half there")
        self.assertTrue(any("somebody_elses" in each
                            for each in self.gate.ask_json("status")["warnings"]))
        self.connect(CLIENT, times=1)  # mail flows

        machine.run("ip", "-n", self.link.server, "link", "set", "mail0", "xdpdrv", "off")
        self.assert_guarded("once it has gone")
        self.assertEqual(told(), 1)
        self.connect(CLIENT, times=5)
        self.assert_soon(8, lambda: self.gate.count(CLIENT), "counts go on")

    def test_our_program_taken_off(self):
        self.start_gate()
        [pin] = [pin for pin in self.pins() if pin.endswith("-xdp")]
        machine.run("bpftool", "link", "detach", "pinned", self.gate.pin_dir / pin)
        self.assert_soon(1, lambda: len(self.log_lines("is guarded again")), "it is back")
        self.assert_guarded("as it was")
        self.connect(CLIENT, times=2)
        self.assert_soon(2, lambda: self.gate.count(CLIENT), "counts go on")

    def test_a_detach_beside_the_daemon(self):
        """It is the way out, and the daemon does not come after it."""
        self.start_gate()
        self.gate.detach()
        self.assertNotEqual(self.gate.ask("reload", check=False).returncode, 0)
        self.assert_soon(1, lambda: len(self.log_lines("has taken the gate off; restart")), "told")
        self.assertEqual((self.attached(), self.pins()), ([], []))
        self.gate.stop()
        self.gate.start()
        self.assert_guarded("a new daemon was asked to")


class OtherLayout(GateTest):
    """As if the daemon that holds the card had been of layout 1."""

    addresses = [CLIENT]

    def setUp(self):
        super().setUp()
        self.start_gate()
        self.connect(CLIENT, times=3, keep=1)
        self.assert_soon(3, lambda: self.gate.count(CLIENT), "before")
        self.gate.stop()
        [self.layout] = self.gate.pin_dir.iterdir()
        self.old = self.gate.pin_dir / "v1"
        os.rename(self.layout, self.old)

    def links(self, layout):
        """The id of each pinned link."""
        return {pin.name: machine.run("bpftool", "link", "show", "pinned", pin).stdout.split(":")[0]
                for pin in (layout / "links").iterdir()}

    def test_it_is_taken_over_through_its_links(self):
        links, attached = self.links(self.old), self.attached()
        self.gate.start()
        self.assertEqual(self.links(self.layout), links)
        self.assertEqual(self.links(self.old), {})
        self.assertEqual([kind for kind, _ in self.attached()], [kind for kind, _ in attached])
        self.assertNotEqual(self.attached(), attached)
        [warning] = self.gate.ask_json("status")["warnings"]
        for words in (str(self.old), "tallygated detach"):
            self.assertIn(words, warning)
        self.assertIn(warning, self.gate.log.read_text())

        self.assert_soon(1, lambda: self.gate.live(CLIENT), "the one that was open")
        self.connect(CLIENT, times=5)
        self.assert_soon(6, lambda: self.service()["opened"], "the new tables count")
        self.gate.detach()
        self.assertEqual((self.attached(), self.pins()), ([], []))

    def test_it_is_as_it_was_after_a_start_that_fails(self):
        machine.run("ip", "-n", self.link.server, "link", "add", "more0", "type", "veth")
        machine.run("ip", "-n", self.link.server, "link", "set", "more0", "xdpdrv", "obj",
                    self.build_foreign_program(), "sec", "xdp")
        links, attached, pins = self.links(self.old), self.attached(), self.pins()
        self.gate.write_config([], interfaces=["mail0", "more0"])
        done = self.gate.daemon("run")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("somebody_elses", done.stderr)
        self.assertEqual((self.links(self.old), self.attached(), self.pins()),
                         (links, attached, pins))


if __name__ == "__main__":
    unittest.main()
