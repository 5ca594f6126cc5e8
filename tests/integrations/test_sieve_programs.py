#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the programs for Sieve print of sessions, and how they end."""
import unittest

from sieve_fixture import ProgramTest


class Live(ProgramTest):
    def test_sessions(self):
        self.connect("10.0.0.7", 1)
        self.connect("10.0.0.7", 1, listener="198.51.100.26:25")
        self.connect("10.0.0.8", 1)
        self.connect("10.0.1.1", 1)
        self.connect("10.0.0.7", 3, service="submission", listener="198.51.100.25:587")
        self.connect("2001:db8::7", 5, listener="[2001:db8:25::25]:25")
        self.check([
            ("53 one client", "audit_connections_on_service 10.0.0.7/32", "2"),
            ("53 by its mask", "audit_connections_on_service /32 10.0.0.7", "2"),
            ("53 the same by name", "audit_service SMTP /32 10.0.0.7", "2"),
            ("a bare address", "audit_connections_on_service 10.0.0.7", "2"),
            ("his /24", "audit_connections_on_service 10.0.0.7 /24", "3"),
            ("a block", "audit_service smtp 10.0.0.0/8", "4"),
            ("everything", "audit_service SMTP /0 10.0.0.7", "4"),
            ("another service", "audit_service submission 10.0.0.0/8", "3"),
            ("54 on one listener", "audit_connections_on_listener 198.51.100.25:25 10.0.0.7/32",
             "1"),
            ("54 in the other order", "audit_connections_on_listener /32 10.0.0.7 198.51.100.26:25",
             "1"),
            ("IPv6, bare", "audit_connections_on_service 2001:db8::7", "5"),
            ("IPv6, in brackets", "audit_connections_on_service [2001:db8::7]/64", "5"),
            ("IPv6, one client", "audit_connections_on_service /32 [2001:db8::7]", "5"),
            ("IPv6 on one listener",
             "audit_connections_on_listener [2001:db8:25::25]:25 [2001:db8::]/32", "5"),
            ("by the program's own name", "tallygate-sieve audit_service SMTP 10.0.0.7", "2"),
        ])

    def test_mistakes(self):
        self.check([
            ("no client", "audit_connections_on_service /32", "", 2,
             "the client's address is missing"),
            ("no header", ["audit_connections_on_service", "/32", ""], "", 2,
             "the client's address is missing"),
            ("no address in it", "audit_connections_on_service unknown /32", "", 2,
             "'unknown' is not an IPv4 or IPv6 address"),
            ("no arguments", "audit_service", "", 2, "the service is missing"),
            ("two clients", "audit_service SMTP 10.0.0.1 10.0.0.2", "", 2, "one argument too many"),
            ("two masks", "audit_service SMTP /24 10.0.0.1/24", "", 2, "two masks"),
            ("a bad mask", "audit_service SMTP /33 10.0.0.1", "", 2, "'/33' is not a mask"),
            ("a bad block", "audit_service SMTP 10.0.0.1/33", "", 2, "10.0.0.1/33"),
            ("a host name", "audit_service SMTP mail.example.com", "", 2, "mail.example.com"),
            ("no listener", "audit_connections_on_listener 10.0.0.1/32", "", 2,
             "the listener is missing"),
            ("an unknown service", "audit_service imap 10.0.0.1", "", 5,
             "there is no service 'imap'"),
            ("a cluster's", "audit_service inbound_cidr 10.0.0.1", "", 2, "no cluster configured"),
            ("another", "audit_service ECCluster 10.0.0.1", "", 2, "no cluster configured"),
            ("and another", "audit_service ECmmove2 10.0.0.1", "", 2, "no cluster configured"),
            ("an unknown program", "tallygate-sieve ec_tarpit 10", "", 2, "usage: audit_service"),
            ("no program", "tallygate-sieve", "", 2, "usage: ec_ip_connections"),
            ("a name without end", "audit_service SMTP 10.0.0.1." + "1" * 5000, "", 2,
             "that is no CIDR block"),
        ])

    def test_no_daemon(self):
        self.ledger.end()
        self.check([
            ("mail flows", "audit_service SMTP 10.0.0.1", "0", 0, "no daemon at"),
            ("also for series", "audit_series mine 300,6 10.0.0.1", "0", 0, "no daemon at"),
            ("adding says nothing", "audit_series_add mine 300,6 10.0.0.1", "", 0, "no daemon at"),
            ("who would rather know", "audit_service --strict SMTP 10.0.0.1", "", 3,
             "no daemon at"),
        ])


if __name__ == "__main__":
    unittest.main()
