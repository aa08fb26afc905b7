"""What the demo applies fits the API that the operator has."""

from deploy.demo.manifests import NAMESPACE, TrainingRequest, namespace, splat_training
from splat_operator.api import SplatTrainingSpec


def _request(gpus: int, max_side: int | None, iterations: int | None = 300) -> TrainingRequest:
    return TrainingRequest(
        iterations=iterations,
        max_side=max_side,
        max_gaussians=None,
        gpus=gpus,
        cpu="1",
        memory="6Gi",
    )


def test_the_training_is_one_that_the_operator_understands() -> None:
    manifest = splat_training(_request(gpus=1, max_side=128))
    spec = SplatTrainingSpec.model_validate(manifest["spec"])
    assert spec.resources.gpus == 1
    assert spec.training.max_side == 128
    assert spec.source.s3 is not None
    assert spec.source.s3.endpoint == f"http://s3.{NAMESPACE}.svc:7070"


def test_what_the_user_did_not_choose_is_left_to_the_trainer() -> None:
    manifest = splat_training(_request(gpus=0, max_side=None, iterations=None))
    assert manifest["spec"]["training"] == {}
    assert SplatTrainingSpec.model_validate(manifest["spec"]).training.iterations == 18_000
    manifest = splat_training(_request(gpus=0, max_side=None))
    assert manifest["spec"]["training"] == {"iterations": 300}


def test_the_demo_runs_where_only_restricted_pods_may() -> None:
    labels = namespace("splats")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
