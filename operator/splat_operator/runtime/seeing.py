"""Where what a watch brings belongs: to a training, or to the Jobs that compile kernels."""

from collections.abc import Callable, Mapping
from typing import Any

from splat_operator.runtime.kernel_store import warm_up_key
from splat_operator.runtime.keys import Key
from splat_operator.runtime.store import Store, version_of
from splat_operator.world.fields import mapping

Raw = Mapping[str, Any]
Keys = tuple[Key, ...]


class Seeing:
    """Takes objects into the store; each method gives the trainings for which that is news."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def training(self, raw: Raw) -> Keys:
        """Take in a SplatTraining."""
        return _keys(self._store.see_training(raw))

    def no_training(self, raw: Raw) -> Keys:
        """Take in that a SplatTraining is gone."""
        return _keys(self._store.forget_training(raw))

    def job(self, raw: Raw) -> Keys:
        """Take in a Job."""
        return self._see(raw, self._store.see_job, self._store.kernels.see_job)

    def no_job(self, raw: Raw) -> Keys:
        """Take in that a Job is gone."""
        return self._forget(raw, self._store.forget_job)

    def pod(self, raw: Raw) -> Keys:
        """Take in a pod."""
        return self._see(raw, self._store.see_pod, self._store.kernels.see_pod)

    def no_pod(self, raw: Raw) -> Keys:
        """Take in that a pod is gone."""
        return self._forget(raw, self._store.forget_pod)

    def _see(
        self,
        raw: Raw,
        of_training: Callable[[Raw], Key | None],
        of_kernels: Callable[[Raw, int], Keys],
    ) -> Keys:
        if warm_up_key(raw).name:
            return of_kernels(raw, version_of(mapping(raw, "metadata")))
        return _keys(of_training(raw))

    def _forget(self, raw: Raw, of_training: Callable[[Raw], Key | None]) -> Keys:
        if warm_up_key(raw).name:
            return self._store.kernels.forget(raw)
        return _keys(of_training(raw))


def _keys(key: Key | None) -> Keys:
    return () if key is None else (key,)
