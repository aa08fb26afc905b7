"""Adaptive density control: grow what moves on screen, drop what is transparent or too large.

Kerbl et al. 2023, section 5.2, with the constants and the order of gsplat 1.5.3's
DefaultStrategy, and with the opacity resets that it means to do and never does: there
`step % reset_every == 0 & step > 0` is a chained comparison that is always false.
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


class DefaultStrategy:
    """Clones small and splits large Gaussians whose mean gradient on screen is high.

    The gradient is that of the loss by the projected mean, in units of half the image, averaged
    over the renderings that saw the Gaussian. A cap on the count is kept by growing those with
    the highest gradients only.
    """

    absgrad = False

    def __init__(
        self,
        schedule: Schedule,
        gaussians: Gaussians,
        scene_scale: float,
        max_gaussians: int | None = None,
    ) -> None:
        self._schedule = schedule
        self._scene_scale = scene_scale
        self._max_gaussians = max_gaussians
        self._gradient_sum = gaussians.means.new_zeros(len(gaussians))
        self._times_seen = gaussians.means.new_zeros(len(gaussians))

    def probe(self, step: int) -> ErrorProbe | None:
        """Nothing: gradients on screen alone decide."""
        return None

    @torch.no_grad()
    def observe(self, rendering: Rendering) -> None:
        """Add up gradients on screen; those of Gaussians out of sight are zero."""
        gradients = rendering.means2d_gradients(absolute=self.absgrad)
        count, height, width, _ = rendering.colors.shape
        x, y = gradients.unbind(-1)
        lengths = torch.hypot(x * (width / 2 * count), y * (height / 2 * count))
        self._gradient_sum += lengths.sum(0)
        self._times_seen += rendering.visible.sum(0)

    def changes(self, step: int) -> bool:
        """See `Strategy`."""
        return self._schedule.densifies(step) or self._schedule.resets_opacity(step)

    @torch.no_grad()
    def update(self, step: int, optimizer: GaussianOptimizer, generator: torch.Generator) -> None:
        """Densify, then reset opacities, each where it is time for it."""
        if self._schedule.densifies(step):
            self._densify(step, optimizer, generator)
        if self._schedule.resets_opacity(step):
            limit = torch.logit(torch.tensor(self._schedule.reset_opacity)).item()
            everything = torch.arange(len(optimizer.gaussians), device=self._times_seen.device)
            clamped = optimizer.gaussians.opacities.detach().clamp_max(limit)
            optimizer.overwrite(everything, opacities=clamped)

    def _densify(self, step: int, optimizer: GaussianOptimizer, generator: torch.Generator) -> None:
        schedule = self._schedule
        gaussians = optimizer.gaussians.detach()
        score = self._gradient_sum / self._times_seen.clamp_min(1)
        sizes = gaussians.scales.amax(1).exp() / self._scene_scale

        stays = gaussians.opacities.sigmoid() >= schedule.prune_opacity
        grows = stays & (score > schedule.grow_gradient)
        if self._max_gaussians is not None:
            room = max(0, self._max_gaussians - int(stays.sum()))
            grows = highest(score, grows, room)
        splits = grows & (sizes > schedule.split_scale)
        clones = grows & ~splits
        # Early on, what is large may still find its place; after the first reset it goes.
        if step > schedule.reset_every:
            stays &= sizes <= schedule.prune_scale

        added = [gaussians.select(clones & stays)]
        children = _children(gaussians.select(splits), schedule.split_shrink, generator)
        if step > schedule.reset_every:
            fits = children.scales.amax(1).exp() <= schedule.prune_scale * self._scene_scale
            children = children.select(fits)
        added.append(children)
        optimizer.replace_rows(torch.where(stays & ~splits)[0], concatenate(added))
        self._forget(len(optimizer.gaussians))

    def _forget(self, count: int) -> None:
        self._gradient_sum = self._gradient_sum.new_zeros(count)
        self._times_seen = self._times_seen.new_zeros(count)

    def state(self) -> dict[str, Tensor]:
        """See `Strategy`."""
        return {"gradient_sum": self._gradient_sum, "times_seen": self._times_seen}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `Strategy`."""
        self._gradient_sum = state["gradient_sum"].to(self._gradient_sum.device)
        self._times_seen = state["times_seen"].to(self._times_seen.device)


def highest(score: Tensor, among: Tensor, count: int) -> Tensor:
    """A mask of the `count` rows of highest score where `among` is true, or of all of those."""
    candidates = torch.where(among)[0]
    if len(candidates) <= count:
        return among
    chosen = torch.zeros_like(among)
    chosen[candidates[score[candidates].topk(count).indices]] = True
    return chosen


def concatenate(parts: list[Gaussians]) -> Gaussians:
    """All rows of all parts, in order."""
    return Gaussians.from_dict(
        {name: torch.cat([getattr(part, name) for part in parts]) for name, _ in parts[0]}
    )


def _children(parents: Gaussians, shrink: float, generator: torch.Generator) -> Gaussians:
    """Two for each parent, drawn from it as a distribution, `shrink` times smaller."""
    count, device = len(parents), parents.device
    draws = torch.randn(2, count, 3, generator=generator, device=device)
    offsets = matrix_from_quat(parents.quats) @ (parents.scales.exp() * draws)[..., None]
    both = concatenate([parents, parents])
    return both.replacing(
        means=both.means + offsets.reshape(-1, 3),
        scales=both.scales - torch.log(torch.tensor(shrink)).item(),
    )
