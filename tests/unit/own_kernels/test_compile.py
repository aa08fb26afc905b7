"""Every Triton kernel compiles for the GPUs of now, without one: to machine code, by ptxas."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton", reason="Triton is not installed")

ARCHITECTURES = (80, 89, 90)
FLOATS = {"image", "target", "weights", "sums", "slopes", "parts", "blurred", "gradient"}
POINTERS = {
    **dict.fromkeys([*FLOATS, "rates", "means2d", "conics", "opacities"], "*fp32"),
    **{f"{name}{i}": "*fp32" for i in range(5) for name in ("leaf", "gradient", "first", "second")},
    **dict.fromkeys(["radii", "first", "extent", "areas", "depths", "owners"], "*i32"),
    **{"visible": "*u8", "ends": "*i64", "keys": "*i32"},
    **dict.fromkeys(["scale", "ssim_weight", "c1", "c2"], "fp32"),
    **dict.fromkeys(["beta2", "share1", "share2", "epsilon"], "fp32"),
}
"""The arguments' types by name; the others are constants, in capitals, and whole numbers."""


def compile_for(kernel: Any, constants: dict[str, Any], architecture: int, **types: str) -> bytes:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = [name for name in kernel.arg_names if name not in constants]
    signature = {name: {**POINTERS, **types}.get(name, "i32") for name in names}
    compiled = triton.compile(
        ASTSource(kernel, signature, constants), target=GPUTarget("cuda", architecture, 32)
    )
    binary: bytes = compiled.asm["cubin"]
    return binary


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_adam(architecture: int) -> None:
    from splat_trainer.optimize.adam_kernel import _adam

    constants = {"SH": 48, "BLOCK": 512}
    for visible in (False, True):
        assert compile_for(_adam, {**constants, "VISIBLE": visible}, architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_pairs_of_gaussian_and_tile(architecture: int) -> None:
    from splat_trainer.rasterize import tile_pairs as twin
    from splat_trainer.rasterize.interface import ALPHA_THRESHOLD
    from splat_trainer.rasterize.tile_pairs_kernel import _HALVINGS, _boxes, _fill

    assert compile_for(_boxes, {"BLOCK": 256}, architecture)
    constants = {
        **{"NEAREST": twin.NEAREST, "FURTHEST": twin.FURTHEST, "BLOCK": 256},
        **{"THRESHOLD": ALPHA_THRESHOLD, "SLACK": twin.SLACK, "HALVINGS": _HALVINGS},
    }
    for bits, keys in ((20, "*i32"), (32, "*i64")):
        assert compile_for(_fill, {**constants, "WIDE": bits >= 32}, architecture, keys=keys)


@pytest.mark.parametrize("target", ["*fp32", "*u8"])
def test_the_image_loss(target: str) -> None:
    from splat_trainer.optimize import fused_image_loss as loss

    along = {"STEP": 3, "WINDOW": 11, "BLOCK": 256}
    down = {"WINDOW": 11, "BLOCK": 256}
    assert compile_for(loss._sums_along_rows, along, 90, target=target)
    assert compile_for(loss._loss_and_slopes, down, 90, target=target)
    assert compile_for(loss._blur_along_rows, along, 90)
    assert compile_for(loss._gradient, down, 90, target=target)
