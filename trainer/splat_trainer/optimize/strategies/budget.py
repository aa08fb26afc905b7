"""Density control by budget: as many Gaussians as planned, where the pictures are wrong.

The recipe is put together from LiteGS (arXiv 2503.01199; growth along a straight line, drawn from
a score over whole epochs, parents kept, halved opacities with a fresh optimizer), Taming 3DGS
(arXiv 2406.15643; sampling under a budget) and FastGS (arXiv 2511.04283; consistency over the
views). The score is our own: the error under each Gaussian rather than its gradients' variance,
for that comes without a second accumulator in the kernels (`optimize/error_probe.py`). Each part
is a field of the schedule that turns it off.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.rotation import matrix_from_quat
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.error_probe import Channel, ErrorProbe
from splat_trainer.optimize.growth_plan import GrowthPlan
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.strategies.default import concatenate
from splat_trainer.rasterize.interface import Rendering


class BudgetStrategy:
    """Adds Gaussians along a plan to a cap, drops what no view uses, and fades opacities."""

    absgrad = False

    def __init__(
        self, schedule: Schedule, gaussians: Gaussians, plan: GrowthPlan, max_gaussians: int
    ) -> None:
        self._schedule = schedule
        self._plan = plan
        self._max_gaussians = max_gaussians
        self._channels = _channels(schedule)
        self._count_anew(gaussians.means.new_zeros(len(gaussians), len(self._channels)))

    def probe(self, step: int) -> ErrorProbe | None:
        """See `Strategy`: in the steps that an event looks back at."""
        return self._probe if self._plan.watches(step) else None

    def observe(self, rendering: Rendering) -> None:
        """Nothing: the probe has added up by itself."""

    def changes(self, step: int) -> bool:
        """See `Strategy`."""
        return self._plan.grows(step) or self._schedule.fades_opacity(step)

    @torch.no_grad()
    def update(self, step: int, optimizer: GaussianOptimizer, generator: torch.Generator) -> None:
        """Drop and grow, then fade opacities, each where it is time for it."""
        if self._plan.grows(step):
            self._densify(step, optimizer, generator)
        if self._schedule.fades_opacity(step):
            self._fade(optimizer)

    def _densify(self, step: int, optimizer: GaussianOptimizer, generator: torch.Generator) -> None:
        gaussians = optimizer.gaussians.detach()
        stays = self._stays()
        room = self._plan.room(step, int(stays.sum()), self._max_gaussians)
        chosen = draw(self._score(gaussians) * stays, room, generator)
        parents = gaussians.select(chosen)
        children = _drawn_from(parents, self._schedule.split_shrink, generator)
        if not self._schedule.keep_parents:
            other = _drawn_from(parents, self._schedule.split_shrink, generator)
            children = concatenate([children, other])
            stays[chosen] = False
        optimizer.replace_rows(torch.where(stays)[0], children)
        self._count_anew(self._votes.new_zeros(len(optimizer.gaussians), len(self._channels)))

    def _stays(self) -> Tensor:
        """A mask of those that some view uses, and that are not wrong in too many.

        Where a view was missed, it may be the one that uses them: then all stay.
        """
        missed = self._missed > 0
        stays = torch.ones(len(self._votes), dtype=torch.bool, device=self._votes.device)
        if self._schedule.drop_unused and self._plan.whole_epochs:
            stays &= (self._vote("weight") > 0) | missed
        if self._schedule.prune_inconsistent > 0:
            # FastGS's pruning score, stretched to 0..1.
            wrong = self._vote("flagged_loss")
            low, high = wrong.amin(), wrong.amax()
            stays &= (wrong - low <= self._schedule.prune_inconsistent * (high - low)) | missed
        return stays

    def _score(self, gaussians: Gaussians) -> Tensor:
        """How much each wants company, at least 0, [N] float64."""
        error = self._vote("error")
        if self._schedule.score == "variance":
            # Of the error under the Gaussian, times its weight: pixels that do not agree.
            weight = self._vote("weight").clamp_min(1e-12)
            error = (self._vote("square") - error.square() / weight).clamp_min(0)
        opacities = gaussians.opacities.sigmoid().double()
        score: Tensor = error * opacities**self._schedule.score_opacity_power
        if self._schedule.consistent_pixels > 0:
            looked_at = self._vote("flag") / self._plan.window
            score = score * (looked_at > self._schedule.consistent_pixels)
        return score

    def _vote(self, channel: Channel) -> Tensor:
        return self._votes[:, self._channels.index(channel)].double()

    def _fade(self, optimizer: GaussianOptimizer) -> None:
        """Halve opacities, but not to where they are no longer drawn and get no gradient."""
        schedule = self._schedule
        opacities = optimizer.gaussians.opacities.detach().sigmoid()
        faded = (opacities * schedule.fade_factor).clamp_min(schedule.fade_floor)
        everything = torch.arange(len(opacities), device=opacities.device)
        optimizer.overwrite(everything, opacities=torch.logit(faded))
        if schedule.fade_restarts:
            # The count of steps goes on: without the correction of a fresh start, Adam's next
            # steps are up to six times as long, a warm restart of all learning rates.
            copies = optimizer.gaussians.detach().select(everything)
            optimizer.overwrite(everything, **copies.as_dict())

    def state(self) -> dict[str, Tensor]:
        """See `Strategy`."""
        return {"votes": self._votes, "missed": self._missed}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `Strategy`."""
        votes = state["votes"].to(self._votes)
        if votes.shape != self._votes.shape:
            raise ValueError("the votes are of another schedule")
        self._count_anew(votes.clone())
        if "missed" in state:  # checkpoints of before it was counted lack it
            self._missed.copy_(state["missed"])

    def _count_anew(self, votes: Tensor) -> None:
        self._votes = votes
        self._missed = votes.new_zeros(len(votes))
        self._probe = ErrorProbe(
            votes, self._missed, self._channels, flag_error=self._schedule.flag_error
        )


def draw(score: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Rows [count] drawn without replacement in proportion to `score` [N]; fewer where 0.

    An exponential race (Efraimidis and Spirakis 2006): who has the score s arrives after an
    exponentially distributed time of rate s. `torch.multinomial` takes 2^24 rows at most.
    """
    uniform = torch.rand(len(score), generator=generator, device=score.device, dtype=torch.float64)
    arrival = -torch.log1p(-uniform) / score.double()
    arrival = torch.where(score > 0, arrival, torch.inf)
    first = arrival.topk(min(count, len(score)), largest=False)
    return first.indices[first.values.isfinite()].sort().values


def _drawn_from(parents: Gaussians, shrink: float, generator: torch.Generator) -> Gaussians:
    """One for each parent, drawn from it as a distribution, `shrink` times smaller."""
    draws = torch.randn(parents.means.shape, generator=generator, device=parents.device)
    offsets = matrix_from_quat(parents.quats) @ (parents.scales.exp() * draws)[..., None]
    return parents.replacing(
        means=parents.means + offsets.squeeze(-1),
        scales=parents.scales - torch.log(torch.tensor(shrink)).item(),
    )


def _channels(schedule: Schedule) -> tuple[Channel, ...]:
    """What the probe must gather for this schedule, and nothing more."""
    wanted: list[Channel] = ["error", "weight"]
    if schedule.score == "variance":
        wanted.append("square")
    if schedule.consistent_pixels > 0:
        wanted.append("flag")
    if schedule.prune_inconsistent > 0:
        wanted.append("flagged_loss")
    return tuple(wanted)
