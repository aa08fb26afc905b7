"""The CUDA kernels of blending on a CPU: each lane a thread, in place of torch.ops.splat."""

import ctypes
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from splat_trainer.kernels import extension

_SHIM = Path(__file__).parent / "cuda_on_cpu"
_LAUNCH = re.compile(r"(\w+)<<<(.+), 0, stream>>>\(")


def compile_for_cpu(folder: Path, architecture: int) -> SimpleNamespace:
    """Compile them as for a GPU such as 900; gives `blend` and `blend_backward`."""
    text = (extension._OUR_OWN / "blend.cu").read_text()
    source, library = folder / "blend.cu", folder / f"blend{architecture}.so"
    changed, launches = _LAUNCH.subn(r"launched(\2, \1, ", text)
    assert launches == 2
    source.write_text(changed)
    command = ["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", "-Wno-unknown-pragmas"]
    defines = [f"-D__CUDA_ARCH__={architecture}", f'-DBLEND_CU="{source}"']
    folders = [f"-I{_SHIM}", f"-I{extension._OUR_OWN}"]
    subprocess.run(
        [*command, *defines, *folders, str(_SHIM / "blend_on_cpu.cpp"), "-o", str(library)],
        check=True,
        capture_output=True,
    )
    return _operators(ctypes.CDLL(str(library)))


def _operators(library: ctypes.CDLL) -> SimpleNamespace:
    def call(name: str, *arguments: object) -> None:
        getattr(library, name)(*map(_argument, arguments))

    def blend(
        means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor,
        background: Tensor | None, offsets: Tensor, ids: Tensor,
        width: int, height: int, tile: int, limits: Sequence[float],
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        image, alphas = torch.empty(height, width, 3), torch.empty(height, width, 1)
        lasts = torch.empty(height, width, dtype=torch.int32)
        call(
            "blend", means2d, conics, colors, opacities, background, offsets, ids,
            width, height, tile, torch.tensor(limits), image, alphas, lasts,
        )  # fmt: skip
        return image, alphas, lasts

    def blend_backward(
        means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor,
        offsets: Tensor, ids: Tensor, image: Tensor, alphas: Tensor, lasts: Tensor,
        v_image: Tensor, v_alphas: Tensor | None, tile: int, limits: Sequence[float],
    ) -> tuple[Tensor, ...]:  # fmt: skip
        height, width, _ = image.shape
        made = [torch.zeros_like(one) for one in (means2d, conics, colors, opacities)]
        call(
            "blend_backward", means2d, conics, colors, opacities, offsets, ids,
            width, height, tile, torch.tensor(limits), image, alphas, lasts,
            v_image, v_alphas, *made,
        )  # fmt: skip
        return tuple(made)

    return SimpleNamespace(blend=blend, blend_backward=blend_backward)


def _argument(value: object) -> object:
    if isinstance(value, Tensor):
        assert value.is_contiguous()
        return ctypes.c_void_p(value.data_ptr())
    return None if value is None else ctypes.c_int(int(str(value)))
