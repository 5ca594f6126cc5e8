# SPDX-License-Identifier: BSD-2-Clause
"""The package's own tests, by node's test runner, with haraka-test-fixtures from npm."""
import subprocess
import unittest

from lab import npm
from lab.servers import Unavailable

TEST_SECONDS = 300


class HarakaPackage(unittest.TestCase):
    def setUp(self):
        try:
            self.node, self.modules = npm.node(), npm.modules()
        except Unavailable as reason:
            self.skipTest(str(reason))

    def test_each_file_of_tests(self):
        files = sorted((npm.PACKAGE / "test").glob("*.test.js"))
        self.assertGreater(len(files), 7)
        for file in files:
            with self.subTest(file.name):
                done = subprocess.run(
                    [self.node, "--test", "--test-force-exit", "--test-reporter=tap", file],
                    env=npm.environment(), capture_output=True, text=True, check=False,
                    stdin=subprocess.DEVNULL, timeout=TEST_SECONDS)
                self.assertEqual(done.returncode, 0, done.stdout[-4000:] + done.stderr[-1000:])
                self.assertIn("# fail 0", done.stdout)
                self.assertNotIn("# pass 0", done.stdout)

    def test_the_originals_own_file_switches_nothing_on(self):
        """Which is what the original does with it."""
        script = ("const { parseIni } = require('haraka-config/lib/readers/ini');"
                  "const fs = require('fs');"
                  "const text = fs.readFileSync(process.argv[1], 'utf8');"
                  "const { readSettings } = require('haraka-plugin-tallygate/lib/settings');"
                  "const read = readSettings(parseIni('limit.ini', {}, text));"
                  "const on = Object.keys(read).filter((key) => read[key]);"
                  "console.log(on.join(' '))")
        done = subprocess.run(
            [self.node, "-e", script, self.modules / "haraka-plugin-limit/config/limit.ini"],
            env=npm.environment(), capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.stdout.split(), ["delays", "lines"], done.stderr)
