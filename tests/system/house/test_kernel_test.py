# SPDX-License-Identifier: BSD-2-Clause
"""What scripts/kernel-test thinks of a guest's console, and what it writes on docs/kernels.md."""
import contextlib
import io
import json
import pathlib
import tempfile
import unittest

from kernel_test import MARK, package
from kernel_test.main import Judge
from kernel_test.page import Page


def case(name, outcome="passed"):
    return MARK + json.dumps({"kind": "case", "name": name, "outcome": outcome, "reason": ""})


PASSED = [case("a"), case("b")]

# (what happens, the console's lines, did the time end, what is wrong with the guest)
CONSOLES = [
    ("all is well", [*PASSED, "2 passed, 0 failed, 0 skipped"], False, ""),
    ("a failure is no trouble of the guest's", [case("a"), case("b", "failed"),
     "1 passed, 1 failed, 0 skipped"], False, ""),
    ("it does not power off", [*PASSED, "2 passed, 0 failed, 0 skipped"], True, ""),
    ("it hangs", PASSED, True, "did not end within 9 s"),
    ("it panics", [*PASSED, "Kernel panic - not syncing"], False, "without a sum"),
    ("a line is lost", [case("a"), case("b")[:20], "2 passed, 0 failed, 0 skipped"], False,
     "were heard"),
    ("it runs nothing", ["0 passed, 0 failed, 0 skipped"], False, "it ran nothing"),
    ("all are skipped", [case("a", "skipped"), "0 passed, 0 failed, 1 skipped"], False,
     "it ran nothing"),
]


def probe(release, here):
    features = [("tcx", "6.6", "clsact", here), ("clsact", "4.5", "", True)]
    lines = [{"what": "kernel", "detail": f"{release} x86_64", "since": ""}]
    for what, since, stand_in, is_here in features:
        lines.append({"what": what, "since": since, "stand_in": stand_in, "here": is_here,
                      "finding": "ok"})
    return {"lines": lines}


class Console(unittest.TestCase):
    def test_consoles(self):
        for what, lines, timed_out, says in CONSOLES:
            with self.subTest(what), contextlib.redirect_stdout(io.StringIO()):
                judge = Judge()
                for line in lines:
                    judge.read(line)
                self.assertIn(says, judge.trouble(timed_out, 9))
                self.assertEqual(bool(judge.trouble(timed_out, 9)), bool(says))

    def test_it_counts_what_failed(self):
        judge = Judge()
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            judge.read(case("a", "failed"))
        self.assertEqual(judge.counts(), (0, 1, 0))
        self.assertIn("failed: a", shown.getvalue())


class KernelsPage(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "kernels.md"

    def write(self, *probes):
        page = Page.read(self.file)
        for each in probes:
            page.take(each)
        self.file.write_text(page.text())
        return page.text()

    def test_versions_stand_in_order_and_the_lowest_is_not_tested(self):
        text = self.write(probe("6.18.44-a", True), probe("6.1.0-56-b", False))
        self.assertIn("| feature | since | below it | 5.15 | 6.1 | 6.18 |\n", text)
        self.assertIn("| tcx | 6.6 | clsact | not tested | instead | works |\n", text)

    def test_a_kernel_that_was_not_probed_keeps_its_column(self):
        self.write(probe("6.1.0-56-b", False))
        text = self.write(probe("6.12.9", True))
        self.assertIn("| tcx | 6.6 | clsact | not tested | instead | works |\n", text)

    def test_what_is_written_is_read_again(self):
        text = self.write(probe("6.1.0-56-b", False))
        self.assertEqual(Page.read(self.file).text(), text)

    def test_another_finding_is_another_page(self):
        text = self.write(probe("6.1.0-56-b", False))
        self.assertNotEqual(self.write(probe("6.1.0-57-b", True)), text)

    def test_a_release_has_a_version(self):
        self.assertEqual(package.version_of("6.1.0-56-cloud-amd64"), "6.1")


if __name__ == "__main__":
    unittest.main()
