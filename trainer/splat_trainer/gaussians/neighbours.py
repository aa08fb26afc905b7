"""Distances to the nearest neighbours of points, exact and in about N log N."""

import torch
from torch import Tensor

_LEAF = 64
_LEAVES_AT_ONCE = 512


def nearest_distances(points: Tensor, k: int) -> Tensor:
    """Distances of every point to its `k` nearest others, ascending.

    `points` is [N, 3]; the result is [N, k]. Where there are fewer than k others, the
    missing distances are infinite.

    Points are cut at the median of the widest axis into leaves of equal size (the leaves of a
    k-d tree); every leaf is searched against the leaves whose boxes are nearest, more and more
    of them until no box that was left out can hold a nearer point.
    """
    count = points.shape[0]
    leaves = _leaves(points)
    inside = leaves >= 0
    boxed = points[leaves.clamp_min(0)]
    low = torch.where(inside[..., None], boxed, torch.inf).amin(1)
    high = torch.where(inside[..., None], boxed, -torch.inf).amax(1)

    result = points.new_full((count, k), torch.inf)
    for chunk in torch.split(torch.arange(len(leaves), device=points.device), _LEAVES_AT_ONCE):
        pending = chunk
        reach = min(16, leaves.shape[0])
        while pending.numel():
            gap = torch.maximum(low[None] - high[pending, None], low[pending, None] - high[None])
            gap = gap.clamp_min(0).norm(dim=-1)
            reach_plus = min(reach + 1, leaves.shape[0])
            gaps, nearest = gap.topk(reach_plus, dim=1, largest=False, sorted=True)
            unseen = (
                gaps[:, reach] if reach_plus > reach else gaps.new_full((len(gaps),), torch.inf)
            )
            distances = _search(points, leaves, pending, nearest[:, :reach], k)
            valid = inside[pending]
            rows = leaves[pending][valid]
            result[rows] = distances[valid]
            worst = torch.where(valid, distances[..., -1], 0).amax(1)
            done = (worst <= unseen) | (reach == leaves.shape[0])
            pending = pending[~done]
            reach = min(reach * 4, leaves.shape[0])
    return result


def _leaves(points: Tensor) -> Tensor:
    """Indices [L, S] of the points of each leaf; -1 fills the places that no point takes."""
    count = points.shape[0]
    depth = max(0, (max(count, 1) - 1) // _LEAF).bit_length()
    size = -(-count // 2**depth)
    order = torch.arange(count, device=points.device)
    padding = order.new_full((size * 2**depth - count,), -1)
    groups = torch.cat([order, padding])[None]
    for _ in range(depth):
        coordinates = torch.where((groups >= 0)[..., None], points[groups.clamp_min(0)], torch.nan)
        low = coordinates.nan_to_num(torch.inf).amin(1)
        high = coordinates.nan_to_num(-torch.inf).amax(1)
        axis = (high - low).argmax(1)
        keys = coordinates.gather(2, axis[:, None, None].expand(-1, groups.shape[1], 1))
        ranks = keys.squeeze(2).nan_to_num(torch.inf).argsort(1)
        groups = groups.gather(1, ranks).view(groups.shape[0] * 2, -1)
    return groups


def _search(points: Tensor, leaves: Tensor, queries: Tensor, candidates: Tensor, k: int) -> Tensor:
    """Nearest distances [Q, size, k] of the points of leaves among those of other leaves."""
    mine = leaves[queries]
    theirs = leaves[candidates].flatten(1)
    distances = torch.cdist(
        points[mine.clamp_min(0)],
        points[theirs.clamp_min(0)],
        compute_mode="donot_use_mm_for_euclid_dist",
    )
    never = (theirs[:, None, :] < 0) | (theirs[:, None, :] == mine[:, :, None])
    distances = distances.masked_fill(never, torch.inf)
    found = distances.topk(min(k, theirs.shape[1]), dim=2, largest=False, sorted=True).values
    missing = k - found.shape[2]
    if missing > 0:
        found = torch.cat([found, found.new_full((*found.shape[:2], missing), torch.inf)], 2)
    return found
