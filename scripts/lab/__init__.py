# SPDX-License-Identifier: BSD-2-Clause
"""A laboratory for tallygate: a mail server and its clients, each in a network namespace.

The demo and the system tests share it. Standard library only, and nothing in here knows what
tallygate counted except by asking its own command line, as an operator would.
"""
