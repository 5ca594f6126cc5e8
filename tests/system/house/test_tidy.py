# SPDX-License-Identifier: BSD-2-Clause
"""scripts/tidy.py finds what it is there to find, and nothing in a tree that is in order."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TIDY = pathlib.Path(__file__).resolve().parents[3] / "scripts/tidy.py"
SPDX = "// SPDX-License-Identifier: BSD-2-Clause\n"
CMAKE_SPDX = "# SPDX-License-Identifier: BSD-2-Clause\n"
LONG_FUNCTION = "void longest()\n{\n" + "    step();\n" * 71 + "}\n"
LONG_STAGE = "int stage(void)\n{\n" + "    step();\n" * 41 + "}\n"
LONG_PYTHON = "def longest():\n" + "    step()\n" * 72
VERDICTS = SPDX + '#pragma once\n    X(PASS_SYN, PASS, "pass_syn") \\\n'

# (what is wrong, its file, the file's text, what tidy.py says of it)
VIOLATIONS = [
    ("core knows the kernel room", "src/core/a.cpp", SPDX + '#include "kernel/pins.hpp"\n',
     "core may not include kernel"),
    ("config knows a front-end", "src/config/a.hpp",
     SPDX + '#pragma once\n#include "frontend/control.hpp"\n', "config may not include frontend"),
    ("a test of core knows the kernel room", "tests/core/a_test.cpp",
     SPDX + '#include "kernel/pins.hpp"\n', "core may not include kernel"),
    ("a front-end reads the kernel's layouts", "src/frontend/a.cpp",
     SPDX + "#include <tallygate/abi.h>\n", "tallygate/abi.h belongs to kernel"),
    ("the daemon calls libbpf", "src/daemon/a.cpp", SPDX + "#include <bpf/libbpf.h>\n",
     "bpf/libbpf.h belongs to kernel"),
    ("the daemon loads the skeleton", "src/daemon/a.cpp", SPDX + '#include "gate.skel.h"\n',
     "gate.skel.h belongs to kernel"),
    ("core parses TOML", "src/core/a.cpp", SPDX + "#include <toml++/toml.h>\n",
     "toml++/toml.h belongs to config"),
    ("an include through ../", "src/core/a.cpp", SPDX + '#include "../base/fd.hpp"\n',
     "include from the room's name"),
    ("a room links more than its arrows", "src/core/CMakeLists.txt",
     CMAKE_SPDX + "add_room(core SOURCES a.cpp ROOMS base net)\n", "core may not link net"),
    ("a program links more than its arrows", "src/cli/CMakeLists.txt",
     CMAKE_SPDX + "target_link_libraries(tallygate PRIVATE tallygate_core)\n",
     "cli may not link core"),
    ("a room in another's folder", "src/net/CMakeLists.txt",
     CMAKE_SPDX + "add_room(core SOURCES a.cpp ROOMS base)\n", "stands in the folder of net"),
    ("a folder that is no room", "src/attic/a.cpp", SPDX, "a folder that is no room"),
    ("no licence", "src/core/a.cpp", "int a;\n", "no SPDX line"),
    ("no licence in a script", "scripts/a", "#!/bin/sh\ntrue\n", "no SPDX line"),
    ("a header that can be read twice", "src/core/a.hpp", SPDX + "int a;\n", "#pragma once"),
    ("a line too long", "src/core/a.cpp", SPDX + "/" * 101 + "\n", "more than 100 columns"),
    ("a file too long", "src/core/a.cpp", SPDX + "int a;\n" * 600, "more than 600 lines"),
    ("a function too long", "src/core/a.cpp", SPDX + LONG_FUNCTION, "more than 70 lines"),
    ("a BPF stage too long", "bpf/a.h", SPDX + "#pragma once\n" + LONG_STAGE,
     "more than 40 lines"),
    ("a Python function too long", "scripts/a.py", CMAKE_SPDX + LONG_PYTHON,
     "more than 70 lines"),
    ("spaces at the end", "src/core/a.cpp", SPDX + "int a; \n", "spaces at the end"),
    ("a verdict that nobody explains", "docs/verdicts.md", "# Verdicts\n", "pass_syn has 0 lines"),
    ("an explanation of no verdict", "docs/verdicts.md",
     "| `pass_syn` | a | b |\n| `pass_sin` | a | b |\n", "pass_sin is no verdict"),
]

IN_ORDER = {
    "bpf/a.h": SPDX + "#pragma once\n#include <bpf/bpf_helpers.h>\n",
    "include/tallygate/verdicts.h": VERDICTS,
    "docs/verdicts.md": "| `pass_syn` | a SYN | nothing |\n",
    "src/core/a.cpp": SPDX + '#include "base/fd.hpp"\n#include "core/window.hpp"\n',
    "src/core/CMakeLists.txt": CMAKE_SPDX + "add_room(core SOURCES a.cpp ROOMS base)\n",
    "src/kernel/a.cpp": SPDX + '#include <bpf/libbpf.h>\n#include "gate.skel.h"\n',
    "tests/client/a_test.cpp": SPDX + '#include "net/http_server.hpp"\n',
    "tests/kernel/a_test.cpp": SPDX + "#include <tallygate/abi.h>\n",
}


def write(tree, name, text):
    path = pathlib.Path(tree) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def tidy(tree):
    return subprocess.run([sys.executable, TIDY, tree], capture_output=True, text=True,
                          check=False)


class Tidy(unittest.TestCase):
    def test_a_tree_in_order_passes(self):
        with tempfile.TemporaryDirectory(prefix="tgtest-") as tree:
            for name, text in IN_ORDER.items():
                write(tree, name, text)
            done = tidy(tree)
            self.assertEqual((done.stdout, done.returncode), ("", 0))

    def test_each_violation_is_one_finding(self):
        for what, name, text, says in VIOLATIONS:
            with self.subTest(what), tempfile.TemporaryDirectory(prefix="tgtest-") as tree:
                for other, good in IN_ORDER.items():
                    write(tree, other, good)
                write(tree, name, text)
                done = tidy(tree)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(len(done.stdout.splitlines()), 1, done.stdout)
                self.assertIn(says, done.stdout)


if __name__ == "__main__":
    unittest.main()
