"""How the ranks' processes are watched, with small programs in their place."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from splat_trainer.cli.interruption import Interrupted, Interruption
from splat_trainer.contract import ExitCode, Outcome, Reason, ResultDocument, TrainerError
from splat_trainer.distributed import processes
from splat_trainer.distributed.processes import Program, RankProcesses
from splat_trainer.distributed.rank import PEER_LOST

READS_ITS_RANK = """
import json, os, signal, sys, time
from pathlib import Path
rank = json.loads(sys.argv[sys.argv.index("--rank") + 1])
folder = Path(rank["folder"])
def wait_for(name):
    while not (folder / name).exists():
        time.sleep(0.01)
"""
LETS_SIGNALS_THROUGH = """
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
"""
FOR_EVER = "time.sleep(600)"


class Stop:
    """A request to stop, that comes when a rank is ready for it."""

    def __init__(self, when: Path | None = None, signal_name: str = "SIGTERM") -> None:
        self._when = when
        self.signal_name = signal_name

    def requested(self) -> bool:
        return self._when is not None and self._when.exists()


def program(leader: str, follower: str) -> Program:
    def command(body: str) -> list[str]:
        return [sys.executable, "-S", "-c", READS_ITS_RANK + LETS_SIGNALS_THROUGH + body]

    return Program(command(leader), command(follower), os.environ)


def wait(folder: Path, leader: str, follower: str, stop: Stop | None = None) -> int:
    with RankProcesses(program(leader, follower), size=3, device="cpu", folder=folder) as ranks:
        return ranks.wait(stop or Stop())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_ALONE_SECONDS", 0.2)


def reporting(reason: Reason, message: str) -> str:
    """A program that fails as the worker command does."""
    failure = TrainerError(reason, message)
    document = ResultDocument(
        outcome=Outcome.FAILED, exit_code=failure.exit_code, reason=reason, message=message
    )
    return f"""
(folder / f"rank-{{rank['rank']}}.json").write_text({document.to_json()!r})
sys.exit({int(failure.exit_code)})
"""


@pytest.mark.parametrize("code", [0, 65, 75, 78])
def test_the_run_ends_as_rank_0_does(tmp_path: Path, code: int) -> None:
    assert wait(tmp_path, f"sys.exit({code})", FOR_EVER) == code


def test_each_rank_knows_its_number_and_the_way_to_the_others(tmp_path: Path) -> None:
    leader = """
for pipe in rank["pipes"]:
    os.write(pipe, b"word")
wait_for("heard-1")
wait_for("heard-2")
os.fstat(rank["scene"])
"""
    follower = """
os.fstat(rank["scene"])
if os.read(rank["pipes"][0], 4) == b"word":
    (folder / f"heard-{rank['rank']}").touch()
"""
    assert wait(tmp_path, leader, follower) == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("reason", "code"),
    [(Reason.OUT_OF_GPU_MEMORY, ExitCode.CONFIG), (Reason.INTERNAL_ERROR, ExitCode.BUG)],
)
def test_a_rank_that_fails_ends_all_with_its_own_words(
    tmp_path: Path, reason: Reason, code: ExitCode
) -> None:
    follower = f"if rank['rank'] == 1: {FOR_EVER}\n" + reporting(reason, "it was the second")
    with pytest.raises(TrainerError, match=r"it was the second \(rank 2 of 3\)") as caught:
        wait(tmp_path, FOR_EVER, follower)
    assert caught.value.reason is reason
    assert caught.value.exit_code is code


def test_rank_0_may_tell_it_itself(tmp_path: Path) -> None:
    leader = """
wait_for("failure.json")
told = json.loads((folder / "failure.json").read_text())
sys.exit(told["exitCode"] if told["reason"] == "OutOfGpuMemory" else 1)
"""
    follower = reporting(Reason.OUT_OF_GPU_MEMORY, "full")
    assert wait(tmp_path, leader, follower) == ExitCode.CONFIG


def test_rank_0_gets_the_time_that_it_needs_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_ALONE_SECONDS", 0.0)
    leader = "(folder / 'ending').touch(); wait_for('failure.json'); time.sleep(0.3); sys.exit(78)"
    follower = "wait_for('ending')\n" + reporting(Reason.OUT_OF_GPU_MEMORY, "full")
    assert wait(tmp_path, leader, follower) == 78


@pytest.mark.usefixtures("impatient")
def test_a_rank_that_was_killed_is_named(tmp_path: Path) -> None:
    follower = f"if rank['rank'] == 1: {FOR_EVER}\nos.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(TrainerError, match="rank 2 of 3 was ended by SIGKILL") as caught:
        wait(tmp_path, FOR_EVER, follower)
    assert caught.value.exit_code is ExitCode.BUG


@pytest.mark.usefixtures("impatient")
def test_a_rank_that_was_killed_for_memory_tells_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([3])
    monkeypatch.setattr(processes, "memory_kills", lambda: next(kills, 4))
    with pytest.raises(TrainerError, match="the kernel killed rank") as caught:
        wait(tmp_path, FOR_EVER, "os.kill(os.getpid(), signal.SIGKILL)")
    assert caught.value.reason is Reason.OUT_OF_MEMORY


def test_rank_0_that_was_killed_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="rank 0 of 3 was ended by SIGSEGV"):
        wait(tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)", FOR_EVER)


@pytest.mark.usefixtures("impatient")
def test_who_only_lost_another_is_not_the_cause(tmp_path: Path) -> None:
    follower = f"if rank['rank'] == 1: sys.exit({PEER_LOST})\n" + "time.sleep(0.1)\n"
    with pytest.raises(TrainerError, match="said so"):
        wait(tmp_path, FOR_EVER, follower + reporting(Reason.INTERNAL_ERROR, "said so"))


@pytest.mark.usefixtures("impatient")
def test_nobody_waits_for_a_cause_that_does_not_come(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="lost touch") as caught:
        wait(tmp_path, FOR_EVER, f"sys.exit({PEER_LOST})")
    assert caught.value.reason is Reason.INTERNAL_ERROR


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_rank_0_is_asked_to_stop_by_the_same_signal(tmp_path: Path, name: str) -> None:
    leader = f"""
signal.signal(signal.{name}, lambda *_: sys.exit(75))
(folder / "ready").touch()
{FOR_EVER}
"""
    assert wait(tmp_path, leader, FOR_EVER, Stop(tmp_path / "ready", name)) == 75


def test_a_rank_that_cannot_answer_a_signal_yet_hears_of_it_later(tmp_path: Path) -> None:
    """It would die of one that comes while it is importing, as if by its own fault."""
    young = """
(folder / "started").touch()
time.sleep(0.5)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
"""
    leader = READS_ITS_RANK + young + LETS_SIGNALS_THROUGH + FOR_EVER
    command = [sys.executable, "-S", "-c", leader]
    whole = Program(command, program("", FOR_EVER).follower, os.environ)
    with RankProcesses(whole, size=2, device="cpu", folder=tmp_path) as ranks:
        assert ranks.wait(Stop(tmp_path / "started")) == 75


def test_whoever_asks_twice_does_not_wait_for_rank_0(tmp_path: Path) -> None:
    leader = f"""
signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getppid(), signal.SIGTERM))
os.kill(os.getppid(), signal.SIGTERM)
{FOR_EVER}
"""
    with Interruption() as interruption:
        interruption.defer()
        ranks = RankProcesses(program(leader, FOR_EVER), size=2, device="cpu", folder=tmp_path)
        with pytest.raises(Interrupted), ranks:
            ranks.wait(interruption)
    assert interruption.signal_name == "SIGTERM"


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    leader = "wait_for('pid-1'); wait_for('pid-2')"
    follower = f"(folder / f\"pid-{{rank['rank']}}\").write_text(str(os.getpid()))\n{FOR_EVER}"
    assert wait(tmp_path, leader, follower) == 0
    for number in (1, 2):
        pid = int((tmp_path / f"pid-{number}").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_all_die_with_whoever_started_them(tmp_path: Path) -> None:
    rank = """
sys.argv = ["x", "--rank", sys.argv[sys.argv.index("--rank") + 1]]
from splat_trainer.distributed.rank import Rank
mine = Rank.from_json(sys.argv[2])
mine.die_with_parent()
(folder / f"pid-{mine.rank}").write_text(str(os.getpid()))
time.sleep(600)
"""
    starter = f"""
import os, sys
from pathlib import Path
from splat_trainer.distributed.processes import Program, RankProcesses
command = [sys.executable, "-c", {READS_ITS_RANK + rank!r}]
folder = Path({str(tmp_path)!r})
RankProcesses(Program(command, command, os.environ), size=2, device="cpu", folder=folder)
import time; time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", starter]) as process:
        pids = [tmp_path / "pid-0", tmp_path / "pid-1"]
        until(lambda: all(pid.exists() and pid.read_text() for pid in pids))
        process.kill()
    until(lambda: not any(alive(int(pid.read_text())) for pid in pids))


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be taken note of does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: object) -> None:
    assert callable(condition)
    while not condition():  # the test's own time limit ends it
        time.sleep(0.02)


def test_followers_are_not_told_where_the_result_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLAT_RESULT_PATH", "/dev/termination-log")
    leader = "sys.exit(0 if 'SPLAT_RESULT_PATH' in os.environ else 1)"
    leader = f"wait_for('seen-1'); wait_for('seen-2')\n{leader}"
    follower = f"""
if "SPLAT_RESULT_PATH" not in os.environ:
    (folder / f"seen-{{rank['rank']}}").touch()
{FOR_EVER}
"""
    assert wait(tmp_path, leader, follower) == 0
