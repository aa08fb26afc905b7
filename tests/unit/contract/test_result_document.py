import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.contract import (
    CheckpointRef,
    ExitCode,
    Outcome,
    OutputFile,
    Reason,
    ResultDocument,
    TrainerError,
)
from splat_trainer.contract.result import RESULT_LIMIT_BYTES


def document(message: str = "done", **changes: object) -> ResultDocument:
    return ResultDocument.model_validate(
        {
            "outcome": Outcome.SUCCEEDED,
            "exit_code": ExitCode.DONE,
            "reason": Reason.TRAINED,
            "message": message,
            **changes,
        }
    )


def test_a_document_is_read_back_as_it_was_written() -> None:
    written = document(
        iterations=7_000,
        psnr=29.4,
        outputs=(OutputFile(format="ply", uri="s3://b/o/point_cloud.ply", bytes=9),),
        checkpoint=CheckpointRef(iteration=7_000, uri="s3://b/o/checkpoints/7000.pt"),
    )
    assert ResultDocument.model_validate_json(written.to_json()) == written


@given(
    message=st.text(max_size=10_000),
    outputs=st.lists(st.text(max_size=600), max_size=12),
)
def test_a_document_always_fits_into_a_termination_message(
    message: str, outputs: list[str]
) -> None:
    files = tuple(OutputFile(format="ply", uri=uri, bytes=1) for uri in outputs)
    text = document(message, outputs=files).to_json()
    assert len(text.encode()) <= RESULT_LIMIT_BYTES
    assert ResultDocument.model_validate_json(text).outcome is Outcome.SUCCEEDED


def test_figures_that_are_not_finite_leave_valid_json() -> None:
    text = document(psnr=float("inf"), ssim=float("nan")).to_json()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_an_exit_code(reason: Reason) -> None:
    code = TrainerError(reason, "why").exit_code
    assert (code is ExitCode.DONE) == (reason is Reason.TRAINED)
