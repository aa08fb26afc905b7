"""The chart as Helm renders it, with no cluster."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.building import built

CHART = Path(__file__).parents[3] / "charts" / "splat-operator"
NAMESPACE = "splat-system"

Object = dict[str, Any]


class Rendered:
    """The objects that one set of values makes; those of `helm test` apart, in their order."""

    def __init__(self, text: str) -> None:
        self.text = text
        every: list[Object] = [o for o in yaml.safe_load_all(text) if o]
        self.objects = [o for o in every if _hook(o, "") == ""]
        self.hooks = [o for o in every if _hook(o, "") == "test"]
        assert len(self.objects) + len(self.hooks) == len(every)
        self.hooks.sort(key=lambda o: int(_hook(o, "-weight")))

    def all(self, kind: str) -> list[Object]:
        return [o for o in self.objects if o["kind"] == kind]

    def one(self, kind: str, name: str = "splat-operator") -> Object:
        found = [o for o in self.all(kind) if o["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} objects {kind} {name}"
        return found[0]

    @property
    def pod(self) -> Object:
        spec: Object = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    @property
    def arguments(self) -> list[str]:
        arguments: list[str] = self.pod["containers"][0]["args"]
        return arguments


def _hook(o: Object, what: str) -> str:
    return str(o["metadata"].get("annotations", {}).get(f"helm.sh/hook{what}", ""))


class HelmError(Exception):
    """What Helm said when it refused."""


Render = Callable[..., Rendered]


@pytest.fixture(scope="session")
def helm() -> str:
    """The Helm of this machine, else the one that the test cluster's tools bring."""
    return shutil.which("helm") or str(built() / "bin" / "helm")


@pytest.fixture(scope="session")
def render(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Render the chart: keyword arguments are values."""
    folder = tmp_path_factory.mktemp("values")

    def call(**values: Any) -> Rendered:
        file = folder / "values.json"
        file.write_text(json.dumps(values))
        command = [helm, "template", "splat-operator", str(CHART)]
        options = ["--namespace", NAMESPACE, "--values", str(file), "--kube-version", "1.34.4"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise HelmError(done.stderr)
        return Rendered(done.stdout)

    return call
