"""Programs that are measured or needed: built from the Go module proxy, run, and looked at."""

import contextlib
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.go_module import built_program, module_folder

GO = Path(__file__).parent / "go"
KWOK = "sigs.k8s.io/kwok"
KUBERAY = "github.com/ray-project/kuberay/ray-operator"

_PACKAGES = {"kwok": f"{KWOK}/cmd/kwok", "kuberay": KUBERAY}


def built(name: str) -> Path:
    """Give the program, built at the version that its go.mod pins; minutes the first time."""
    return built_program(GO / name, _PACKAGES[name])


@dataclass(frozen=True)
class Running:
    """A process that is measured."""

    process: subprocess.Popen[bytes]
    metrics: str

    @property
    def cpu_seconds(self) -> float:
        """CPU that it used so far, in user and kernel mode."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_bytes(self) -> int:
        """Memory that it holds now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def scraped(self) -> Mapping[str, float]:
        """Read its metrics."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.metrics, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def wait_for(self, url: str, seconds: float = 180) -> float:
        """Wait until it answers with 200; gives the seconds that this took."""
        started = time.monotonic()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() - started < seconds:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.process.args!r} ended with {self.process.returncode}")
            with contextlib.suppress(OSError), opener.open(url, timeout=5):
                return time.monotonic() - started
            time.sleep(0.1)
        raise SystemExit(f"{url} does not answer after {seconds:.0f} s")


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, metrics: str = "", **environment: str
) -> Iterator[Running]:
    """Run a program, and end it at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        yield Running(process, metrics)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def simulated_nodes(kubeconfig: str, folder: Path, *, pods_end: bool) -> Iterator[Running]:
    """Run kwok with its own stages: pods on its nodes start at once; with `pods_end` they end."""
    stages = module_folder(GO / "kwok", KWOK) / "kustomize" / "stage"
    files = [
        stages / "node" / "fast" / "node-initialize.yaml",
        *(stages / "pod" / "fast" / f"{name}.yaml" for name in ("pod-ready", "pod-delete")),
        *([stages / "pod" / "fast" / "pod-complete.yaml"] if pods_end else []),
    ]
    command = [
        str(built("kwok")),
        f"--kubeconfig={kubeconfig}",
        "--manage-nodes-with-label-selector=type=kwok",
        "--node-lease-duration-seconds=40",
        "--cidr=10.0.0.0/12",
        *(f"--config={file}" for file in files),
    ]
    with running(command, folder / "kwok.log") as kwok:
        yield kwok


def node(number: int) -> dict[str, object]:
    """Give a node that kwok looks after and that nothing else is scheduled to."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"kwok-{number}", "labels": {"type": "kwok"}},
        "spec": {"taints": [{"key": "kwok", "value": "true", "effect": "NoSchedule"}]},
    }


def scratch_folder() -> Path:
    """Give a folder for logs; it stays, to be looked at."""
    return Path(tempfile.mkdtemp(prefix="splat-benchmark-"))


def inside_kubeconfig() -> str:
    """Give the kubeconfig that everything here uses."""
    path = os.environ.get("KUBECONFIG", "")
    if not path:
        raise SystemExit("set KUBECONFIG: the benchmark works on the cluster that it names")
    return path
