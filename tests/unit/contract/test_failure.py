"""A failure's message is one line, whatever the names in it."""

from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.failure import shown


@given(st.text(alphabet=st.characters()))
def test_a_message_is_one_line_that_can_be_encoded(text: str) -> None:
    error = TrainerError(Reason.INVALID_CAPTURE, text)
    assert error.message == str(error)
    assert error.message.isprintable()
    assert len(error.message.splitlines()) <= 1
    error.message.encode()


def test_plain_words_stay_as_they_are() -> None:
    assert TrainerError(Reason.NO_GPU, "größer, 3×4, 'a b' …").message == "größer, 3×4, 'a b' …"


@given(st.text(alphabet=st.characters()))
def test_text_of_others_is_shown_short_and_printable(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 900
