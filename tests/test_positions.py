"""Positions: where each value of a JSON text stands."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import Path
from zoo.positions import find_token, positions, too_deep

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def everything(value: object, path: Path = ()) -> dict[Path, object]:
    found = {path: value}
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        found |= everything(part, (*path, key))
    return found


@given(values, st.sampled_from([None, 0, 2]), st.booleans())
def test_the_text_at_each_span_is_the_value(value: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    found = positions(text)
    read = {path: json.loads(text[span.start : span.end]) for path, span in found.spans.items()}
    assert read == everything(value)


@given(st.dictionaries(st.text(), st.integers(), min_size=1, max_size=5))
def test_each_key_stands_where_its_span_says(value: dict[str, int]) -> None:
    text = json.dumps(value)
    found = positions(text)
    for key in value:
        assert text[found.spans[(key,)].key :].startswith(json.dumps(key))


def test_a_key_that_stands_twice_is_found_at_its_second_place() -> None:
    text = '{"a": {"b": 1, "c": 2, "b": 3}}'
    ((path, span),) = positions(text).duplicates
    assert path == ("a", "b")
    assert span.key == text.rindex('"b"')


def test_keys_of_different_objects_are_no_duplicates() -> None:
    assert positions('{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}').duplicates == ()


def test_the_first_bracket_that_is_too_deep_is_found() -> None:
    assert too_deep("[[[]]]", 2) == 2
    assert too_deep("[[[]]]", 3) is None
    assert too_deep('["[[[[", [], {"a": []}]', 2) == 19
    assert too_deep("[" * 100_000, 100) == 100


def test_a_token_in_a_string_is_not_found() -> None:
    assert find_token('{"a": "NaN", "b": NaN}', "NaN") == 18
