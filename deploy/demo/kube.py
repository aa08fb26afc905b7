"""kubectl and helm, as the demo uses them: argument lists in, objects and errors out."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.demo.stages import DemoError

Object = dict[str, Any]


@dataclass(frozen=True)
class Kube:
    """The two tools as the starts of argument lists, and the environment that finds the cluster."""

    kubectl: tuple[str, ...]
    helm: tuple[str, ...]
    environment: Mapping[str, str]

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and give what it printed; its own words are the error's."""
        return self._run([*self.kubectl, *arguments], stdin)

    def run_helm(self, *arguments: str) -> str:
        """Run helm and give what it printed."""
        return self._run([*self.helm, *arguments], None)

    def get(self, *arguments: str) -> Object:
        """`kubectl get … -o json`."""
        found: Object = json.loads(self.run("get", *arguments, "-o", "json"))
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects server-side, under the demo's own field owner."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run(
            *("apply", "--server-side", "--force-conflicts", "--field-manager=demo", "-f", "-"),
            stdin=json.dumps(items),
        )

    @contextmanager
    def port_forward(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """Forward a free local port to `target`; yields the port."""
        command = [*self.kubectl, "-n", namespace, "port-forward", target, f":{port}"]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(self.environment),
        ) as process:
            try:
                assert process.stdout is not None  # noqa: S101 - we asked for a pipe
                line = process.stdout.readline()
                match = re.search(r"127\.0\.0\.1:(\d+)", line)
                if not match:
                    raise DemoError(f"kubectl port-forward {target}: {line.strip()}")
                yield int(match[1])
            finally:
                process.terminate()

    def _run(self, command: Sequence[str], stdin: str | None) -> str:
        finished = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=dict(self.environment),
        )
        if finished.returncode != 0:
            words = finished.stderr.strip() or finished.stdout.strip()
            raise DemoError(f"{Path(command[0]).name} {_verb(command)}: {words}")
        return finished.stdout


def _verb(command: Sequence[str]) -> str:
    words = [word for word in command[1:] if not word.startswith("-") and "/" not in word]
    return " ".join(words[:3])
