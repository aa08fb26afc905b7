"""The live view: `kubectl get -w` of one SplatTraining until it has ended."""

import contextlib
import subprocess
import threading
import time

from deploy.demo.kube import Kube, Object
from deploy.demo.stages import DemoError


def follow_to_the_end(kube: Kube, namespace: str, name: str, timeout: float) -> Object:
    """Print kubectl's own live view until the training has ended; gives the ended resource."""
    command = [*kube.kubectl, "-n", namespace, "get", "splattraining", name, "--watch"]
    with subprocess.Popen(command, env=dict(kube.environment)) as watching:
        try:
            return _wait_until_ended(kube, namespace, name, timeout)
        finally:
            time.sleep(0.5)  # the last row is on its way
            watching.terminate()


def _wait_until_ended(kube: Kube, namespace: str, name: str, timeout: float) -> Object:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        resource = kube.get("splattraining", name, "-n", namespace)
        if succeeded_condition(resource).get("status") in ("True", "False") and resource[
            "status"
        ].get("completionTime"):
            return resource
        time.sleep(1)
    raise DemoError(f"{name} has not ended after {timeout:.0f} s\n{explain(kube, namespace, name)}")


def succeeded_condition(resource: Object) -> Object:
    """Give the Succeeded condition, or an empty one."""
    for condition in resource.get("status", {}).get("conditions", []):
        if condition["type"] == "Succeeded":
            found: Object = condition
            return found
    return {}


def explain(kube: Kube, namespace: str, name: str) -> str:
    """Give what is known of a training that went wrong: conditions, events, the log's end."""
    lines = []
    with contextlib.suppress(DemoError):
        resource = kube.get("splattraining", name, "-n", namespace)
        for condition in resource.get("status", {}).get("conditions", []):
            lines.append(
                f"  {condition['type']}={condition['status']}"
                f" {condition.get('reason', '')}: {condition.get('message', '')}"
            )
        pod = resource.get("status", {}).get("podName")
        if pod:
            lines.append(f"--- end of the log of pod {pod}")
            lines.append(kube.run("-n", namespace, "logs", pod, "--tail=30"))
    with contextlib.suppress(DemoError):
        lines.append("--- events")
        lines.append(kube.run("-n", namespace, "get", "events", "--sort-by=.lastTimestamp"))
    return "\n".join(lines)


class Heartbeat:
    """Says every few seconds what is waited for, until the block ends."""

    def __init__(self, what: str, every: float = 15.0) -> None:
        self._what = what
        self._every = every
        self._done = threading.Event()

    def __enter__(self) -> None:
        threading.Thread(target=self._beat, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _beat(self) -> None:
        started = time.monotonic()
        while not self._done.wait(self._every):
            waited = time.monotonic() - started
            print(f"    … still waiting for {self._what} ({waited:.0f} s)", flush=True)
