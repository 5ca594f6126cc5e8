#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Connections and sessions, as Momentum's Lua asks for them."""
import unittest

from lua_fixture import LuaTest


class Windows(LuaTest):
    def test_windows_of_connections(self):
        now = [
            ("45 now", 'audit.connections("300,6", { cidr = "10.0.0.1/32" })', "3"),
            ("45 before",
             'audit.connections("300,6", { cidr = "10.0.0.1/32", startv = 1, endv = 1 })', "0"),
            ("48 a /24", 'audit.connections("300,6", { cidr = "10.0.0.0/24" })', "5"),
            ("48 a /16", 'audit.connections("300,6", { cidr = "10.0.0.0/16" })', "12"),
            ("48 a /32", 'audit.connections("300,6", { cidr = "10.0.0.1/32" })', "3"),
            ("48 everything", 'audit.connections("300,6", { cidr = "0.0.0.0/0" })', "12"),
            ("49 no table", 'audit.connections("300,6", "10.0.0.0/24")', "5"),
            ("50 nobody is connected", 'audit.connections("300,6")',
             "error there is no connecting address"),
            ("50 the connected client", 'audit.set_connecting_ip("10.0.0.1")', "done"),
            ("50 without options", 'audit.connections("300,6")', "3"),
            ("50 without a cidr", 'audit.connections("300,6", {})', "3"),
            ("50 his /24", 'audit.connections("300,6", "/24")', "5"),
            ("a bare address", 'audit.connections("300,6", "10.0.0.2")', "2"),
            ("an integer", 'string.format("%d", audit.connections("300,6"))', "3"),
            ("a range the wrong way", 'audit.connections("300,6", { startv = 1 })', "error "),
            ("a window that is not kept", 'audit.connections("300,6", { endv = 6 })', "error "),
            ("a window below 0", 'audit.connections("300,6", { startv = -1 })',
             "error expected a window, 0 or more"),
            ("a monitor that is not", 'audit.connections("30,1")', "error 300,6"),
            ("no monitor", "audit.connections()", "error a monitor is a string"),
            ("a host name", 'audit.connections("300,6", "localhost/32")', "error localhost"),
            ("a cluster", 'audit.connections("300,6", { cluster = true })',
             "error no cluster configured"),
            ("a misspelt option", 'audit.connections("300,6", { cdir = "10.0.0.1" })',
             "error there is no option 'cdir'"),
        ]
        later = [
            ("46 now", 'audit.connections("300,6")', "0"),
            ("46 before", 'audit.connections("300,6", { startv = 1, endv = 1 })', "3"),
            ("46 both", 'audit.connections("300,6", { startv = 0, endv = 1 })', "3"),
        ]
        much_later = [
            ("47 gone", 'audit.connections("300,6", { startv = 0, endv = 5 })', "0"),
            ("47 in the longer windows", 'audit.connections("1800,4", { startv = 1, endv = 1 })',
             "3"),
        ]
        for lua in self.each_lua():
            self.connect("10.0.0.1", 3)
            self.connect("10.0.0.2", 2)
            self.connect("10.0.1.1", 7)
            self.check(lua, now)
            self.forward(300)
            self.check(lua, later)
            self.forward(5 * 300)
            self.check(lua, much_later)


class Sessions(LuaTest):
    def test_sessions(self):
        rows = [
            ("52 the client", 'audit.inbound_session_count("/32", "SMTP")', "2"),
            ("52 his /24", 'audit.inbound_session_count("/24", "SMTP")', "3"),
            ("52 an address", 'audit.inbound_session_count("10.0.1.1", "SMTP")', "1"),
            ("52 a block", 'audit.inbound_session_count("10.0.0.0/8", "SMTP")', "4"),
            ("52 everything", 'audit.inbound_session_count("/0", "SMTP")', "4"),
            ("the service's own name", 'audit.inbound_session_count("/32", "smtp")', "2"),
            ("no service", 'audit.inbound_session_count("/32")', "2"),
            ("another service", 'audit.inbound_session_count("/32", "submission")', "1"),
            ("55 case matters", 'audit.inbound_session_count("/32", "Smtp")',
             "error there is no service 'Smtp'"),
            ("a cluster's", 'audit.inbound_session_count("/32", "inbound_cidr")',
             "error no cluster configured"),
            ("an accept construct", 'ac = require("msys.extended.ac").new{ '
             'remote_addr = "10.0.0.7:40312", local_addr = "198.51.100.25:25" }', "done"),
            ("55 this listener", "ac:inbound_session_count()", "1"),
            ("55 another service", 'ac:inbound_session_count(nil, "Control")', "5"),
            ("55 the default service", 'ac:inbound_session_count("/32")', "2"),
            ("as shipped policies call it",
             'ac:pbp_inbound_session_count_service("SMTP", "/24")', "3"),
            ("a connection as the CIDR", "audit.inbound_session_count(ac)", "2"),
            ("IPv6, one client", 'audit.with_connection("2001:db8::7", '
             'audit.inbound_session_count, "/32", "SMTP")', "6"),
            ("IPv6, in brackets", 'audit.inbound_session_count("[2001:db8::]/32", "SMTP")', "6"),
            ("the connection is as it was", 'audit.inbound_session_count("/32", "SMTP")', "2"),
        ]
        for lua in self.each_lua():
            self.connect("10.0.0.7", 1)
            self.connect("10.0.0.7", 2, closed=1, listener="198.51.100.26:25")
            self.connect("10.0.0.8", 1)
            self.connect("10.0.1.1", 1)
            self.connect("10.0.0.7", 1, service="submission", listener="198.51.100.25:587")
            self.connect("10.0.0.7", 5, service="control", listener="198.51.100.25:2025")
            self.connect("2001:db8::7", 6)
            self.assertEqual(lua.say('audit.set_connecting_ip("10.0.0.7:40312")'), "done")
            self.check(lua, rows)


class Checks(LuaTest):
    def test_what_the_checks_advise(self):
        asked = 'require("tallygate").open():check('
        rows = [
            ("nothing", f'({asked}"10.0.0.7", "SMTP"))', "pass"),
            ("nothing more", f'select(2, {asked}"10.0.0.7")).check', ""),
            ("too many", f'({asked}"10.9.0.7"))', "disconnect"),
            ("its code", f'select(2, {asked}"10.9.0.7")).code', "421"),
            ("its delay", f'select(2, {asked}"10.9.0.7")).delay', "10"),
            ("its figures", f'select(2, {asked}"10.9.0.7")).count', "101"),
            ("its text", f'select(2, {asked}"10.9.0.7")).text',
             "too many (10.9.0.0/24: 101 connections open, limit 100)"),
            ("no such service", f'select(3, {asked}"10.0.0.7", "imap"))', "unknown"),
            ("no address", f'select(3, {asked}"10.0.0.0/8"))', "wrong"),
        ]
        for lua in self.each_lua():
            self.connect("10.9.0.1", 101)
            self.check(lua, rows)


class Nobody(LuaTest):
    def test_no_daemon(self):
        rows = [
            ("51 an error", 'audit.connections("60,1", "10.0.0.1")', "error no daemon at"),
            ("51 sessions", 'audit.inbound_session_count("10.0.0.1", "SMTP")',
             "error is tallygated running?"),
            ("a series", 'series.count("mine", "10.0.0.1")', "error no daemon at"),
            ("mail is to flow", "audit.configure{ fail_open = true }", "done"),
            ("0", 'audit.connections("60,1", "10.0.0.1")', "0"),
            ("a series of 0", 'series.count("mine", "10.0.0.1")', "0"),
            ("nothing is added", 'series.add("mine", "10.0.0.1")', "true"),
            ("how often", "(audit.failures())", "6"),
            ("mistakes are errors", 'audit.connections("60,1", { cdir = 1 })', "error cdir"),
            ("a wrong setting", "audit.configure{ fail = true }", "error there is no setting"),
            ("no time at all", "audit.configure{ timeout_ms = 0, fail_open = false }",
             "error expected 1 to 600000 milliseconds"),
            ("half a setting", "audit.configure(true)", "error settings are a table"),
            ("0 as before", 'audit.connections("60,1", "10.0.0.1")', "0"),
        ]
        for lua in self.each_lua():
            self.ledger.end()
            self.check(lua, rows)

    def test_an_error_has_the_line_of_the_policy(self):
        for lua in self.each_lua():
            answer = lua.say('(function() local n = audit.connections("30,1", "10.0.0.1") end)()')
            self.assertIn('"]:1: there is no monitor', answer)

    def test_each_coroutine_has_its_own_connection(self):
        rows = [
            ("two sessions", 'one, two = coroutine.create(function() '
             'audit.set_connecting_ip("10.0.0.1") coroutine.yield() '
             'return audit.connections("60,1") end), '
             'coroutine.create(function() audit.set_connecting_ip("10.0.0.2") coroutine.yield() '
             'return audit.connections("60,1") end)', "done"),
            ("both begin", "coroutine.resume(one), coroutine.resume(two)", "true true"),
            ("one", "coroutine.resume(one)", "true 1"),
            ("two", "coroutine.resume(two)", "true 2"),
            ("nobody", 'audit.connections("60,1")', "error there is no connecting address"),
        ]
        for lua in self.each_lua():
            self.connect("10.0.0.1", 1)
            self.connect("10.0.0.2", 2)
            self.check(lua, rows)


if __name__ == "__main__":
    unittest.main()
