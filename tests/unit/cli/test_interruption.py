import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from splat_trainer.cli.interruption import Interrupted, Interruption
from splat_trainer.contract import ExitCode


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    signal.sigtimedwait([], 0)  # a call on which Python runs its handlers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_at_once_what_has_nothing_to_save(number: signal.Signals) -> None:
    with Interruption(), pytest.raises(Interrupted) as caught:
        send(number)
    assert caught.value.signal_name == number.name


def test_after_deferring_the_first_signal_only_asks() -> None:
    with Interruption() as interruption:
        interruption.defer()
        assert not interruption.requested()
        send(signal.SIGTERM)
        assert interruption.requested()
        assert interruption.signal_name == "SIGTERM"


def test_whoever_asks_twice_does_not_wait() -> None:
    with Interruption() as interruption:
        interruption.defer()
        send(signal.SIGTERM)
        with pytest.raises(Interrupted):
            send(signal.SIGINT)


def test_no_handler_of_errors_swallows_an_interruption() -> None:
    with Interruption(), pytest.raises(Interrupted):
        try:
            send(signal.SIGTERM)
        except Exception:
            pytest.fail("an Exception it is not")


def test_the_handlers_before_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_is_passed_on_twice_is_asked_once() -> None:
    """As where a signal went to all processes of a run, and the first of them passes it on."""
    with Interruption() as interruption:
        interruption.forwarded()
        interruption.defer()
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert interruption.requested()


def test_a_signal_that_came_before_anything_was_imported_ends_with_its_code(
    tmp_path: Path,
) -> None:
    """The first process of a container would never hear of it, any other one die of it."""
    early = (
        "import os, signal, sys;"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]);"
        "os.kill(os.getpid(), signal.SIGTERM);"
        "sys.argv = ['splat-trainer', 'synth', '--output', 'capture'];"
        "from splat_trainer.cli.process import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", early], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in ended.stderr
    assert "SIGTERM" in ended.stderr


def test_a_signal_while_the_last_words_are_said_changes_no_code(tmp_path: Path) -> None:
    """The result is sent to a place that takes for ever; whoever asks twice does not wait."""
    asked_twice = (
        "import os, signal, sys, time;"
        "from splat_trainer.cli import process, main, result;"
        "result.RunRecord.tell = lambda *_: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(60);"
        "main._run = lambda *_: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(60);"
        "process.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", asked_twice],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert ended.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in ended.stderr
