#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks what the compiler cannot: who may include whom, and that nothing grows out of sight.

    scripts/tidy.py [TREE]

Prints one line for each finding, and exits 1 if there is any.
"""
import ast
import pathlib
import re
import sys

# Each room of src/ and the rooms it may include, besides itself. This table is the
# architecture: ARCHITECTURE.md explains it, and a change here is a change of design.
ROOMS = {
    "base": [],
    "core": ["base"],
    "config": ["base", "core"],
    "net": ["base"],
    "kernel": ["base", "core"],
    "frontend": ["base", "core", "net"],
    "client": ["base"],
    "cli": ["base", "client"],
    "daemon": ["base", "core", "config", "net", "kernel", "frontend"],
}
# Headers that only one room, and the tests that stand beside it, may know about.
PRIVATE_TO = {
    r"bpf/": "kernel",
    r".*\.skel\.h$": "kernel",
    r"tallygate/abi\.h$": "kernel",
    r"libmnl/": "kernel",
    r"pcap/": "kernel",
    r"toml\+\+/": "config",
    r"spdlog/": "base",
    r"prometheus/": "frontend",
}
# Test folders that look behind every door, each with its reason.
OPEN_TESTS = {
    "bench": "measures the programs as the kernel runs them",
    "fuzz": "feeds each decoder, whoever owns it",
    "system": "sees the whole from outside",
    "kernel": "stands beside src/kernel and bpf/",
}
# What tests of a room may include besides, because something has to be on the other side.
TESTS_ALSO = {
    "client": ["net"],  # a server that misbehaves
    "cli": ["net"],
    "frontend": ["client"],  # the answers, read by who reads them in earnest
}
COLUMNS_MAX = 100
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
STAGE_LINES_MAX = 40  # a function of bpf/: the verifier walks every path of it

C_SUFFIXES = {".c", ".h", ".cpp", ".hpp"}
OTHER_SUFFIXES = {".cmake", ".lua", ".sieve"}
TOPS = ("bpf", "include", "src", "tests", "scripts", "integrations", ".ci")


def is_script(path):
    """A script says so in its first line, and may have no suffix."""
    if path.suffix in {".py", ".sh"}:
        return True
    if path.suffix:
        return False
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def shape_findings(path, lines):
    if not any("SPDX-License-Identifier" in line for line in lines[:2]):
        yield 1, "no SPDX line"
    if len(lines) > FILE_LINES_MAX:
        yield len(lines), f"more than {FILE_LINES_MAX} lines: find the seam"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield number, f"more than {COLUMNS_MAX} columns"
        if line != line.rstrip():
            yield number, "spaces at the end of the line"
    if path.suffix in {".h", ".hpp"} and "#pragma once" not in lines:
        yield 1, "a header without #pragma once"


def c_function_findings(path, lines):
    """clang-format sets a function's braces on lines of their own, in the same column."""
    longest = STAGE_LINES_MAX if path.parts[0] == "bpf" else FUNCTION_LINES_MAX
    opened = {}
    for number, line in enumerate(lines, 1):
        column = len(line) - len(line.lstrip())
        if line.strip() == "{":
            opened[column] = number
        elif line.strip().startswith("}") and column in opened:
            first = opened.pop(column)
            if number - first - 1 > longest:
                yield first, f"a function of more than {longest} lines"


def python_function_findings(path, lines):
    for node in ast.walk(ast.parse("\n".join(lines), str(path))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.end_lineno - node.lineno > FUNCTION_LINES_MAX:
                yield node.lineno, f"a function of more than {FUNCTION_LINES_MAX} lines"


def include_findings(path, lines):
    in_src = path.parts[0] == "src"
    room = path.parts[1] if path.parts[0] in {"src", "tests"} and len(path.parts) > 2 else None
    is_open = not in_src and room in OPEN_TESTS
    for number, line in enumerate(lines, 1):
        include = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not include or room is None:
            continue
        header = include.group(2)
        is_ours = include.group(1) == '"' or header.endswith(".hpp")  # <net/if.h> is not
        if header.startswith("../"):
            yield number, "include from the room's name, not from ../"
        target = header.split("/")[0]
        if room in ROOMS and is_ours and not is_open and target in ROOMS:
            also = [] if in_src else TESTS_ALSO.get(room, [])
            if target not in [room, *ROOMS[room], *also]:
                yield number, f"{room} may not include {target}"
        for pattern, owner in PRIVATE_TO.items():
            if room != owner and not is_open and re.match(pattern, header):
                yield number, f"{header} belongs to {owner}"


def cmake_findings(path, lines):
    """A room's CMakeLists.txt links what its row of the table allows, and no more."""
    room = path.parts[1]
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0]
        for target in re.findall(r"\btallygate_(\w+)", words):
            if target in ROOMS and target != room and target not in ROOMS[room]:
                yield number, f"{room} may not link {target}"

    text = "\n".join(lines)
    for call in re.finditer(r"add_room\s*\(([^)]*)\)", text):
        number = text[: call.start()].count("\n") + 1
        name, *words = call.group(1).split()
        if name != room:
            yield number, f"add_room({name}) stands in the folder of {room}"
        for target in words_after(words, "ROOMS"):
            if target not in ROOMS:
                yield number, f"{target} is not a room"
            elif target not in ROOMS[room]:
                yield number, f"{room} may not link {target}"


def words_after(words, keyword):
    """The words after an argument's name, up to the next name in capitals."""
    if keyword not in words:
        return []
    rest = words[words.index(keyword) + 1 :]
    end = next((index for index, word in enumerate(rest) if word.isupper()), len(rest))
    return rest[:end]


def room_findings(tree):
    """The folders of src/ are the rooms of the table."""
    for folder in sorted((tree / "src").glob("*/")):
        if folder.name not in ROOMS:
            yield f"src/{folder.name}:1", "a folder that is no room: add it to ROOMS, with why"


def verdict_findings(tree):
    """docs/verdicts.md explains each verdict of the gate, once, and no other."""
    header, page = tree / "include/tallygate/verdicts.h", tree / "docs/verdicts.md"
    if not header.exists():
        return
    known = re.findall(r'^\s*X\(\w+,\s*\w+,\s*"(\w+)"\)', header.read_text(), re.M)
    text = page.read_text() if page.exists() else ""
    explained = re.findall(r"^\| `(\w+)` \|", text, re.M)
    for label in known:
        if explained.count(label) != 1:
            yield "docs/verdicts.md:1", f"{label} has {explained.count(label)} lines, not one"
    for label in explained:
        if label not in known:
            yield "docs/verdicts.md:1", f"{label} is no verdict of include/tallygate/verdicts.h"


def file_findings(path, lines):
    yield from shape_findings(path, lines)
    if path.suffix in C_SUFFIXES:
        yield from c_function_findings(path, lines)
        yield from include_findings(path, lines)
    elif path.suffix == ".py":
        yield from python_function_findings(path, lines)
    elif path.name == "CMakeLists.txt" and path.parts[0] == "src" and path.parts[1] in ROOMS:
        yield from cmake_findings(path, lines)


def files_of(tree):
    for top in TOPS:
        for path in sorted((tree / top).rglob("*")):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            if path.suffix in C_SUFFIXES | OTHER_SUFFIXES or path.name == "CMakeLists.txt":
                yield path
            elif is_script(path):
                yield path


def findings(tree):
    for path in files_of(tree):
        place = path.relative_to(tree)
        for number, what in file_findings(place, path.read_text().splitlines()):
            yield f"{place}:{number}", what
    yield from room_findings(tree)
    yield from verdict_findings(tree)


def main():
    here = pathlib.Path(__file__).resolve().parent.parent
    tree = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    found = list(findings(tree))
    for place, what in found:
        print(f"{place}: {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
