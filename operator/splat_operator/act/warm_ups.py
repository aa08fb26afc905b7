"""Makes the Jobs that fill kernel caches, and the claims that these need."""

import copy
from collections.abc import Callable
from typing import Any

from splat_operator.act import paths
from splat_operator.act.api_client import ApiClient, ApiError, name_taken
from splat_operator.api import names
from splat_operator.decide import CreateWarmUp, RedoWarmUp
from splat_operator.world import ClaimTemplate
from splat_operator.world.fields import mapping

Raw = dict[str, Any]


class WarmUps:
    """Writes what was decided about kernels to the API server."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def act(
        self, action: CreateWarmUp | RedoWarmUp, job_seen: Callable[[Raw], object]
    ) -> None:
        """Carry out one action. Raises ApiError for what is refused, as a quota does."""
        if isinstance(action, CreateWarmUp):
            await self._create(action, job_seen)
            return
        metadata = action.create.manifest["metadata"]
        path = paths.job(metadata["namespace"], metadata["name"])
        try:
            await self._client.delete(path, uid=action.uid)
        except ApiError as error:
            if error.gone or error.conflict:
                return  # somebody else does it again already
            raise
        await self._create(action.create, job_seen)

    async def _create(self, action: CreateWarmUp, job_seen: Callable[[Raw], object]) -> None:
        """Whoever comes second finds the name taken: the API server is the lock."""
        manifest = copy.deepcopy(action.manifest)
        metadata = manifest["metadata"]
        if action.claim_name:
            modes = await self._access_modes(metadata["namespace"], action)
            metadata["annotations"][names.ACCESS_MODES_ANNOTATION] = ",".join(modes)
        try:
            job_seen(await self._client.create(paths.jobs(metadata["namespace"]), manifest))
        except ApiError as error:
            if not error.conflict:
                raise
            # Seen now, or the same would be decided again and again until a watch brings it; a
            # namesake without the labels none would ever bring.
            found = await self._client.get(paths.job(metadata["namespace"], metadata["name"]))
            if not metadata["labels"].items() <= mapping(found, "metadata", "labels").items():
                raise name_taken(metadata["name"]) from error
            job_seen(found)

    async def _access_modes(self, namespace: str, action: CreateWarmUp) -> tuple[str, ...]:
        """Give how the claim can be mounted, and make it where it is to be made; else ()."""
        collection = paths.claims(namespace)
        try:
            claim = await self._client.get(f"{collection}/{action.claim_name}")
        except ApiError as error:
            if not error.gone:
                raise
            if action.claim_template is None:
                return ()
        else:
            modes = mapping(claim, "spec").get("accessModes")
            return tuple(map(str, modes)) if isinstance(modes, list) else ()
        try:
            await self._client.create(collection, _claim(action.claim_name, action.claim_template))
        except ApiError as error:
            if not error.conflict:
                raise
        return action.claim_template.access_modes


def _claim(name: str, template: ClaimTemplate) -> Raw:
    """Give the claim. Nobody owns it: what is compiled stays when trainings go."""
    spec: Raw = {
        "accessModes": list(template.access_modes),
        "resources": {"requests": {"storage": template.size}},
    }
    if template.storage_class:
        spec["storageClassName"] = template.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": {names.MANAGED_BY_LABEL: names.MANAGER}},
        "spec": spec,
    }
