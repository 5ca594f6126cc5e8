# SPDX-License-Identifier: BSD-2-Clause
"""What the build asks pkg-config for is in the packages that scripts/packages.txt names, or in what
those depend on: a machine that happens to have more does not show what is missing."""
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

TREE = pathlib.Path(__file__).resolve().parent.parent.parent.parent
ALL_DEPENDENCIES = ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
                    "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"]


def output_of(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def required_modules():
    """Of every pkg_check_modules(NAME REQUIRED ... module>=version)."""
    for path in [*TREE.glob("src/*/CMakeLists.txt"), *TREE.glob("scripts/cmake/*.cmake")]:
        for words in re.findall(r"pkg_check_modules\(\w+ REQUIRED ([^)]*)\)", path.read_text()):
            yield from (word.split(">")[0] for word in words.split() if word.islower())


def listed_packages():
    lines = (TREE / "scripts/packages.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


class Configuring(unittest.TestCase):
    def test_needs_no_package_of_the_tests(self):
        with tempfile.TemporaryDirectory() as build:
            done = subprocess.run(["cmake", "-S", TREE, "-B", build, "-G", "Ninja",
                                   "-DCMAKE_DISABLE_FIND_PACKAGE_GTest=TRUE",
                                   "-DCMAKE_DISABLE_FIND_PACKAGE_rapidcheck=TRUE"],
                                  capture_output=True, text=True, check=False, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("The tests are left out", done.stdout)


@unittest.skipUnless(shutil.which("apt-cache"), "needs apt-cache")
class Packages(unittest.TestCase):
    def test_every_module_has_its_package(self):
        modules = sorted(set(required_modules()))
        self.assertIn("libbpf", modules)
        dependencies = output_of(*ALL_DEPENDENCIES, *listed_packages())
        known = set(re.findall(r"^(\S+)$", dependencies, re.M))
        for module in modules:
            with self.subTest(module):
                folder = output_of("pkg-config", "--variable=pcfiledir", module).strip()
                owner = output_of("dpkg-query", "-S", f"{folder}/{module}.pc").split(":")[0]
                self.assertTrue(owner in known, f"{owner} is not in scripts/packages.txt")


if __name__ == "__main__":
    unittest.main()
