# SPDX-License-Identifier: BSD-2-Clause
"""What spawn(8) runs for each stream: standard input and output to a socket and back."""
import select
import socket
import sys

peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
client = socket.socket(fileno=0)
while True:
    for one in select.select([peer, client], [], [])[0]:
        data = one.recv(4096)
        if not data:
            sys.exit()
        (peer if one is client else client).sendall(data)
