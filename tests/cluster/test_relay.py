"""The relay between the machine and the API server carries bytes both ways, to the end."""

from __future__ import annotations

import asyncio
import socket

from tests.cluster.processes import listen_on_loopback
from tests.cluster.relay import relay


def test_bytes_go_both_ways_and_an_end_in_one_direction_leaves_the_other_open() -> None:
    asyncio.run(_half_closed())


async def _half_closed() -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Answers only when the asker has ended its side.
        asked = await reader.read()
        writer.write(str(len(asked)).encode())
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    listening = listen_on_loopback()
    carried = await relay(listening, *server.sockets[0].getsockname())
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(b"x" * 1_000_000)
    writer.write_eof()

    assert await reader.read() == b"1000000"

    writer.close()
    carried.close()
    server.close()


def test_a_connection_that_the_server_refuses_is_closed() -> None:
    asyncio.run(_refused())


async def _refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()[1]
    listening = listen_on_loopback()
    carried = await relay(listening, "127.0.0.1", nobody)
    reader, writer = await asyncio.open_connection(*listening.getsockname())

    assert await reader.read() == b""

    writer.close()
    carried.close()
