"""What is told of the trainer's own kernels; they themselves are tested in own_kernels/."""

from pathlib import Path

import pytest
import torch

from splat_trainer.contract import KernelsSource, KernelsUse
from splat_trainer.kernels.own.identity import own_ingredients
from splat_trainer.kernels.self_check import CheckedKernel
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.train.own_kernels import check_own_kernels, keep_own_kernels, told


def test_the_cpu_uses_none() -> None:
    assert check_own_kernels(ReferenceRasterizer(), torch.device("cpu")) == []
    assert told([]) == "none (0.0 s)"


def test_what_is_used_and_what_is_not_is_told_in_a_line() -> None:
    kernels = [
        CheckedKernel("fused Adam", True, 0.75),
        CheckedKernel("tile lists", False, 0.5, "no compiler"),
        CheckedKernel("fused image loss", True, 1.0),
    ]
    assert told(kernels) == "fused Adam, fused image loss; not tile lists: no compiler (2.2 s)"


COMPILED = KernelsUse(source=KernelsSource.COMPILED, key="gsplat-1.5.3-0", seconds=90)
LOADED = KernelsUse(source=KernelsSource.CACHE, key="gsplat-1.5.3-0", seconds=0.4)


def environ(folder: Path, **more: str) -> dict[str, str]:
    return {"SPLAT_KERNELS_DIR": str(folder), **more}


@pytest.mark.parametrize("use", [None, LOADED])
def test_who_compiled_nothing_for_a_cache_puts_nothing_into_it(
    tmp_path: Path, use: KernelsUse | None
) -> None:
    assert keep_own_kernels(use, environ(tmp_path), (9, 0)) is None
    assert keep_own_kernels(COMPILED, {}, (9, 0)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_have_them_is_told_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    here = own_ingredients(["9.0"])
    assert here
    nothing_found = environ(tmp_path, CC="/nowhere/cc")
    assert keep_own_kernels(COMPILED, nothing_found, (9, 0)) is None
    assert "our own kernels are not kept" in caplog.text
    assert not (tmp_path / here.key).exists()
