"""What JSON can't hold is refused, and the error says what of it, and where."""

import enum
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelregistry.errors import InvalidInputError
from modelregistry.metadata.jsonvalues import check_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": math.nan}, "metadata['a'] is nan"),
        ({"a": [1, math.inf]}, "metadata['a'][1] is inf"),
        ({"a": {1: 2}}, "metadata['a'] has the key 1, which is no text"),
        ({1: 2}, "metadata has the key 1, which is no text"),
        ({"\ud800": 2}, "metadata has the key '\\ud800', which is no text"),
        ({"fine": [{}], "a": (1, 2)}, "metadata['a'] is of type tuple"),
        ({"a": {"b": [{"c": {1, 2}}]}}, "metadata['a']['b'][0]['c'] is of type set"),
        ({"a": b"x"}, "metadata['a'] is of type bytes"),
        ({"a": object()}, "metadata['a'] is of type object"),
        ({"a": Decimal(1)}, "metadata['a'] is of type decimal.Decimal"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, "metadata['a'] is of type datetime.datetime"),
        ({"a": "\ud800"}, "metadata['a'] is text with half a surrogate pair"),
        ({"a": 10**5000}, "metadata['a'] is a number of 16,610 bits"),
        ({"a": np.float32(1)}, "metadata['a'] is of type numpy.float32, whose tolist() gives plain values"),
        ({"a": np.arange(3)}, "metadata['a'] is of type numpy.ndarray, whose tolist() gives plain values"),
        (3, "metadata is of type int"),
        ([1], "metadata is of type list"),
        ("text", "metadata is of type str"),
    ],
    ids=map(str, range(18)),
)  # fmt: skip
def test_what_json_can_not_hold_is_refused_and_named(values: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match="metadata must be a mapping of text") as caught:
        check_json(values)
    assert str(caught.value).endswith(f": {said}")
    assert "\n" not in str(caught.value)


def test_what_contains_itself_or_is_very_deep_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    deep: dict[str, Any] = {}
    for _ in range(2_000):
        deep = {"a": deep}
    for values in (loop, deep):
        with pytest.raises(InvalidInputError, match=r"params is nested too deep$"):
            check_json(values, "params")


def test_what_is_given_is_copied() -> None:
    values: dict[str, Any] = {"a": [1, 2.5, None, True, {"ü": "x"}]}
    checked = check_json(values)
    values["a"].append(3)
    assert checked == {"a": [1, 2.5, None, True, {"ü": "x"}]}


@given(st.dictionaries(st.text(), JSON, max_size=3))
def test_what_json_can_hold_is_given_back(values: dict[str, Any]) -> None:
    assert check_json(values) == values


@pytest.mark.parametrize("value", [np.float64(0.5), Level.HIGH, type("Name", (str,), {})("x")])
def test_numbers_and_texts_of_a_subclass_are_plain_ones_then_or_are_named(value: Any) -> None:
    try:
        checked = check_json({"a": value})["a"]
    except InvalidInputError as error:
        assert type(value).__qualname__ in str(error)  # noqa: PT017 - either will do
    else:
        assert type(checked) in (int, float, str) and checked == value
