#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `cmake --install` puts where, and that it works from there: everything goes into a folder of
the test's own (DESTDIR), as a package is built."""
import os
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


if __name__ == "__main__":
    unittest.main()
