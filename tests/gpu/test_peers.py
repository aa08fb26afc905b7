"""GPUs that read each other's memory; where there is one, two processes read each other's on it."""

import os
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from splat_trainer.distributed.exchange import Exchange
from splat_trainer.distributed.rank import Rank
from splat_trainer.distributed.replicas import Replicas, join
from splat_trainer.optimize.gathered import Gathered, floats_for, gather_for, gradient_shapes
from tests.unit.distributed.test_replicas import NoLeash

Look = tuple[list[torch.Tensor], torch.Tensor]
"""Gradients, and the rows that it saw."""


def exchange(
    number: int, gpus: int, environ: dict[str, str], folder: Path, says: Connection
) -> None:
    """What either of two ranks does: sums of looks at splats that grow, in memory that grows."""
    os.environ.update({"NCCL_HOSTID": f"rank-{number}"} if gpus == 1 else {}, **environ)
    device = torch.device("cuda", number % gpus)
    torch.cuda.set_device(device)
    gather = gather_for(device)
    with patch.object(Rank, "gpu", device.index):
        join(Rank(number, 2, "cuda", folder, 0, (), os.getppid()))
    replicas = Replicas(number, 2, device, NoLeash())
    told: dict[str, Any] = {"peers": replicas._peers is not None, "off": []}
    for count, degree in ((1_000, 3), (1_001, 3), (70_000, 3), (69_999, 0), (300_000, 2)):
        shapes = gradient_shapes(count, degree)
        for _ in range(3):
            looks = [look(shapes, seed, device) for seed in range(4)]
            gathered = memory_for(shapes, replicas)
            for first, (gradients, rows) in zip((True, False), looks[number::2], strict=True):
                gather(gathered, gradients, rows, first=first)
            with replicas.sums_of_all(gathered) as sums:
                total = sums.whole()
            told["off"] += off_by(total, looks, narrow=replicas.narrow)
    says.send(told)
    torch.distributed.barrier()
    os._exit(0)


def memory_for(shapes: list[torch.Size], exchange: Exchange) -> Gathered:
    memory = exchange.memory(floats_for(shapes, narrow=exchange.narrow), 0)
    return Gathered(memory, shapes, narrow=exchange.narrow)


def off_by(total: Gathered, looks: list[Look], *, narrow: bool) -> list[float]:
    """By how much each part is not the sum of all looks, those of a rank rounded one by one."""
    off = []
    for index, found in enumerate(total.parts):
        rounds = narrow and index == len(total.gradients) - 1
        right = torch.zeros_like(found)
        for rank in range(2):
            own = torch.zeros_like(found)
            for gradients, rows in looks[rank::2]:
                one = [*gradients, torch.ones_like(rows, dtype=torch.float32)][index]
                own += one * rows.view(-1, *[1] * (one.dim() - 1))
                own = own.bfloat16().float() if rounds else own
            right += own
        off.append(float((found - right).abs().max()))
    return off


def look(shapes: list[torch.Size], seed: int, device: torch.device) -> Look:
    generator = torch.Generator(device).manual_seed(seed)
    gradients = [torch.randn(shape, generator=generator, device=device) for shape in shapes]
    return gradients, torch.rand(shapes[0][0], generator=generator, device=device) < 0.4


@pytest.mark.parametrize(("environ", "peers"), [({}, True), ({"NCCL_P2P_DISABLE": "1"}, False)])
def test_two_ranks_have_the_sums_of_both(
    tmp_path: Path, environ: dict[str, str], peers: bool
) -> None:
    spawn, gpus = get_context("spawn"), min(2, torch.cuda.device_count())
    ends = [spawn.Pipe(duplex=False) for _ in range(2)]
    processes = [
        spawn.Process(target=exchange, args=(number, gpus, environ, tmp_path, says))
        for number, (_, says) in enumerate(ends)
    ]
    for process in processes:
        process.start()
    for _, says in ends:
        says.close()
    told = [hears.recv() for hears, _ in ends]
    for process in processes:
        process.join()
    assert [one["peers"] for one in told] == [peers] * 2
    assert max(max(one["off"]) for one in told) < 1e-5
