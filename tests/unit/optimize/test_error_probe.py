"""What a probe gathers is what the picture is wrong by, weighted as it was blended."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from splat_trainer.optimize.error_probe import Channel, ErrorProbe
from splat_trainer.rasterize.reference import ReferenceRasterizer
from tests.unit.rasterize.scenes import cameras_around, random_gaussians

ALL: tuple[Channel, ...] = ("error", "weight", "square", "flag", "flagged_loss")


def gathered(
    target: Tensor, mask: Tensor | None = None, channels: Sequence[Channel] = ALL
) -> Tensor:
    gaussians = random_gaussians(15, seed=3)
    sums = torch.ones(15, len(channels))
    probe = ErrorProbe(sums, torch.zeros(15), channels, flag_error=0.5)
    rendering = ReferenceRasterizer()(
        gaussians, cameras_around(1, width=17, height=9), sh_degree=1, features=probe.features
    )
    term = probe.term(rendering, rendering.colors[0], target, mask)
    assert float(term) == 0
    term.backward()  # type: ignore[no-untyped-call]
    assert all(tensor.grad is None or not tensor.grad.any() for _, tensor in gaussians)
    assert probe.sums is sums
    return sums - 1  # what was there is added to, in place


def weights_and_image() -> tuple[Tensor, Tensor]:
    rendering = ReferenceRasterizer()(
        random_gaussians(15, seed=3),
        cameras_around(1, width=17, height=9),
        sh_degree=1,
        features=torch.eye(15),
    )
    assert rendering.features is not None
    return rendering.features[0].detach(), rendering.colors[0].detach()


def test_each_channel_is_its_image_weighted_by_each_gaussian() -> None:
    target = torch.rand(9, 17, 3, generator=torch.Generator().manual_seed(1))
    weights, image = weights_and_image()
    error = (image - target).abs().mean(-1)
    stretched = (error - error.min()) / (error.max() - error.min())
    flag = (stretched > 0.5).float()
    maps = [error, torch.ones_like(error), error**2, flag, flag * error.mean()]
    expected = torch.stack([torch.einsum("hwn,hw->n", weights, one) for one in maps], 1)
    assert torch.allclose(gathered(target), expected, atol=1e-5)
    assert torch.allclose(
        gathered(target, channels=("flag", "error")), expected[:, [3, 0]], atol=1e-5
    )


def test_what_was_drawn_without_room_for_all_is_counted() -> None:
    missed = torch.zeros(15)
    probe = ErrorProbe(torch.zeros(15, 2), missed, ("error", "weight"), flag_error=0.5)
    drawn = ReferenceRasterizer()(
        random_gaussians(15, seed=3),
        cameras_around(1, width=17, height=9),
        sh_degree=1,
        features=probe.features,
    )
    for complete in (None, torch.tensor([True]), torch.tensor([False]), torch.tensor([False])):
        probe.term(replace(drawn, complete=complete), drawn.colors[0], torch.zeros(9, 17, 3), None)
    assert (missed == 2).all()


def test_bytes_are_read_as_what_they_stand_for() -> None:
    target = torch.randint(0, 256, (9, 17, 3), dtype=torch.uint8)
    assert torch.allclose(gathered(target), gathered(target.float() / 255), atol=1e-6)


def test_what_a_mask_leaves_out_has_no_voice() -> None:
    mask = torch.ones(9, 17, dtype=torch.bool)
    mask[:, :8] = False
    weights, image = weights_and_image()
    sums = gathered(image, mask)
    assert torch.allclose(sums[:, 1], weights[:, 8:].sum((0, 1)), atol=1e-5)
    black = gathered(torch.zeros_like(image), torch.zeros_like(mask))
    assert not black.any()


def test_a_perfect_picture_is_wrong_nowhere() -> None:
    _, image = weights_and_image()
    sums = gathered(image)
    assert sums[:, 1].sum() > 0
    assert sums[:, [0, 2, 4]].abs().max() < 1e-6
