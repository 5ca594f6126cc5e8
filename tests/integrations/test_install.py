#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `cmake --install` puts where, and that it works from there: everything goes into a folder of
the test's own (DESTDIR), as a package is built."""
import os
import re
import shutil
import subprocess
import unittest

from fixture import BUILD, SECONDS_MAX, TREE, LedgerTest

PREFIX = "usr/local"


class Installed(LedgerTest):
    def setUp(self):
        super().setUp()
        self.root = self.folder / "root"
        done = self.run_command("cmake", "--install", BUILD, "--prefix", f"/{PREFIX}",
                                DESTDIR=str(self.root))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.prefix = self.root / PREFIX

    def run_command(self, *words, **environment):
        return subprocess.run([str(word) for word in words], text=True, capture_output=True,
                              check=False, timeout=SECONDS_MAX,
                              env={**os.environ, "TALLYGATE_SOCKET": str(self.socket),
                                   **environment})

    def test_everything_is_there(self):
        with self.subTest("a program in C, built with pkg-config's words"):
            flags = self.run_command("pkg-config", "--cflags", "--libs", "tallygate",
                                     PKG_CONFIG_PATH=str(self.prefix / "lib/pkgconfig"),
                                     PKG_CONFIG_SYSROOT_DIR=str(self.root)).stdout.split()
            program = self.folder / "program"
            done = self.run_command("cc", TREE / "tests/client/c_api_program.c", "-o", program,
                                    *flags, f"-Wl,-rpath,{self.prefix}/lib")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("live: 0 [0, 0] exact 1", self.run_command(program).stdout)
        with self.subTest("Lua"):
            done = self.run_command("lua5.4", "-e", "print(require('msys.audit')"
                                    ".inbound_session_count('192.0.2.0/24', 'SMTP'))",
                                    LUA_PATH=f"{self.prefix}/share/lua/5.4/?.lua",
                                    LUA_CPATH=f"{self.prefix}/lib/lua/5.4/?.so")
            self.assertEqual(done.stdout, "0\n", done.stderr)
        with self.subTest("Sieve"):
            program = self.prefix / "lib/tallygate/sieve/audit_service"
            done = self.run_command(program, "--strict", "SMTP", "192.0.2.0/24")
            self.assertEqual((done.stdout, done.returncode), ("0", 0), done.stderr)

    def unit(self):
        """The unit's lines where it was installed, with the programs where they are now."""
        text = (self.prefix / "lib/systemd/system/tallygated.service").read_text()
        for program in ("sbin/tallygated", "bin/tallygate"):
            path = re.search(rf"=(\S*/{program}) ", text + " ").group(1)
            text = text.replace(f"={path} ", f"={self.prefix}/{program} ")
        return text

    def values(self, directive):
        return re.findall(rf"^{directive}=(.*)$", self.unit(), re.M)

    def test_the_unit_runs_what_is_installed(self):
        [start], [again] = self.values("ExecStart"), self.values("ExecReload")
        program, verb, option, config = start.split()
        said = self.run_command(program, verb, "--help")
        self.assertEqual((said.returncode, option in said.stdout), (0, True), said.stderr)
        self.assertEqual(verb, "run")
        self.assertIn(f"by default {config}", (TREE / "tallygate.toml").read_text())
        done = self.run_command(*again.split())
        self.assertEqual((done.returncode, done.stdout[:8]), (0, "reloaded"), done.stderr)

    def test_the_unit_keeps_what_the_daemon_promises(self):
        defaults = (TREE / "tallygate.toml").read_text()
        [state], [sockets] = self.values("StateDirectory"), self.values("RuntimeDirectory")
        self.assertIn(f'dir = "/var/lib/{state}"', defaults)
        self.assertIn(f'socket = "/run/{sockets}/control.sock"', defaults)
        self.assertEqual(self.values("Type"), ["notify"])
        self.assertEqual(self.values("ExecStop"), [], "the gate stays when the daemon stops")
        # A loop's own patience, after which it says which one hangs.
        patience = re.search(r"patience = (\d+)s", (TREE / "src/daemon/daemon.cpp").read_text())
        self.assertGreater(int(self.values("WatchdogSec")[0].rstrip("s")), int(patience.group(1)))
        self.assertNotIn("\nProtectKernelTunables", self.unit(), "it shuts /sys/fs/bpf")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_systemd_understands_the_unit(self):
        copy = self.folder / "tallygated.service"
        copy.write_text(self.unit())
        done = self.run_command("systemd-analyze", "verify", "--man=no", copy)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
