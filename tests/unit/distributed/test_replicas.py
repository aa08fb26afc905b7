"""Collectives between two processes, over gloo on the loopback interface."""

import io
import logging
import os
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch

from splat_trainer.contract import TrainerError
from splat_trainer.distributed.exchange import PeerLost
from splat_trainer.distributed.peers import peers_if_right
from splat_trainer.distributed.rank import Rank
from splat_trainer.distributed.replicas import Replicas, fingerprint, join
from splat_trainer.optimize.gathered import Gathered, floats_for, gather
from tests.unit.rasterize.scenes import random_gaussians


class NoLeash:
    def stops(self, step: int, *, wanted: bool) -> bool:
        return wanted


def do_all(number: int, folder: Path, says: Connection) -> None:
    """What either of two ranks does; what came of it is told by name."""
    join(Rank(number, 2, "cpu", folder, 0, (), os.getppid()))
    replicas = Replicas(number, 2, torch.device("cpu"), NoLeash())
    told: dict[str, Any] = {}

    logged = io.StringIO()
    logging.getLogger("splat_trainer").addHandler(logging.StreamHandler(logged))
    told["peers"] = peers_if_right(number, 2, torch.device("cpu"))
    told["logged"] = logged.getvalue()

    shapes = [torch.Size((5, 3)), torch.Size((5,))]
    told["gradients"] = []
    for times in (1, 2):  # the memory of before holds what was added up
        gathered = Gathered(replicas.memory(floats_for(shapes), 0), shapes)
        gradients = [torch.full((5, 3), 1.0 + number), torch.arange(5.0) * times]
        gather(gathered, gradients, torch.arange(5) > number, first=True)
        with replicas.sums_of_all(gathered) as sums:
            total = sums.whole()
        parts = [*total.gradients, total.times_seen]
        told["gradients"].append([part.tolist() for part in parts])
    count = torch.full((5,), 10.0**number)
    replicas.add_up([count])
    told["sums"] = count.tolist()

    gaussians = random_gaussians(50, seed=number).detach()
    replicas.take_from_first([tensor for _, tensor in gaussians])
    replicas.compare(gaussians, 1)
    told["taken"] = fingerprint(gaussians).tolist()
    if number == 1:
        gaussians.sh[3, 0, 1] += 1e-6
    try:
        replicas.compare(gaussians, 1234)
    except TrainerError as error:
        told["differs"] = error.message

    if number == 1:
        says.send(told)
        os._exit(0)
    try:
        for _ in range(100):
            replicas.add_up([count])
    except PeerLost as lost:
        told["lost"] = str(lost)
    says.send(told)
    os._exit(0)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    folder, spawn = tmp_path_factory.mktemp("ranks"), get_context("spawn")
    ends = [spawn.Pipe(duplex=False) for _ in range(2)]
    processes = [
        spawn.Process(target=do_all, args=(number, folder, says))
        for number, (_, says) in enumerate(ends)
    ]
    for process in processes:
        process.start()
    for _, says in ends:
        says.close()
    yield [hears.recv() for hears, _ in ends]
    for process in processes:
        process.join()


def test_gradients_and_sums_are_those_of_all(told: list[dict[str, Any]]) -> None:
    for one in told:
        for times in (1, 2):
            wide, narrow, seen = one["gradients"][times - 1]
            assert wide == [[0.0] * 3, [1.0] * 3, *[[3.0] * 3] * 3]
            assert narrow == [0.0, 1.0 * times, 4.0 * times, 6.0 * times, 8.0 * times]
            assert seen == [0.0, 1.0, 2.0, 2.0, 2.0]
        assert one["sums"] == [11.0] * 5


def test_all_begin_as_rank_0_does(told: list[dict[str, Any]]) -> None:
    assert told[0]["taken"] == told[1]["taken"]
    assert told[0]["taken"] == fingerprint(random_gaussians(50, seed=0)).tolist()


def test_a_replica_that_differs_in_one_bit_is_named(told: list[dict[str, Any]]) -> None:
    for one in told:
        assert "after step 1,234 the splat of rank 1 (50 Gaussians) is not" in one["differs"]


def test_whose_peer_has_ended_knows(told: list[dict[str, Any]]) -> None:
    assert told[0]["lost"]


def test_two_orders_of_the_same_rows_are_not_the_same() -> None:
    gaussians = random_gaussians(9)
    turned = gaussians.select(torch.arange(8, -1, -1))
    assert not torch.equal(fingerprint(gaussians), fingerprint(turned))
    assert torch.equal(fingerprint(gaussians), fingerprint(gaussians.select(torch.arange(9))))


def test_where_nobody_reads_the_others_memory_all_know(told: list[dict[str, Any]]) -> None:
    assert [one["peers"] for one in told] == [None, None]
    assert "they exchange by NCCL" in told[0]["logged"]
    assert told[1]["logged"] == ""
