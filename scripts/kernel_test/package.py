# SPDX-License-Identifier: BSD-2-Clause
"""A kernel from Debian's archive: downloaded and unpacked, never installed."""
import dataclasses
import pathlib
import re
import shutil

from lab.machine import LabError, run

DOWNLOAD_SECONDS = 300


@dataclasses.dataclass
class Kernel:
    release: str  # as `uname -r` will say it
    image: pathlib.Path
    root: pathlib.Path  # the unpacked package, with lib/modules/<release> below

    @property
    def version(self):
        """"6.1" of "6.1.0-56-cloud-amd64"."""
        return version_of(self.release)


def version_of(release):
    return ".".join(re.findall(r"\d+", release)[:2])


def image_package(name):
    """The package that holds the image: a metapackage only depends on it."""
    depends = run("apt-cache", "depends", "--important", name).stdout
    images = re.findall(r"^ +\|?Depends: (linux-image-\S+)$", depends, re.M)
    return image_package(images[0]) if images else name


def download(name, folder):
    """Answers the package's file; one that was downloaded before is taken as it is."""
    uris = run("apt-get", "download", "--print-uris", name).stdout
    # 'http://...' <file> <bytes> <digest>; apt checks the digest when it downloads.
    file = folder / uris.split("' ", 1)[1].split()[0]
    if not file.exists():
        part = folder / "part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        # The user _apt may not write into a checkout; then apt downloads as we, with a warning.
        run("sh", "-c", 'cd "$0" && exec apt-get -q download "$1"', part, name,
            timeout=DOWNLOAD_SECONDS)
        [done] = part.glob("*.deb")
        done.rename(file)
        part.rmdir()
    return file


def unpack(file):
    root = file.with_suffix("")
    if not root.exists():
        part = file.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        run("dpkg-deb", "-x", file, part, timeout=DOWNLOAD_SECONDS)
        part.rename(root)
    images = sorted((root / "boot").glob("vmlinuz-*"))
    if not images:
        raise LabError(f"{file.name} holds no kernel")
    release = images[0].name.removeprefix("vmlinuz-")
    run("depmod", "-b", root, release)
    return Kernel(release, images[0], root)


def fetch(name, folder):
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return unpack(download(image_package(name), folder))
    except LabError:
        # The lists of this machine may be older than the archive.
        run("apt-get", "-q", "update", timeout=DOWNLOAD_SECONDS)
        return unpack(download(image_package(name), folder))


def modules(kernel, names):
    """The files of these modules, each after those it needs; what is built in has none."""
    files = []
    for name in names:
        needed = run("modprobe", "--show-depends", "-d", kernel.root, "-S", kernel.release, name)
        for line in needed.stdout.splitlines():
            kind, *words = line.split()
            if kind == "insmod" and words[0] not in files:
                files.append(words[0])
    return [pathlib.Path(file) for file in files]
