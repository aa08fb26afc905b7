"""kopf's settings, each with its reason."""

import kopf

from splat_operator.api import names
from splat_operator.runtime.handlers import ALL_WATCHED
from splat_operator.runtime.watches import SERVER_TIMEOUT


def kopf_settings() -> kopf.OperatorSettings:
    """Give the settings that kopf runs with."""
    settings = kopf.OperatorSettings()
    # Neither is used, as there are no change handlers; should they ever be, they are ours.
    settings.persistence.finalizer = f"{names.GROUP}/kopf"
    settings.persistence.progress_storage = kopf.StatusProgressStorage(name=names.MANAGER)
    # Events are posted by `act`, after the status.
    settings.posting.enabled = False
    # The CRD is there before kopf starts; watching CRDs and namespaces would need more rights.
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 60
    settings.watching.server_timeout = SERVER_TIMEOUT
    settings.watching.connect_timeout = 10
    # A list of ten thousand at once is a peak of memory, here and in the API server.
    settings.watching.chunk_size = 500
    for watched in ALL_WATCHED:
        if watched.selector:
            key = (watched.group, watched.version, watched.plural)
            settings.watching.label_selectors[key] = watched.selector
    return settings
