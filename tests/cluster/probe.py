"""Ask a component whether it is ready."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

TIMEOUT = 5.0


async def answers(target: str) -> bool:
    """True if `target` is well: http(s) with a 2xx status, or unix:// that accepts."""
    try:
        return await asyncio.wait_for(_answers(target), TIMEOUT)
    except (TimeoutError, OSError, ValueError):
        return False


async def _answers(target: str) -> bool:
    url = urlsplit(target)
    if url.scheme == "unix":
        _, writer = await asyncio.open_unix_connection(url.path)
        writer.close()
        return True
    context = _any_certificate() if url.scheme == "https" else None
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    try:
        request = f"GET {url.path} HTTP/1.0\r\nHost: {url.hostname}\r\n\r\n"
        writer.write(request.encode())
        status = (await reader.readline()).split(b" ")
        return len(status) > 1 and status[1].startswith(b"2")
    finally:
        writer.close()


def _any_certificate() -> ssl.SSLContext:
    """For health endpoints on the namespace's own loopback; some sign for themselves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
