# SPDX-License-Identifier: BSD-2-Clause
"""The order of things on this side of the console. `scripts/kernel-test` builds, and runs this."""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import time

from kernel_test import MARK, initramfs, package, page, qemu
from lab.machine import LabError

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = TREE / "build/kernel-test"
LAST_LINES = 30
PACKAGE = "linux-image-cloud-amd64"  # of this machine's release of Debian
SUM = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")


def say(text=""):
    print(text, flush=True)


class Judge:
    """Reads the console, shows how it goes on, and knows at the end what to think of it."""

    def __init__(self):
        self.outcomes = []
        self.probe = None
        self.last = collections.deque(maxlen=LAST_LINES)
        self.sum = None
        self._shown = 0

    def read(self, line):
        if line.startswith(MARK):
            try:
                self._hear(json.loads(line.removeprefix(MARK)))
                return
            except ValueError:
                pass  # The kernel spoke in the middle of it; the sum will tell.
        self.last.append(line)
        if found := SUM.match(line):
            self.sum = tuple(int(number) for number in found.groups())
        elif line.startswith(("guest: ", "  ")):
            say(f"  {line.strip()}")

    def _hear(self, message):
        kind = message.pop("kind")
        if kind == "case":
            self.outcomes.append(message)
            self.last.append(f"{message['outcome']}: {message['name']}")
            if message["outcome"] != "passed":
                reason = message["reason"].strip().replace("\n", "\n      ")
                say(f"  {message['outcome']}: {message['name']}\n      {reason}")
        elif kind == "group":
            self._show_group(**message)
        elif kind == "probe":
            self.probe = message["found"]

    def _show_group(self, name, seconds):
        new, self._shown = self.outcomes[self._shown:], len(self.outcomes)
        failed = sum(1 for each in new if each["outcome"] == "failed")
        say(f"  {'failed' if failed else 'passed'} {seconds:6.1f} s  {name}: {len(new)} outcomes"
            + (f", {failed} failed" if failed else ""))

    def counts(self):
        kinds = [each["outcome"] for each in self.outcomes]
        return tuple(kinds.count(kind) for kind in ("passed", "failed", "skipped"))

    def trouble(self, timed_out, seconds):
        """What is wrong with the guest as a whole; empty if it came to its end."""
        if self.sum is None and timed_out:
            return f"it did not end within {seconds} s"
        if self.sum is None:
            return "it ended without a sum of its outcomes"
        if self.sum != self.counts():
            return f"it says {self.sum}, and {self.counts()} were heard"
        if self.sum[:2] == (0, 0):
            return "it ran nothing"
        return ""


def watch(kernel, archive, seconds):
    judge = Judge()
    guest = qemu.boot(kernel.image, archive, FOLDER / "console.log")
    say(f"  Booting Linux {kernel.release} under QEMU, accelerated by {guest.accelerator}.")
    try:
        for line in guest.lines(seconds):
            judge.read(line)
    finally:
        guest.stop()
    trouble = judge.trouble(guest.timed_out, seconds)
    if trouble:
        say(f"  The guest: {trouble}. Its last lines:")
        for line in judge.last:
            say(f"    {line}")
        judge.outcomes.append({"name": "guest", "outcome": "failed", "reason": trouble})
    return judge


def host_probe(build):
    done = subprocess.run([build / "bin/tallygated", "probe", "--json"], capture_output=True,
                          text=True, check=False)
    return json.loads(done.stdout)


def check_page(judge, options, version):
    """What docs/kernels.md says of the guest's kernel has to be what its probe said."""
    file = TREE / "docs/kernels.md"
    told = page.Page.read(file)
    if version not in told.versions() and options.package != PACKAGE:
        return
    truth = page.Page.read(file)
    truth.take(judge.probe)
    if options.write_page:
        truth.take(host_probe(options.build))
        file.write_text(truth.text())
        say("  Wrote docs/kernels.md.")
        return
    same = told.text() == truth.text()
    judge.outcomes.append({
        "name": "page", "outcome": "passed" if same else "failed",
        "reason": "" if same else "docs/kernels.md: scripts/kernel-test --write-page"})


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/kernel-test", description="Boots a kernel of Debian's under QEMU, and runs "
        "the probe, the rows of tests/kernel and real connections on it.")
    parser.add_argument("package", nargs="?", default=PACKAGE, metavar="PACKAGE",
                        help="a kernel's package, or one that depends on it (%(default)s)")
    parser.add_argument("--only", default="", metavar="WORD",
                        help="only the parts whose name holds the word")
    parser.add_argument("--seconds", type=int, default=480, help="the guest's time (%(default)s)")
    parser.add_argument("--build", type=pathlib.Path, default=TREE / "build/release",
                        help="what is tested (build/release)")
    parser.add_argument("--results", type=pathlib.Path, help="write the outcomes there, as JSON")
    parser.add_argument("--write-page", action="store_true",
                        help="write what the guest and this machine can do into docs/kernels.md")
    return parser.parse_args()


def perform(options):
    say(f"  Fetching {options.package}.")
    kernel = package.fetch(options.package, FOLDER)
    say(f"  Packing the guest of Linux {kernel.release}.")
    archive = initramfs.pack(kernel, options.build, FOLDER, options.only)
    judge = watch(kernel, archive, options.seconds)
    if judge.probe:
        check_page(judge, options, kernel.version)
    return judge, f"kernel_{kernel.version}"


def main():
    options = parse_arguments()
    started = time.monotonic()
    try:
        judge, prefix = perform(options)
    except LabError as error:
        print(f"kernel-test: {error}", file=sys.stderr)
        return 1
    if options.results:
        options.results.write_text(json.dumps(
            [{**each, "name": f"{prefix}.{each['name']}"} for each in judge.outcomes]))
    passed, failed, skipped = judge.counts()
    say(f"  {time.monotonic() - started:.0f} s")
    say(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
