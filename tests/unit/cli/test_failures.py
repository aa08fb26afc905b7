import errno
import logging

import pytest

from splat_trainer.cli.failures import explain
from splat_trainer.cli.interruption import Interrupted
from splat_trainer.contract import ExitCode, Reason, TrainerError


def os_error(number: int) -> OSError:
    return OSError(number, "what the system says", "/out/point_cloud.ply")


@pytest.mark.parametrize(
    ("error", "reason", "code", "told"),
    [
        (os_error(errno.ENOSPC), Reason.STORAGE_UNAVAILABLE, 74, "no space left"),
        (os_error(errno.EDQUOT), Reason.STORAGE_UNAVAILABLE, 74, "no space left"),
        (os_error(errno.EACCES), Reason.STORAGE_DENIED, 78, "/out/point_cloud.ply"),
        (os_error(errno.EROFS), Reason.STORAGE_DENIED, 78, "let user"),
        (os_error(errno.EIO), Reason.STORAGE_UNAVAILABLE, 74, "run it again"),
        (os_error(errno.ESTALE), Reason.STORAGE_UNAVAILABLE, 74, "storage failed"),
        (MemoryError(), Reason.OUT_OF_MEMORY, 78, "--max-side"),
        (KeyboardInterrupt(), Reason.INTERRUPTED, 75, "SIGINT"),
        (Interrupted("SIGTERM"), Reason.INTERRUPTED, 75, "SIGTERM"),
        (ValueError("odd"), Reason.INTERNAL_ERROR, 70, "ValueError: odd"),
        (os_error(errno.EBADF), Reason.INTERNAL_ERROR, 70, "OSError"),
    ],
)
def test_each_end_of_a_run_has_its_reason_and_code(
    error: BaseException, reason: Reason, code: int, told: str
) -> None:
    failure = explain(error)
    assert failure.reason is reason
    assert failure.exit_code == ExitCode(code)
    assert told in failure.message
    assert "\n" not in failure.message


def test_memory_that_torch_cannot_get_is_told_as_such() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert explain(caught.value).reason is Reason.OUT_OF_MEMORY


def test_gpu_memory_is_told_apart() -> None:
    torch = pytest.importorskip("torch")
    failure = explain(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert failure.reason is Reason.OUT_OF_GPU_MEMORY
    assert "--max-gaussians" in failure.message


def test_a_failure_on_purpose_is_told_as_it_is() -> None:
    error = TrainerError(Reason.INVALID_CAPTURE, "cameras.bin: byte 8: no camera")
    assert explain(error) is error


def test_only_a_bug_leaves_a_traceback_and_only_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        explain(os_error(errno.ENOSPC))
        assert not caplog.records
        failure = explain(ZeroDivisionError("line one\nline two"))
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert "Traceback" not in failure.message
    assert "line one line two" in failure.message
