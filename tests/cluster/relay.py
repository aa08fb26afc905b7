"""From a socket of the machine's loopback to the API server in the cluster's own network.

A socket stays in the network namespace in which it was made: the listening one is made
outside and handed to the supervisor, the connecting ones are made inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

CHUNK = 1 << 16


async def relay(listening: socket.socket, address: str, port: int) -> asyncio.Server:
    """Carry each connection that `listening` takes to `address:port`, both ways."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            try:
                to_reader, to_writer = await asyncio.open_connection(address, port)
            except OSError:
                writer.close()
                return
            try:
                await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))
            finally:
                writer.close()
                to_writer.close()

    return await asyncio.start_server(carry, sock=listening)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, and pass the end on: the other direction may go on for longer."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        # One side is gone: nothing that the other sends can arrive.
        writer.close()
        raise
