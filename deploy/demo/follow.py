"""The live view: `kubectl get -w` of one SplatTraining until it has ended."""

import contextlib
import subprocess
import time

from deploy.demo.kube import Kube, Object
from deploy.demo.stages import DemoError
from deploy.demo.waiting import Heartbeat


def follow_to_the_end(kube: Kube, namespace: str, name: str, timeout: float) -> Object:
    """Print kubectl's own live view until the training has ended; gives the ended resource."""
    command = [*kube.kubectl, "-n", namespace, "get", "splattraining", name, "--watch"]
    held = Heartbeat(f"SplatTraining {name}", lambda: _held_up(kube, namespace, name))
    with held, subprocess.Popen(command, env=dict(kube.environment)) as watching:
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


def _held_up(kube: Kube, namespace: str, name: str) -> str | None:
    """Tell what keeps a training from running, in the resource's own words; None if it runs."""
    resource = kube.get("splattraining", name, "-n", namespace)
    if resource.get("status", {}).get("phase") in ("Running", "Succeeded", "Failed"):
        return None
    condition = succeeded_condition(resource)
    return f"{condition.get('reason', 'not taken up yet')}: {condition.get('message', '')}"


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
