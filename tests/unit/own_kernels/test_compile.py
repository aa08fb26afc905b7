"""Every Triton kernel, compiled for the GPUs of now without one, is found by launches on one."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from splat_trainer.cli.commands.kernels import own_built
from splat_trainer.kernels.ingredients import OwnIngredients
from splat_trainer.kernels.manifest import Manifest
from splat_trainer.kernels.own.archive import ARCHIVE
from splat_trainer.kernels.own.build import build_own_kernels
from splat_trainer.kernels.own.fill import fill
from splat_trainer.kernels.own.no_gpu import write_driver_library
from splat_trainer.kernels.store import Store
from splat_trainer.train import compile_own_kernels

pytest.importorskip("triton", reason="Triton is not installed")
pytestmark = pytest.mark.skipif(
    not shutil.which("gcc") or not (Path(sysconfig.get_path("include")) / "Python.h").exists(),
    reason="no C compiler, or no headers of Python",
)

ARCHITECTURES = ("8.0", "8.9", "9.0+PTX")
KERNELS = 38
"""For each: Adam of 4 degrees for all rows and for visible ones, 4 of the loss, 3 of pairs; sums
of views of 4 degrees and narrow ones of the last, the first and others; for 2, 4 and 8 GPUs who
has seen what, sums, and Adam for all rows and for visible ones; and where these meet."""

LAUNCHES = """
import contextlib, json, sys
import torch
from splat_trainer.kernels.own.no_gpu import compile_for
from splat_trainer.kernels.self_check import DisagreementError
from splat_trainer.optimize import adam_step, losses
from splat_trainer.rasterize import tile_pairs
from tests.unit.own_kernels.started_compilers import started_compilers

compilers = started_compilers()
compile_for(int(sys.argv[1]))
wrong = contextlib.suppress(DisagreementError)  # nothing is computed
pairs = tile_pairs._fused()
if "all" in sys.argv:
    for degree in range(4):
        for visible_only in (False, True):
            for count in (1, 16, 333):
                with wrong:
                    step = adam_step._fused()
                    adam_step.check_fused(
                        step, "cpu", visible_only=visible_only, count=count, degree=degree
                    )
    step(*([torch.ones(size) for size in ((2, 3), (2, 4), (2, 3), (2,), (2, 16, 3))],) * 4,
         torch.ones(9), betas=(0.9**4, 0.999**4), epsilon=2e-15)
    with wrong:
        losses.check_fused(losses._fused(), "cpu")
    store = torch.zeros(100_000, dtype=torch.uint8)
    for height, width, offset in ((1, 1, 0), (16, 16, 1), (48, 96, 3), (37, 51, 8), (1, 16, 0)):
        target = store[offset : offset + height * width * 3].view(height, width, 3)
        losses._fused()(torch.zeros(height, width, 3), target, ssim_weight=0.0)
    for bits in (15, 16, 20, 31, 32):
        for count in (1, 16, 300):
            with wrong:
                tile_pairs.check_fused(pairs, "cpu", bits=bits, count=count)
for tile, columns in ((8, 1), (16, 16)):
    pairs.boxes(torch.ones(4, 2), torch.ones(4, 2).int(), tile=tile, columns=columns, rows=columns)
print(json.dumps(compilers))
"""
"""Launches of all kinds of sizes and places in memory; tells which compilers they started."""


class Built:
    """A build, and the store it is in."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store")
        self.store.root.mkdir()
        self.manifest = self.again()
        self.folder = self.store.folder(self.manifest.key)
        self.driver = write_driver_library(folder / "driver", os.environ)

    def again(self) -> Manifest:
        compiler = compile_own_kernels.__name__
        return build_own_kernels(self.store, ARCHITECTURES, compiler, os.environ)[0]

    def fill(self, folder: Path, gpu: tuple[int, int] = (9, 0)) -> str | None:
        environ = {"SPLAT_KERNELS_DIR": str(self.store.root), "HOME": str(folder)}
        return fill({**environ, "TRITON_CACHE_DIR": str(folder / "triton")}, gpu)

    def compilers_started_by_launches(self, folder: Path, *arguments: str) -> list[str]:
        """What a process with its cache in the folder starts to compile."""
        environ = {**os.environ, **self.driver, "TRITON_CACHE_DIR": str(folder / "triton")}
        done = subprocess.run(
            [sys.executable, "-c", LAUNCHES, *arguments],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        compilers: list[str] = json.loads(done.stdout)
        return compilers


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("own"))


def test_all_of_them_compile_to_machine_code(built: Built) -> None:
    assert (built.folder / "build.log").read_text() == ""
    with zipfile.ZipFile(built.folder / ARCHIVE) as archive:
        names = archive.namelist()
    assert sum(name.endswith(".cubin") for name in names) == len(ARCHITECTURES) * KERNELS
    assert any("/cuda_utils." in name for name in names)
    assert isinstance(built.manifest.ingredients, OwnIngredients)
    assert built.manifest.ingredients.architectures == ("8.0", "8.9", "9.0")


def test_launches_with_a_filled_cache_compile_nothing(built: Built, tmp_path: Path) -> None:
    assert built.fill(tmp_path) == built.manifest.key
    assert built.compilers_started_by_launches(tmp_path, "90", "all") == []


def test_launches_for_another_gpu_compile_for_it(built: Built, tmp_path: Path) -> None:
    assert built.fill(tmp_path, (8, 6)) is None
    assert built.fill(tmp_path, (9, 0)) == built.manifest.key
    assert built.compilers_started_by_launches(tmp_path, "86") == ["ptxas"]


def test_a_build_that_is_there_is_not_made_again(built: Built) -> None:
    before = (built.folder / ARCHIVE).stat()
    assert built.again() == built.manifest
    assert (built.folder / ARCHIVE).stat() == before


def test_the_command_tells_that_they_are_there(built: Built) -> None:
    key, told = own_built(built.store, ARCHITECTURES, os.environ)
    assert key == built.manifest.key
    assert told == "; the trainer's own compiled before, too"


def test_where_they_do_not_compile_the_command_tells_it_and_goes_on(tmp_path: Path) -> None:
    key, told = own_built(Store(tmp_path), ("9.0",), {**os.environ, "CC": "/nowhere/cc"})
    assert key is None
    assert told.startswith("; not the trainer's own: our own kernels did not compile: ")
    assert "/nowhere/cc" in told
    assert not list(tmp_path.glob("[!.]*"))
