"""kopf's settings, each with its reason."""

import itertools
from collections.abc import Iterator
from typing import Any

import kopf

from splat_operator.api import names
from splat_operator.runtime.stream import LONGEST_BACKOFF, PAGE
from splat_operator.runtime.watches import SERVER_TIMEOUT


def kopf_settings() -> kopf.OperatorSettings:
    """Give the settings that kopf runs with."""
    settings = kopf.OperatorSettings()
    # None of these is used, as there are no change handlers: nothing of kopf's is to be found on
    # any object, and what it would compare at each event is not even copied.
    settings.persistence.finalizer = f"{names.GROUP}/kopf"
    settings.persistence.progress_storage = kopf.StatusProgressStorage(name=names.MANAGER)
    settings.persistence.diffbase_storage = _NothingCompared()
    # Events are posted by `act`, after the status.
    settings.posting.enabled = False
    # The CRD is there before kopf starts; watching CRDs and namespaces would need more rights.
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 60
    # By itself it gives up, and the process ends, when one namespace among several has been
    # refused for a minute. Whether the watches are well is for `watches` to say.
    settings.networking.error_backoffs = _ForGood()
    settings.watching.server_timeout = SERVER_TIMEOUT
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = PAGE
    # Each object has a task of kopf's own for so long after its last event: five seconds would
    # keep those of tens of thousands of listed objects in memory at once.
    settings.queueing.idle_timeout = 1.0
    return settings


class _ForGood:
    """Pauses between attempts, without an end; each request begins with the first."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1.0, 2.0, 4.0, 8.0, 16.0), itertools.repeat(LONGEST_BACKOFF))


class _NothingCompared(kopf.DiffBaseStorage):
    """Saves a third of the work of each event: deep copies of objects that nobody looks at."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is kept."""
