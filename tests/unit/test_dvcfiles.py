"""Reading DVC's files."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelregistry.errors import InvalidFileError
from modelregistry.project.declarationtexts import read_artifacts
from modelregistry.project.dvcfiles import (
    ListedFile,
    Out,
    Output,
    dvc_file_outputs,
    listing_md5,
    lock_outputs,
    out_lookup,
    read_config,
    read_dvc_file,
    read_lock,
    read_manifest,
    read_plans,
    resolve,
)

MD5 = "d41d8cd98f00b204e9800998ecf8427e"

PROJECT = b"""\
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


def test_plans_tell_wdir_and_flags_also_of_groups() -> None:
    plans = read_plans(PROJECT, "dvc.yaml")
    assert plans["train"].wdir == "inner"
    assert plans["train"].remotes == {"../models/m.pkl": "other"}
    assert plans["train"].uncached == {"metrics.json"}
    assert plans["each"].wdir == "sub"


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


# -- what else is recorded of a dependency


def test_every_fact_of_a_dependency_is_read() -> None:
    text = f"""\
frozen: true
deps:
- path: https://example.com/a.csv
  checksum: '"5e1"'
  size: 12
  hash: md5
- path: s3://bucket/b
  version_id: "123"
  etag: abc
- path: data/in
  md5: {MD5}.dir
  nfiles: 3
- path: c.csv
  repo: {{url: 'https://example.com/c.git', rev: main, rev_lock: {"1" * 40}}}
- db: {{connection: pg, query: SELECT 1}}
- path: inside
  hash: md5
  files:
  - {{relpath: b, md5: {MD5}, size: 1, cloud: {{s3: {{version_id: v}}}}}}
  - {{relpath: a, md5: {MD5}, size: 2}}
- path: out
  cloud: {{s3: {{etag: e, version_id: w}}}}
"""
    file = read_dvc_file(text.encode(), "x.dvc")
    web, bucket, legacy, repo, base, folder, cloud = file.deps
    assert file.frozen
    assert (web.checksum, web.size, web.md5) == ('"5e1"', 12, None)
    assert (bucket.version_id, bucket.etag) == ("123", "abc")
    assert (legacy.legacy, legacy.is_directory, legacy.nfiles) == (True, True, 3)
    assert (repo.url, repo.rev, repo.rev_lock) == ("https://example.com/c.git", "main", "1" * 40)
    assert (base.path, base.facts) == ("", {"connection": "pg", "query": "SELECT 1"})
    assert (folder.nfiles, folder.md5) == (2, listing_md5([ListedFile("a", MD5), ListedFile("b", MD5)]))
    assert (cloud.etag, cloud.version_id) == ("e", "w")
