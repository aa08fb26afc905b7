"""Gaussians as samples of a distribution: they are moved and shaken, not cloned and pruned.

Kheradmand et al. 2024, "3D Gaussian Splatting as Markov Chain Monte Carlo", with the constants
of gsplat 1.5.3's MCMCStrategy. The count grows to its cap and no further.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.rotation import matrix_from_quat
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.error_probe import ErrorProbe
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.rasterize.interface import Rendering

_MOST_COPIES = 51
"""More Gaussians than this never share one place (gsplat)."""


class McmcStrategy:
    """Moves transparent Gaussians onto opaque ones, adds some, and shakes what is transparent."""

    absgrad = False

    def __init__(self, schedule: Schedule, max_gaussians: int) -> None:
        self._schedule = schedule
        self._max_gaussians = max_gaussians

    def probe(self, step: int) -> ErrorProbe | None:
        """Nothing: opacities alone decide."""
        return None

    def observe(self, rendering: Rendering) -> None:
        """Nothing to note: opacities alone decide."""

    def changes(self, step: int) -> bool:
        """See `Strategy`; to be shaken is not to change."""
        return self._schedule.densifies(step)

    @torch.no_grad()
    def update(self, step: int, optimizer: GaussianOptimizer, generator: torch.Generator) -> None:
        """Relocate and add where it is time for it; shake at every step."""
        if self._schedule.densifies(step):
            self._relocate(optimizer, generator)
            self._add(optimizer, generator)
        self._shake(optimizer, optimizer.means_lr(step), generator)

    def _relocate(self, optimizer: GaussianOptimizer, generator: torch.Generator) -> None:
        opacities = optimizer.gaussians.opacities.detach().sigmoid()
        dead_mask = opacities <= self._schedule.relocate_opacity
        dead = torch.where(dead_mask)[0]
        alive = torch.where(~dead_mask)[0]
        if not len(dead) or not len(alive):
            return
        source = alive[_draw(opacities[alive], len(dead), generator)]
        shared = self._share(optimizer.gaussians.detach(), source)
        optimizer.overwrite(source, **shared.as_dict())
        optimizer.overwrite(dead, **shared.as_dict())

    def _add(self, optimizer: GaussianOptimizer, generator: torch.Generator) -> None:
        gaussians = optimizer.gaussians.detach()
        target = min(self._max_gaussians, int(self._schedule.growth * len(gaussians)))
        if target <= len(gaussians):
            return
        source = _draw(gaussians.opacities.sigmoid(), target - len(gaussians), generator)
        shared = self._share(gaussians, source)
        optimizer.overwrite(source, opacities=shared.opacities, scales=shared.scales)
        everything = torch.arange(len(gaussians), device=gaussians.device)
        optimizer.replace_rows(everything, shared)

    def _share(self, gaussians: Gaussians, source: Tensor) -> Gaussians:
        """Rows `source`, changed so that they and their copies look as one did before."""
        rows = gaussians.select(source)
        copies = torch.bincount(source, minlength=len(gaussians))[source] + 1
        opacities, scales = share_opacity(rows.opacities.sigmoid(), rows.scales.exp(), copies)
        largest = 1 - torch.finfo(torch.float32).eps
        opacities = opacities.clamp(self._schedule.relocate_opacity, largest)
        return rows.replacing(opacities=torch.logit(opacities), scales=scales.log())

    def _shake(
        self, optimizer: GaussianOptimizer, means_lr: float, generator: torch.Generator
    ) -> None:
        """Move means by noise of their own covariance, where the opacity is next to none."""
        gaussians = optimizer.gaussians
        transparent = torch.sigmoid(
            100 * (self._schedule.relocate_opacity - gaussians.opacities.sigmoid())
        )
        draws = torch.randn(gaussians.means.shape, generator=generator, device=gaussians.device)
        draws *= (transparent * (means_lr * self._schedule.noise))[:, None]
        half = matrix_from_quat(gaussians.quats) * gaussians.scales.exp()[:, None, :]
        noise = half @ (half.transpose(1, 2) @ draws[:, :, None])
        gaussians.means.add_(noise.squeeze(2))

    def state(self) -> dict[str, Tensor]:
        """Nothing is remembered from step to step."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `state`."""


def _draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices drawn with replacement, in proportion to weights in 0..1; of any number of them."""
    # Whole numbers: a GPU sums floats in any order, and replicas of a splat must draw alike.
    cumulative = (weights.double() * 2**32).long().cumsum(0)
    draws = torch.rand(count, generator=generator, device=weights.device, dtype=torch.float64)
    places = (draws * cumulative[-1]).long()
    return torch.searchsorted(cumulative, places, right=True).clamp_max(len(weights) - 1)


def share_opacity(opacities: Tensor, scales: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """What `copies` Gaussians in one place must be to look like one (equation 9).

    Opacities [N] in 0..1 and standard deviations [N, 3]. The double sum of equation 9 over
    i <= n and k < i of binomial(i - 1, k) is one over k of binomial(n, k + 1).
    """
    count = copies.clamp(1, _MOST_COPIES).double()
    before = opacities.double()
    after = 1 - (1 - before) ** (1 / count)
    k = torch.arange(_MOST_COPIES, device=opacities.device, dtype=torch.float64)
    n = count[:, None]
    possible = k + 1 <= n
    log_binomial = torch.lgamma(n + 1) - torch.lgamma(k + 2) - torch.lgamma((n - k).clamp_min(1))
    terms = torch.exp(log_binomial + (k + 1) * after.clamp_min(1e-12).log()[:, None])
    terms = torch.where(possible, terms * (-1) ** k / (k + 1).sqrt(), 0)
    factor = before / terms.sum(1)
    return after.float(), (scales.double() * factor[:, None]).float()
