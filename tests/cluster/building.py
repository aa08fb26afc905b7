"""Build the tools from go/ at the versions it pins, once for each state of that folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster.archive import write_image
from tests.cluster.errors import ClusterError
from tests.cluster.layout import cache_root
from tests.cluster.locks import locked
from tests.cluster.stages import stage
from tests.cluster.tools import KUBE_NAMES, PAUSE_IMAGE

SOURCE = Path(__file__).parent / "go"
PACKAGES = {
    "kube": "./kube",
    "pause": "./pause",
    "helm": "helm.sh/helm/v3/cmd/helm",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw",
}


def pinned(module: str, go_mod: str) -> str:
    """The version of `module` in the text of a go.mod."""
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ClusterError(f"go.mod pins no {module}")
    return found[1]


def version_flags(go_mod: str) -> str:
    """Linker flags: Kubernetes and Helm tell their versions, and are made without symbols."""
    kubernetes = pinned("k8s.io/kubernetes", go_mod)
    helm = pinned("helm.sh/helm/v3", go_mod)
    major, minor = kubernetes.removeprefix("v").split(".")[:2]
    values = {"helm.sh/helm/v3/internal/version.version": helm}
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        values[f"{package}.gitVersion"] = kubernetes
        values[f"{package}.gitMajor"] = major
        values[f"{package}.gitMinor"] = minor
    for package in ("lint/rules", "chartutil"):
        values[f"helm.sh/helm/v3/pkg/{package}.k8sVersionMajor"] = major
        values[f"helm.sh/helm/v3/pkg/{package}.k8sVersionMinor"] = minor
    return "-s -w " + " ".join(f"-X {name}={value}" for name, value in values.items())


def fingerprint(source: Path) -> str:
    """A name for the contents of the Go module: it changes when any file of it does."""
    digest = hashlib.sha256(repr((sorted(PACKAGES.items()), KUBE_NAMES)).encode())
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(source)} {content}\n".encode())
    return digest.hexdigest()[:16]


def built() -> Path:
    """The folder of the built tools; builds them where the cache has none."""
    folder = cache_root() / f"tools-{fingerprint(SOURCE)}"
    if not folder.exists():
        with locked(folder.parent / "building.lock"):
            if not folder.exists():
                _build(folder)
    return folder


def _build(folder: Path) -> None:
    go = find_go()
    flags = version_flags((SOURCE / "go.mod").read_text())
    scratch = Path(tempfile.mkdtemp(prefix="tools-building-", dir=folder.parent))
    try:
        scratch.chmod(0o755)
        programs = scratch / "bin"
        programs.mkdir()
        with stage("downloading the Go modules that go.mod pins"):
            _run([go, "list", "-deps", *PACKAGES.values()])
        for name, package in PACKAGES.items():
            with stage(f"building {name}"):
                output = str(programs / name)
                _run([go, "build", "-trimpath", "-ldflags", flags, "-o", output, package])
        for name in KUBE_NAMES:
            (programs / name).symlink_to("kube")
        write_image(
            scratch / "pause.tar",
            PAUSE_IMAGE,
            {"/pause": programs / "pause"},
            entrypoint=["/pause"],
        )
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def find_go() -> str:
    """Give the path of the Go command; ClusterError where there is none."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if found is None:
        raise ClusterError("no Go on this machine: 1.21 or later builds the cluster's tools")
    return found


def _run(command: list[str]) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    done = subprocess.run(
        command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
        raise ClusterError(f"`{' '.join(command[:3])} ... {command[-1]}` failed:\n{end}")
