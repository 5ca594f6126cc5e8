# SPDX-License-Identifier: BSD-2-Clause
"""A guest from its first to its last line. Its console is a file; its time is bounded."""
import os
import selectors
import subprocess
import time

MEMORY = "1536M"
START_SECONDS = 10  # with KVM, which on some machines opens and does not run
KERNEL_WORDS = ("console=ttyS0 quiet loglevel=2 panic=-1 oops=panic mitigations=off nokaslr "
                "random.trust_cpu=on")
FIRST_WORDS = "guest: Linux"


class Guest:
    """Runs QEMU and hands over the console's lines as they come."""

    def __init__(self, kernel, archive, log, accelerator):
        self.log = log.open("wb")
        self.accelerator = accelerator
        model = "host" if accelerator == "kvm" else "qemu64"
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", accelerator, "-cpu", model, "-smp", "2",
             "-m", MEMORY, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-serial", "stdio", "-kernel", kernel, "-initrd", archive, "-append", KERNEL_WORDS],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.started = time.monotonic()
        self.timed_out = False
        self._rest = b""

    def lines(self, seconds):
        """Yields line after line; ends when the console does, or the time is up."""
        deadline = self.started + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.timed_out = True
                    return
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    return
                self.log.write(data)
                self.log.flush()
                *whole, self._rest = (self._rest + data).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace").rstrip("\r")

    def stop(self):
        """Harmless if it has ended already."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def kvm_works(kernel, archive, log):
    """By trying: /dev/kvm may be there, and open, and run nothing."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    guest = Guest(kernel, archive, log, "kvm")
    try:
        return any(FIRST_WORDS in line for line in guest.lines(START_SECONDS))
    finally:
        guest.stop()


def boot(kernel, archive, log):
    accelerator = "kvm" if kvm_works(kernel, archive, log) else "tcg"
    return Guest(kernel, archive, log, accelerator)
