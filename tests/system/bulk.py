# SPDX-License-Identifier: BSD-2-Clause
"""Both ends of connections that move megabytes, so that the kernel builds super-packets.

    python3 bulk.py serve ADDRESS...
    python3 bulk.py download|upload FROM TO CONNECTIONS BYTES

The server ends with its input. The client connects, says "open", waits for a line on its input,
moves its bytes, closes, and says "done". Who has sent all of its bytes closes first: the FIN
leaves behind the last of them, in the same packet.
"""
import asyncio
import socket
import sys
import threading

PORT = 25
TIMEOUT_SECONDS = 60
PIECE = bytes(1 << 20)


async def serve_client(reader, writer):
    try:
        verb, size = (await reader.readline()).split()
        writer.write(b"ready\n")
        await writer.drain()
        if verb == b"download":
            await reader.readline()
            writer.write(bytes(int(size)))
        else:
            while await reader.read(len(PIECE)):
                pass
    except (ConnectionError, ValueError):
        pass
    finally:
        writer.close()


async def serve(addresses):
    for address in addresses:
        await asyncio.start_server(serve_client, address, PORT)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def connect(verb, source, server, size):
    connection = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
    connection.settimeout(TIMEOUT_SECONDS)
    connection.bind((source, 0))
    connection.connect((server, PORT))
    connection.sendall(b"%s %d\n" % (verb.encode(), size))
    if connection.recv(16) != b"ready\n":
        raise ConnectionError("the server did not greet")
    return connection


def move(verb, connection, size):
    if verb == "download":
        connection.sendall(b"now\n")
    else:
        connection.sendall(bytes(size))
        connection.shutdown(socket.SHUT_WR)
    received = 0
    while piece := connection.recv(len(PIECE)):
        received += len(piece)
    connection.close()
    if verb == "download" and received != size:
        raise ConnectionError(f"{received} bytes came of {size}")


def run_client(verb, source, server, count, size):
    connections = [connect(verb, source, server, size) for _ in range(count)]
    print("open", flush=True)
    sys.stdin.readline()
    threads = [threading.Thread(target=move, args=(verb, each, size)) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("done", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(sys.argv[2:]))
    else:
        run_client(*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]))
