# SPDX-License-Identifier: BSD-2-Clause
"""Programs of Debian packages that nobody installs, such as a whole Postfix.

`unpack` fetches packages by name into build/servers/; a `Home` runs their programs as if they
were installed, in mounts and process numbers of their own. The machine keeps its own /etc, its
own mail server, and its peace.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from lab.machine import LabError, inside, run
from lab.processes import Process

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = TREE / "build/servers"
FETCH_SECONDS = 300
# Far above what Debian gives out, so that no account of the machine has it.
FIRST_ID = 64100
OVERLAID = ("usr", "etc", "var")


class Unavailable(Exception):
    """The packages cannot be had here: the reason to skip a test."""


def unpack(name, *others):
    """The folder with the packages `name` and `others` and all they need that is not installed.

    Fetched once, and kept. Nothing is installed, and no script of a package runs.
    """
    wanted = sorted({name, *others})
    folder = CACHE / name
    label = folder / ".packages"
    if label.exists() and label.read_text().split() == wanted:
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as draft:
        fetched, unpacked = pathlib.Path(draft) / "fetched", pathlib.Path(draft) / "unpacked"
        fetched.mkdir()
        unpacked.mkdir()
        _fetch(_with_needs(wanted), fetched)
        for package in sorted(fetched.glob("*.deb")):
            run("dpkg-deb", "-x", package, unpacked)
        (unpacked / ".packages").write_text("\n".join(wanted) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)
    return folder


def _with_needs(packages):
    """What apt would install for them; a package that is there already is wanted all the same."""
    plan = _apt("-s", "install", "--no-install-recommends", *packages)
    if plan.returncode != 0:
        run("apt-get", "-q", "update", check=False, timeout=FETCH_SECONDS)
        plan = _apt("-s", "install", "--no-install-recommends", *packages)
    if plan.returncode != 0:
        raise Unavailable(f"apt-get does not know how to get {' '.join(packages)}: "
                          f"{_last_line(plan.stderr)}")
    return sorted({*packages, *re.findall(r"^Inst (\S+)", plan.stdout, re.M)})


def _fetch(packages, folder):
    done = _apt("download", *packages, folder=folder)
    if done.returncode != 0:
        # The lists may name a version that the archive has replaced since.
        run("apt-get", "-q", "update", check=False, timeout=FETCH_SECONDS)
        done = _apt("download", *packages, folder=folder)
    if done.returncode != 0:
        raise Unavailable(f"cannot download {' '.join(packages)}: {_last_line(done.stderr)}")


def _apt(*words, folder=None):
    try:
        return subprocess.run(["apt-get", "-q", *words], cwd=folder, text=True, check=False,
                              capture_output=True, timeout=FETCH_SECONDS,
                              env={**os.environ, "LC_ALL": "C"})
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"cannot fetch packages: {error}") from None


def _last_line(text):
    lines = [line for line in text.splitlines() if not line.startswith("W:")]
    return lines[-1].strip() if lines else "it gave no reason"


class Home(Process):
    """Mounts and process numbers in which unpacked packages look installed.

    /usr, /etc and /var are the machine's with the packages' laid over them; what is written
    there is gone with the home. `fresh` folders hold nothing of the machine's, and what the
    packages have there: name every folder in which a server of the same kind may keep mail.
    `users` get a group of the same name. When the home ends, all its processes do.
    """

    def __init__(self, namespace, folder, work_dir, record, log, fresh=(), users=(), groups=()):
        plan = {"folder": str(folder), "work_dir": str(work_dir), "fresh": list(fresh),
                "users": list(users), "groups": list(groups)}
        super().__init__(f"the home of {pathlib.Path(folder).name}", namespace,
                         ["unshare", "--mount", "--propagation", "private", "--pid", "--fork",
                          "--kill-child", "--", sys.executable, "-m", "lab.servers",
                          json.dumps(plan)], record, log)
        self.namespace = namespace
        self.pid = int(self.read_line())  # of its first process, as the machine counts
        record.add(self.pid)

    def command(self, *words):
        """The command line that runs a program at home, and as one of its processes."""
        return ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", f"--pid=/proc/{self.pid}/ns/pid",
                *inside(self.namespace, *words)[1:]]

    def among_its_files(self, *words):
        """As command(), but with a process number of the machine's: signals find it."""
        return ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", "--", *[str(word) for word in words]]

    def run(self, *words, **options):
        return run(*self.command(*words), **options)

    def path(self, path):
        """Where a file at home is to be found from outside."""
        return pathlib.Path(f"/proc/{self.pid}/root") / str(path).lstrip("/")

    def stop(self, *_):
        """Its first process ends when nobody speaks to it any more, and takes the others along."""
        self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        return self.child.returncode


def _lay_over(folder, changes):
    """The packages' files over the machine's, and a layer above for what is written."""
    for name in OVERLAID:
        upper, work = changes / name, changes / f"{name}.work"
        upper.mkdir()
        work.mkdir()
        packages = folder / name
        lower = f"{packages}:/{name}" if packages.is_dir() else f"/{name}"
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={lower},upperdir={upper},workdir={work}", f"/{name}")


def _empty(place, folder):
    path = pathlib.Path(place)
    path.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path)
    packages = folder / place.lstrip("/")
    if packages.is_dir():
        run("cp", "-a", f"{packages}/.", path)


def _add_accounts(users, groups):
    numbers = {name: FIRST_ID + index for index, name in enumerate([*users, *groups])}
    for file, names, line in (
            ("/etc/passwd", users, "{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"),
            ("/etc/group", [*users, *groups], "{name}:x:{number}:\n")):
        text = pathlib.Path(file).read_text()
        for name in names:
            if not re.search(rf"^{re.escape(name)}:", text, re.M):
                text += line.format(name=name, number=numbers[name])
        pathlib.Path(file).write_text(text)


def _keep_home(plan):
    """The first process of a home: takes in orphans, and ends when its standard input does."""
    folder, work_dir = pathlib.Path(plan["folder"]), pathlib.Path(plan["work_dir"])
    changes = pathlib.Path(tempfile.mkdtemp(prefix="home-", dir=work_dir))
    # An overlay cannot keep its changes on an overlay, which a container's disk is.
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", changes)
    _lay_over(folder, changes)
    for place in plan["fresh"]:
        _empty(place, folder)
    _add_accounts(plan["users"], plan["groups"])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans that end are gone
    # /proc is the machine's, and so are its numbers.
    print(os.readlink("/proc/self"), flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    try:
        _keep_home(json.loads(sys.argv[1]))
    except LabError as error:
        sys.exit(str(error))
