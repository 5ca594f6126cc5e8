# SPDX-License-Identifier: BSD-2-Clause
"""The parts of the test run, one after another, and the sum of their outcomes.

    scripts/parts.py quick|all

`scripts/check` and `scripts/test` call this. Outcomes are test cases: those of GoogleTest by
its own report, each other ctest test as one, each system test as one, each check of the house
as one. A part whose build fails is one failure, and the others go on.
"""
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

TREE = pathlib.Path(__file__).resolve().parent.parent
REPORTS = TREE / "build/reports"
WORDS_SHOWN_MAX = 100
C_SUFFIXES = {".c", ".h", ".cpp", ".hpp"}


@dataclasses.dataclass
class Outcome:
    name: str
    outcome: str  # passed | failed | skipped
    reason: str = ""


def say(text=""):
    print(text, flush=True)


def run(*command, log=None, **environment):
    """True if it ended well. Its output goes to the terminal, or to a log that a failure shows."""
    command = [str(word) for word in command]
    env = {**os.environ, **environment}
    if log is None:
        return subprocess.run(command, cwd=TREE, env=env, check=False).returncode == 0
    with log.open("w") as file:
        done = subprocess.run(command, cwd=TREE, env=env, stdout=file, stderr=subprocess.STDOUT,
                              check=False)
    if done.returncode != 0:
        words = " ".join(command)
        words = words if len(words) <= WORDS_SHOWN_MAX else words[:WORDS_SHOWN_MAX] + " ..."
        say(f"  `{words}` ended with {done.returncode}:")
        for line in log.read_text(errors="replace").splitlines()[-60:]:
            say(f"    {line}")
    return done.returncode == 0


def house_check(name, *command):
    passed = run(*command, log=REPORTS / f"{name}.log")
    say(f"  {'passed' if passed else 'failed'}  house.{name}")
    return Outcome(f"house.{name}", "passed" if passed else "failed")


def c_files():
    for top in ("bpf", "include", "src", "tests", "integrations"):
        yield from (path for path in sorted((TREE / top).rglob("*")) if path.suffix in C_SUFFIXES)


def shell_files():
    for path in [TREE / ".ci/run", *sorted((TREE / "scripts").iterdir())]:
        if path.is_file() and (path.suffix == ".sh" or
                               path.read_bytes().startswith(b"#!/usr/bin/env bash")):
            yield path


def check_house():
    outcomes = [house_check("tidy", sys.executable, "scripts/tidy.py"),
                house_check("format", "clang-format", "--dry-run", "--Werror", *c_files())]
    for path in shell_files():
        outcomes.append(house_check(f"shell.{path.name}", "bash", "-n", path))
    return outcomes


def build(preset, *options, target_suffix=""):
    """Configures and builds a preset, or its targets of a suffix; an outcome of its own."""
    say(f"  building {preset} ...")
    started = time.monotonic()
    done = (run("cmake", "--preset", preset, *options, log=REPORTS / f"{preset}-configure.log")
            and run("cmake", "--build", "--preset", preset, *targets(preset, target_suffix),
                    log=REPORTS / f"{preset}-build.log"))
    say(f"  {'passed' if done else 'failed'}  build.{preset}  "
        f"({time.monotonic() - started:.0f} s)")
    return Outcome(f"build.{preset}", "passed" if done else "failed")


def targets(preset, suffix):
    """The arguments that name the targets with that suffix; none for all."""
    if not suffix:
        return []
    done = subprocess.run(["cmake", "--build", "--preset", preset, "--target", "help"], cwd=TREE,
                          capture_output=True, text=True, check=False)
    names = [line.split(":")[0] for line in done.stdout.splitlines()]
    return ["--target", *sorted({name for name in names if name.endswith(suffix)})]


def gtest_outcomes(name, report):
    for case in ElementTree.parse(report).iter("testcase"):
        full = f"{name}.{case.get('classname')}.{case.get('name')}"
        skipped, failures = case.find("skipped"), case.findall("failure")
        if failures:
            yield Outcome(full, "failed", failures[0].get("message") or "")
        elif skipped is not None:
            yield Outcome(full, "skipped", (skipped.get("message") or "").strip())
        elif case.get("status") == "run":
            yield Outcome(full, "passed")


def ctest_outcomes(preset, reports):
    """A ctest test counts as the cases that its program reported, or else as one."""
    for test in ElementTree.parse(reports / "ctest.xml").iter("testcase"):
        name, status = test.get("name"), test.get("status")
        full = f"{preset}.{name}"
        report = reports / f"{name.replace('.', '_')}_test.xml"
        cases = []
        try:
            cases = list(gtest_outcomes(full, report))
        except (OSError, ElementTree.ParseError):
            pass
        yield from cases
        if status == "fail" and not any(case.outcome == "failed" for case in cases):
            yield Outcome(full, "failed", "ended badly; its output stands above")
        elif not cases:
            yield plain_outcome(full, test)


def plain_outcome(name, test):
    """Of a ctest test that is no GoogleTest program. One that is not there was never built."""
    if test.get("status") == "run":
        return Outcome(name, "passed")
    skipped = test.find("skipped")
    reason = (skipped.get("message") if skipped is not None else None) or "not run"
    chosen = reason.startswith("SKIP_") or test.get("status") == "disabled"
    return Outcome(name, "skipped" if chosen else "failed", reason)


def ctest(preset, *options):
    reports = REPORTS / f"ctest-{preset}"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    run("ctest", "--preset", preset, "--output-junit", reports / "ctest.xml", *options,
        GTEST_OUTPUT=f"xml:{reports}/")
    try:
        outcomes = list(ctest_outcomes(preset, reports))
    except (OSError, ElementTree.ParseError):
        outcomes = []
    return outcomes or [Outcome(f"{preset}.ctest", "failed", "ctest found no test to run")]


def build_and_ctest(preset, *options, configure=(), target_suffix=""):
    built = build(preset, *configure, target_suffix=target_suffix)
    return [built] + (ctest(preset, *options) if built.outcome == "passed" else [])


def system_tests():
    results = REPORTS / "system.json"
    results.unlink(missing_ok=True)
    run(sys.executable, "tests/system/run.py", "--results", results)
    if not results.exists():
        return [Outcome("system", "failed", "the run did not come to its end")]
    return [Outcome(**each) for each in json.loads(results.read_text())]


def kernel_test():
    """On the kernel that Debian ships, in a machine of its own."""
    results = REPORTS / "kernel-test.json"
    run(sys.executable, "-m", "kernel_test.main", "--results", results, PYTHONPATH="scripts")
    if not results.exists():
        return [Outcome("kernel", "failed", "the run did not come to its end")]
    return [Outcome(**each) for each in json.loads(results.read_text())]


def release_part():
    return build_and_ctest("release", configure=["-DTALLYGATE_TESTS=ON"])


def quick_part():
    """The unit tests need neither root nor network."""
    return build_and_ctest("release", "--label-exclude", "root|bench",
                           configure=["-DTALLYGATE_TESTS=ON"])


def sanitizer_part():
    return build_and_ctest("dev", "--label-exclude", "bench")


def fuzz_part():
    return build_and_ctest("fuzz", "--tests-regex", "^fuzz", "--parallel", "2",
                           target_suffix="_fuzz")


PARTS = {
    "quick": [("The house", check_house), ("Unit tests", quick_part)],
    "all": [("The house", check_house),
            ("Unit and kernel tests", release_part),
            ("The same under AddressSanitizer and UBSan", sanitizer_part),
            ("Fuzz targets, a short run each", fuzz_part),
            ("System tests in network namespaces", system_tests),
            ("Debian's kernel under QEMU", kernel_test)],
}


def allowed_skips():
    lines = (TREE / "tests/skips.txt").read_text().splitlines()
    return {line.split(": ")[0] for line in lines if line and not line.startswith("#")}


def with_skips_judged(outcomes):
    """Where CI=true, a skip that nobody has written down is a failure."""
    allowed = allowed_skips() if os.environ.get("CI") == "true" else None
    for each in outcomes:
        if each.outcome == "skipped" and allowed is not None and each.name not in allowed:
            reason = f"skipped, and not in tests/skips.txt: {each.reason}"
            each = Outcome(each.name, "failed", reason)
        yield each


def main():
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    outcomes = []
    parts = PARTS[sys.argv[1]]
    for number, (title, part) in enumerate(parts, 1):
        say(f"\n[{number}/{len(parts)}] {title}")
        started = time.monotonic()
        outcomes += part()
        say(f"  {time.monotonic() - started:.0f} s")

    outcomes = list(with_skips_judged(outcomes))
    say()
    for each in outcomes:
        if each.outcome != "passed":
            say(f"{each.outcome}: {each.name}: {(each.reason.splitlines() or [''])[0]}")
    count = {kind: sum(1 for each in outcomes if each.outcome == kind)
             for kind in ("passed", "failed", "skipped")}
    say(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
