"""The fused image loss against its twin in plain PyTorch."""

import pytest
import torch

from splat_trainer.optimize.losses import image_loss, image_loss_for

CUDA = torch.device("cuda")


@pytest.mark.parametrize("shape", [(533, 800, 3), (37, 41, 3), (5, 300, 3)])
def test_the_fused_loss_is_the_plain_one(shape: tuple[int, int, int]) -> None:
    fused = image_loss_for(CUDA)
    assert fused is not image_loss
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    image = torch.rand(shape, generator=generator)
    found = []
    for loss, device in ((fused, CUDA), (image_loss, CUDA), (image_loss, torch.device("cpu"))):
        leaf = image.to(device).requires_grad_()
        value = loss(leaf, target.to(device), ssim_weight=0.2)
        (gradient,) = torch.autograd.grad(value * 3, leaf)
        found.append((value.detach().cpu(), gradient.cpu()))
    for value, gradient in found[:2]:
        assert (value - found[2][0]).abs() < 1e-5
        assert (gradient - found[2][1]).norm() / found[2][1].norm() < 1e-4
