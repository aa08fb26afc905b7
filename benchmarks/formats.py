"""What each format of a splat costs: its size, and held-out views measured anew.

    python -m benchmarks.formats PLY CAPTURE [--max-side N] [--holdout-every N] [--device cpu]

Every format is written from the PLY and read back by a program that is not ours (gsply; numpy for
the rows of .splat), and the views of the capture are rendered from what came back. The PLY must be
in the capture's own frame, and the held-out views must be among those that it was not trained on.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gsply
import numpy as np
import torch

from splat_trainer.capture.load import load_scene
from splat_trainer.contract import SplatFormat, TrainConfig
from splat_trainer.gaussians.formats.ply import read_ply
from splat_trainer.gaussians.formats.splat import ROW
from splat_trainer.gaussians.formats.write import write_gaussians
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.spherical_harmonics import rgb_to_sh0
from splat_trainer.gaussians.transform import transform
from splat_trainer.train.device import choose_device
from splat_trainer.train.evaluation import evaluate


def main() -> None:
    """Measure all formats, and print a table for docs/trainer.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ply", type=Path)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--max-side", type=int)
    parser.add_argument("--holdout-every", type=int, default=8)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    config = TrainConfig.model_validate(
        {name: getattr(arguments, name) for name in ("max_side", "holdout_every", "device")}
    )
    device = choose_device(config.device)
    scene = load_scene(arguments.capture, config)
    gaussians = read_ply(arguments.ply)
    print(f"{len(gaussians):,} Gaussians, {len(scene.test_views)} held-out views")
    print("| format | bytes | of the PLY | PSNR | SSIM |\n| --- | --- | --- | --- | --- |")
    whole = arguments.ply.stat().st_size
    with tempfile.TemporaryDirectory() as folder:
        for format, read in READERS.items():
            path = Path(folder) / format.file_name
            size = write_gaussians(gaussians, path, format).bytes
            back = transform(read(path), scene.normalized_from_capture)
            told = evaluate(back, scene.test_views, device=device)
            print(
                f"| `{format}` | {size:,} | {100 * size / whole:.1f} % | {told.psnr:.2f} dB | "
                f"{told.ssim:.4f} |"
            )


def _from_gsply(data: Any) -> Gaussians:
    count = len(data.means)
    rest = np.zeros((count, 0, 3)) if data.shN is None else np.reshape(data.shN, (count, -1, 3))
    parts = {
        "means": data.means,
        "quats": data.quats,
        "scales": data.scales,
        "opacities": np.ravel(data.opacities),
        "sh0": np.reshape(data.sh0, (count, 1, 3)),
        "shN": rest,
    }
    return Gaussians.from_dict(
        {name: torch.tensor(part, dtype=torch.float32) for name, part in parts.items()}
    )


def _from_rows(path: Path) -> Gaussians:
    rows = np.fromfile(path, ROW)
    rgba = torch.from_numpy(rows["rgba"] / np.float32(255))
    parts = {
        "means": torch.tensor(rows["position"]),
        "quats": torch.from_numpy(rows["rotation"].astype(np.float32) - 128),
        "scales": torch.tensor(np.log(rows["scale"])),
        "opacities": rgba[:, 3].logit(eps=1e-4),
        "sh0": rgb_to_sh0(rgba[:, None, :3]),
        "shN": torch.zeros(len(rows), 0, 3),
    }
    return Gaussians.from_dict(parts)


READERS: dict[SplatFormat, Callable[[Path], Gaussians]] = {
    SplatFormat.PLY: lambda path: _from_gsply(gsply.plyread(path)),
    SplatFormat.COMPRESSED_PLY: lambda path: _from_gsply(gsply.plyread(path)),
    SplatFormat.SPZ: lambda path: _from_gsply(gsply.read_spz(path)),
    SplatFormat.SPLAT: _from_rows,
}

if __name__ == "__main__":
    main()
