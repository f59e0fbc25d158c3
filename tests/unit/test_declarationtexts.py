"""What ``artifacts:`` in a dvc.yaml declares, read and edited."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelregistry.errors import InvalidFileError
from modelregistry.project.declarationtexts import artifact_entry, declare_artifact, read_artifacts

PROJECT = b"""\
# the project
stages:
  train:
    cmd: python train.py  # long
    wdir: inner
    deps: [data.csv]
    outs:
    - ../models/m.pkl:
        remote: other
    metrics:
    - metrics.json:
        cache: false
  each:
    foreach: [a, b]
    do: {cmd: x, wdir: sub, outs: ['${item}.pkl']}
artifacts:
  # the one in production
  churn:
    path: models/m.pkl  # trained above
    type: model
    desc: "Who leaves?"
    labels: [risk, 1e-3]
    meta:
      rate: 1e-3
      answer: yes
      quoted: "12"
      count: 12
      nothing: ~
      flag: true
      version: 1.2.3
"""


# -- reading


def test_a_declaration_is_read_with_numbers_as_yaml_1_2_has_them() -> None:
    churn = read_artifacts(PROJECT, "dvc.yaml")["churn"]
    assert (churn.path, churn.type, churn.description) == ("models/m.pkl", "model", "Who leaves?")
    assert churn.labels == ("risk", "1e-3")
    assert churn.meta == {
        "rate": 0.001, "answer": "yes", "quoted": "12", "count": 12, "nothing": None, "flag": True, "version": "1.2.3",
    }  # fmt: skip
    assert not churn.templated
    assert churn.problem is None


def test_a_bad_entry_does_not_hurt_the_others() -> None:
    text = b"artifacts:\n  a: 3\n  b: {type: model}\n  c: {path: [x]}\n  d: {path: x, labels: y}\n  e: {path: ok}\n"
    found = read_artifacts(text, "dvc.yaml")
    assert {name for name, declaration in found.items() if declaration.problem} == {"a", "b", "c", "d"}
    assert found["e"].path == "ok"


@pytest.mark.parametrize("text", ["artifacts: {'${n}': {path: x}}", "artifacts: {n: {path: 'a/${p}'}}"])
def test_a_templated_entry_is_marked(text: str) -> None:
    (declaration,) = read_artifacts(text.encode(), "dvc.yaml").values()
    assert declaration.templated


def test_no_text_declares_nothing() -> None:
    assert read_artifacts(b"", "dvc.yaml") == {}
    assert read_artifacts(b"artifacts:\n", "dvc.yaml") == {}


def test_an_error_names_file_line_and_column() -> None:
    with pytest.raises(InvalidFileError, match=r"'a/dvc.yaml', line 2, column 4: ") as caught:
        read_artifacts(b"a: 1\nb: ]\n", "a/dvc.yaml")
    assert caught.value.path == "a/dvc.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\na: 2\n", "twice"),
        (b"a: 1\n--- \nb: 1\n", "second document"),
        (b"a: *b\n", "alias"),
        (b"a: &a [*a]\n", "is not known"),
        (b"[" * 1000 + b"]" * 1000, "nested deeper"),
        (b"? {a: b}\n: c\n", "key that is no text"),
        (b"\xff\xfe", "UTF-8"),
        (b"#" * ((8 << 20) + 1), "larger"),
        (b"- a\n", "no mapping"),
        (b"a: \x00\n", "control characters"),
    ],
)
def test_yaml_that_could_hurt_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(InvalidFileError, match=message):
        read_artifacts(text, "dvc.yaml")


def test_an_alias_bomb_is_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
    begin = time.perf_counter()
    with pytest.raises(InvalidFileError, match="repeats too much"):
        read_artifacts(bomb.encode(), "dvc.yaml")
    assert time.perf_counter() - begin < 1


def test_anchors_merges_and_tags_of_a_sane_file_are_read() -> None:
    text = b"x: &x {type: model, desc: a}\nartifacts:\n  n:\n    <<: *x\n    desc: b\n    path: !!python/object:os.system p\n"
    found = read_artifacts(text, "dvc.yaml")["n"]
    assert (found.type, found.description, found.path) == ("model", "b", "p")


# -- declaring


def test_declaring_appends_and_leaves_every_other_byte() -> None:
    before = b"stages:\n    a:\n        cmd: x   # odd   spaces\n"
    after = declare_artifact(before, "churn", path="m.pkl", type="model", labels=["a"], meta={"k": {"n": 1}})
    assert after.startswith(before)
    found = read_artifacts(after, "dvc.yaml")["churn"]
    assert (found.path, found.type, found.labels, found.meta) == ("m.pkl", "model", ("a",), {"k": {"n": 1}})
    assert declare_artifact(before + b"artifacts:\n", "churn", path="m.pkl").startswith(before)


def test_declaring_beside_others_keeps_comments_and_their_entries() -> None:
    after = declare_artifact(PROJECT, "other", path="models/o.pkl", type="model").decode()
    for comment in ("# the project", "# long", "# the one in production", "# trained above"):
        assert comment in after
    found = read_artifacts(after.encode(), "dvc.yaml")
    assert found["other"].path == "models/o.pkl"
    assert found["churn"] == read_artifacts(PROJECT, "dvc.yaml")["churn"]


def test_declaring_again_changes_what_is_given_only() -> None:
    found = read_artifacts(declare_artifact(PROJECT, "churn", path="new.pkl"), "dvc.yaml")["churn"]
    assert (found.path, found.description) == ("new.pkl", "Who leaves?")


def test_declaring_keeps_windows_line_ends() -> None:
    after = declare_artifact(b"stages:\r\n  a:\r\n    cmd: x\r\n", "churn", path="m.pkl")
    assert after.count(b"\n") == after.count(b"\r\n")


def test_declaring_makes_a_file() -> None:
    assert declare_artifact(None, "churn", path="m.pkl") == b"artifacts:\n  churn:\n    path: m.pkl\n"


@pytest.mark.parametrize("text", [b"artifacts: [a]\n", b"artifacts: ${all}\n", b"- a\n", b"a: b: c\n"])
def test_what_cannot_be_edited_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidFileError):
        declare_artifact(text, "churn", path="m.pkl")


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20), st.text(max_size=20))
@example("true", "1e-3", "null")
@example("a: b", "- x", "'")
@example("a", "b", "\x85")
def test_what_is_declared_reads_back(name: str, path: str, description: str) -> None:
    try:
        text = declare_artifact(PROJECT, name, path=path, type="model", description=description)
    except InvalidFileError:
        assert not (name + path + description).isprintable()
        return
    found = read_artifacts(text, "dvc.yaml")[name]
    assert found.path == path
    assert found.description == (description or ("Who leaves?" if name == "churn" else None))


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
@example("true", "null")
@example("churn", "a b/ü.pkl")
def test_the_entry_to_paste_reads_back(name: str, path: str) -> None:
    try:
        found = read_artifacts(artifact_entry(name, path).encode("utf-8", "replace"), "dvc.yaml")
    except InvalidFileError:
        assert not (name + path).isprintable()
        return
    if (name + path).isprintable():
        assert found[name].path == path
