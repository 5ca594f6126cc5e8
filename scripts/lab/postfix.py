# SPDX-License-Identifier: BSD-2-Clause
"""Debian's Postfix, as its package would have set it up, in a home of its own."""
import re

from lab import servers
from lab.gate import settle

FRESH = ("/etc/postfix", "/var/spool/postfix", "/var/lib/postfix", "/var/log", "/var/mail")
SPOOL = "/var/spool/postfix"
LOG = "/var/log/mail.log"
# What the package's script makes after unpacking: name, owner, mode.
FOLDERS = (("private", "postfix:root", "0700"), ("public", "postfix:postdrop", "0710"),
           ("maildrop", "postfix:postdrop", "1730"), ("pid", "root:root", "0755"),
           *((name, "postfix:root", "0700") for name in
             ("incoming", "active", "bounce", "defer", "deferred", "flush", "saved", "corrupt",
              "hold", "trace")))
SETTINGS = {
    "compatibility_level": "3.6",
    "myhostname": "mail.example.com",
    "mynetworks": "127.0.0.0/8",
    "inet_interfaces": "all",
    "maillog_file": LOG,
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "mydestination": "example.com",
    "local_transport": "discard:",
    "smtpd_peername_lookup": "no",
    "smtp_tls_security_level": "none",
}
SECONDS = 30


class Postfix:
    """Made stopped. `settings` are lines of main.cf beside SETTINGS."""

    def __init__(self, home, settings=()):
        self.home = home
        self._make_folders()
        home.run("cp", "/usr/share/postfix/master.cf.dist", "/etc/postfix/master.cf")
        home.run("cp", "/usr/share/postfix/dynamicmaps.cf", "/etc/postfix/dynamicmaps.cf")
        home.path("/etc/postfix/main.cf").write_text("")
        self.set(**SETTINGS)
        self.set(**dict(settings))

    def _make_folders(self):
        script = "chown postfix:postfix /var/lib/postfix\n"
        for name, owner, mode in FOLDERS:
            folder = f"{SPOOL}/{name}"
            script += f"mkdir -p {folder}; chown {owner} {folder}; chmod {mode} {folder}\n"
        script += "chgrp postdrop /usr/sbin/postdrop /usr/sbin/postqueue\n"
        script += "chmod 2555 /usr/sbin/postdrop /usr/sbin/postqueue\n"
        self.home.run("sh", "-ec", script)

    def set(self, **settings):
        if settings:
            self.home.run("postconf", *[f"{name} = {value}" for name, value in settings.items()])

    def services(self, *lines):
        """Lines of master.cf, `service` fields and options, as `postconf -M` takes them."""
        for line in lines:
            fields = line.split()
            self.home.run("postconf", "-M", f"{fields[0]}/{fields[1]}={line}")

    def run(self, verb, check=True):
        return self.home.run("postfix", verb, check=check, timeout=SECONDS)

    def start(self):
        self.run("start")

    def stop(self):
        self.run("stop", check=False)

    def log(self):
        path = self.home.path(LOG)
        return path.read_text() if path.exists() else ""

    def logged(self, pattern, times=1):
        """The lines with the pattern, once there are enough of them."""
        def lines():
            return [line for line in self.log().splitlines() if re.search(pattern, line)]
        settle(lambda: len(lines()) >= times, True, seconds=SECONDS)
        return lines()

    def inode(self):
        return self.home.path(f"{SPOOL}/private/anvil").lstat().st_ino


def make_home(namespace, work_dir, record, packages=()):
    """A home with Postfix in it; servers.Unavailable where that cannot be had."""
    folder = servers.unpack("postfix", *packages)
    return servers.Home(namespace, folder, work_dir, record, work_dir / "home.log", fresh=FRESH,
                        users=["postfix"], groups=["postdrop"])
