"""The document of a build of kernels fits a termination message, and keeps the log's end."""

from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.contract import KernelsDocument, KernelsOutcome, Reason


def _failed(message: str, removed: tuple[str, ...] = ()) -> KernelsDocument:
    return KernelsDocument(
        outcome=KernelsOutcome.FAILED,
        key="k" * 64,
        reason=Reason.KERNELS_NOT_COMPILED,
        message=message,
        removed=removed,
    )


def test_of_a_long_log_the_end_is_kept_in_whole_lines() -> None:
    log = "\n".join(f"line {n} of the compiler" for n in range(1000))
    written = _failed(f"nvcc failed\n{log}").to_json()
    read = KernelsDocument.model_validate_json(written)
    lines = read.message.splitlines()
    assert lines[0] == "nvcc failed"
    assert lines[-1] == "line 999 of the compiler"
    assert lines[1:] == log.splitlines()[-len(lines) + 1 :]
    assert 3500 < len(written.encode()) <= 4096


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=9000),
    st.lists(st.just("r" * 64), max_size=80),
)
def test_any_message_fits_and_reads_back(message: str, removed: list[str]) -> None:
    written = _failed(message, tuple(removed)).to_json()
    assert len(written.encode()) <= 4096
    assert KernelsDocument.model_validate_json(written).outcome is KernelsOutcome.FAILED
