"""Our own kernels, compiled by `kernels build` with no GPU, are what a fresh process loads."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from splat_trainer.kernels.architectures import native_to
from splat_trainer.kernels.extension import LIBRARY
from splat_trainer.kernels.own.build import build_own_kernels
from splat_trainer.kernels.store import Store
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from splat_trainer.train import compile_own_kernels

FRESH = """
import json, os
import torch
from splat_trainer.kernels.own.fill import fill_for_this_gpu
from splat_trainer.kernels.places import keep_other_caches_private
from splat_trainer.distributed import peers
from splat_trainer.optimize import adam_step, gathered, losses, scattered
from splat_trainer.rasterize import tile_pairs
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from splat_trainer.train.own_kernels import check_own_kernels
from tests.unit.own_kernels.started_compilers import started_compilers

compilers = started_compilers()
keep_other_caches_private(os.environ)
cuda = torch.device("cuda")
rasterizer = GsplatRasterizer()
for visible_only in (False, True):
    kernels = check_own_kernels(rasterizer, cuda, visible_only=visible_only)
for degree in range(4):
    for visible_only in (False, True):
        fused = adam_step.adam_step_for(cuda, visible_only=visible_only)
        for count in (1, 16, 100_001):
            adam_step.check_fused(
                fused, "cuda", visible_only=visible_only, count=count, degree=degree
            )
    for count in (1, 16, 100_001):
        gathered.check_fused(gathered.gather_for(cuda), "cuda", count=count, degree=degree)
peers.meet_if_kernels_work(2, cuda)
for count in (1, 16, 100_001):
    gathered.check_fused(gathered.gather_for(cuda), "cuda", count=count, narrow=True)
    for ranks in (2, 4, 8):
        fused = scattered.scattered_step_for(cuda)
        scattered.check_fused(fused, "cuda", ranks=ranks, count=count)
for bits in (15, 16, 20, 31, 32):
    tile_pairs.check_fused(tile_pairs.pair_functions_for(cuda, bits), "cuda", bits=bits)
loss, targets = losses.image_loss_for(cuda), torch.zeros(10**7, dtype=torch.uint8, device=cuda)
for height, width, offset in ((16, 16, 0), (533, 800, 1), (519, 779, 8), (1, 16, 3)):
    target = targets[offset : offset + height * width * 3].view(height, width, 3)
    image = torch.rand(height, width, 3, device=cuda)
    found = loss(image, target, ssim_weight=0.2)
    assert torch.allclose(found, losses.image_loss(image, target, ssim_weight=0.2), rtol=1e-3)
print(json.dumps({
    "compilers": compilers,
    "found": fill_for_this_gpu(),
    "notInUse": [kernel.why for kernel in kernels if not kernel.in_use],
    "seconds": {kernel.name: round(kernel.seconds, 2) for kernel in kernels},
}))
"""
"""Checks and launches all of them, and tells which compilers that started."""


def fresh_process(home: Path, **environ: str) -> dict[str, object]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XDG_CACHE_HOME", "TRITON_CACHE_DIR", "SPLAT_KERNELS_DIR")
    }
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        env={**kept, "HOME": str(home), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_fresh_process_compiles_none_of_our_kernels(tmp_path: Path) -> None:
    GsplatRasterizer()
    loaded = Path(str(importlib.import_module("gsplat.cuda._backend")._C.__file__))
    store = Store(tmp_path / "store")
    store.root.mkdir()
    if loaded.name == LIBRARY:  # else it is in the installed package, where it is found
        shutil.copy(loaded, store.root / LIBRARY)
    gpu = native_to(torch.cuda.get_device_capability())
    compiler = compile_own_kernels.__name__
    manifest, built = build_own_kernels(store, (gpu,), compiler, os.environ)
    assert built
    told = fresh_process(tmp_path / "home", SPLAT_KERNELS_DIR=str(store.root))
    assert told["notInUse"] == []
    assert told["found"] == manifest.key
    assert told["compilers"] == []

    (store.folder(manifest.key) / "triton.zip").write_bytes(b"damaged")
    told = fresh_process(tmp_path / "other-home", SPLAT_KERNELS_DIR=str(store.root))
    assert told["notInUse"] == []
    assert told["found"] is None
    assert "ptxas" in str(told["compilers"])
