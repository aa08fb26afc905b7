"""Where our own blending is not compiled in, gsplat's does the work, and a line says so."""

import logging

import pytest
import torch

from splat_trainer.kernels import self_check
from splat_trainer.rasterize.fused_blend import blend_for, gsplats_blend


def test_kernels_that_were_compiled_without_it_are_used_as_they_are(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_check, "_checked", {})
    with caplog.at_level(logging.WARNING):
        assert blend_for(torch.device("cpu")) is gsplats_blend
    assert "blending: not used here (it is not among the kernels that were loaded)" in caplog.text
