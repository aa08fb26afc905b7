"""The first Gaussians, and the distances that their sizes come from."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splat_trainer.gaussians.initialize import gaussians_from_points
from splat_trainer.gaussians.neighbours import nearest_distances
from splat_trainer.gaussians.spherical_harmonics import C0


@settings(max_examples=40)
@given(count=st.integers(1, 700), seed=st.integers(0, 99), clumped=st.booleans())
def test_distances_are_those_of_all_pairs(count: int, seed: int, clumped: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 3, generator=generator)
    if clumped:
        points = (points * 3).round() ** 3  # many coincide, a few are far away
    pairs = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    pairs.fill_diagonal_(torch.inf)
    found = nearest_distances(points, 3)
    expected = torch.full((count, 3), torch.inf)
    k = min(3, count)
    expected[:, :k] = pairs.topk(k, dim=1, largest=False, sorted=True).values
    assert torch.allclose(found, expected)


def test_a_gaussian_is_as_large_as_its_neighbours_are_far() -> None:
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
    rgb = torch.rand(4, 3)
    gaussians = gaussians_from_points(
        points, rgb, sh_degree=2, opacity=0.1, scale_factor=0.5, largest_scale=10
    )
    mean_square = (1 + 4 + 9) / 3
    assert gaussians.scales[0].exp() == pytest.approx([0.5 * mean_square**0.5] * 3)
    assert gaussians.opacities.sigmoid() == pytest.approx([0.1] * 4)
    assert torch.allclose(gaussians.sh0[:, 0] * C0 + 0.5, rgb, atol=1e-6)
    assert gaussians.shN.shape == (4, 8, 3)
    assert gaussians.sh_degree == 2
    assert torch.equal(gaussians.quats, torch.tensor([[1.0, 0, 0, 0]] * 4))


@pytest.mark.parametrize(
    "points", [torch.zeros(5, 3), torch.zeros(1, 3), torch.tensor([[0.0, 0, 0], [1e6, 0, 0]])]
)
def test_sizes_stay_within_reason(points: torch.Tensor) -> None:
    gaussians = gaussians_from_points(
        points,
        torch.rand(len(points), 3),
        sh_degree=0,
        opacity=0.5,
        scale_factor=1,
        largest_scale=0.2,
    )
    assert gaussians.scales.isfinite().all()
    assert (gaussians.scales.exp() <= 0.2001).all()
