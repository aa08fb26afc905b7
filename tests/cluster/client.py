"""A cluster as tests and demos use it: kubectl, helm, images, and a way to a Service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import building, loading
from tests.cluster.errors import ClusterError
from tests.cluster.guard import refusal
from tests.cluster.layout import Layout
from tests.cluster.tools import of_cluster

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Cluster:
    """A running cluster that tests may use.

    `program` gives the path of kubectl and of helm, `environment` makes them speak to it.
    `gpu_health` is the folder whose files make the project's own pretended GPUs ill; None where
    the cluster is not the project's.
    """

    name: str
    context: str
    kubeconfig: Path
    environment: Mapping[str, str]
    program: Callable[[str], str]
    load_image: Callable[[Path], list[str]]
    gpu_health: Path | None = None

    def try_kubectl(
        self, *arguments: str, stdin: str | None = None, timeout: float = 180
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, whatever comes of it."""
        return self._run([self.program("kubectl"), *arguments], stdin, timeout)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 180) -> str:
        """Run kubectl and give its output; ClusterError with its own words if it fails."""
        return _output(self.try_kubectl(*arguments, stdin=stdin, timeout=timeout))

    def helm(self, *arguments: str, timeout: float = 300) -> str:
        """Run helm and give its output; ClusterError with its own words if it fails."""
        return _output(self._run([self.program("helm"), *arguments], None, timeout))

    def apply(self, *manifests: Manifest, namespace: str) -> None:
        """Apply objects, server-side."""
        document = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self.kubectl(
            *("apply", "--server-side", f"--namespace={namespace}", "--filename=-"),
            stdin=json.dumps(document),
        )

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """One object, or None where there is none."""
        scope = [f"--namespace={namespace}"] if namespace else []
        output = self.kubectl("get", kind, name, "--output=json", "--ignore-not-found", *scope)
        found: dict[str, Any] | None = json.loads(output) if output.strip() else None
        return found

    def list(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """All objects of a kind in a namespace, or those that a label selector chooses."""
        chosen = [f"--selector={selector}"] if selector else []
        output = self.kubectl("get", kind, "--output=json", f"--namespace={namespace}", *chosen)
        items: list[dict[str, Any]] = json.loads(output)["items"]
        return items

    @contextmanager
    def forwarded(self, target: str, port: int, namespace: str) -> Iterator[str]:
        """Reach `port` of a pod or `svc/NAME` from this machine; gives `127.0.0.1:PORT`."""
        command = [
            *(self.program("kubectl"), "port-forward", "--address=127.0.0.1"),
            *(f"--namespace={namespace}", target, f":{port}"),
        ]
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.match(r"Forwarding from (127\.0\.0\.1:\d+)", first)
            if found is None:
                raise ClusterError(f"cannot forward {target} port {port}: {first.strip()}")
            yield found[1]
        finally:
            process.terminate()
            process.communicate(timeout=10)

    def _run(
        self, command: Sequence[str], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def own(layout: Layout) -> Cluster:
    """The project's own cluster, which must be up."""
    tools = of_cluster(layout)
    return Cluster(
        name=layout.name,
        context=layout.context,
        kubeconfig=layout.kubeconfig,
        environment=layout.client_environment(),
        program=tools.program,
        load_image=lambda archive: loading.load_image(layout, archive),
        gpu_health=layout.gpu_health,
    )


def pointed_at(context: str, scratch: Path) -> Cluster:
    """The cluster of a context of the user's kubeconfig, unless tests must not touch it.

    `scratch` is a folder for a kubeconfig that knows this one context and no other.
    """
    minified = subprocess.run(
        [
            *(
                _program("kubectl"),
                "config",
                "view",
                "--minify",
                "--flatten",
                "--raw",
                "--output=json",
            ),
            f"--context={context}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(minified.stdout or "{}")
    if minified.returncode or not document.get("clusters"):
        raise ClusterError(f"no context {context!r} in your kubeconfig: {minified.stderr.strip()}")
    server = document["clusters"][0]["cluster"]["server"]
    if reason := refusal(context, server):
        raise ClusterError(f"refusing to run tests there: {reason}")
    kubeconfig = scratch / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(json.dumps({**document, "current-context": context}))
    return Cluster(
        name=context,
        context=context,
        kubeconfig=kubeconfig,
        environment={**os.environ, "KUBECONFIG": str(kubeconfig)},
        program=_program,
        load_image=lambda archive: load_elsewhere(context, archive),
    )


def load_elsewhere(context: str, archive: Path) -> list[str]:
    """Load an archive the way that the cluster's own tool does it."""
    kind, _, rest = context.partition("-")
    if kind == "splat":
        return loading.load_image(Layout.of(rest), archive)
    commands = {
        "kind": ["kind", "load", "image-archive", str(archive), f"--name={rest}"],
        "k3d": ["k3d", "image", "import", str(archive), f"--cluster={rest}"],
        "minikube": ["minikube", "image", "load", str(archive), f"--profile={context}"],
    }
    command = commands.get(kind)
    if command is None:
        raise ClusterError(f"no way is known to load {archive} into the cluster of {context!r}")
    _output(subprocess.run(command, capture_output=True, text=True, check=False))
    return []


def _program(name: str) -> str:
    return shutil.which(name) or str(building.built() / "bin" / name)


def _output(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode:
        command = " ".join([Path(done.args[0]).name, *done.args[1:]])
        raise ClusterError(f"`{command}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout
