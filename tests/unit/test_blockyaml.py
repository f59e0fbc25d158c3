"""The simple form of YAML: whatever is read of it is what a parser for all of YAML makes of the text."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelregistry.errors import InvalidFileError
from modelregistry.project.blockyaml import Plain, read_block
from modelregistry.project.yamltext import _LOADER, _composed, _Composer, parse, parse_block, typed

LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: python train.py --rounds 3 "$HOME" && echo 'done' | tee {log} [x] s3://b/c
    deps:
    - path: data/raw.csv
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 14
    params:
      params.yaml:
        lr: 1e-3
        layers:
        - 1
        - deep
        none:
"""


def whole(text: str) -> Any:
    """What the parser for all of YAML says, as text that tells plain scalars from others; None where it refuses."""
    try:
        return _told(_Composer(yaml.parse(text, Loader=_LOADER), "x").document())
    except (yaml.YAMLError, InvalidFileError):
        return None


def _told(value: object) -> object:
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_told(item) for item in value]
    return (type(value), value)


@pytest.mark.parametrize(
    "text",
    [
        "a: b\n  c\n", "a: b \n  && c\n", "a: b \n", "a: b\n  c \n", "a: b\n  'c'\n   [d]\n  s3://e\nf: g\n", "- a: b\n  c: d\n   e\n  f: g", "a: b\n --c 1\n   | d > 'e'\n", "- a\n b\n", "- a: b\n   c\n- d",
        "a:\n  b: c   \n    d:e 'f'\n  g: h", "a:\n- b\n c\n- d", "a: b\n  --- c\n  [d]\n",
    ],
)  # fmt: skip
def test_a_long_scalar_goes_on_in_the_next_lines(text: str) -> None:
    assert _told(read_block(text)) == whole(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "a: [b]\n", "a: []\n", "a: {}\n", "a: [ ]\n", "a: {b: c}\n", "a: { b : c , d: e }  \n", "a: [b, c d, ]\n", "a: {b: [c, {d: e}], f: {}}\n",
        "a: ['b', 'c, d', '[e]', 'f: #g']\n", "a: {'b c': 'd', '0': 1}\n", "a: ['build/part-${item}.csv', scripts/feature.py]\n",
        "- {path: models/churn.skops, type: model}\n- [0.1, 300, 1e-3, true, null]\n", "- metrics.json: {cache: false}\n  b: [c]\n",
        "a: ${b}\n", "- ${b.c}\n", "a: [$b, c - d]\n", "a: {null: b, true: c}\n",
    ],
)  # fmt: skip
def test_what_stands_within_brackets_on_one_line_is_read_too(text: str) -> None:
    assert _told(read_block(text)) == whole(text) is not None


def test_a_lock_is_read_in_the_simple_way() -> None:
    found: Any = read_block(LOCK)
    assert found is not None
    assert _told(found) == whole(LOCK)
    assert not isinstance(found["schema"], Plain)
    assert found["stages"]["train"]["deps"][0]["size"] == "14"
    assert isinstance(found["stages"]["train"]["cmd"], Plain)
    assert found["stages"]["train"]["params"]["params.yaml"]["none"] == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "a: 'b''c'\n", "a: 'b\n  c'\n", "'a': b\n", "a: \"b\"\n", "a: b # c\n", "# c\na: b\n", "a: &x b\n", "a: !t b\n",
        "a: b: c\n", "a:\tb\n", "a: b\r\n", "a: |\n  b\n", "a: b\n  c: d\n", "a: b\n  #c\n", "a: b\n\n  c\n", "a: b\nc\n", "- a: b\n  c\n", "a:\n  b\n", "- a\n  b: c\n",
        "a: b\n- c\n", "a:\n    b: c\n  d: e\n", "a: b\na: c\n", "--- a\n", "a: b\n---\nc: d\n", "  a: b\n", "a\n", "- - a\n",
        "? a\n", "a: -b\n", "a: b:\n", "a: é\n", "a:  b\n", "a: b\n      - c\n", "a: b\n  c:\n", "a: 'b'\n  c\n", "a: [b]\n  c\n", "a:\n- b\nc: null\n  d: e\n", "a\nb: c\n", "<<: b\n", "*a: b\n", "- a: b\n   c: d\n", "%a: b\n",
        "a: [b\n", "a: [b,\n  c]\n", "a: [b]]\n", "a: [b}\n", "a: {b}\n", "a: {b: c, b: d}\n", "a: {b:c}\n", "a: {b: }\n", "a: [b: c]\n",
        "a: [,b]\n", "a: [b,,c]\n", "a: [b #c]\n", "a: [b] #c\n", "a: [-1]\n", "a: [&x b]\n", "a: [*x]\n", "a: [!t b]\n", "a: [\"b\"]\n",
        "a: ['b''c']\n", "a: ['b' c]\n", "a: [${b}]\n", "a: [b?]\n", "a: {? b}\n", "a: [b]: c\n", "a: {<<: b}\n", "a: {[b]: c}\n",
        "- [a]: b\n", "[a]\n", "a: " + "[" * 30 + "]" * 30, "a: {" + "b" * 2000 + ": c}", "a: {b" + " " * 2000 + ": c}\n",
        "a:\n b: c\n  d: e\n", "\ufeffa: b", "b" * 2000 + ": a", "".join(f"{' ' * n}a:\n" for n in range(50)),
    ],
)  # fmt: skip
def test_what_is_not_of_that_form_is_left_to_others(text: str) -> None:
    assert read_block(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "- a\n" * (1 << 19),
        "a: " + "b" * (1 << 19) + "é",
        "a: " + "b:" * 400,
        "a: 1" + "\n 1" * 300_000,
        "a: " + "[" * 500_000,
    ],
)
def test_what_is_much_is_left_to_others_at_once(text: str) -> None:
    begin = time.perf_counter()
    assert read_block(text) is None
    assert time.perf_counter() - begin < 1


WORDS = st.sampled_from(
    [
        "a",
        "b",
        "0",
        "1e-3",
        ".dir",
        "x y",
        "a - b",
        "a,b",
        "~",
        "null",
        "a:",
        "- a",
        "'a'",
        "#",
        "-",
        "[",
        "]",
        "[a, {b: 'c'}]",
        "[a",
        "{a: b}, c",
        "${a}",
        "",
        "a: b",
    ]
)
LINES = st.builds(
    lambda indent, dash, key, value: f"{' ' * indent}{dash}{key}{value}",
    st.integers(0, 5), st.sampled_from(["", "- ", "-", "- - "]), st.sampled_from(["", "a: ", "b:", "a:", "c: "]), WORDS,
)  # fmt: skip


@settings(max_examples=2000)
@given(st.lists(LINES, max_size=7).map("\n".join), st.sampled_from(["", "\n"]))
@example("a:\n- b\n- c: d\n  e:\n  - f\ng: h", "\n")
@example("- a:\n  - b", "")
def test_whatever_is_read_is_what_yaml_says(lines: str, end: str) -> None:
    found = read_block(lines + end)
    if found is not None:
        assert _told(found) == whole(lines + end)


FLOWS = st.lists(
    st.sampled_from([*"[]{},:-#?&*!$%@=.' ", "a", "b", "''", ": ", ", ", "a: ", " #", "'a'", "-1", "${a}", "\"a\"", "é", "<<", "a" * 1001]),
    max_size=12,
).map("".join)  # fmt: skip


@settings(max_examples=4000)
@given(
    st.sampled_from("[{"),
    FLOWS,
    st.sampled_from(["", "]", "}", "]}", "}]"]),
    st.sampled_from(["a: ", "- ", "- a: "]),
)
@example("{", "a: [b, {'c': ''}], d: ", "{}}", "a: ")
def test_whatever_is_read_within_brackets_is_what_yaml_says(
    begin: str, text: str, end: str, where: str
) -> None:
    text = f"{where}{begin}{text}{end}\n"
    found = read_block(text)
    if found is not None:
        assert _told(found) == whole(text)


VALUES = st.recursive(
    st.sampled_from(
        [
            "a",
            "x y",
            "0",
            "s3://b/c?d",
            "a #b",
            "x 'y' \"z\"",
            "2.0 ",
            "it's",
            "[x]",
            "x: [y]",
            "1.5",
            "true",
            "null",
            "No",
            "Tea",
            "012",
            "0x1f",
            "9" * 310,
            "1_0",
            "+5",
            "5e3",
            "a/b.csv",
            "python train.py --rounds 3 --rate 1e-3 && cat a.txt > b.txt | tee - c - d",
            "a@b",
            "a: b",
            "'",
            "",
            "é",
            "- a",
        ]
    )
    | st.integers()
    | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b.c", "d@e-f", "g h"]), inner, max_size=3)
    ),
)


@given(
    st.dictionaries(st.sampled_from(["a", "b.c", "d@e-f"]), VALUES, max_size=3),
    st.sampled_from([False, None]),
)
def test_what_scalars_stand_for_is_the_same_in_one_go(value: object, flow: bool | None) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, sort_keys=False, width=1000).encode()
    found = parse_block(text, "x")
    assert found is None or _exact(found) == _exact(typed(_composed(text.decode(), "x")))


def _exact(value: object) -> object:
    """With the types of scalars, so that 1 is neither 1.0 nor True, and the order of keys."""
    if isinstance(value, dict):
        return [(key, _exact(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return type(value), value


@given(st.dictionaries(st.sampled_from(["a", "b.c", "d@e-f"]), VALUES, max_size=3), st.sampled_from([0, 2]))
def test_what_is_written_by_others_is_read_alike(value: object, offset: int) -> None:
    text = yaml.safe_dump(value, default_flow_style=False, width=20)
    found = read_block(text)
    assert found is None or _told(found) == whole(text)
    assert _told(parse(text.encode(), "x")) == whole(text)
