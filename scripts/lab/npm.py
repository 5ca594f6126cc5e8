# SPDX-License-Identifier: BSD-2-Clause
"""Haraka and its plugins, by name from npm into build/npm: nothing is installed on the machine."""
import hashlib
import json
import os
import pathlib
import platform
import shutil
import subprocess

from lab.servers import Unavailable

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
WANTED = TREE / "tests/haraka/package.json"
PACKAGE = TREE / "integrations/haraka"
CACHE = TREE / "build/npm"
FETCH_SECONDS = 400
NODE_MIN = 20
NODE = "20.20.2"  # where the machine's own is older, as Debian 12's is


def node():
    """A node that is new enough: the machine's, or one from npm. Or Unavailable."""
    own = shutil.which("node")
    if own and _major(own) >= NODE_MIN:
        return pathlib.Path(own)
    fetched = modules() / _node_package() / "bin/node"
    if not fetched.exists():
        raise Unavailable(f"there is no node {NODE_MIN} or later, here or from npm")
    return fetched


def modules():
    """The folder of modules with all that the tests want, and with our own package as it would be
    published. Fetched once, and kept."""
    wanted = json.loads(WANTED.read_text())
    own = shutil.which("node")
    if not own or _major(own) < NODE_MIN:
        wanted["dependencies"][_node_package()] = NODE
    text = json.dumps(wanted, indent=2)
    mark = CACHE / ".fetched"
    folder = CACHE / "node_modules"
    digest = hashlib.sha256(text.encode()).hexdigest()
    if not mark.exists() or mark.read_text() != digest:
        _fetch(text)
        mark.write_text(digest)
    _lay_package(folder)
    return folder


def environment():
    return {**os.environ, "NODE_PATH": str(modules())}


def _major(program):
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return int(done.stdout.lstrip("v").split(".")[0] or 0) if done.returncode == 0 else 0


def _node_package():
    return f"node-linux-{'arm64' if platform.machine() == 'aarch64' else 'x64'}"


def _fetch(text):
    """Without scripts: nothing that is fetched runs before a test runs it."""
    if not shutil.which("npm"):
        raise Unavailable("there is no npm on this machine")
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True)
    (CACHE / "package.json").write_text(text)
    command = ["npm", "install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund",
               "--no-package-lock"]
    try:
        done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm has fetched nothing within {FETCH_SECONDS} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        raise Unavailable(f"npm has not fetched Haraka: {(lines or ['no word'])[0]}")


def _lay_package(folder):
    """Only what package.json would publish."""
    place = folder / "haraka-plugin-tallygate"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in ["package.json", *json.loads((PACKAGE / "package.json").read_text())["files"]]:
        source = PACKAGE / name
        if source.is_dir():
            shutil.copytree(source, place / name)
        else:
            shutil.copy2(source, place / name)
