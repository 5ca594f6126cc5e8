# SPDX-License-Identifier: BSD-2-Clause
"""The guest's whole world in one archive: busybox, Python, the lab, the built programs and all
libraries they need, in the places where they stand on this machine."""
import json
import lzma
import pathlib
import re
import shutil
import subprocess
import sysconfig

from kernel_test import package
from lab.machine import LabError, run

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = pathlib.Path("/tallygate")  # where the guest finds the tree
MODULES = ("veth", "sch_ingress", "cls_bpf", "tcp_diag")
# What asks the kernel: its verifier, its tables, its ways to attach. The other tests beside
# src/kernel/ are about our own arithmetic, and slow on an emulated processor.
ROWS = ("kernel.parse", "kernel.flow", "kernel.tally", "kernel.property", "kernel.map_view",
        "kernel.pins", "kernel.probe", "kernel.reconcile", "kernel.limit",
        "kernel.network_limit", "kernel.list", "kernel.claims")
TARGETS = ("tallygated", "tallygate", *(f"{name.replace('.', '_')}_test" for name in ROWS))
COMMANDS = ("ip", "nsenter", "bpftool", "python3", "setpriv", "unshare")
# Of Python's library, what no program of ours imports and what would double the archive.
PYTHON_LEFT_OUT = ("config-*", "test", "lib2to3", "pydoc_data", "distutils", "ensurepip",
                   "idlelib", "tkinter", "turtledemo", "dist-packages")


class Root:
    """The folder that becomes the guest's file system."""

    def __init__(self, path):
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        for folder in ("proc", "sys", "dev", "run", "tmp", "etc"):
            (path / folder).mkdir(parents=True)

    def inside(self, path):
        place = self.path / str(path).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def add(self, file, place=None):
        shutil.copy2(file, self.inside(place or file))

    def add_program(self, file, place=None):
        """With the libraries it names, and without its symbols: a tenth of the size."""
        target = self.inside(place or file)
        run("strip", "-o", target, file)
        self.add_libraries(file)

    def add_libraries(self, file):
        needed = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", needed):
            if not self.inside(library).exists():
                self.add(library)

    def add_text(self, place, text, mode=0o644):
        target = self.inside(place)
        target.write_text(text)
        target.chmod(mode)


def add_python(root):
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, root.inside(library), symlinks=False,
                    ignore=shutil.ignore_patterns(*PYTHON_LEFT_OUT))
    for extension in (library / "lib-dynload").glob("*.so"):
        root.add_libraries(extension)


def add_commands(root):
    busybox = root.inside("/bin/busybox")
    shutil.copy2(command_path("busybox"), busybox)
    for name in run(busybox, "--list").stdout.split():
        if not (busybox.parent / name).exists():
            (busybox.parent / name).symlink_to("busybox")
    for name in COMMANDS:
        found = command_path(name).resolve()
        (root.inside("/bin") / name).unlink(missing_ok=True)
        root.add_program(found, f"/bin/{name}")


def command_path(name):
    found = shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
    if not found:
        raise LabError(f"there is no program {name}: scripts/install-packages --tests")
    return pathlib.Path(found)


def kernel_tests(build):
    """(name, program) of each of ROWS, as ctest knows them."""
    listed = run("ctest", "--test-dir", build, "--show-only=json-v1").stdout
    programs = {test["name"]: pathlib.Path(test.get("command", [""])[0])
                for test in json.loads(listed)["tests"]}
    for name in ROWS:
        if name not in programs or not programs[name].is_file():
            raise LabError(f"{name} was not built: cmake --build --preset release")
    return [(name, programs[name]) for name in ROWS]


def add_tree(root, build, only):
    for folder in ("scripts/lab", "scripts/kernel_test", "tests/system"):
        for file in sorted((TREE / folder).glob("*.py")):
            root.add(file, HERE / folder / file.name)
    for name in ("tallygated", "tallygate"):
        root.add_program(build / "bin" / name, HERE / "build/release/bin" / name)
    tests = kernel_tests(build)
    for _, program in tests:
        root.add_program(program, HERE / "build/release/tests" / program.name)
    plan = {"rows": [[name, program.name] for name, program in tests], "only": only}
    root.add_text(HERE / "plan.json", json.dumps(plan))


def add_modules(root, kernel):
    """In the order in which the guest loads them."""
    names = []
    for file in package.modules(kernel, MODULES):
        place = root.inside(f"/modules/{file.name.removesuffix('.xz')}")
        data = file.read_bytes()
        place.write_bytes(lzma.decompress(data) if file.suffix == ".xz" else data)
        names.append(place.name)
    root.add_text("/modules/order", "".join(f"{name}\n" for name in names))


def pack(kernel, build, folder, only=""):
    root = Root(folder / "root")
    add_commands(root)
    add_python(root)
    add_modules(root, kernel)
    add_tree(root, build, only)
    root.add(TREE / "scripts/kernel_test/init", "/init")
    archive = folder / "initramfs"
    # Not compressed: an emulated processor takes longer to unpack it than QEMU to load it.
    run("sh", "-c", 'cd "$0" && find . | cpio --quiet -o -H newc -R 0:0 >"$1"', root.path, archive)
    return archive
