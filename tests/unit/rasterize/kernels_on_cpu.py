"""Our CUDA kernels on a CPU, each lane a thread, in place of torch.ops.splat."""

import ctypes
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from splat_trainer.kernels import extension

_SHIM = Path(__file__).parent / "cuda_on_cpu"
_LAUNCH = re.compile(r"(\w+(?:<[\w.]+>)?)<<<(.+), 0, stream>>>\(")


def compile_for_cpu(folder: Path, architecture: int) -> SimpleNamespace:
    """Compile them as for a GPU such as 900; gives the operators by their names."""
    blending, projection = (_library(folder, name, architecture) for name in ("blend", "project"))
    return SimpleNamespace(**_blending(blending), **_projection(projection))


def _library(folder: Path, name: str, architecture: int) -> ctypes.CDLL:
    text = (extension._OUR_OWN / f"{name}.cu").read_text()
    source, library = folder / f"{name}.cu", folder / f"{name}{architecture}.so"
    changed, launches = _LAUNCH.subn(r"launched(\2, \1, ", text)
    assert launches
    source.write_text(changed)
    command = ["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", "-Wno-unknown-pragmas"]
    defines = [f"-D__CUDA_ARCH__={architecture}", f'-D{name.upper()}_CU="{source}"']
    folders = [f"-I{_SHIM}", f"-I{extension._OUR_OWN}"]
    subprocess.run(
        [*command, *defines, *folders, str(_SHIM / f"{name}_on_cpu.cpp"), "-o", str(library)],
        check=True,
        capture_output=True,
    )
    return ctypes.CDLL(str(library))


Operator: TypeAlias = Callable[..., tuple[Tensor, ...]]


def _blending(library: ctypes.CDLL) -> dict[str, Operator]:
    def blend(
        means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor,
        background: Tensor | None, offsets: Tensor, ids: Tensor,
        width: int, height: int, tile: int, limits: Sequence[float],
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        image, alphas = torch.empty(height, width, 3), torch.empty(height, width, 1)
        lasts = torch.empty(height, width, dtype=torch.int32)
        _call(
            library.blend, means2d, conics, colors, opacities, background, offsets, ids,
            width, height, tile, torch.tensor(limits), image, alphas, lasts,
        )  # fmt: skip
        return image, alphas, lasts

    def blend_backward(
        means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor,
        offsets: Tensor, ids: Tensor, image: Tensor, alphas: Tensor, lasts: Tensor,
        v_image: Tensor, v_alphas: Tensor | None, v_drawn: Tensor | None,
        tile: int, limits: Sequence[float],
    ) -> tuple[Tensor, ...]:  # fmt: skip
        height, width, _ = image.shape
        features = 0 if v_drawn is None else v_drawn.shape[-1]
        made = [torch.zeros_like(one) for one in (means2d, conics, colors, opacities)]
        made.append(torch.zeros(len(opacities), features))
        _call(
            library.blend_backward, means2d, conics, colors, opacities, offsets, ids,
            width, height, tile, torch.tensor(limits), image, alphas, lasts,
            v_image, v_alphas, v_drawn, features, *made,
        )  # fmt: skip
        return tuple(made)

    return {"blend": blend, "blend_backward": blend_backward}


def _projection(library: ctypes.CDLL) -> dict[str, Operator]:
    def head(parameters: Sequence[Tensor], degree: int) -> tuple[object, ...]:
        return (len(parameters[0]), parameters[4].shape[1], degree, *parameters)

    def project(*arguments: Any) -> tuple[Tensor, ...]:
        parameters, viewmat, intrinsics, width, height, degree, sight = (
            arguments[:5],
            *arguments[5:],
        )
        count = len(parameters[0])
        shapes = [(count, 2), (count, 3), (count, 3), (count,), (count,)]
        seen = [torch.full(shape, torch.nan) for shape in shapes]
        radii = torch.empty(count, 2, dtype=torch.int32)
        _call(
            library.project, *head(parameters, degree), viewmat, intrinsics, width, height,
            torch.tensor(sight), *seen, radii,
        )  # fmt: skip
        return (*seen, radii)

    def project_backward(*arguments: Any) -> tuple[Tensor, ...]:
        parameters, viewmat, intrinsics, radii = arguments[:5], *arguments[5:8]
        pulls, width, height, degree, sight = arguments[8:12], *arguments[12:]
        made = [torch.full_like(one, torch.nan) for one in parameters]
        _call(
            library.project_backward, *head(parameters, degree), viewmat, intrinsics, width, height,
            torch.tensor(sight), radii, *pulls, *made,
        )  # fmt: skip
        return tuple(made)

    return {"project": project, "project_backward": project_backward}


def _call(function: Callable[..., object], *arguments: object) -> None:
    function(*map(_argument, arguments))


def _argument(value: object) -> object:
    if isinstance(value, Tensor):
        assert value.is_contiguous()
        return ctypes.c_void_p(value.data_ptr())
    return None if value is None else ctypes.c_int(int(str(value)))
