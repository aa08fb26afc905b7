"""Tokens that a volume may not bring in: those that the Kubernetes API would take."""

from collections.abc import Collection, Mapping
from typing import Any

from splat_operator.api import names
from splat_operator.decide.overrides.refusal import OverrideError

_API_PREFIXES = ("https://kubernetes.default", "kubernetes.default")
_API_NAMES = ("api", "kubernetes", "kubernetes.svc.default", "k3s", "rke2")
"""Audiences that API servers have where `--api-audiences` is left as it comes, of plain Kubernetes
and of kOps, k3s, RKE2 and the guides of old to Istio. What a server has else the operator's own
token tells."""


def check_tokens(volume: Mapping[str, Any], api_audiences: Collection[str], where: str) -> None:
    """Raise OverrideError for a service-account token that is good for the API or for progress."""
    for source in (volume.get("projected") or {}).get("sources") or []:
        token = source.get("serviceAccountToken")
        if token is not None and _is_ours(token.get("audience"), api_audiences):
            raise OverrideError(
                f"{where}.projected",
                "a token must name an audience of its own: the trainer gets none for the "
                "Kubernetes API",
            )


def _is_ours(audience: Any, api_audiences: Collection[str]) -> bool:
    if not audience or not isinstance(audience, str):
        return True
    known = (names.PROGRESS_AUDIENCE, *_API_NAMES, *api_audiences)
    return audience in known or audience.startswith(_API_PREFIXES)
