"""Pods that were told to stop: they have their time, and after it they count as lost."""

from datetime import datetime, timedelta

from splat_operator.decide.shown import shown_time
from splat_operator.world import Pod

_PATIENCE = timedelta(seconds=60)
"""How long after its time a pod's end may be on the way: the kubelet kills it and tells so at once,
if there is a kubelet."""


def counts_as_lost(pod: Pod) -> datetime | None:
    """Give when a pod that should end counts as lost; None for one that need not, or has."""
    return None if pod.ended or pod.ends_by is None else pod.ends_by + _PATIENCE


def lost(pod: Pod) -> str:
    """Say of a pod that counts as lost what is known of it."""
    since = shown_time(pod.ends_by) if pod.ends_by else "some time ago"
    where = f"its node {pod.node_name}" if pod.node_name else "nobody"
    return f"pod {pod.name} should have ended by {since}, and {where} does not say that it has"


def stopping_words(pod: Pod, now: datetime) -> tuple[str, datetime | None]:
    """Say what is waited for, and when there will be more to say."""
    lost_at = counts_as_lost(pod)
    if lost_at and now >= lost_at:
        return lost(pod), None
    return f"waiting for pod {pod.name} to stop", lost_at
