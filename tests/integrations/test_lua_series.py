#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reports and named series, as Momentum's Lua keeps them."""
import pathlib
import unittest

from lua_fixture import LuaTest


class Series(LuaTest):
    def test_series_of_addresses(self):
        rows = [
            ("define", 'series.define("mine", "cidr", 300, 6)', "true"),
            ("again, in the same words", 'series.define("mine", "cidr", 300, 6)', "true"),
            ("59 without count", 'series.add("mine", "10.0.0.1")', "true"),
            ("59 with a count", 'series.add("mine", { key = "10.0.0.1", count = 4 })', "true"),
            ("59 below 0", 'series.add("mine", { key = "10.0.0.1", count = -1 })', "true"),
            ("59 a neighbour", 'series.add("mine", { key = "10.0.0.2" })', "true"),
            ("the sum", 'series.count("mine", "10.0.0.1")', "4"),
            ("a block", 'series.count("mine", { key = "10.0.0.0/24" })', "5"),
            ("the client", 'audit.set_connecting_ip("10.0.0.2")', "done"),
            ("his count", 'series.count("mine")', "1"),
            ("his /24", 'series.count("mine", "/24")', "5"),
            ("he adds", 'series.add("mine")', "true"),
            ("a connection as the key", 'series.count("mine", { remote_addr = "10.0.0.2:25" })',
             "2"),
            ("half an event", 'series.add("mine", { count = 0.5 })',
             "error expected a whole number"),
            ("61 the other family", 'series.add("mine", "2001:db8::1")', "error "),
            ("a series that is not", 'series.count("yours", "10.0.0.1")', "error yours"),
            ("62 removed", 'series.remove_item("mine", "10.0.0.1")', "true"),
            ("62 it is 0", 'series.count("mine", "10.0.0.1")', "0"),
            ("62 the others are not", 'series.count("mine", "10.0.0.0/24")', "2"),
            ("a cluster's", 'series.define("far", "cidr", 300, 6, { replicate = "cluster" })',
             "error no cluster configured"),
            ("a type that is not", 'series.define("odd", "float", 300, 6)', "error float"),
            ("options that are none", 'series.define("odd", "cidr", 300, 6, 5)',
             "error options are a table, and not a number"),
            ("no windows", 'series.define("odd", "cidr", 300, 0)', "error num_windows"),
            ("61 IPv6", 'series.define("six", "cidr_ipv6", 300, 6)', "true"),
            ("61 IPv6 is added", 'series.add("six", "2001:db8::1")', "true"),
            ("61 and IPv4 is not", 'series.add("six", "10.0.0.1")', "error "),
            ("61 IPv6 is counted", 'series.count("six", "2001:db8::/32")', "1"),
        ]
        later = [
            ("59 now", 'series.count("mine", "10.0.0.0/24")', "0"),
            ("59 only window 0 was changed",
             'series.count("mine", { key = "10.0.0.0/24", startv = 1, endv = 1 })', "2"),
            ("added now", 'series.add("mine", "10.0.0.9")', "true"),
            ("57 a range", 'series.count("mine", { key = "10.0.0.0/24", endv = 5 })', "3"),
        ]
        for lua in self.each_lua():
            self.check(lua, rows)
            self.forward(300)
            self.check(lua, later)

    def test_series_of_strings(self):
        rows = [
            ("define", 'series.define("users", "string", 300, 6, { persist = true })', "true"),
            ("60 add without key", 'series.add("users")', "error name a key"),
            ("60 count without key", 'series.count("users")', "error name a key"),
            ("add", 'series.add("users", "ada@example.com")', "true"),
            ("60 count with key", 'series.count("users", "ada@example.com")', "1"),
            ("another", 'series.count("users", "bob")', "0"),
            ("a number", 'series.add("users", { key = 7, count = 3 })', "true"),
            ("its count", 'series.count("users", { key = 7 })', "3"),
            ("a connection", 'series.count("users", { remote_addr = "10.0.0.1" })',
             "error name a key"),
            ("a key like a mask", 'series.add("users", "/24")', "true"),
            ("all of them", 'require("tallygate").open():series_items("users").7', "error "),
            ("one of all", 'require("tallygate").open():series_items("users")["7"]', "3"),
            ("what is defined", 'require("tallygate").open():series_list()[1].type', "string"),
            ("a misspelt option", 'series.count("users", { kee = "x" })',
             "error there is no option 'kee'"),
            ("58 another monitor", 'series.define("users", "string", 60, 1)', "true"),
            ("58 is another series", 'series.count("users", "ada@example.com")', "0"),
        ]
        for lua in self.each_lua():
            self.check(lua, rows)

    def test_a_daemon_that_was_restarted(self):
        rows = [("a question", 'audit.connections("60,1", "10.0.0.0/24")', "1")]
        for lua in self.each_lua():
            self.connect("10.0.0.1", 1)
            self.check(lua, rows)
            self.assertEqual(lua.say('series.define("mine", "cidr", 300, 6)'), "true")
            self.ledger.end()
            self.start_ledger()
            self.connect("10.0.0.1", 1)
            self.check(lua, rows)
            self.assertEqual(lua.say('series.add("mine", "10.0.0.1")'), "true")
            self.assertEqual(lua.say('series.count("mine", "10.0.0.1")'), "1")


class Reports(LuaTest):
    def test_what_front_ends_reported(self):
        rows = [
            ("a report", 'require("tallygate").open():event{ name = "receptions", '
             'address = "10.0.0.1", amount = 4 }', "true"),
            ("a rejection", 'require("tallygate").open():event{ name = "rejections", '
             'address = "10.0.0.2" }', "true"),
            ("receptions", 'audit.receptions("60,1", "10.0.0.0/24")', "4"),
            ("rejections", 'audit.rejections("60,1", "10.0.0.0/24")', "1"),
            ("connections", 'audit.connections("60,1", "10.0.0.0/24")', "0"),
        ]
        for lua in self.each_lua():
            self.check(lua, rows)

    def test_the_module_of_the_specification(self):
        module = pathlib.Path(__file__).parent / "validate_mailfrom.lua"
        rows = [
            ("it loads", f'dofile("{module}")', "done"),
            ("it is called",
             'msys.callHook("10.0.0.1:40312", "validate_mailfrom", "ada@example.com", {}, {})',
             "1 validate_mailfrom"),
            ("what it saw", "seen.conn, seen.rcpt, seen.rejn", "3 0 0"),
        ]
        for lua in self.each_lua():
            self.connect("10.0.0.1", 3)
            self.check(lua, rows)


if __name__ == "__main__":
    unittest.main()
