"""Waits that say what is waited for while they last, and what is wrong when they fail."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from deploy.demo.kube import Kube
from deploy.demo.stages import DemoError

_LOG_LINES = 20


@contextmanager
def waiting_for_pods(kube: Kube, namespace: str, what: str) -> Iterator[None]:
    """Say every few seconds what the pods of a namespace are at; a failure ends with their logs."""
    with Heartbeat(what, lambda: pods_at(kube, namespace)):
        try:
            yield
        except DemoError as error:
            raise DemoError(f"{error}\n{explain_pods(kube, namespace)}") from error


class Heartbeat:
    """Says every few seconds what is waited for and what is seen, until the block ends.

    `look` gives what is seen, or None where nothing is to be said.
    """

    def __init__(self, what: str, look: Callable[[], str | None], every: float = 10.0) -> None:
        self._what = what
        self._look = look
        self._every = every
        self._done = threading.Event()

    def __enter__(self) -> None:
        threading.Thread(target=self._beat, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _beat(self) -> None:
        started = time.monotonic()
        while not self._done.wait(self._every):
            seen: str | None = ""
            with contextlib.suppress(DemoError):
                seen = self._look()
            waited = f"    … {time.monotonic() - started:.0f} s, waiting for {self._what}"
            if seen is not None and not self._done.is_set():
                print(f"{waited}: {seen}" if seen else waited, flush=True)


def pods_at(kube: Kube, namespace: str) -> str:
    """Tell each pod that is not ready, and why."""
    return "; ".join(
        f"pod {pod['metadata']['name']}: {why}"
        for pod in kube.get("pods", "-n", namespace)["items"]
        if (why := _not_ready(pod))
    )


def explain_pods(kube: Kube, namespace: str) -> str:
    """Tell of each pod that is not ready why, and the end of its log."""
    lines = []
    with contextlib.suppress(DemoError):
        for pod in kube.get("pods", "-n", namespace)["items"]:
            if why := _not_ready(pod):
                name = pod["metadata"]["name"]
                lines.append(f"  pod {name}: {why}")
                with contextlib.suppress(DemoError):
                    log = kube.run("-n", namespace, "logs", name, f"--tail={_LOG_LINES}")
                    lines.append(f"--- end of the log of pod {name}\n{log}")
    return "\n".join(lines)


def _not_ready(pod: dict[str, Any]) -> str:
    """Give what keeps a pod from being ready, in the cluster's words; empty for one that is."""
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded":
        return ""
    for container in status.get("containerStatuses", ()):
        state = container.get("state", {})
        for kind in ("waiting", "terminated"):
            if kind in state:
                words = [state[kind].get("reason", kind), state[kind].get("message", "")]
                return " ".join(" ".join(word.split()) for word in words if word)
    for condition in status.get("conditions", ()):
        if condition["status"] != "True" and condition["type"] in ("PodScheduled", "Ready"):
            told = condition.get("message") or condition.get("reason") or condition["type"]
            return " ".join(str(told).split())
    return "" if status.get("conditions") else "no node yet"
