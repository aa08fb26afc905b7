import io
import logging
import sys
from collections.abc import Iterator

import pytest

from splat_trainer.cli import logs


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    yield root
    root.handlers = before
    logging.captureWarnings(False)


def test_the_log_goes_where_standard_error_is_now_though_the_one_before_is_closed(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    logs.configure(verbose=False)
    root.warning("one")
    first.close()
    monkeypatch.setattr(sys, "stderr", second)
    root.warning("two")
    assert "two" in second.getvalue()
