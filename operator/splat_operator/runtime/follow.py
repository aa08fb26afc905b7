"""Follow one SplatTraining to its end, as `helm test` does in a pod of the chart's.

`python -m splat_operator.runtime.follow NAMESPACE NAME` prints a line whenever the status says
something new. Exit code 0: it has succeeded, and with --delete it is deleted. 1: it has failed or
is gone; it stays, to be looked at.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
import kopf

from splat_operator.act import ApiClient, ApiError, paths
from splat_operator.runtime.connection import connection_info, open_session

_POLL_SECONDS = 1.0

Raw = dict[str, Any]


def said(training: Raw) -> str:
    """Tell in one line where a training is: phase, progress, reason and the operator's words."""
    status = training.get("status") or {}
    if not status.get("phase"):
        return "no status yet: the operator has not taken it up"
    progress = status.get("progress") or {}
    condition = _succeeded(training)
    words = [status["phase"], progress.get("percent"), condition.get("reason")]
    return f"{' '.join(word for word in words if word)}: {condition.get('message', '')}"


def ended(training: Raw) -> bool | None:
    """Tell whether a training has succeeded; None while it has not ended."""
    return {"True": True, "False": False}.get(_succeeded(training).get("status", ""))


async def follow(
    client: ApiClient,
    namespace: str,
    name: str,
    say: Callable[[str], None],
    seconds: float = _POLL_SECONDS,
) -> Raw:
    """Look until the training has ended, and say what is new; gives it as it is then.

    Raises ApiError where the API server refuses. While it cannot be reached, it is asked again.
    """
    last = ""
    while True:
        training: Raw = {}
        try:
            training = await client.get(paths.training(namespace, name))
            line = said(training)
        except (aiohttp.ClientError, TimeoutError) as error:
            line = f"the API server is out of reach: {error or type(error).__name__}"
        except ApiError as error:
            if error.refusal:
                raise
            line = str(error)
        if line != last:
            say(line)
            last = line
        if ended(training) is not None:
            return training
        await asyncio.sleep(seconds)


async def _run(namespace: str, name: str, delete: bool) -> int:
    info = connection_info()
    async with open_session(info) as session:
        client = ApiClient(session, info.server)
        training = await follow(client, namespace, name, lambda line: print(line, flush=True))
        if not ended(training):
            print(
                f"look at it:  kubectl -n {namespace} describe splattraining {name}\n"
                f"             kubectl -n {namespace} logs -l splatting.dev/training={name}"
            )
            return 1
        if delete:
            await client.delete(
                paths.training(namespace, name), uid=str(training["metadata"]["uid"])
            )
        return 0


def _succeeded(training: Raw) -> Raw:
    conditions: list[Raw] = (training.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == "Succeeded"), {})


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m splat_operator.runtime.follow",
        description="Follow one SplatTraining to its end.",
    )
    parser.add_argument("namespace")
    parser.add_argument("name")
    parser.add_argument("--delete", action="store_true", help="delete it once it has succeeded")
    given = parser.parse_args()
    try:
        sys.exit(asyncio.run(_run(given.namespace, given.name, given.delete)))
    except (kopf.LoginError, ApiError, aiohttp.ClientError) as error:
        sys.exit(f"{given.namespace}/{given.name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
