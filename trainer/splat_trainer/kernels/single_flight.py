"""Has a key built once, by one of all the processes that want it; the others wait and take it."""

import logging
import os
import time
from collections.abc import Callable

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.failure import shown
from splat_trainer.kernels.lease import Lease, Leases, LeaseState, Sighting, Timing, Watch
from splat_trainer.kernels.manifest import Manifest, RefusedError
from splat_trainer.kernels.store import Store

logger = logging.getLogger(__name__)

_DETERMINED = frozenset({Reason.KERNELS_NOT_COMPILED})
"""Failures that every other process would meet as well."""


class SingleFlight:
    """One process's way to a key in a store that others write to as well."""

    def __init__(self, store: Store, key: str, timing: Timing | None = None) -> None:
        self._store = store
        self._key = key
        self._timing = timing or Timing()
        self._leases = Leases(store.root, key)
        self._refused: tuple[int, int] | None = None
        self._told = 0
        self.refusal: str | None = None
        """Why a build that was there could not be taken, the last time that was so."""

    def obtain(self, build: Callable[[], Manifest]) -> tuple[Manifest, bool]:
        """Give the key's build, and whether this call of `build` made it.

        `build` puts it into the store. A build that is there and not sound is replaced.

        Raises:
            TrainerError: `build` failed, here or in a process that was waited for.
            OSError: the cache cannot be written.
        """
        watch = Watch(self._timing.patience_seconds)
        while True:
            found = self._found()
            if found:
                return found, False
            seen = self._leases.newest()
            if watch.lives(seen, time.monotonic()):
                self._tell(seen)
                time.sleep(self._timing.poll_seconds)
                continue
            if watch.was_waited_for(seen):
                _fail_as_it_did(seen)
            lease = self._leases.take(seen)
            if lease:
                try:
                    return self._build_under(lease, build)
                except FileNotFoundError:
                    if not self._was_taken_over(lease):
                        raise
                    continue
            time.sleep(self._timing.poll_seconds)  # another was faster: its lease is seen soon

    def _build_under(self, lease: Lease, build: Callable[[], Manifest]) -> tuple[Manifest, bool]:
        lease.keep_alive(self._timing.beat_seconds)
        try:
            found = self._found()  # another may have finished just before the lease was taken
            if found is None:
                self._store.clear_leftovers(self._key)
            manifest = found or build()
        except BaseException as error:
            reason = error.reason if isinstance(error, TrainerError) else None
            lease.give_up(reason if reason in _DETERMINED else None, str(error))
            raise
        lease.done()
        return manifest, found is None

    def _was_taken_over(self, lease: Lease) -> bool:
        """Whether another thought this one dead while its writes stalled, and cleared them away."""
        newest = self._leases.newest()
        return self._found() is not None or (newest is not None and newest.number > lease.number)

    def _found(self) -> Manifest | None:
        """The build that is there, if it is sound; one that was refused is not read again."""
        try:
            status = os.lstat(self._store.folder(self._key))
        except FileNotFoundError:
            return None
        identity = (status.st_ino, status.st_mtime_ns)
        if identity == self._refused:
            return None
        try:
            return self._store.verified(self._key)
        except RefusedError as refusal:
            logger.warning("%s: %s: it is built again", self._key, refusal)
            self.refusal = str(refusal)
            self._refused = identity
        return None

    def _tell(self, seen: Sighting | None) -> None:
        if seen and seen.number != self._told:
            self._told = seen.number
            who = seen.record.who if seen.record else "another process"
            logger.info("waiting for %s, which builds %s", shown(who), self._key)


def _fail_as_it_did(seen: Sighting | None) -> None:
    record = seen.record if seen else None
    if record and record.state is LeaseState.FAILED and record.reason:
        raise TrainerError(record.reason, f"{shown(record.who)} could not build: {record.message}")
