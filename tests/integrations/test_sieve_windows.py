#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the programs for Sieve print of windows and of series."""
import unittest

from sieve_fixture import ProgramTest


class Windows(ProgramTest):
    def test_the_last_two_windows(self):
        self.connect("10.0.0.1", 3)
        self.connect("10.0.0.2", 1)
        self.forward(60)
        self.connect("10.0.0.1", 2)
        self.forward(15)
        # Of the window before, a quarter of which has left the last 60 s, three quarters count.
        self.check([
            ("67 the first monitor", "ec_ip_connections 0 32 10.0.0.1", "4"),
            ("67 a /24", "ec_ip_connections 0 24 10.0.0.1", "5"),
            ("the mask is 32", "ec_ip_connections 0 10.0.0.2", "1"),
            ("the mask with the address", "ec_ip_connections 0 10.0.0.2/24", "5"),
            ("another monitor", "ec_ip_connections 2 24 10.0.0.1", "6"),
            ("67 a plain sum", "ec_ip_connections ip=10.0.0.1 monitor=60,10 period_end=1", "5"),
            ("67 of one window",
             "ec_ip_connections ip=10.0.0.1 monitor=60,10 period_start=1 mask=24", "4"),
            ("the first monitor if none is named", "ec_ip_connections ip=10.0.0.1", "2"),
            ("nothing was reported", "ec_ip_receptions 0 10.0.0.1", "0"),
            ("nothing was rejected", "ec_ip_rejections 0 10.0.0.1", "0"),
            ("no such monitor", "ec_ip_connections 9 10.0.0.1", "", 5, ""),
            ("no monitor", "ec_ip_connections", "", 2, "the monitor's number is missing"),
            ("a word for a number", "ec_ip_connections first 10.0.0.1", "", 2,
             "expected a monitor's place"),
            ("an unknown name", "ec_ip_connections address=10.0.0.1", "", 2, "expected series="),
            ("no client", "ec_ip_connections monitor=60,10", "", 2,
             "the client's address is missing"),
        ])

    def test_series(self):
        self.check([
            ("56 add", "audit_series_add mycounter 1800,3 10.0.0.1 3", ""),
            ("56 count", "audit_series mycounter 1800,3 32 10.0.0.1", "3"),
            ("a neighbour, in the other order", "audit_series_add mycounter 1800,3 2 10.0.0.2", ""),
            ("56 the /24", "audit_series mycounter 1800,3 24 10.0.0.1", "5"),
            ("the /24 in one word", "audit_series mycounter 1800,3 10.0.0.0/24", "5"),
            ("less than before", "audit_series_add mycounter 1800,3 10.0.0.2 -1", ""),
            ("by names", "audit_series series=mycounter monitor=1800,3 ip=10.0.0.2", "1"),
            ("add by names",
             "audit_series_add series=mycounter monitor=1800,3 ip=10.0.0.2 count=4", ""),
            ("as Momentum's single nodes do", "audit_series_add series=single monitor=1800,3 "
             "ip=10.0.0.1 replicate=0 serialize=1", ""),
            ("was added", "audit_series single 1800,3 10.0.0.1", "1"),
            ("for all nodes", "audit_series_add series=single monitor=1800,3 ip=10.0.0.1 "
             "replicate=1", "", 2, "no cluster configured"),
            ("for the manager alone", "audit_series_add series=single monitor=1800,3 ip=10.0.0.1 "
             "replicate=-1", "", 2, "no cluster configured"),
            ("for all nodes was not added", "audit_series single 1800,3 10.0.0.1", "1"),
            ("58 another monitor", "audit_series_add mycounter 300,6 10.0.0.1", ""),
            ("58 is another series", "audit_series mycounter 300,6 10.0.0.1", "1"),
            ("IPv6 apart", "audit_series_add mycounter 1800,3 [2001:db8::1]", ""),
            ("IPv6, one client", "audit_series mycounter 1800,3 32 2001:db8::2", "1"),
            ("an unknown series", "audit_series yours 1800,3 10.0.0.1", "", 5, "yours"),
            ("no client", "audit_series mycounter 1800,3 32", "", 2,
             "the client's address is missing"),
            ("no client, and windows", "audit_series mycounter 1800,3 32 0 2", "", 2,
             "the client's address is missing"),
            ("no header", ["audit_series", "mycounter", "1800,3", "24", ""], "", 2,
             "the client's address is missing"),
            ("no header, to add", ["audit_series_add", "mycounter", "1800,3", "", "2"], "", 2,
             "the client's address is missing"),
            ("no address", "audit_series_add mycounter 1800,3 unknown", "", 2,
             "'unknown' is not an IPv4 or IPv6 address"),
            ("half an event", "audit_series_add mycounter 1800,3 10.0.0.1 0.5", "", 2,
             "expected a whole number"),
        ])
        self.forward(1800)
        self.check([
            ("57 without windows, the current one", "audit_series mycounter 1800,3 10.0.0.1", "0"),
            ("57 one window", "audit_series mycounter 1800,3 10.0.0.1 1", "3"),
            ("added now", "audit_series_add mycounter 1800,3 10.0.0.1", ""),
            ("57 a range", "audit_series mycounter 1800,3 32 0 2 10.0.0.1", "4"),
            ("57 by names",
             "audit_series series=mycounter monitor=1800,3 ip=10.0.0.1 period_end=2", "4"),
            ("a window that is not kept", "audit_series mycounter 1800,3 10.0.0.1 3", "", 2, ""),
            ("one number too many", "audit_series mycounter 1800,3 10.0.0.1 0 1 2", "", 2,
             "one argument too many"),
        ])


if __name__ == "__main__":
    unittest.main()
