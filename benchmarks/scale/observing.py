"""What the API server shows, and when this process saw it."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp

Raw = Mapping[str, Any]
Times = dict[str, float]


async def watch(
    session: aiohttp.ClientSession, address: str, take: Callable[[str, Raw], None]
) -> None:
    """Watch a collection for good; `take` gets each event's type and object.

    A loaded API server closes watches that fall behind: the watch goes on from where it was.
    """
    version = "0"
    while True:
        parameters = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        timeout = aiohttp.ClientTimeout(total=None)
        async with session.get(address, params=parameters, timeout=timeout) as response:
            response.raise_for_status()
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        version = "0"
                        continue
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        take(event["type"], event["object"])


async def until(what: str, have: Callable[[], int], count: int, seconds: float) -> float:
    """Wait until there are so many; gives the monotonic time, or ends the benchmark."""
    deadline = time.monotonic() + seconds
    while have() < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds:.0f} s {have()} {what} of {count} only")
        await asyncio.sleep(0.05)
    return time.monotonic()


def spread(what: str, times: Sequence[float]) -> str:
    """Give a row of median, p99 and longest."""
    if not times:
        return f"{what}: none"
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return (
        f"{what}: median {statistics.median(ordered):.3f} s, p99 {p99:.3f} s, "
        f"longest {ordered[-1]:.3f} s"
    )


def between(start: Times, end: Times) -> list[float]:
    """Give how long each took from one milestone to the other."""
    return [end[name] - start[name] for name in end if name in start]
