#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The sample policy, with the limits that Momentum ships (acceptance case 66)."""
import unittest

from fixture import TREE
from lua_fixture import LuaTest

POLICY = TREE / "integrations/lua/policies/connection_limits.lua"
# What the server does: a new connection, and what the policy makes of it.
ASK = """function ask(remote, times)
  local texts = {}
  local vctx = { disconnect = function(_, code, text) texts[#texts + 1] = code .. " " .. text end }
  local accept = { remote_addr = remote }
  for _ = 1, times or 1 do
    msys.callHook(accept, "validate_connect", accept, vctx)
  end
  return #texts, texts[#texts] or "passed"
end""".replace("\n", " ")


class Policy(LuaTest):
    def policies(self):
        for lua in self.each_lua():
            self.assertEqual(lua.say(f'policy = dofile("{POLICY}")'), "done")
            self.assertEqual(lua.say(ASK), "done")
            yield lua

    def test_connections_at_once(self):
        for lua in self.policies():
            self.connect("10.0.0.1", 10)
            self.check(lua, [("66 ten pass", 'ask("10.0.0.1:40312")', "0 passed")])
            self.connect("10.0.0.1", 1)
            self.check(lua, [
                ("66 the eleventh does not", 'ask("10.0.0.1:40312")',
                 "1 421 connection limit exceeded"),
                ("66 a whitelisted one passes", 'policy.whitelist = { "10.0.0.0/24" }', "done"),
                ("66 so he does", 'ask("10.0.0.1:40312")', "0 passed"),
                ("nobody else does", 'policy.whitelist = { "10.0.1.0/24", "::/0" }', "done"),
                ("as before", 'ask("10.0.0.1:40312")', "1 421 connection limit exceeded"),
                ("a neighbour", 'ask("10.0.0.2:40312")', "0 passed"),
            ])
            self.connect("10.0.0.3", 90)
            self.check(lua, [("a neighbour of 101", 'ask("10.0.0.2:40312")',
                              "1 421 connection limit exceeded")])

    def test_everybody_together(self):
        for lua in self.policies():
            self.connect("10.9.0.1", 20000)
            self.check(lua, [
                ("whitelisted", 'policy.whitelist = { "10.0.0.0/24" }', "done"),
                ("20000 pass", 'ask("10.0.0.1:40312")', "0 passed")])
            self.connect("10.0.0.1", 1)
            self.check(lua, [("66 but not the rule for all", 'ask("10.0.0.1:40312")',
                              "1 421 connection limit exceeded")])

    def test_connections_in_an_hour(self):
        for lua in self.policies():
            self.check(lua, [("fifty", 'ask("10.0.0.1:40312", 50)', "0 passed")])
            self.forward(900)
            self.check(lua, [
                ("66 a hundred", 'ask("10.0.0.1:40312", 50)', "0 passed"),
                ("66 one more", 'ask("10.0.0.1:40312")', "1 421 connection rate limit exceeded"),
                ("IPv6, a hundred", 'ask("[2001:db8::7]:40312", 100)', "0 passed"),
                ("IPv6, one more from the same /64", 'ask("[2001:db8::8]:40312")',
                 "1 421 connection rate limit exceeded"),
                ("66 whitelisted", 'policy.whitelist = { "10.0.0.0/24" }', "done"),
                ("66 one more whitelisted", 'ask("10.0.0.1:40312")', "0 passed"),
                ("nobody is", "policy.whitelist = {}", "done"),
            ])
            self.forward(3 * 900)
            self.check(lua, [("the first fifty are gone", 'ask("10.0.0.1:40312", 49)', "0 passed")])


if __name__ == "__main__":
    unittest.main()
