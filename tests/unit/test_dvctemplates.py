"""What stands in the place of ``${…}``."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from dvc.parsing.context import Context as Theirs
from dvc.parsing.context import ContextError
from dvc.parsing.interpolate import ParseError
from hypothesis import given
from hypothesis import strategies as st

from modelregistry.errors import InvalidFileError
from modelregistry.project.templating import FLAG_STYLES, Context, Templates, vars_files

VALUES: dict[str, Any] = {
    "a": 1, "b": {"c": [10, {"d": "deep"}], "e": True, "f": None}, "text": "it's ${a}", "rate": 1e-05, "list": ["x", 2],
}  # fmt: skip


def fill(value: object, key: str | None = None, **values: Any) -> Any:
    return Templates("dvc.yaml").fill(value, Context({**VALUES, **values}), key)


def files(**contents: object) -> Any:
    return {name.replace("__", "/").replace("_yaml", ".yaml"): value for name, value in contents.items()}.get


# -- filling in


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${a}", 1),
        ("${b.e}", True),
        ("${b.c}", [10, {"d": "deep"}]),
        ("${ b.c[1].d }", "deep"),
        ("x${a}y${b.e}z${b.f}", "x1ytruezNone"),
        ("${rate}!", "1e-05!"),
        ("${b.c[-2]}", 10),
        (r"\${a} ${a}", "${a} 1"),
        ("${text}!", "it's ${a}!"),
        ("$a ${", "$a ${"),
        ("${a}}", "1}"),
        ({"${a}": ["${a}", {"k": "${b.e}"}]}, {"1": [1, {"k": True}]}),
        (3, 3),
    ],
)
def test_an_expression_is_filled_in_as_dvc_does(text: Any, filled: Any) -> None:
    assert fill(text) == filled
    assert Theirs(VALUES).resolve(text) == (filled if not isinstance(text, dict) else {1: [1, {"k": True}]})


@pytest.mark.parametrize(
    "text",
    ["${nothing}", "${a.b}", "${b.c[5]}", "${b.c[x]}", "${}", "${a..b}", "${a[}", "x${b}", "${list} x"],
)
def test_an_expression_that_cannot_be_filled_in_is_told(text: str) -> None:
    with pytest.raises(InvalidFileError, match=re.escape(text[text.index("$") :].split(maxsplit=1)[0])):
        fill(text, "deps")
    with pytest.raises((ParseError, ContextError)):
        Theirs(VALUES).resolve(text, key="deps")


FLAGS = {
    "lr": 0.1,
    "on": True,
    "off": False,
    "name": "it's",
    "list": [1, "two three"],
    "deep": {"x": 1},
    "none": None,
}


@pytest.mark.parametrize("style", FLAG_STYLES)
def test_a_mapping_in_a_command_becomes_flags_as_dvc_is_configured(style: Any) -> None:
    config = {
        "bool": "boolean_optional" if style.negative else "store_true",
        "list": "append" if style.repeated else "nargs",
    }
    mine = Templates("dvc.yaml").fill("run ${m} end", Context({"m": FLAGS}), "cmd", style)
    assert mine == Theirs({"m": FLAGS}).resolve("run ${m} end", key="cmd", config=config)


def test_a_mapping_stands_nowhere_but_in_a_command() -> None:
    with pytest.raises(InvalidFileError, match="no single value"):
        fill("x ${b}", "outs")


@pytest.mark.parametrize(
    ("text", "filled"), [("${" * 200_000, None), ("${\n" * 100_000 + "${a}", "${\n" * 100_000 + "1")]
)
def test_an_expression_without_an_end_is_text_and_takes_no_time(text: str, filled: str | None) -> None:
    begin = time.perf_counter()
    assert fill(text) == (filled or text)
    assert time.perf_counter() - begin < 5


def test_values_that_grow_are_refused_at_once() -> None:
    begin = time.perf_counter()
    with pytest.raises(InvalidFileError, match="characters"):
        fill(["${big}" * 1000] * 1000, big="x" * 1000)
    assert time.perf_counter() - begin < 2


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
NESTED = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner)
)


@given(
    st.dictionaries(st.sampled_from("abc"), NESTED),
    st.lists(st.sampled_from(["${a}", "${b.a}", "${c[0]}", "x", "\\"])),
)
def test_whatever_the_values_both_fill_in_the_same_or_neither_does(
    values: dict[str, Any], parts: list[str]
) -> None:
    text = "".join(parts)
    try:
        theirs = Theirs(values).resolve(text, key="deps")
    except (ParseError, ContextError):
        with pytest.raises(InvalidFileError):
            Templates("dvc.yaml").fill(text, Context(values), "deps")
        return
    assert Templates("dvc.yaml").fill(text, Context(values), "deps") == theirs


# -- where values come from


def test_params_beside_the_file_and_what_vars_names_are_merged() -> None:
    load = files(
        sub__params_yaml={"a": 1, "m": {"x": 1}},
        sub__other_yaml={"m": {"y": 2}, "z": 3},
        shared_yaml={"s": 4},
    )
    items = ["other.yaml:m", {"inline": {"deep": 5}}, "../shared.yaml", "../shared.yaml"]
    context = Templates("sub/dvc.yaml").context(items, load)
    assert context.values == {"a": 1, "m": {"x": 1, "y": 2}, "inline": {"deep": 5}, "s": 4}


def test_what_a_stage_adds_is_not_seen_by_others() -> None:
    templates = Templates("dvc.yaml")
    context = templates.context([{"m": {"x": 1}}], files())
    assert templates.extended(context, [{"m": {"y": 2}}], "", files()).values == {"m": {"x": 1, "y": 2}}
    assert context.values == {"m": {"x": 1}}


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([{"a": 2}], "says again what 'a' is"),
        (["none.yaml"], "does not have"),
        (["list.yaml"], "no mapping"),
        (["${a}.yaml"], "can't hold"),
        (["more.yaml:x"], "no 'x'"),
        (["more.yaml:b", "more.yaml:b"], "twice"),
        (["more.yaml:b", "more.yaml"], "as a whole and in part"),
        (["more.yaml", "more.yaml:b"], "twice"),
        ([3], "neither a file nor values"),
        ({"a": 1}, "no list"),
    ],
)
def test_values_that_cannot_be_had_are_told(items: object, message: str) -> None:
    load = files(params_yaml={"a": 1}, list_yaml=[1], more_yaml={"b": 2, "c": 3})
    with pytest.raises(InvalidFileError, match=message):
        Templates("dvc.yaml").context(items, load)


def test_the_files_of_values_are_known_before_they_are_read() -> None:
    document = {
        "vars": ["a.yaml:k", {"x": 1}],
        "stages": {
            "s": {"cmd": "x", "wdir": "w", "vars": ["b.yaml"]},
            "g": {"foreach": [1], "do": {"vars": ["c.yaml"]}},
            "odd": 3,
        },
    }
    assert list(vars_files(document, "sub/dvc.yaml")) == ["sub/a.yaml", "sub/w/b.yaml", "sub/c.yaml"]
    assert not list(vars_files([], "dvc.yaml"))


# -- groups


def keys(found: Any) -> list[str]:
    return [key for key, _ in found]


def test_foreach_names_by_value_by_number_and_by_key() -> None:
    templates = Templates("dvc.yaml")
    assert keys(templates.foreach(["a", 1, True, 0.5], Context())) == ["a", "1", "true", "0.5"]
    assert keys(templates.foreach([{"x": 1}, "b"], Context())) == ["0", "1"]
    members = dict(templates.foreach("${over}", Context({"over": {"k": {"v": 1}}})))
    assert members["k"].values == {"over": {"k": {"v": 1}}, "item": {"v": 1}, "key": "k"}


def test_a_matrix_names_by_value_or_by_number_the_last_fastest() -> None:
    found = dict(
        Templates("dvc.yaml").matrix({"a": [1.5, True], "b": "${l}"}, Context({"l": ["x", {"y": 1}]}))
    )
    assert list(found) == ["1.5-x", "1.5-b1", "true-x", "true-b1"]
    assert found["true-b1"].values["item"] == {"a": True, "b": {"y": 1}}
    assert found["true-b1"].values["key"] == "true-b1"


@pytest.mark.parametrize("over", ["text", 3, None, "${a}"])
def test_a_group_over_nothing_is_told(over: object) -> None:
    for make in (Templates("dvc.yaml").foreach, Templates("dvc.yaml").matrix):
        with pytest.raises(InvalidFileError):
            list(make(over, Context({"a": 1})))


def test_a_matrix_that_explodes_is_refused_at_once() -> None:
    begin = time.perf_counter()
    with pytest.raises(InvalidFileError, match="more than 10,000 steps"):
        list(Templates("dvc.yaml").matrix({str(axis): list(range(100)) for axis in range(20)}, Context()))
    assert time.perf_counter() - begin < 2
