"""What is watched, and where the API server has it."""

from dataclasses import dataclass

from splat_operator.api import names


@dataclass(frozen=True)
class Watched:
    """A resource that is watched; `selector` is the label that its objects of interest have.

    It is the same for Jobs that train and for those that compile kernels: a resource is watched
    once, and one selector cannot name two labels of which an object has either.
    """

    group: str
    version: str
    plural: str
    selector: str | None = None

    def path(self, namespace: str | None) -> str:
        """Where it is listed and watched: in one namespace, or everywhere."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return (
            f"{root}/{self.plural}"
            if namespace is None
            else (f"{root}/namespaces/{namespace}/{self.plural}")
        )


TRAININGS = Watched(names.GROUP, names.VERSION, names.PLURAL)
"""By kopf; what follows is listed and watched by `stream`."""
JOBS = Watched("batch", "v1", "jobs", f"{names.MANAGED_BY_LABEL}={names.MANAGER}")
PODS = Watched("", "v1", "pods", f"{names.MANAGED_BY_LABEL}={names.MANAGER}")
NODES = Watched("", "v1", "nodes")
"""Watched only where nobody says for which GPUs kernels are to be compiled."""


def watched_paths(namespaces: tuple[str, ...], nodes: bool) -> dict[str, Watched]:
    """Give all that is watched by its path; no namespaces: everywhere."""
    places: tuple[str | None, ...] = namespaces or (None,)
    paths = {one.path(place): one for one in (TRAININGS, JOBS, PODS) for place in places}
    return {**paths, NODES.path(None): NODES} if nodes else paths
