"""Gaussians under optimization: parameters and Adam's memory of them, kept row for row."""

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import NAMES, Gaussians
from splat_trainer.optimize.schedule import Schedule

_MOMENTS = ("exp_avg", "exp_avg_sq")


class GaussianOptimizer:
    """Steps all parameters of a splat by Adam, and lets rows come and go.

    `gaussians` are the leaves that a loss is differentiated by. Rows that are added start
    with no momentum, as in Kerbl et al. 2023.
    """

    def __init__(self, gaussians: Gaussians, schedule: Schedule, scene_scale: float) -> None:
        self._schedule = schedule
        self._scene_scale = scene_scale
        rates = {
            "means": schedule.means_lr * scene_scale,
            "quats": schedule.quats_lr,
            "scales": schedule.scales_lr,
            "opacities": schedule.opacities_lr,
            "sh0": schedule.sh0_lr,
            "shN": schedule.shN_lr,
        }
        leaves = {
            name: tensor.detach().clone().contiguous().requires_grad_()
            for name, tensor in gaussians
        }
        self._adam = torch.optim.Adam(
            [{"params": [leaves[name]], "lr": rates[name], "name": name} for name in NAMES],
            betas=schedule.adam_betas,
            eps=schedule.adam_epsilon,
            fused=True,
        )
        self._gaussians = Gaussians.from_dict(leaves)

    @property
    def gaussians(self) -> Gaussians:
        """The parameters as they are now."""
        return self._gaussians

    def means_lr(self, step: int) -> float:
        """The learning rate of the means at a step, in world units."""
        return self._schedule.means_lr_at(step) * self._scene_scale

    def step(self, step: int) -> None:
        """Move by the gradients of the leaves, and forget them."""
        self._adam.param_groups[NAMES.index("means")]["lr"] = self.means_lr(step)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def replace_rows(self, keep: Tensor, rows: Gaussians) -> None:
        """Keep the rows that an index names, in its order, and add others at the end."""
        added = rows.as_dict()
        leaves = {}
        for group in self._adam.param_groups:  # one after another: little is held twice
            name, old = group["name"], group["params"][0]
            memory = self._adam.state.pop(old, {})
            leaf = torch.cat([old.detach()[keep], added[name]]).requires_grad_()
            for key in _MOMENTS:
                if key in memory:
                    memory[key] = torch.cat([memory[key][keep], torch.zeros_like(added[name])])
            if memory:
                self._adam.state[leaf] = memory
            group["params"] = [leaf]
            leaves[name] = leaf
        self._gaussians = Gaussians.from_dict(leaves)

    @torch.no_grad()
    def overwrite(self, index: Tensor, **rows: Tensor) -> None:
        """Set rows of some parameters in place, and forget the momentum of exactly those."""
        for name, values in rows.items():
            parameter = getattr(self._gaussians, name)
            parameter[index] = values
            memory = self._adam.state.get(parameter, {})
            for key in _MOMENTS:
                if key in memory:
                    memory[key][index] = 0

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Adam's memory by parameter, for a checkpoint."""
        return {name: dict(self._adam.state.get(tensor, {})) for name, tensor in self._gaussians}

    def load_state(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Take over the memory that `state` gave."""
        for name, tensor in self._gaussians:
            memory = {key: value.to(tensor.device) for key, value in state[name].items()}
            if any(memory[key].shape != tensor.shape for key in _MOMENTS if memory):
                raise ValueError(f"Adam's memory of {name} is not of the parameter's shape")
            if memory:
                self._adam.state[tensor] = memory
