import os
import signal

import pytest

from splat_trainer.cli.interruption import Interrupted, Interruption


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
