"""The command that the followers run, and how many of them there are."""

import os
import signal
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import pytest

from splat_trainer.capture.load import load_to_train
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.cli.commands import worker
from splat_trainer.cli.commands.train_on_gpus import ranks_for
from splat_trainer.cli.interruption import Interruption
from splat_trainer.cli.invocation import Invocation
from splat_trainer.cli.parser import build_parser
from splat_trainer.cli.result import RunRecord
from splat_trainer.contract import ExitCode, Reason, ResultDocument, TrainConfig, TrainerError
from splat_trainer.distributed.crew import Begin
from splat_trainer.distributed.gpu_count import visible_gpus
from splat_trainer.distributed.rank import PEER_LOST, Rank
from splat_trainer.distributed.verdict import memory_kills
from splat_trainer.optimize.schedule import schedule_for


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    with Interruption():
        yield
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN


def call(rank: Rank) -> int:
    arguments = build_parser().parse_args(["worker", "--rank", rank.to_json()])
    with Interruption() as interruption:
        return worker.run(Invocation(arguments, os.environ, interruption, RunRecord(0.0)))


def test_a_follower_leaves_word_of_why_it_failed(tmp_path: Path) -> None:
    make_synthetic_capture(tmp_path / "capture", views=3, size=32)
    config = TrainConfig(device="cpu")
    scene = os.memfd_create("scene")
    load_to_train(tmp_path / "capture", config, scene)
    hears, says = Pipe(duplex=False)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"nothing")
    says.send(Begin(config, schedule_for(config), broken))
    rank = Rank(1, 2, "cpu", tmp_path, scene, (os.dup(hears.fileno()),), os.getppid())
    assert call(rank) == ExitCode.CONFIG
    document = ResultDocument.model_validate_json(rank.report.read_text())
    assert document.reason is Reason.INVALID_CONFIGURATION
    assert "broken.pt is no whole checkpoint" in document.message
    os.close(scene)


def test_a_follower_that_rank_0_has_left_has_nothing_to_report(tmp_path: Path) -> None:
    hears, says = Pipe(duplex=False)
    says.close()
    rank = Rank(1, 2, "cpu", tmp_path, 0, (os.dup(hears.fileno()),), os.getppid())
    assert call(rank) == PEER_LOST
    assert not rank.report.exists()


def test_nobody_is_shown_the_command_that_nobody_calls() -> None:
    assert "worker" not in build_parser().format_help()


@pytest.mark.parametrize(
    ("asked", "device", "found", "ranks"),
    [
        (1, "auto", 0, (1, "cuda")),
        ("auto", "auto", 0, (1, "cuda")),
        ("auto", "auto", 1, (1, "cuda")),
        ("auto", "cuda", 8, (8, "cuda")),
        (4, "cuda", 8, (4, "cuda")),
        ("auto", "cpu", 8, (1, "cpu")),
        (2, "cpu", 0, (2, "cpu")),
    ],
)
def test_how_many_train_and_on_what(
    asked: int, device: str, found: int, ranks: tuple[int, str]
) -> None:
    config = TrainConfig.model_validate({"device": device})
    assert ranks_for(asked, config.device, found) == ranks


@pytest.mark.parametrize("found", [0, 1])
def test_gpus_that_are_not_there_are_refused(found: int) -> None:
    with pytest.raises(TrainerError, match=f"--gpus 2: this process sees {found}") as caught:
        ranks_for(2, "auto", found)
    assert caught.value.reason is Reason.NO_GPU


@pytest.mark.parametrize("wrong", ["0", "-1", "65", "many", "1.5"])
def test_a_number_of_gpus_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(TrainerError, match="--gpus"):
        build_parser().parse_args(["train", "--data", "a", "--output", "b", "--gpus", wrong])


def test_a_machine_without_a_driver_has_no_gpus() -> None:
    assert visible_gpus("libcuda-that-is-not-there.so") == 0
    assert visible_gpus("libc.so.6") == 0  # a library, but no driver


def test_the_kernels_count_of_kills_is_read(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert memory_kills(events) == 2
    assert memory_kills(tmp_path / "none") == 0
