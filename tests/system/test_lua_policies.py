# SPDX-License-Identifier: BSD-2-Clause
"""Policies in Lua and a daemon that counts real connections. What they are answered in all their
forms, with a clock that is set, is in tests/integrations."""
import subprocess
import unittest

from fixture import SERVER_IPV4, GateTest
from lab import machine
from lab.gate import PROGRAMS, TREE
from lab.processes import BannerServer

INTERPRETERS = {"lua5.4": "5.4", "lua5.1": "5.1", "luajit": "5.1"}
SECOND_LISTENER = "198.51.100.26"
SECONDS_MAX = 20


class LuaPolicies(GateTest):
    addresses = ["192.0.2.7", "192.0.2.8", "192.0.3.1", "2001:db8:1::7"]

    def lua(self, text, interpreter="lua5.4"):
        """What a line of Lua prints; its error, if there is one."""
        path = PROGRAMS.parent / f"lib/lua/{INTERPRETERS[interpreter]}/?.so"
        environment = {"PATH": "/usr/bin:/bin", "TALLYGATE_SOCKET": str(self.gate.socket),
                       "LUA_PATH": f"{TREE}/integrations/lua/?.lua", "LUA_CPATH": str(path)}
        done = subprocess.run([interpreter, "-e", text], text=True, capture_output=True,
                              timeout=SECONDS_MAX, check=False, env=environment)
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()

    def assert_lua(self, text, wanted):
        for interpreter in INTERPRETERS:
            self.assert_soon(wanted, lambda: self.lua(text, interpreter), f"{interpreter}: {text}")

    def listen_a_second_time(self):
        machine.run("ip", "-n", self.link.server, "address", "add", f"{SECOND_LISTENER}/24",
                    "dev", self.link.SERVER_SIDE)
        server = BannerServer(self.link.server, [SECOND_LISTENER], self.record,
                              self.work_dir / "helpers.log")
        self.addCleanup(server.stop)

    def test_sessions(self):
        self.listen_a_second_time()
        self.start_gate()
        self.connect("192.0.2.7", times=1, keep=1)
        self.clients.connect("192.0.2.7", SECOND_LISTENER, 1, 1)
        self.connect("192.0.2.8", times=3, keep=1)
        self.connect("192.0.3.1", times=1, keep=1)
        self.connect("2001:db8:1::7", times=2, keep=2)
        count = 'print(require("msys.audit").inbound_session_count(%s))'
        self.assert_lua(count % '"192.0.2.7/32", "SMTP"', "2")
        self.assert_lua(count % '"192.0.2.0/24", "smtp"', "3")
        self.assert_lua(count % '"0.0.0.0/0"', "4")
        self.assert_lua(count % '"[2001:db8:1::7]"', "2")
        here = (f'local ac = require("msys.extended.ac").new{{ remote_addr = "192.0.2.7:40312", '
                f'local_addr = "{SERVER_IPV4}:25" }} print(')
        self.assert_lua(here + "ac:inbound_session_count())", "1")
        self.assert_lua(here + 'ac:inbound_session_count("/32"))', "2")
        self.assertIn("no service 'imap'", self.lua(count % '"192.0.2.7", "imap"'))

    def test_the_module_of_the_specification(self):
        self.start_gate(monitors=("60,1",))
        module = TREE / "tests/integrations/validate_mailfrom.lua"
        line = (f'dofile("{module}") '
                'msys.callHook("192.0.2.7:40312", "validate_mailfrom", "", {}, {}) '
                'print(seen.conn > 0, seen.rcpt, seen.rejn)')

        def connect_and_ask(interpreter):
            self.connect("192.0.2.7")  # again each time: the minute may end meanwhile
            return self.lua(line, interpreter)

        for interpreter in INTERPRETERS:
            self.assert_soon("true 0 0", lambda: connect_and_ask(interpreter).replace("\t", " "),
                             interpreter)

    def shipped(self, times=1, change="", client="192.0.2.7"):
        """What the policy with Momentum's limits says of a client who connects so often; the
        interpreter is another each time, as the processes of a mail server are."""
        policy = TREE / "integrations/lua/policies/connection_limits.lua"
        return self.lua(
            f'local policy = dofile("{policy}") {change} local said = "passed" '
            'local vctx = { disconnect = function(_, code, text) said = code .. " " .. text end } '
            f'local accept = {{ remote_addr = "{client}:40312" }} for _ = 1, {times} do '
            'msys.callHook(accept, "validate_connect", accept, vctx) end print(said)',
            list(INTERPRETERS)[times % len(INTERPRETERS)])

    def test_the_shipped_limits_of_open_connections(self):
        self.start_gate()
        whitelist = 'policy.whitelist = { "192.0.2.0/24" }'
        for client, name in (("192.0.2.7", "192.0.2.7"), ("2001:db8:1::7", "[2001:db8:1::7]")):
            with self.subTest(client):
                self.connect(client, times=10, keep=10)
                self.assertEqual(self.shipped(client=name), "passed", "ten")
                self.connect(client, times=1, keep=1)
                self.assertEqual(self.shipped(client=name), "421 connection limit exceeded")
        self.assertEqual(self.shipped(client="192.0.2.8"), "passed", "a neighbour of eleven")
        self.assertEqual(self.shipped(change=whitelist), "passed")
        self.connect("192.0.2.8", times=90, keep=90)
        self.assertEqual(self.shipped(client="192.0.2.9"), "421 connection limit exceeded",
                         "a neighbour of 101")
        self.assertEqual(self.shipped(change=whitelist), "passed")
        for most, said in ((101, "passed"), (100, "421 connection limit exceeded")):
            rule = f"{whitelist} policy.limits.concurrent[3].most = {most}"
            self.assertEqual(self.shipped(change=rule), said, "no whitelist is for all together")

    def test_the_shipped_limits_of_connections_in_an_hour(self):
        self.start_gate()
        self.assertEqual(self.shipped(times=60), "passed")
        self.gate.stop()
        self.gate.start()
        self.assertEqual(self.shipped(times=40), "passed", "a hundred")
        self.assertEqual(self.shipped(), "421 connection rate limit exceeded")
        self.assertEqual(self.shipped(client="192.0.2.8"), "passed")
        self.assertEqual(self.shipped(change='policy.whitelist = { "192.0.2.7" }'), "passed")
        fewer = "policy.limits.rate[2].most = 102"
        self.assertEqual(self.shipped(client="192.0.2.9", change=fewer),
                         "421 connection rate limit exceeded", "the /24")

    def test_series_over_a_restart(self):
        self.start_gate()
        done = self.lua('local s = require("msys.audit_series") '
                        's.define("kept", "cidr", 3600, 24, { persist = true }) '
                        's.define("lost", "cidr", 3600, 24) '
                        's.add("kept", { key = "192.0.2.7", count = 2 }) '
                        's.add("lost", "192.0.2.7") print("added")')
        self.assertEqual(done, "added")
        count = ('local s = require("msys.audit_series") '
                 'for _, name in ipairs{ "kept", "lost" } do '
                 'io.write(s.count(name, { key = "192.0.2.0/24", endv = 1 }), ";") end')
        self.assert_lua(count, "2;1;")
        self.gate.stop()
        self.assertIn("no daemon at", self.lua(count))
        self.gate.start()
        self.assert_lua(count, "2;0;")

    def test_reports(self):
        self.start_gate()
        done = self.lua('print(require("tallygate").open():event{ name = "receptions", '
                        'address = "192.0.2.7", amount = 5 })')
        self.assertEqual(done, "true")
        self.assert_lua('print(require("msys.audit").receptions("3600,24", '
                        '{ cidr = "192.0.2.0/24", endv = 1 }))', "5")


if __name__ == "__main__":
    unittest.main()
