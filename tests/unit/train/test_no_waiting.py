"""Between two changes of the Gaussians, nothing in a step makes the host wait for a GPU.

What waits there are operations that give a value to the host, or a size that depends on one. On
the CPU they are the same operations, and are looked for.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from splat_trainer.capture.load import load_scene
from splat_trainer.capture.scene import Scene
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.contract import TrainConfig
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.schedule import Schedule, schedule_for
from splat_trainer.rasterize import fused_blend, fused_projection, gsplat_cuda
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from splat_trainer.rasterize.interface import Cameras
from splat_trainer.rasterize.tile_room import TileRoom
from splat_trainer.train.training import Training
from tests.unit.rasterize import gsplat_in_pytorch

WAITS = {
    *("_local_scalar_dense", "nonzero", "nonzero_static", "masked_select", "equal", "is_nonzero"),
    *("unique_dim", "_unique2", "unique_consecutive", "bincount", "repeat_interleave"),
    *("linalg_inv_ex", "_linalg_det", "histc", "multinomial", "argwhere"),
}


class Watch(TorchDispatchMode):
    """Notes what would wait; not within gsplat's own functions, which are kernels on a GPU."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits: list[str] = []
        self.operations = 0
        self.paused = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        if not self.paused:
            self.operations += 1
            name = function.overloadpacket.__name__
            by_mask = name in {"index", "index_put_", "index_put"} and any(
                isinstance(one, Tensor) and one.dtype in {torch.bool, torch.uint8}
                for one in arguments[1]
            )
            if name in WAITS or by_mask:
                self.waits.append(f"{name}{' by a mask' if by_mask else ''}")
        return function(*arguments, **(options or {}))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("capture")
    make_synthetic_capture(folder, views=6, size=32)
    return load_scene(folder, TrainConfig())


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    one = Watch()

    class Paused:
        def __getattr__(self, name: str) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                one.paused += 1
                try:
                    return getattr(gsplat_in_pytorch, name)(*arguments, **options)
                finally:
                    one.paused -= 1

            return call

    for module in (gsplat_cuda, fused_blend, fused_projection):
        monkeypatch.setattr(module, "gsplat", Paused())
    monkeypatch.setattr(gsplat_cuda, "ensure_kernels", lambda: None)
    return one


class Roomy(GsplatRasterizer):
    def make_room(self, gaussians: Gaussians, cameras: Sequence[Cameras]) -> TileRoom:
        return TileRoom(1 << 15, gaussians.device)


@pytest.mark.parametrize("strategy", ["default", "mcmc", "budget"])
@pytest.mark.parametrize("visible_only", [False, True])
def test_no_step_waits(scene: Scene, watch: Watch, strategy: str, visible_only: bool) -> None:
    config = TrainConfig.model_validate(
        {"iterations": 100, "strategy": strategy, "max_gaussians": 1000, "seed": 1}
    )
    training = Training(
        scene,
        config,
        schedule_with(schedule_for(config), visible_only),
        device=torch.device("cpu"),
        rasterizer=Roomy(),
    )
    training.advance()
    with watch:
        for _ in range(3):
            training.advance()
    assert watch.operations > 100
    assert watch.waits == []


def schedule_with(schedule: Schedule, visible_only: bool) -> Schedule:
    values = {name: getattr(schedule, name) for name in schedule.__dataclass_fields__}
    return Schedule(**{**values, "visible_only": visible_only})


def test_what_waits_is_seen(watch: Watch) -> None:
    ones = torch.ones(3)
    with watch:
        ones[ones > 0] = 2
        float(ones.sum())
        torch.where(ones > 1)
    assert watch.waits[0] == "index_put_ by a mask"
    assert {"_local_scalar_dense", "nonzero"} <= set(watch.waits)
