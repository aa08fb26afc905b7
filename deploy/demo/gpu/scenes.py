"""What happens to trainings on a GPU, provoked for real, with figures.

One training is left alone. Another of the same capture is suspended in its middle, resumed, and
its trainer killed with SIGKILL; it must end no worse. A third finds the GPU nearly full.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.demo import manifests
from deploy.demo.follow import explain, follow_to_the_end, succeeded_condition
from deploy.demo.kube import Kube, Object
from deploy.demo.manifests import TrainingRequest
from deploy.demo.stages import DemoError, Stages

WITHIN_DB = 0.1
"""How far apart the PSNR of an interrupted training and of one left alone may be."""

LEFT_FREE_BYTES = 1_700_000_000
"""Of the GPU for the one that starves: enough for PyTorch and the capture's first Gaussians."""

_CHECKPOINTS = 1000
_TIMEOUT = 600
_HOLD_MEMORY = """
import sys, torch
held = []
for device in range(torch.cuda.device_count()):
    torch.zeros(1, device=device)
    free, _ = torch.cuda.mem_get_info(device)
    held.append(torch.empty(free - int(sys.argv[1]), dtype=torch.uint8, device=device))
print("held", flush=True)
sys.stdin.read()
"""


def play(kube: Kube, request: TrainingRequest, steps: int, stages: Stages, output: Path) -> None:
    """Play all scenes, of trainings of so many steps; figures go to `output`/scenes.json.

    Raises:
        DemoError: one of them goes wrong.
    """
    figures: dict[str, Any] = {}
    with stages.stage("A training left alone"):
        uncut = _result(_train(kube, request, "uncut"))
        figures["uncut"] = uncut
    with stages.stage("Another, suspended in its middle, resumed, then killed with SIGKILL"):
        figures["cut"] = cut = _cut(kube, request, steps)
    lost = float(uncut["psnr"]) - float(cut["psnr"])
    figures["decibelsLost"] = round(lost, 2)
    with stages.stage("A third, on a GPU that is nearly full"):
        figures["starved"] = _starved(kube, request)
    output.mkdir(parents=True, exist_ok=True)
    (output / "scenes.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    if abs(lost) > WITHIN_DB:
        raise DemoError(f"the interrupted training ended {abs(lost):.2f} dB from the other")


def _cut(kube: Kube, request: TrainingRequest, steps: int) -> dict[str, Any]:
    name = "cut"
    kube.apply(_manifest(request, name))
    _wait(kube, name, "a third done", lambda status: _iteration(status) >= steps // 3)
    asked = time.monotonic()
    _suspend(kube, name, True)
    _wait(kube, name, "suspended", lambda status: status.get("phase") == "Suspended")
    _wait_for_no_pod(kube, name)
    freed = time.monotonic() - asked
    print(f"    the GPU is free after {freed:.1f} s")
    asked = time.monotonic()
    _suspend(kube, name, False)
    _wait(kube, name, "resumed", lambda status: status.get("attempts") == 2 and _runs(status))
    resumed = time.monotonic() - asked
    _wait(kube, name, "two thirds done", lambda status: _iteration(status) >= 2 * steps // 3)
    uid = kube.get("splattraining", name, "-n", manifests.NAMESPACE)["metadata"]["uid"]
    killed = time.monotonic()
    _kill_trainer(uid)
    _wait(kube, name, "tried again", lambda status: status.get("attempts") == 3 and _runs(status))
    again = time.monotonic() - killed
    ended = _ended(kube, name)
    log = kube.run("-n", manifests.NAMESPACE, "logs", ended["status"]["podName"])
    return {
        **_result(ended),
        "secondsToFreeTheGpu": round(freed, 1),
        "secondsToGoOn": round(resumed, 1),
        "secondsFromSigkillToRunning": round(again, 1),
        "attempts": ended["status"]["attempts"],
        "goneOnFrom": re.findall(r"going on from checkpoint_(\d+)", log),
    }


def _starved(kube: Kube, request: TrainingRequest) -> dict[str, Any]:
    """Fill the GPU but for a little; then give the one that failed the cap that it was told."""
    with _memory_held(LEFT_FREE_BYTES):
        kube.apply(_manifest(request, "starved", maxRetries=0))
        failed = follow_to_the_end(kube, manifests.NAMESPACE, "starved", _TIMEOUT)
        condition = succeeded_condition(failed)
        told = re.search(r"maxGaussians to (\d+)", condition["message"])
        if condition["reason"] != "OutOfGpuMemory" or told is None:
            raise DemoError(f"starved: {condition['reason']}: {condition['message']}")
        capped = replace(request, max_gaussians=int(told[1]))
        fitted = _train(kube, capped, "capped")
    return {"message": condition["message"], "capped": _result(fitted)}


@contextmanager
def _memory_held(left_free: int) -> Iterator[None]:
    """Hold each GPU's memory but for `left_free` bytes, as another process of the node would."""
    command = [sys.executable, "-c", _HOLD_MEMORY, str(left_free)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            if holder.stdout is None or holder.stdout.readline() != b"held\n":
                raise DemoError("the GPU's memory could not be held")
            yield
        finally:
            holder.terminate()


def _kill_trainer(uid: str) -> None:
    """Kill the trainer of a run with SIGKILL, from outside of its container."""
    mark = f"SPLAT_RUN_ID={uid}".encode()
    killed = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if marked:
            os.kill(int(folder.name), signal.SIGKILL)
            killed += 1
    if not killed:
        raise DemoError("no process of the training was found")


def _train(kube: Kube, request: TrainingRequest, name: str) -> Object:
    kube.apply(_manifest(request, name))
    return _ended(kube, name)


def _manifest(request: TrainingRequest, name: str, **spec: Any) -> Object:
    checkpoint = {"interval": _CHECKPOINTS}
    return manifests.splat_training(request, name, f"scenes/{name}", checkpoint=checkpoint, **spec)


def _ended(kube: Kube, name: str) -> Object:
    ended = follow_to_the_end(kube, manifests.NAMESPACE, name, _TIMEOUT)
    if succeeded_condition(ended).get("status") != "True":
        raise DemoError(explain(kube, manifests.NAMESPACE, name))
    return ended


def _result(ended: Object) -> dict[str, Any]:
    status = ended["status"]
    return {**status["result"], "gpuSeconds": status.get("gpuSeconds")}


def _suspend(kube: Kube, name: str, suspend: bool) -> None:
    patch = json.dumps({"spec": {"suspend": suspend}})
    kube.run(
        *("-n", manifests.NAMESPACE, "patch", "splattraining", name, "--type=merge"),
        f"--patch={patch}",
    )


def _wait(kube: Kube, name: str, what: str, until: Callable[[Object], bool]) -> Object:
    end = time.monotonic() + _TIMEOUT
    while time.monotonic() < end:
        status: Object = kube.get("splattraining", name, "-n", manifests.NAMESPACE).get(
            "status", {}
        )
        if until(status):
            return status
        if status.get("phase") in ("Succeeded", "Failed"):
            break
        time.sleep(0.3)
    raise DemoError(f"{name} is not {what}\n{explain(kube, manifests.NAMESPACE, name)}")


def _wait_for_no_pod(kube: Kube, name: str) -> None:
    selector = f"splatting.dev/training={name}"
    end = time.monotonic() + _TIMEOUT
    while kube.get("pods", "-n", manifests.NAMESPACE, "-l", selector)["items"]:
        if time.monotonic() > end:
            raise DemoError(f"the pod of {name} does not go")
        time.sleep(0.3)


def _iteration(status: Object) -> int:
    return int(status.get("progress", {}).get("iteration", 0))


def _runs(status: Object) -> bool:
    return status.get("phase") == "Running"
