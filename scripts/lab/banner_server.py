# SPDX-License-Identifier: BSD-2-Clause
"""A mail server that only says hello: 220 on arrival, 221 on QUIT, 250 on anything else.

    python3 -m lab.banner_server PORT ADDRESS...

Prints "ready" once it listens, and ends when its standard input does.
"""
import asyncio
import sys

BACKLOG = 4096


async def serve_client(reader, writer):
    try:
        writer.write(b"220 mail.example ESMTP\r\n")
        while line := await reader.readline():
            leaving = line.strip().upper() == b"QUIT"
            writer.write(b"221 2.0.0 Bye\r\n" if leaving else b"250 2.0.0 Ok\r\n")
            if leaving:
                break
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(port, addresses):
    for address in addresses:
        await asyncio.start_server(serve_client, address, port, backlog=BACKLOG)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
