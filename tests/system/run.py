#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the system tests: every test_*.py under this folder.

    tests/system/run.py [--results FILE] [WORD...]

With words, only tests whose name holds one of them. Prints a line for each test, and writes
the outcomes as JSON to FILE. Needs root and a build in build/release.
"""
import argparse
import json
import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "scripts")]
sys.dont_write_bytecode = True


class Lines(unittest.TestResult):
    """One line a test: how it ended, how long it took, its name; reasons below it."""

    def __init__(self):
        super().__init__()
        self.outcomes = []
        self._started = 0.0
        self._outcome = ""
        self._reasons = []

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()
        self._outcome = "passed"
        self._reasons = []

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self._fail(test, err, f"{subtest}\n")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._outcome = "skipped"
        self._reasons.append(reason)

    def stopTest(self, test):
        """A test may fail more than once, also while it cleans up; it counts once."""
        super().stopTest(test)
        name = f"system.{test.id()}"
        reason = "\n".join(self._reasons)
        seconds = time.monotonic() - self._started
        print(f"  {self._outcome:8}{seconds:6.1f} s  {name}", flush=True)
        if reason:
            print("    " + reason.strip().replace("\n", "\n    "), flush=True)
        self.outcomes.append({"name": name, "outcome": self._outcome, "reason": reason})

    def _fail(self, test, err, what=""):
        self._outcome = "failed"
        self._reasons.append(what + self._exc_info_to_string(err, test))


def load_tests():
    """Each folder under this one is searched by itself, so that it needs no __init__.py."""
    suite = unittest.TestSuite()
    for file in sorted(HERE.rglob("test_*.py")):
        if str(file.parent) not in sys.path:
            sys.path.insert(0, str(file.parent))
        suite.addTests(unittest.defaultTestLoader.loadTestsFromName(file.stem))
    return suite


def filtered(suite, words):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from filtered(test, words)
        elif not words or any(word in test.id() for word in words):
            yield test


def main():
    parser = argparse.ArgumentParser(description="Runs the system tests.")
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()

    result = Lines()
    unittest.TestSuite(filtered(load_tests(), options.words)).run(result)
    if options.results:
        options.results.write_text(json.dumps(result.outcomes))
    count = {outcome: sum(1 for each in result.outcomes if each["outcome"] == outcome)
             for outcome in ("passed", "failed", "skipped")}
    print(", ".join(f"{number} {outcome}" for outcome, number in count.items()))
    return 1 if count["failed"] or not result.outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
