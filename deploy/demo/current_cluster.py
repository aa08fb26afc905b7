"""The cluster of the current kubeconfig context, for `make demo CLUSTER=current`.

The demo touches there what it made itself: two namespaces with its label, a Helm release, and the
definition of the resource if that release brought it.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.demo import manifests
from deploy.demo.kube import Kube, Object
from deploy.demo.stages import DemoError, Stages
from deploy.demo.story import Images
from tests.cluster import images
from tests.cluster.client import load_elsewhere
from tests.cluster.errors import ClusterError
from tests.cluster.guard import FOR_TESTS, refusal

CRD = "splattrainings.splatting.dev"
RELEASE = "splat-operator"
IMAGE_VARIABLES = ("OPERATOR_IMAGE", "TRAINER_IMAGE", "S3_SERVER_IMAGE")


@dataclass(frozen=True)
class CurrentCluster:
    """The context's name, and its kubectl and helm, which know no other context."""

    context: str
    kube: Kube


def find(environ: Mapping[str, str], scratch: Path) -> CurrentCluster:
    """Take the current context, once; `scratch` is a folder for a kubeconfig of it alone.

    Raises DemoError where there is none, or it looks like one that matters and is not named.
    """
    tools = [_program(name) for name in ("kubectl", "helm")]
    kube = Kube((tools[0],), (tools[1],), os.environ)
    view = ("config", "view", "--minify", "--flatten", "--raw", "--output=json")
    document = json.loads(kube.run(*view))
    context = document["current-context"]
    server = document["clusters"][0]["cluster"]["server"]
    reason = refusal(context, server)
    if reason and environ.get("CONTEXT") != context:
        raise DemoError(f"{reason}. If you mean it: make demo CLUSTER=current CONTEXT={context}")
    kubeconfig = scratch / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(json.dumps(document))
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    print(f"Cluster of the current context: {context} ({server})", flush=True)
    return CurrentCluster(context, Kube(kube.kubectl, kube.helm, environment))


def see_that_nobody_is_disturbed(cluster: CurrentCluster) -> None:
    """Raise DemoError where an operator is installed that is not this demo's."""
    release = _release_of_the_crd(cluster.kube)
    if release is not None and release != (manifests.OPERATOR_NAMESPACE, RELEASE):
        raise DemoError(
            f"{cluster.context} has the operator already (release {release[1]} in namespace "
            f"{release[0]}): train with that one, as README.md says under 'A first training'. If "
            f"that release is gone and its trainings may go too: kubectl delete crd {CRD}"
        )
    for name in (manifests.NAMESPACE, manifests.OPERATOR_NAMESPACE):
        found = _get(cluster.kube, "namespace", name)
        if found and not _is_ours(found):
            raise DemoError(
                f"{cluster.context} has a namespace {name} that is not this demo's: the demo "
                "removes its namespaces again, so it takes none of yours"
            )


def reachable_images(cluster: CurrentCluster, environ: Mapping[str, str], stages: Stages) -> Images:
    """Give images that the cluster's nodes have or can pull; DemoError says what to do if none."""
    given = [environ.get(variable, "") for variable in IMAGE_VARIABLES]
    if all(given):
        return Images(*given)
    if not FOR_TESTS.fullmatch(cluster.context):
        raise DemoError(
            f"the nodes of {cluster.context} must be able to pull the demo's images. Build and "
            "push Dockerfile.operator, Dockerfile.trainer (a base with PyTorch for the CPU is "
            "enough: --build-arg BASE=..., GSPLAT_KERNELS=none, GSPLAT_VERSION=none, "
            "CUDA_VERSION=none and the base's own PYTHON_VERSION and TORCH_VERSION) and "
            "tests/cluster/s3server/Dockerfile (beside the file that `python -m tests.cluster "
            "s3-binary` names), then: "
            "make demo CLUSTER=current "
            + " ".join(f"{variable}=..." for variable in IMAGE_VARIABLES)
        )
    references = []
    try:
        for name, build in (
            ("operator", images.build_operator_image),
            ("trainer", images.build_trainer_image),
            ("S3 server", images.build_s3_server_image),
        ):
            with stages.stage(f"Image of the {name}"):
                built = build()
                load_elsewhere(cluster.context, built.archive)
                references.append(built.reference)
    except (ClusterError, FileNotFoundError) as error:
        raise DemoError(str(error)) from error
    return Images(*references)


def remove(cluster: CurrentCluster) -> None:
    """Remove what the demo made there, and nothing else; says what stays."""
    kube = cluster.kube
    ours = [
        name
        for name in (manifests.NAMESPACE, manifests.OPERATOR_NAMESPACE)
        if (found := _get(kube, "namespace", name)) and _is_ours(found)
    ]
    if not ours:
        print(f"{cluster.context} has nothing of the demo")
        return
    release = _release_of_the_crd(kube)
    if manifests.OPERATOR_NAMESPACE in ours and kube.run_helm(
        *("list", "--short", "--namespace", manifests.OPERATOR_NAMESPACE)
    ):
        kube.run_helm("uninstall", RELEASE, "--namespace", manifests.OPERATOR_NAMESPACE, "--wait")
    if release == (manifests.OPERATOR_NAMESPACE, RELEASE):
        everyone = kube.get("splattrainings", "--all-namespaces")["items"]
        others = {t["metadata"]["namespace"] for t in everyone} - {manifests.NAMESPACE}
        if others:
            print(f"{CRD} stays: there are SplatTrainings in {', '.join(sorted(others))}")
        else:
            kube.run("delete", "crd", CRD)
    for name in ours:
        print(f"==> Removing namespace {name}", flush=True)
        kube.run("delete", "namespace", name, "--timeout=180s")


def _release_of_the_crd(kube: Kube) -> tuple[str, str] | None:
    crd = _get(kube, "crd", CRD)
    if crd is None:
        return None
    said = crd["metadata"].get("annotations", {})
    return (
        said.get("meta.helm.sh/release-namespace", "of nobody"),
        said.get("meta.helm.sh/release-name", "of nobody"),
    )


def _is_ours(found: Object) -> bool:
    return bool(manifests.DEMO_LABEL.items() <= found["metadata"].get("labels", {}).items())


def _get(kube: Kube, kind: str, name: str) -> Object | None:
    text = kube.run("get", kind, name, "--ignore-not-found", "--output=json")
    found: Object | None = json.loads(text) if text.strip() else None
    return found


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DemoError(f"no {name} on this machine: CLUSTER=current needs kubectl and helm")
    return found
