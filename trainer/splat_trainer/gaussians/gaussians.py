"""The parameters of a splat, as the optimizer sees them: before their activations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("means", "quats", "scales", "opacities", "sh")
"""The names of the parameters, in the order in which they are stored everywhere."""


def sh_rest_count(degree: int) -> int:
    """Coefficients a channel of the spherical harmonics above band 0, up to `degree`."""
    return (degree + 1) ** 2 - 1


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians; float32, all on one device.

    `means` [N, 3] in world units; `quats` [N, 4] wxyz, of any length but zero; `scales` [N, 3]
    logarithms of the standard deviations along the Gaussian's own axes; `opacities` [N] logits;
    `sh` [N, K, 3] spherical harmonics in the real basis of Sloan 2013 as 3DGS orders it, K being
    1, 4, 9 or 16 (Kerbl et al. 2023, section 4). They are one tensor, as rasterizers read them:
    band 0, `sh0`, and the rest, `shN`, are parts of it.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh: Tensor

    def __len__(self) -> int:
        return int(self.means.shape[0])

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return ((name, getattr(self, name)) for name in NAMES)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.means.device

    @property
    def sh0(self) -> Tensor:
        """The coefficients of band 0, [N, 1, 3]: a view of `sh`."""
        return self.sh[:, :1]

    @property
    def shN(self) -> Tensor:  # noqa: N802 - the field's name
        """The coefficients above band 0, [N, K - 1, 3]: a view of `sh`."""
        return self.sh[:, 1:]

    @property
    def sh_degree(self) -> int:
        """The degree that `sh` has room for."""
        return int(self.sh.shape[1] ** 0.5) - 1

    def as_dict(self) -> dict[str, Tensor]:
        """The parameters by name."""
        return dict(self)

    @classmethod
    def from_dict(cls, tensors: Mapping[str, Tensor]) -> Gaussians:
        """Build from parameters by name; other keys are ignored.

        `sh` may come in its two parts, `sh0` and `shN`, as files hold them.
        """
        if "sh" not in tensors:
            tensors = {**tensors, "sh": torch.cat([tensors["sh0"], tensors["shN"]], dim=1)}
        return cls(**{field.name: tensors[field.name] for field in fields(cls)})

    def detach(self) -> Gaussians:
        """The same values, cut from any graph."""
        return Gaussians.from_dict({name: tensor.detach() for name, tensor in self})

    def to(self, device: torch.device | str) -> Gaussians:
        """The same values on another device."""
        return Gaussians.from_dict({name: tensor.to(device) for name, tensor in self})

    def select(self, index: Tensor | slice) -> Gaussians:
        """The rows that an index, a mask or a slice names."""
        return Gaussians.from_dict({name: tensor[index] for name, tensor in self})

    def replacing(self, **tensors: Tensor) -> Gaussians:
        """A copy with some parameters replaced."""
        return replace(self, **tensors)
