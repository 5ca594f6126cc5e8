# SPDX-License-Identifier: BSD-2-Clause
"""What runs inside the guest, after `init`.

Each outcome is a line that begins with MARK and goes on as JSON, so that `main` can tell it from
what the kernel says on the same console. The last line is the sum, in plain words.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree

import run as system_run
from kernel_test import MARK

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAMS = TREE / "build/release"
ROWS_SECONDS = 150
REASON_MAX = 4000
STDERR_LINES = 20
# The emulated processor is slow: the host runs five hundred, here it is about the kernel.
ENVIRONMENT = {"RC_PARAMS": "max_success=100 seed=1"}
# What this kernel has to say about itself that is our business. A loaded machine that lets an
# emulated processor wait is not.
COMPLAINT = re.compile(r"BUG:(?! soft lockup)|Oops|WARNING:|general protection")
SYSTEM_TESTS = ["kernel_test.on_the_card"]


class Report:
    def __init__(self):
        self.count = {"passed": 0, "failed": 0, "skipped": 0}

    @staticmethod
    def say(**message):
        print(MARK + json.dumps(message), flush=True)

    def case(self, name, outcome, reason=""):
        self.count[outcome] += 1
        self.say(kind="case", name=name, outcome=outcome, reason=reason[-REASON_MAX:])

    def group(self, name, started):
        self.say(kind="group", name=name, seconds=round(time.monotonic() - started, 1))


def probe(report):
    done = subprocess.run([PROGRAMS / "bin/tallygated", "probe", "--json"], capture_output=True,
                          text=True, timeout=60, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        report.case("probe", "failed", f"exit code {done.returncode}: {done.stderr}")
        return
    report.say(kind="probe", found=found)
    for line in found["lines"]:
        outcome = "failed" if line["finding"] == "fail" else "passed"
        report.case(f"probe.{line['what']}", outcome, f"{line['detail']} {line['mend']}")


def rows(report, name, program):
    """One GoogleTest program; one that ends without its report has failed as a whole."""
    results = pathlib.Path("/tmp") / f"{program}.xml"
    try:
        done = subprocess.run([PROGRAMS / "tests" / program, f"--gtest_output=xml:{results}"],
                              capture_output=True, text=True, timeout=ROWS_SECONDS, check=False,
                              env={**os.environ, **ENVIRONMENT})
        cases = list(ElementTree.parse(results).iter("testcase"))
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        report.case(name, "failed", f"did not end within {ROWS_SECONDS} s: {said}")
        return
    except (OSError, ElementTree.ParseError):
        report.case(name, "failed", f"exit code {done.returncode}: {done.stdout}{done.stderr}")
        return
    failed = 0
    for case in cases:
        full = f"{name}.{case.get('classname')}.{case.get('name')}"
        failures, skipped = case.findall("failure"), case.find("skipped")
        if failures:
            # What libbpf and the verifier had to say stands on stderr; once is enough.
            said = list(dict.fromkeys(done.stderr.splitlines()))[-STDERR_LINES:]
            words = "" if failed else "\n" + "\n".join(said)
            failed += 1
            report.case(full, "failed", (failures[0].get("message") or "") + words)
        elif skipped is not None:
            report.case(full, "skipped", skipped.get("message") or "")
        elif case.get("status") == "run":
            report.case(full, "passed")
    if done.returncode != 0 and failed == 0:
        report.case(name, "failed", f"exit code {done.returncode}: {done.stdout}{done.stderr}")


class Cases(system_run.Lines):
    """Tells each outcome of a system test when it is there."""

    def __init__(self, report):
        super().__init__()
        self._report = report

    def stopTest(self, test):
        super().stopTest(test)
        self._report.case(**self.outcomes[-1])


def system_tests(report):
    suite = unittest.defaultTestLoader.loadTestsFromNames(SYSTEM_TESTS)
    suite.run(Cases(report))


def kernel_log(report):
    """The kernel's own complaints, such as one about a program it had taken."""
    said = subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout
    complaints = [line for line in said.splitlines() if COMPLAINT.search(line)]
    report.case("kernel_log", "failed" if complaints else "passed", "\n".join(complaints))


def main():
    report = Report()
    plan = json.loads((TREE / "plan.json").read_text())
    parts = [("probe", lambda: probe(report))]
    for name, program in plan["rows"]:
        parts.append((name, lambda name=name, program=program: rows(report, name, program)))
    parts += [("gate", lambda: system_tests(report)), ("kernel_log", lambda: kernel_log(report))]
    for name, part in parts:
        if plan["only"] not in name:
            continue
        started = time.monotonic()
        part()
        report.group(name, started)
    print(f"{report.count['passed']} passed, {report.count['failed']} failed, "
          f"{report.count['skipped']} skipped", flush=True)
    return 1 if report.count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
