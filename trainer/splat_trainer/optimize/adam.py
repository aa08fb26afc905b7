"""Gaussians under optimization: parameters and Adam's memory of them, kept row for row."""

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import NAMES, Gaussians
from splat_trainer.optimize.schedule import Schedule


class GaussianOptimizer:
    """Steps all parameters of a splat by Adam (Kingma and Ba 2015), and lets rows come and go.

    `gaussians` are the leaves that a loss is differentiated by. Rows that are added start
    with no momentum, as in Kerbl et al. 2023.

    The step is the kernel that `torch.optim.Adam(fused=True)` calls. The class around it is not
    used: making one imports torch's compiler, which takes seconds, and its state would have to
    be taken apart whenever a Gaussian comes or goes.
    """

    def __init__(self, gaussians: Gaussians, schedule: Schedule, scene_scale: float) -> None:
        self._schedule = schedule
        self._scene_scale = scene_scale
        self._gaussians = Gaussians.from_dict(
            {
                name: tensor.detach().clone().contiguous().requires_grad_()
                for name, tensor in gaussians
            }
        )
        self._first_moments = _zeros(self._gaussians)
        self._second_moments = _zeros(self._gaussians)
        self._steps = torch.zeros((), device=gaussians.device)
        self._rates = {
            "quats": schedule.quats_lr,
            "scales": schedule.scales_lr,
            "opacities": schedule.opacities_lr,
            "sh0": schedule.sh0_lr,
            "shN": schedule.shN_lr,
        }

    @property
    def gaussians(self) -> Gaussians:
        """The parameters as they are now."""
        return self._gaussians

    def means_lr(self, step: int) -> float:
        """The learning rate of the means at a step, in world units."""
        return self._schedule.means_lr_at(step) * self._scene_scale

    @torch.no_grad()
    def step(self, step: int) -> None:
        """Move by the gradients of the leaves, and forget them."""
        beta1, beta2 = self._schedule.adam_betas
        rates = {**self._rates, "means": self.means_lr(step)}
        self._steps += 1
        for name, leaf in self._gaussians:
            gradient = leaf.grad
            if gradient is None or not leaf.numel():
                continue
            torch._fused_adam_(
                [leaf],
                [gradient],
                [getattr(self._first_moments, name)],
                [getattr(self._second_moments, name)],
                [],
                [self._steps],
                lr=rates[name],
                beta1=beta1,
                beta2=beta2,
                weight_decay=0.0,
                eps=self._schedule.adam_epsilon,
                amsgrad=False,
                maximize=False,
            )
            leaf.grad = None

    @torch.no_grad()
    def replace_rows(self, keep: Tensor, rows: Gaussians) -> None:
        """Keep the rows that an index names, in its order, and add others at the end."""
        leaves, first, second = {}, {}, {}
        for name, added in rows:
            kept = getattr(self._gaussians, name)[keep]
            leaves[name] = torch.cat([kept, added]).requires_grad_()
            nothing = torch.zeros_like(added)
            first[name] = torch.cat([getattr(self._first_moments, name)[keep], nothing])
            second[name] = torch.cat([getattr(self._second_moments, name)[keep], nothing])
        self._gaussians = Gaussians.from_dict(leaves)
        self._first_moments = Gaussians.from_dict(first)
        self._second_moments = Gaussians.from_dict(second)

    @torch.no_grad()
    def overwrite(self, index: Tensor, **rows: Tensor) -> None:
        """Set rows of some parameters in place, and forget the momentum of exactly those."""
        for name, values in rows.items():
            getattr(self._gaussians, name)[index] = values
            getattr(self._first_moments, name)[index] = 0
            getattr(self._second_moments, name)[index] = 0

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Adam's memory, for a checkpoint."""
        return {
            "first_moments": self._first_moments.as_dict(),
            "second_moments": self._second_moments.as_dict(),
            "steps": {"steps": self._steps},
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
        self._steps = state["steps"]["steps"].to(self._gaussians.device).clone()


def _zeros(gaussians: Gaussians) -> Gaussians:
    return Gaussians.from_dict(
        {name: torch.zeros_like(tensor) for name, tensor in gaussians.detach()}
    )
