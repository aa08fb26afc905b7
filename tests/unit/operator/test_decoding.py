"""JSON of any depth is read, and a spec that is too deep is refused with words for its user."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_operator.api.depth import DEEPEST
from splat_operator.world import Training, loads
from splat_operator.world.decoding import DEPTH, TOO_DEEP, _cut

from .builders import raw_training

json_like = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('a"\\[]{}é,:'), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.sampled_from('a"\\{['), max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


def depth(value: Any) -> int:
    inside = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(inside, list):
        return 0
    return 1 + max(map(depth, inside), default=0)


@given(json_like)
def test_what_is_not_deep_is_left_as_it_is(value: Any) -> None:
    text = json.dumps(value)
    assert _cut(text) == text
    assert loads(text) == loads(text.encode()) == value


@given(json_like, json_like)
def test_what_stands_beside_something_deep_is_kept(before: Any, after: Any) -> None:
    deep = '[{"a":' * 20_000 + "1" + "}]" * 20_000
    read = loads(f'[{json.dumps(before)},{deep},"{{[",{json.dumps(after)}]')
    assert (read[0], read[2:]) == (before, ["{[", after])
    assert depth(read) == DEPTH
    assert TOO_DEEP in json.dumps(read[1])


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 9_999 + "]" * 10_000])
def test_what_is_no_json_is_an_ordinary_error(text: str) -> None:
    with pytest.raises(ValueError, match=":"):
        loads(text)


@pytest.mark.parametrize("field", ["affinity", "podTemplateOverrides"])
def test_a_spec_nested_too_deeply_is_refused_by_its_field(field: str) -> None:
    def deep(levels: int) -> Any:
        return loads('{"a":' * levels + "1" + "}" * levels)

    assert Training.from_api(raw_training(**{field: deep(DEEPEST)})).spec is not None
    # The last one was cut: a list or an event is at most five levels above.
    for levels in (DEEPEST + 1, DEPTH - 5, 9_995):
        refused = Training.from_api(raw_training(**{field: deep(levels)}))
        assert refused.spec is None
        assert refused.spec_error == f"spec.{field}: is nested deeper than {DEEPEST} levels"
