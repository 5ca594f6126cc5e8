# SPDX-License-Identifier: BSD-2-Clause
"""tallygate on another kernel than this machine's: packed, booted under QEMU, and judged.

`main` is the order of things on this side; `guest` is what runs on the other.
"""

# What begins a line of the guest's console that is for `main`.
MARK = "@@ "
