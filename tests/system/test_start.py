# SPDX-License-Identifier: BSD-2-Clause
"""What stands in the way of a start is told in a sentence, and nothing is left half done."""
import os
import shutil
import unittest

from fixture import NOBODY, GateTest
from lab import machine

# (what is wrong, lines at the end of a good configuration, what the one line holds)
BAD_CONFIGURATIONS = [
    ("an unknown key", "[gate2]\nx = 1\n", "gate2"),
    ("a bad CIDR", '[[network]]\nname = "a"\ncidrs = ["192.0.2.0/33"]\n', "192.0.2.0/33"),
    ("port 0", '[[service]]\nname = "a"\nports = [0]\n', "0"),
    ("a service twice", '[[service]]\nname = "smtp"\nports = [587]\n', "smtp"),
    ("not TOML", "[[network\n", "toml"),
]
BAD_MONITORS = ["60", "0,5", "60,100000"]


class Start(GateTest):
    addresses = ["192.0.2.1"]

    def check_refused(self, done, code, *says):
        self.assertEqual(done.returncode, code, done.stderr)
        for words in says:
            self.assertIn(words, done.stderr)
        self.assertEqual(self.pins(), [])

    def test_check_accepts_a_good_configuration(self):
        self.gate.write_config([("a", ["192.0.2.0/24", "2001:db8::/32"])])
        done = self.gate.daemon("check")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_bad_configurations(self):
        for what, lines, says in BAD_CONFIGURATIONS:
            self.gate.write_config([], more="\n" + lines)
            for verb in ("check", "run"):
                with self.subTest(what, verb=verb):
                    done = self.gate.daemon(verb)
                    self.check_refused(done, 78, says)
                    self.assertRegex(done.stderr, r"tallygate\.toml:\d+:\d+: ")

    def test_bad_monitors(self):
        for monitor in BAD_MONITORS:
            with self.subTest(monitor):
                self.gate.write_config([], monitors=[monitor])
                done = self.gate.daemon("check")
                self.check_refused(done, 78, f'"{monitor}"')
                self.assertRegex(done.stderr, r"tallygate\.toml:\d+:\d+: ")
                self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    def test_an_interface_that_does_not_exist(self):
        self.gate.write_config([], interfaces=["mail9"])
        done = self.gate.daemon("run")
        self.check_refused(done, 78, "mail9", "tallygate.toml:")

    def test_a_configuration_that_is_not_there(self):
        self.check_refused(self.gate.daemon("run"), 78, str(self.gate.config))

    def test_a_foreign_program_on_the_card(self):
        machine.run("ip", "-n", self.link.server, "link", "set", "mail0", "xdpdrv", "obj",
                    self.build_foreign_program(), "sec", "xdp")
        before = self.attached()
        [[kind, number]] = before
        self.assertEqual(kind, "xdp")

        self.gate.write_config([])
        done = self.gate.daemon("run")
        self.check_refused(done, 1, "mail0", str(number), "somebody_elses")
        self.assertEqual(self.attached(), before)

    def test_a_tunnel(self):
        machine.run("ip", "-n", self.link.server, "tuntap", "add", "tun7", "mode", "tun")
        self.gate.write_config([], interfaces=["tun7"])
        self.check_refused(self.gate.daemon("run"), 1, "tun7", "Ethernet header")

    def test_no_root(self):
        self.gate.write_config([])
        os.chmod(self.work_dir, 0o755)
        shutil.copy(self.gate.programs / "tallygated", self.work_dir)
        done = machine.run(*machine.inside(self.link.server, "setpriv", f"--reuid={NOBODY}",
                                           f"--regid={NOBODY}", "--clear-groups", "--",
                                           self.work_dir / "tallygated", "run", "--config",
                                           self.gate.config), check=False)
        self.check_refused(done, 4, "root")

    def test_no_bpf_file_system(self):
        self.gate.write_config([])
        daemon = f"{self.gate.programs}/tallygated run --config {self.gate.config}"
        script = f"while umount -l /sys/fs/bpf 2>/dev/null; do :; done; exec {daemon}"
        done = machine.run(*machine.inside(self.link.server, "unshare", "--mount", "sh", "-c",
                                           script), check=False)
        self.check_refused(done, 1, str(self.gate.pin_dir), "mount")

    def check_pins_refused(self, layout):
        pins = self.pins()
        attached = self.attached()
        done = self.gate.daemon("run")
        self.assertEqual(done.returncode, 1, done.stderr)
        for words in (str(layout), "tallygated detach"):
            self.assertIn(words, done.stderr)
        self.assertEqual((self.attached(), self.pins()), (attached, pins))
        self.gate.detach()
        self.gate.start()

    def make_foreign_map(self, pin):
        machine.run("bpftool", "map", "create", pin, "type", "hash", "key", 4, "value", 4,
                    "entries", 1, "name", "not_ours")

    def test_pins_of_somebody_else(self):
        self.start_gate()
        [layout] = self.gate.pin_dir.iterdir()
        self.gate.stop()
        self.gate.detach()
        layout.mkdir(parents=True, exist_ok=True)
        self.make_foreign_map(layout / "sources")
        self.check_pins_refused(layout)

    def test_a_pin_that_was_replaced(self):
        self.start_gate()
        [layout] = self.gate.pin_dir.iterdir()
        self.gate.stop()
        (layout / "sources").unlink()
        self.make_foreign_map(layout / "sources")
        self.check_pins_refused(layout)

    def test_an_old_layout(self):
        """Another version's maps are left alone, and told, until somebody detaches them."""
        (self.gate.pin_dir / "v0").mkdir(parents=True)
        self.make_foreign_map(self.gate.pin_dir / "v0" / "sources")
        self.start_gate()
        [warning] = self.gate.ask_json("status")["warnings"]
        for words in (f"{self.gate.pin_dir}/v0", "tallygated detach"):
            self.assertIn(words, warning)
        self.assertIn("v0/sources", self.pins())

    def test_probe(self):
        done = machine.run(self.gate.programs / "tallygated", "probe", "--json", check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
