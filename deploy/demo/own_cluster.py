"""The project's own cluster on this machine, and the project's images on it."""

import os
import sys
from pathlib import Path

from deploy.demo.kube import Kube
from deploy.demo.stages import DemoError, Stages
from deploy.demo.story import Images
from tests.cluster import images, lifecycle
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Layout
from tests.cluster.loading import load_image
from tests.cluster.tools import of_cluster

NAME = "demo"
HINT = f"{os.path.relpath(sys.executable)} -m tests.cluster kubectl --name {NAME} -- get splat -A"


def bring_up(stages: Stages, tools: Path | None = None) -> Kube:
    """Bring the cluster up, or take the one that runs; gives its kubectl and helm."""
    try:
        with stages.stage("A real one-node Kubernetes"):
            layout = lifecycle.up(NAME, tools_folder=tools)
        found = of_cluster(layout)
        return Kube(
            kubectl=(found.program("kubectl"),),
            helm=(found.program("helm"),),
            environment=layout.client_environment(),
        )
    except ClusterError as error:
        raise DemoError(str(error)) from error


def build_images(stages: Stages) -> Images:
    """Build the images from their Dockerfiles and load them into the cluster."""
    references = []
    try:
        for name, build in (
            ("operator", images.build_operator_image),
            ("trainer", images.build_trainer_image),
            ("S3 server", images.build_s3_server_image),
        ):
            with stages.stage(f"Image of the {name}"):
                built = build()
                load_image(Layout.of(NAME), built.archive)
                references.append(built.reference)
    except ClusterError as error:
        raise DemoError(str(error)) from error
    return Images(*references)


def remove() -> None:
    """End the cluster and all that is in it."""
    try:
        lifecycle.down(NAME)
    except ClusterError as error:
        raise DemoError(str(error)) from error
