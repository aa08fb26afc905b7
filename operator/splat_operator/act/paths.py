"""Where the API server has the objects that the operator writes."""

from splat_operator.api import names


def job(namespace: str, name: str) -> str:
    """Path of one Job."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"


def jobs(namespace: str) -> str:
    """Path of a namespace's Jobs."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def claims(namespace: str) -> str:
    """Path of a namespace's PersistentVolumeClaims."""
    return f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"


def training(namespace: str, name: str) -> str:
    """Path of one SplatTraining."""
    return f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{namespace}/{names.PLURAL}/{name}"


def training_status(namespace: str, name: str) -> str:
    """Path of the status of one SplatTraining."""
    return f"{training(namespace, name)}/status"


def events(namespace: str) -> str:
    """Path of a namespace's Events."""
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def secrets(namespace: str) -> str:
    """Path of a namespace's Secrets."""
    return f"/api/v1/namespaces/{namespace}/secrets"


def leases(namespace: str) -> str:
    """Path of a namespace's Leases."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


SCHEMAS = f"/openapi/v3/apis/{names.GROUP}/{names.VERSION}"
"""Path of the schemas of SplatTrainings, as every account may read them."""

TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
"""Path of reviews of tokens."""
