"""A small scene that nobody trains on, to check kernels with before they are used."""

import torch

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.rasterize.interface import Cameras

WIDTH, HEIGHT = 150, 101


def check_gaussians(device: torch.device, count: int = 400) -> Gaussians:
    """Gaussians of many sizes around (0, 0, 4), of degree 3."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(
        means=draw(count, 3) + torch.tensor([0.0, 0.0, 4.0]),
        quats=draw(count, 4),
        scales=draw(count, 3) * 0.5 - 2.5,
        opacities=draw(count),
        sh=draw(count, 16, 3) * 0.3,
    ).to(device)


def check_camera(device: torch.device, shift: float = 0.0) -> Cameras:
    """A camera at the origin that looks along z, moved to the right by `shift`."""
    viewmat = torch.eye(4)
    viewmat[0, 3] = -shift
    intrinsics = torch.tensor([[140.0, 0, 75], [0, 140, 50], [0, 0, 1]])
    return Cameras(viewmat[None].to(device), intrinsics[None].to(device), WIDTH, HEIGHT)


def leaves(gaussians: Gaussians) -> Gaussians:
    """A copy to differentiate by."""
    return Gaussians.from_dict(
        {name: one.detach().clone().requires_grad_() for name, one in gaussians}
    )
