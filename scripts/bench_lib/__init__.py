# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks behind scripts/bench: what a packet costs, and what a flood leaves of a service.

Nothing here judges a figure. What can make one worthless is looked for: a receiver that did not
get what was sent, a rule that no packet met, a table that was not filled.
"""
