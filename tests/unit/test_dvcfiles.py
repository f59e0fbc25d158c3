"""Reading and editing DVC's files."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelregistry.dvcfiles import (
    ListedFile,
    Out,
    Output,
    artifact_entry,
    declare_artifact,
    dvc_file_outputs,
    lock_outputs,
    out_lookup,
    read_artifacts,
    read_config,
    read_dvc_file,
    read_lock,
    read_manifest,
    read_plans,
    resolve,
)
from modelregistry.errors import InvalidFileError

MD5 = "d41d8cd98f00b204e9800998ecf8427e"

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

LOCK = f"""\
schema: '2.0'
stages:
  train:
    cmd: python train.py
    deps:
    - {{path: data.csv, hash: md5, md5: {MD5}, size: 3}}
    params:
      params.yaml: {{lr: 0.1}}
    outs:
    - path: ../models/m.pkl
      hash: md5
      md5: {MD5.upper()}
      size: 12
      isexec: true
    - {{path: metrics.json, hash: md5, md5: {MD5}, size: 4}}
  each@a:
    cmd: x
    outs:
    - {{path: a.pkl, md5: {MD5}.dir, size: 9, nfiles: 2}}
  gone:
    cmd: x
    outs:
    - {{path: gone.pkl, hash: md5, md5: {MD5}, size: 9}}
""".encode()


# -- dvc.yaml


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


def test_plans_tell_wdir_and_flags_also_of_groups() -> None:
    plans = read_plans(PROJECT, "dvc.yaml")
    assert plans["train"].wdir == "inner"
    assert plans["train"].remotes == {"../models/m.pkl": "other"}
    assert plans["train"].uncached == {"metrics.json"}
    assert plans["each"].wdir == "sub"


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


# -- dvc.lock and *.dvc


def test_a_lock_is_read() -> None:
    train, each, _ = read_lock(LOCK, "dvc.lock")
    assert (train.name, train.cmd, train.deps[0].md5) == ("train", ("python train.py",), MD5)
    assert train.params == {"params.yaml": {"lr": "0.1"}}
    assert train.outs[0] == Out("../models/m.pkl", MD5, 12, is_executable=True)
    assert (each.outs[0].is_directory, each.outs[0].legacy, each.outs[0].nfiles) == (True, True, 2)


def test_a_lock_of_another_schema_is_refused() -> None:
    with pytest.raises(InvalidFileError, match="schema"):
        read_lock(b"train: {cmd: x}\n", "dvc.lock")


def test_outputs_are_placed_by_the_wdir_of_their_step_and_lingering_ones_left_out() -> None:
    found = {output.path: output for output in lock_outputs("sub/dvc.lock", LOCK, PROJECT)}
    assert set(found) == {"sub/models/m.pkl", "sub/inner/metrics.json", "sub/sub/a.pkl"}
    assert found["sub/models/m.pkl"].out.remote == "other"
    assert not found["sub/inner/metrics.json"].out.is_cached
    assert lock_outputs("sub/dvc.lock", LOCK, None) == ()


def test_a_templated_wdir_is_a_problem_not_a_place() -> None:
    plan = b"stages: {train: {cmd: x, wdir: '${w}'}}"
    outputs = lock_outputs("dvc.lock", LOCK, plan)
    assert [output.path for output in outputs] == [None, None]
    assert "wdir" in (outputs[0].problem or "")


def test_a_dvc_file_is_read_with_its_wdir_and_source() -> None:
    text = f"wdir: ../data\ndeps:\n- {{path: x, repo: {{url: 'https://e.org/r', rev_lock: a}}}}\nouts:\n- {{md5: {MD5}, path: d}}\n"
    (output,) = dvc_file_outputs("models/d.dvc", text.encode())
    assert (output.path, output.imported_from, output.out.legacy) == ("data/d", "https://e.org/r", True)


def test_a_versioned_directory_lists_its_files() -> None:
    text = f"outs:\n- path: d\n  hash: md5\n  files:\n  - {{relpath: a, md5: {MD5}, size: 3, cloud: {{r: {{version_id: v}}}}}}\n"
    (out,) = read_dvc_file(text.encode(), "d.dvc").outs
    assert out.is_directory
    assert out.files == (ListedFile("a", MD5, 3),)


@pytest.mark.parametrize("md5", ["../../etc/passwd", "abc", f"{MD5}.exe", "[a]", f"{MD5[:-1]}/"])
def test_an_md5_that_is_none_is_refused(md5: str) -> None:
    with pytest.raises(InvalidFileError, match="md5"):
        read_dvc_file(f"outs:\n- {{path: d, md5: {md5}}}\n".encode(), "d.dvc")


@pytest.mark.parametrize(
    ("file", "parts", "expected"),
    [
        ("dvc.yaml", ("m.pkl",), "m.pkl"),
        ("a/b/dvc.yaml", ("../m.pkl",), "a/m.pkl"),
        ("a/dvc.lock", ("w", "../../m"), "m"),
        ("a/dvc.lock", ("../../m",), None),
        ("dvc.lock", ("/etc/passwd",), None),
        ("dvc.lock", ("s3://b/k",), None),
        ("dvc.lock", ("C:/x",), None),
    ],
)
def test_paths_lead_from_the_folder_of_their_file_and_never_outside(
    file: str, parts: tuple[str, ...], expected: str | None
) -> None:
    assert resolve(file, *parts) == expected


def test_lookup_prefers_the_very_path_then_the_innermost_folder() -> None:
    def output(path: str | None, md5: str) -> Output:
        return Output("dvc.lock", Out(path or "x", md5), path)

    outer, inner, file, nowhere = (
        output("a", f"{MD5}.dir"), output("a/b", f"{MD5}.dir"), output("a/b/c", MD5), output(None, MD5),
    )  # fmt: skip
    assert out_lookup("a/b/c", [nowhere, outer, inner, file]) is file
    assert out_lookup("a/b/d", [inner, outer, file]) is inner
    assert out_lookup("a/b/c/d", [file]) is None
    assert out_lookup("ab", [outer]) is None


# -- listings


def listing(*names: str, md5: str = MD5) -> bytes:
    return json.dumps([{"md5": md5, "relpath": name} for name in names]).encode()


def test_a_listing_is_read_by_path() -> None:
    assert read_manifest(listing("b", "a/c"), "d") == (ListedFile("a/c", MD5), ListedFile("b", MD5))


@pytest.mark.parametrize(
    "data",
    [
        listing("../x"), listing("a/../../x"), listing("/x"), listing("a//b"), listing("./a"), listing(""),
        listing("a\\b"), listing("C:x"), listing("a\nb"), listing("a\0b"), listing("a", "a"), listing("A", "a"),
        listing("\u00e9", "e\u0301"), listing("a", "a/b"), listing("a", md5="x"), listing("a", md5=f"{MD5}.dir"),
        b"{}", b"[1]", b"[{}]", b"\xff", b"[" * 100_000, b'[{"relpath": "a", "md5": 1}]', b'["' + b"9" * 5000, b"9" * 5000,
    ],
)  # fmt: skip
def test_a_hostile_listing_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidFileError):
        read_manifest(data, "d")


# -- .dvc/config


def test_configuration_is_read_as_dvc_reads_it() -> None:
    from configobj import ConfigObj

    text = """
# a comment
[core]
    remote = Store
      analytics = false
['remote "Store"']
    url = s3://b/a  # where
    user = "quo # ted" # tail
    PORT = 22
[cache]
dir = "../c"
"""
    ours = read_config(text.encode(), "config")
    theirs = {
        name: {key.lower(): value for key, value in options.items()}
        for name, options in ConfigObj(text.splitlines()).dict().items()
    }
    assert ours == {
        "core": theirs["core"],
        "remote.store": theirs['remote "Store"'],
        "cache": theirs["cache"],
    }


# -- all parsers


PIECES = st.sampled_from(
    [
        "stages", "outs", "artifacts", "path", "md5", "files", "relpath", "deps", "repo", "wdir", "cmd", "params", "schema",
        "'2.0'", "cache", "isexec", "labels", "meta", "do", "foreach", ": ", "\n", "\n  ", "\n    - ", "- ", "{", "}", "[",
        "]", ",", MD5, "&a", "*a", "<<", "!!x", "~", "'", '"', "|", ">", "%", "${x}", "1e999", "-", "\t", "\x85", "=", "#",
    ]
)  # fmt: skip
TEXTS = st.one_of(
    st.binary(max_size=200), st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode())
)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just(MD5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["schema", "stages", "outs", "path", "md5", "files", "artifacts", "deps", "repo", "do", "cmd", "params",
                 "cache", "isexec", "remote", "labels", "meta", "wdir", "size", "relpath", "hash", "metrics"]
            ),
            inner, max_size=4,
        ),
    ),
    max_leaves=15,
)  # fmt: skip


@given(st.one_of(TEXTS, TREES.map(lambda tree: json.dumps(tree).encode())))
@example(
    b'{"schema": "2.0", "stages": {"a": {"outs": [{"path": "p", "md5": "'
    + MD5.encode()
    + b'", "isexec": []}]}}}'
)
@example(b"\x85")
def test_any_bytes_are_a_value_or_an_invalid_file(data: bytes) -> None:
    def attempt(parser: Any, *arguments: Any) -> None:
        with contextlib.suppress(InvalidFileError):
            parser(*arguments)

    for parser in (read_artifacts, read_plans, read_lock, read_dvc_file, read_manifest, read_config):
        attempt(parser, data, "some file")
    attempt(dvc_file_outputs, "some file", data)
