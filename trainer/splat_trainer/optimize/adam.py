"""Gaussians under optimization: parameters and Adam's memory of them, kept row for row."""

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import NAMES, Gaussians
from splat_trainer.gaussians.morton import morton_order
from splat_trainer.optimize.adam_step import RATES, adam_step_for
from splat_trainer.optimize.gathered import Gathered
from splat_trainer.optimize.scattered import Scattered, scattered_step_for
from splat_trainer.optimize.schedule import Schedule


class GaussianOptimizer:
    """Steps all parameters of a splat by Adam (Kingma and Ba 2015), and lets rows come and go.

    `gaussians` are the leaves that a loss is differentiated by. Rows that are added start
    with no momentum, as in Kerbl et al. 2023.

    A step is `set_rates`, which tells the device what of it depends on which step it is, then
    `step`, which reads that there: it is the same work at every step, so that a CUDA graph can
    replay it. torch's own class is not used: making one imports torch's compiler, which takes
    seconds, and its state would have to be taken apart whenever a Gaussian comes or goes.
    """

    def __init__(self, gaussians: Gaussians, schedule: Schedule, scene_scale: float) -> None:
        self._schedule = schedule
        self._scene_scale = scene_scale
        self._gaussians = _leaves({name: tensor.detach().clone() for name, tensor in gaussians})
        self._first_moments = _zeros(self._gaussians)
        self._second_moments = _zeros(self._gaussians)
        self._steps = 0
        self._rates = torch.zeros(RATES, device=gaussians.device)
        self._step_all = adam_step_for(gaussians.device, visible_only=schedule.visible_only)

    @property
    def gaussians(self) -> Gaussians:
        """The parameters as they are now."""
        return self._gaussians

    def means_lr(self, step: int) -> float:
        """The learning rate of the means at a step, in world units."""
        return self._schedule.means_lr_at(step) * self._scene_scale

    @torch.no_grad()
    def set_rates(self, step: int) -> None:
        """Make ready for the step `step` of the run; once before each `step`."""
        schedule = self._schedule
        factor = schedule.rates_factor_at(step)
        others = (schedule.quats_lr, schedule.scales_lr, schedule.opacities_lr)
        self._steps += 1
        rates = torch.tensor(
            [
                self.means_lr(step),
                *(rate * factor for rate in (*others, schedule.sh0_lr, schedule.shN_lr)),
                *(1 - beta**self._steps for beta in schedule.adam_betas),
                self._steps,
            ]
        )
        self._rates.copy_(rates, non_blocking=True)  # stays where a graph reads it

    @torch.no_grad()
    def step(self, visible: Tensor | None = None) -> None:
        """Move by the gradients of the leaves, and forget them.

        Where `visible` [N] bool is given, rows that it is false for are left as they are, and so
        is Adam's memory of them.
        """
        leaves = self._gaussians.as_dict()
        if not len(self._gaussians):
            return
        self._step_all(
            [*leaves.values()],
            [
                torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.contiguous()
                for leaf in leaves.values()
            ],
            [*self._first_moments.as_dict().values()],
            [*self._second_moments.as_dict().values()],
            self._rates,
            betas=self._schedule.adam_betas,
            epsilon=self._schedule.adam_epsilon,
            visible=visible,
        )
        for leaf in leaves.values():
            leaf.grad = None

    @torch.no_grad()
    def step_by(self, sums: Gathered | Scattered) -> None:
        """Move by sums of gradients that lie elsewhere.

        Where the schedule says so, only the rows that some look has seen.
        """
        if isinstance(sums, Scattered) and len(self._gaussians):
            step = scattered_step_for(self._gaussians.device)
            if step is not None:
                step(
                    [*self._gaussians.as_dict().values()],
                    sums,
                    [*self._first_moments.as_dict().values()],
                    [*self._second_moments.as_dict().values()],
                    self._rates,
                    betas=self._schedule.adam_betas,
                    epsilon=self._schedule.adam_epsilon,
                    visible_only=self._schedule.visible_only,
                )
                return
        whole = sums.whole()
        for (_, leaf), gradient in zip(self._gaussians, whole.gradients, strict=True):
            leaf.grad = gradient
        self.step(whole.times_seen > 0 if self._schedule.visible_only else None)

    @torch.no_grad()
    def replace_rows(self, keep: Tensor, rows: Gaussians) -> None:
        """Keep the rows that an index names and add others, all of them in Morton order."""
        order = morton_order(torch.cat([self._gaussians.means[keep], rows.means]))
        old = order < len(keep)
        old_places, new_places = torch.where(old)[0], torch.where(~old)[0]
        kept, added = keep[order[old_places]], order[new_places] - len(keep)

        def put(before: Tensor, new: Tensor | None) -> Tensor:
            after = before.new_zeros(len(order), *before.shape[1:])
            after[old_places] = before[kept]
            if new is not None:
                after[new_places] = new[added]
            return after

        leaves, first, second = {}, {}, {}
        for name, new in rows:
            leaves[name] = put(getattr(self._gaussians, name), new)
            first[name] = put(getattr(self._first_moments, name), None)
            second[name] = put(getattr(self._second_moments, name), None)
        self._gaussians = _leaves(leaves)
        self._first_moments = Gaussians.from_dict(first)
        self._second_moments = Gaussians.from_dict(second)

    @torch.no_grad()
    def overwrite(self, index: Tensor, **rows: Tensor) -> None:
        """Set rows of some parameters in place, and forget the momentum of exactly those."""
        for name, values in rows.items():
            getattr(self._gaussians, name)[index] = values
            getattr(self._first_moments, name)[index] = 0
            getattr(self._second_moments, name)[index] = 0

    @torch.no_grad()
    def forget(self) -> None:
        """Begin anew with no memory, in place, as if no step had been done."""
        self._steps = 0
        for moments in (self._first_moments, self._second_moments):
            for _, tensor in moments:
                tensor.zero_()

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Adam's memory, for a checkpoint."""
        return {
            "first_moments": self._first_moments.as_dict(),
            "second_moments": self._second_moments.as_dict(),
            "steps": {"steps": torch.tensor(float(self._steps))},
        }

    def load_state(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Take over the memory that `state` gave."""
        moments = []
        for kind in ("first_moments", "second_moments"):
            tensors = Gaussians.from_dict(state[kind]).to(self._gaussians.device)
            for name in NAMES:
                if getattr(tensors, name).shape != getattr(self._gaussians, name).shape:
                    raise ValueError(f"{kind} of {name} are not of the parameter's shape")
            moments.append(Gaussians.from_dict({name: one.clone() for name, one in tensors}))
        self._first_moments, self._second_moments = moments
        self._steps = int(state["steps"]["steps"])


def _leaves(tensors: dict[str, Tensor]) -> Gaussians:
    return Gaussians.from_dict(
        {name: tensor.contiguous().requires_grad_() for name, tensor in tensors.items()}
    )


def _zeros(gaussians: Gaussians) -> Gaussians:
    return Gaussians.from_dict(
        {name: torch.zeros_like(tensor) for name, tensor in gaussians.detach()}
    )
