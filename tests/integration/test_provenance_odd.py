"""Lineages of what is odd, broken or hostile: an error that says what, or a node that does, soon, and nothing run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelregistry import Registry, RegistryError
from modelregistry.git.repo import GitRepo
from modelregistry.lineage import draft as lineagedraft
from modelregistry.lineage.lineage import Lineage
from modelregistry.lineage.provenance import Provenance
from modelregistry.project import snapshot
from modelregistry.project.dvcfiles import ListedFile, listing_md5
from modelregistry.version import ModelVersion
from tests import lineageschema
from tests.integration.pipelines import named, sources_of
from tests.integration.projects import commit, git, init, write
from tests.integration.web import serve

Trace = Callable[..., Lineage]
MD5 = "0123456789abcdef0123456789abcdef"


def md5(content: str | bytes) -> str:
    return hashlib.md5(content.encode() if isinstance(content, str) else content).hexdigest()


def entry(path: str, content: str | bytes | None = None, **facts: object) -> dict[str, object]:
    """An output or a dependency, as DVC 3 records it."""
    return {"path": path, "hash": "md5", "md5": MD5 if content is None else md5(content), **facts}


def project(
    root: Path, files: Mapping[str, str | bytes], steps: Mapping[str, Mapping[str, object]] | None = None
) -> str:
    """Commit files, and a ``dvc.yaml`` with a ``dvc.lock`` that confirms it: each step has lists of entries."""
    if not (root / ".git").exists():
        init(root)
    for name, content in files.items():
        write(root / name, content)
    if steps is not None:
        plan = {
            name: {
                "cmd": "run",
                **{kind: [each["path"] for each in step.get(kind, ())] for kind in ("deps", "outs")},  # type: ignore[attr-defined]
            }
            for name, step in steps.items()
        }
        lock = {"schema": "2.0", "stages": {name: {"cmd": "run", **step} for name, step in steps.items()}}
        write(root / "dvc.yaml", yaml.safe_dump({"stages": plan}))
        write(root / "dvc.lock", yaml.safe_dump(lock))
    return commit(root)


def made_at(rev: str) -> ModelVersion:
    """A version of that commit."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return ModelVersion("m", "v1.0.0", "inactive", (), rev, rev, None, None, at, "Ann", "", {}, "")


TRAIN = {"train": {"deps": [entry("train.py", "x\n")], "outs": [entry("m.pkl")]}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest.fixture
def trace(root: Path, tmp_path: Path) -> Trace:
    """The lineage of a path of the project as it is committed."""

    def find(path: str = "m.pkl", *, offline: bool = False) -> Lineage:
        source = Provenance(GitRepo.discover(root), home=tmp_path / "home", offline=offline)
        found = source.of(made_at(git(root, "rev-parse", "HEAD")), lambda: path)
        lineageschema.check(found)
        return found

    return find


def ends(lineage: Lineage) -> bool:
    """Whether nothing is made from itself, however long the way."""
    edges = set(lineage.edges)
    while edges:
        last = {edge for edge in edges if all(edge.source != other.made for other in edges)}
        if not last:
            return False
        edges -= last
    return True


@contextmanager
def soon(seconds: float = 5) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    assert time.perf_counter() - begin < seconds


# -- files that can't be read ------------------------------------------------------------------------------


def test_a_whole_record_is_recorded(root: Path, trace: Trace) -> None:
    project(root, {"train.py": "x\n"}, TRAIN)
    found = trace()
    assert [(node.name, node.status, node.note) for node in found][1:3] == [
        ("train", "recorded", None), ("train.py", "recorded", None),
    ]  # fmt: skip
    assert found.notes == ()


def test_without_a_lock_a_step_did_not_run(root: Path, trace: Trace) -> None:
    project(root, {"train.py": "x\n"}, TRAIN)
    (root / "dvc.lock").unlink()
    commit(root)
    step = named(trace(), "train")
    assert (step.status, step.values["cmd"]) == ("stale", "run")
    assert "'dvc.lock' is not there" in str(step.note)
    assert sources_of(trace(), "train") == {"train.py"}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema: '2.0'\nstages: {a: b: c}\n", "'dvc.lock', line 2, column 14"),
        ("train: {cmd: x}\n", "'dvc.lock' has schema None, and '2.0'"),
        ("schema: '3.0'\nstages: {}\n", "'dvc.lock' has schema '3.0'"),
        ("schema: '2.0'\nstages: [a]\n", "'stages' is no mapping"),
        ("schema: '2.0'\nstages: {train: {cmd: x, outs: [{path: m.pkl, md5: ../../x}]}}\n", "md5"),
        (BOMB, "repeats too much"),
        ("<<<<<<< HEAD\nschema: '2.0'\n", "line"),
        ("[" * 100 + "]" * 100, "nested deeper"),
        ("a: &a [*a]\n", "is not known"),
    ],
)
def test_a_lock_that_cannot_be_read_is_told_with_its_line(
    root: Path, trace: Trace, text: str, said: str
) -> None:
    project(root, {"train.py": "x\n"}, TRAIN)
    write(root / "dvc.lock", text)
    commit(root)
    with soon():
        found = trace()
    assert named(found, "train").status == "unread"
    assert said in str(named(found, "train").note)
    assert said in found.notes[0]


def test_a_pipeline_that_cannot_be_read_leaves_what_the_lock_recorded(root: Path, trace: Trace) -> None:
    project(root, {"train.py": "x\n"}, TRAIN)
    write(root / "dvc.yaml", "stages:\n  a: ]\n")
    commit(root)
    found = trace()
    step = named(found, "train")
    assert (step.status, sources_of(found, "train")) == ("unread", {"train.py"})
    assert "'dvc.yaml', line 2, column 6" in str(step.note)


def test_where_nothing_can_be_read_the_model_stands_alone_and_the_reasons_with_it(
    root: Path, trace: Trace
) -> None:
    project(root, {"dvc.yaml": "a: ]", "dvc.lock": "b: ]", "m.pkl.dvc": "c: ]"})
    found = trace()
    assert [node.kind for node in found] == ["model", "run"]
    assert [note.partition(",")[0] for note in found.notes] == ["'dvc.yaml'", "'dvc.lock'", "'m.pkl.dvc'"]
    assert "the commit does not have it" in str(found.subject.note)


@pytest.mark.parametrize("name", ["dvc.lock", "dvc.yaml", "params.yaml"])
def test_a_file_of_fifty_megabytes_is_not_read(root: Path, trace: Trace, name: str) -> None:
    project(root, {"train.py": "x\n"}, {"train": {**TRAIN["train"], "params": {"params.yaml": {"lr": 1}}}})
    plan = yaml.safe_load((root / "dvc.yaml").read_text())
    plan["stages"]["train"]["params"] = ["lr"]
    write(root / "dvc.yaml", yaml.safe_dump(plan))
    write(root / "params.yaml", "lr: 1\n")
    write(root / name, "a: " + "x" * (50 << 20))
    commit(root)
    with soon():
        found = trace()
    assert "52,428,803 bytes" in " ".join([*found.notes, *(node.note or "" for node in found)])


def test_tags_in_yaml_make_nothing(root: Path, trace: Trace, tmp_path: Path) -> None:
    lock = f"schema: '2.0'\nstages:\n  train: !!python/object/apply:os.system [touch {tmp_path}/made]\n"
    project(root, {"dvc.yaml": "stages: {train: {cmd: run, outs: [m.pkl]}}\n", "dvc.lock": lock})
    assert named(trace(), "train").status == "unread"
    assert not (tmp_path / "made").exists()


def test_another_projects_broken_file_hurts_nobody(root: Path, trace: Trace) -> None:
    project(root, {"train.py": "x\n", "sub/dvc.lock": "a: ]", "sub/dvc.yaml": "stages: {x: {cmd: y}}"}, TRAIN)
    found = trace()
    assert named(found, "train").status == "recorded"
    assert "'sub/dvc.lock'" in found.notes[0]


# -- records that contradict each other --------------------------------------------------------------------


def test_an_output_of_two_steps_is_marked_and_has_both(root: Path, trace: Trace) -> None:
    steps = {
        "a": {"outs": [entry("x")]},
        "b": {"outs": [entry("x")]},
        "c": {"deps": [entry("x")], "outs": [entry("m.pkl")]},
    }
    project(root, {}, steps)
    found = trace()
    assert named(found, "x").status == "unread"
    assert str(named(found, "x").note).startswith("'a' and 'b' both say that they make it")
    assert sources_of(found, "x") == {"a", "b"}


def test_a_lock_in_a_circle_is_cut_and_marked(root: Path, trace: Trace) -> None:
    steps = {
        "a": {"deps": [entry("y")], "outs": [entry("x")]},
        "b": {"deps": [entry("x")], "outs": [entry("y")]},
        "c": {"deps": [entry("x")], "outs": [entry("m.pkl")]},
    }
    project(root, {}, steps)
    found = trace()
    marked = [node for node in found if node.status == "unread"]
    assert [node.name for node in marked] == ["b"]
    assert "which was made from it" in str(marked[0].note)
    assert ends(found)


def test_a_step_that_is_made_from_itself_is_cut(root: Path, trace: Trace) -> None:
    project(root, {}, {"a": {"deps": [entry("m.pkl")], "outs": [entry("m.pkl")]}})
    found = trace()
    assert named(found, "a").status == "unread"
    assert ends(found)


def test_what_is_left_of_a_step_in_the_lock_is_stale_where_nothing_else_makes_it(
    root: Path, trace: Trace
) -> None:
    project(root, {"train.py": "x\n"}, TRAIN)
    write(root / "dvc.yaml", "stages: {other: {cmd: x}}\n")
    commit(root)
    found = trace()
    assert (named(found, "train").status, named(found, "train").note) == (
        "stale",
        "'dvc.yaml' has no such step (any more)",
    )


# -- places ------------------------------------------------------------------------------------------------


def test_what_is_outside_is_a_source_and_shows_no_secret(root: Path, trace: Trace) -> None:
    deps = [
        {
            "path": "https://user:secret@example.com/a.csv?token=secret",
            "hash": "md5",
            "checksum": "e1",
            "size": 3,
        },
        {"path": "s3://bucket/b", "hash": "md5", "etag": "e2", "version_id": "7"},
        {"path": "../../outside.csv", "hash": "md5", "md5": MD5},
        {"path": "/srv/data.csv", "hash": "md5", "md5": MD5},
        {"path": "remote://store/x", "hash": "md5", "md5": MD5},
    ]
    project(root, {}, {"train": {"deps": deps, "outs": [entry("m.pkl")]}})
    found = trace()
    assert {node.name: dict(node.values) for node in found.sources} == {
        "https://example.com/a.csv": {"checksum": "e1"},
        "s3://bucket/b": {"etag": "e2", "version_id": "7"},
        "../../outside.csv": {}, "/srv/data.csv": {}, "remote://store/x": {},
    }  # fmt: skip
    assert "secret" not in json.dumps(found.to_dict())
    assert named(found, "train").status == "recorded"


def test_what_is_said_of_a_stale_step_shows_no_secret(root: Path, trace: Trace) -> None:
    url = "https://user:secret@example.com/a.csv?token=secret"
    old = {"path": f"{url}&old=1", "hash": "md5", "checksum": "e1", "size": -3}
    plan = {"train": {"cmd": "run", "deps": [url], "outs": ["m.pkl"]}}
    lock = {"train": {"cmd": "run", "deps": [old], "outs": [entry("m.pkl")]}}
    files = {"dvc.yaml": {"stages": plan}, "dvc.lock": {"schema": "2.0", "stages": lock}}
    project(root, {name: yaml.safe_dump(document) for name, document in files.items()})
    found = trace()
    assert named(found, "train").status == "stale"
    assert "'https://example.com/a.csv?token=***' is not in dvc.lock" in str(named(found, "train").note)
    assert "secret" not in json.dumps(found.to_dict())
    assert [node.size for node in found.sources] == [None]  # the lock's is no size


def test_a_path_in_a_submodule_is_marked_and_names_its_commit(
    root: Path, trace: Trace, tmp_path: Path
) -> None:
    other = init(tmp_path / "other")
    write(other / "lib.py", "x\n")
    rev = commit(other)
    init(root)
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", os.fspath(other), "vendor")
    project(
        root,
        {},
        {"train": {"deps": [entry("vendor/lib.py", "x\n"), entry("vendor")], "outs": [entry("m.pkl")]}},
    )
    found = trace()
    for name in ("vendor/lib.py", "vendor"):
        assert (named(found, name).status, named(found, name).kind) == ("unread", "code")
        assert f"the submodule 'vendor' at {rev[:10]}" in str(named(found, name).note)
    assert named(found, "train").status == "recorded"


def test_what_nobody_keeps_is_a_dataset_and_says_so(root: Path, trace: Trace) -> None:
    project(root, {}, {"train": {"deps": [entry("scratch/data")], "outs": [entry("m.pkl")]}})
    node = named(trace(), "scratch/data")
    assert (node.kind, node.digest) == ("dataset", f"md5:{MD5}")
    assert "the commit does not have it" in str(node.note)


def test_a_model_plainly_in_git_has_its_bytes_and_its_commit(root: Path, trace: Trace) -> None:
    project(root, {"dvc.yaml": "artifacts: {m: {path: m.pkl}}", "m.pkl": "bytes"})
    found = trace()
    assert found.subject.digest == f"git:{git(root, 'rev-parse', 'HEAD:m.pkl')}"
    assert [node.name for node in found.upstream(found.subject)] == [found.run.name if found.run else ""]


def test_data_in_git_is_a_dataset(root: Path, trace: Trace) -> None:
    files = {"data.csv": "1\n", "tables/a.csv": "1\n", "tables/b.json": "{}"}
    project(
        root,
        files,
        {"train": {"deps": [entry("data.csv", "1\n"), entry("tables")], "outs": [entry("m.pkl")]}},
    )
    assert [node.name for node in trace().datasets] == ["data.csv", "tables"]


def test_a_file_tracked_under_another_name_is_found(root: Path, trace: Trace) -> None:
    tracked = {"outs": [entry("../data/x.csv")], "wdir": "inner"}
    deps = [entry("data/x.csv")]
    project(
        root, {"meta/odd.dvc": yaml.safe_dump(tracked)}, {"train": {"deps": deps, "outs": [entry("m.pkl")]}}
    )
    node = named(trace(), "data/x.csv")
    assert (node.kind, node.note) == (
        "dataset",
        "the commit does not have it, neither in Git nor as something that DVC tracks",
    )
    write(root / "meta/odd.dvc", yaml.safe_dump({**tracked, "wdir": "."}))
    commit(root)
    assert named(trace(), "data/x.csv").note is None


def test_a_database_and_a_cloud_are_sources_of_what_was_imported(root: Path, trace: Trace) -> None:
    database = {
        "frozen": True,
        "deps": [{"db": {"connection": "pg", "query": "SELECT 1"}}],
        "outs": [entry("a.csv")],
    }
    web = {
        "deps": [{"path": "https://h/b.csv", "hash": "md5", "etag": "e"}],
        "outs": [{"path": "b.csv", "hash": "md5"}],
    }
    files = {"a.csv.dvc": yaml.safe_dump(database), "b.csv.dvc": yaml.safe_dump(web)}
    project(root, files, {"train": {"deps": [entry("a.csv"), entry("b.csv")], "outs": [entry("m.pkl")]}})
    found = trace()
    assert {node.name: dict(node.values) for node in found.sources} == {
        "a database: SELECT 1": {"connection": "pg", "query": "SELECT 1"}, "https://h/b.csv": {"etag": "e"},
    }  # fmt: skip
    assert named(found, "train").note == "its input 'b.csv' can't be compared: nothing is recorded of it"


def test_a_dataset_of_a_url_is_one_with_its_source(root: Path, trace: Trace) -> None:
    dataset = {"name": "d", "type": "url", "url": "s3://b/d", "files": []}
    dep = {"path": "ds://d", "dataset": dataset}
    project(root, {}, {"train": {"deps": [dep], "outs": [entry("m.pkl")]}})
    found = trace()
    assert named(found, "ds://d").kind == "dataset"
    assert sources_of(found, "ds://d") == {"s3://b/d"}


# -- what can be compared, and what can't ------------------------------------------------------------------


def verdict(
    root: Path, trace: Trace, files: Mapping[str, str | bytes], dep: dict[str, object]
) -> tuple[str, str | None]:
    project(root, files, {"train": {"deps": [dep], "outs": [entry("m.pkl")]}})
    step = named(trace(), "train")
    return step.status, step.note


def test_text_that_git_keeps_with_other_line_ends_is_the_same(root: Path, trace: Trace) -> None:
    assert verdict(root, trace, {"a.txt": "1\n2\n"}, entry("a.txt", "1\r\n2\r\n")) == ("recorded", None)


def test_what_dvc_2_hashed_is_the_same(root: Path, trace: Trace) -> None:
    dep = {"path": "a.txt", "md5": md5("1\n2\n")}
    assert verdict(root, trace, {"a.txt": "1\r\n2\r\n"}, dep) == ("recorded", None)
    assert verdict(root, trace, {"a.txt": "3\n"}, dep)[0] == "stale"


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"


def test_a_file_in_lfs_has_its_own_digest_and_is_left_open(root: Path, trace: Trace) -> None:
    status, note = verdict(root, trace, {"a.csv": POINTER}, entry("a.csv", "large"))
    assert status == "recorded"
    assert "can't be compared" in str(note)
    assert (named(trace(), "a.csv").digest, named(trace(), "a.csv").size) == (f"sha256:{'a' * 64}", 12345)


def test_what_attributes_change_is_left_open(root: Path, trace: Trace) -> None:
    files = {"a.csv": "x", ".gitattributes": "*.csv filter=crypt\n"}
    status, note = verdict(root, trace, files, entry("a.csv", "y"))
    assert (status, note) == (
        "recorded",
        "its input 'a.csv' can't be compared: .gitattributes make another file of it in the working copy",
    )
    write(root / ".gitattributes", "*.csv text\n")
    commit(root)
    assert named(trace(), "train").status == "stale"


def test_a_link_is_left_open(root: Path, trace: Trace) -> None:
    init(root)
    (root / "a.csv").symlink_to("elsewhere")
    status, note = verdict(root, trace, {}, entry("a.csv", "y"))
    assert status == "recorded"
    assert "in Git as something else" in str(note)


def test_a_file_too_large_to_compare_is_left_open(root: Path, trace: Trace) -> None:
    status, note = verdict(root, trace, {"a.csv": b"x" * (9 << 20)}, entry("a.csv", "y"))
    assert status == "recorded"
    assert "too large" in str(note)


def folder(files: Mapping[str, str], **facts: object) -> dict[str, object]:
    listing = [ListedFile(name, md5(content)) for name, content in files.items()]
    return {"path": "src", "hash": "md5", "md5": listing_md5(listing), "nfiles": len(files), **facts}


def test_a_folder_with_files_that_git_has_not_is_left_open(root: Path, trace: Trace) -> None:
    files = {"src/a.py": "x", "src/b/c.py": "y"}
    same = folder({"a.py": "x", "b/c.py": "y"})
    assert verdict(root, trace, files, same) == ("recorded", None)
    more = folder({"a.py": "x", "b/c.py": "y", "__pycache__/a.pyc": "z"})
    status, note = verdict(root, trace, files, more)
    assert (status, note) == (
        "recorded", "its input 'src' can't be compared: it had other files than Git has (3 of them, and Git has 2)",
    )  # fmt: skip
    less = folder({"a.py": "x"})
    assert verdict(root, trace, files, less)[0] == "stale"
    assert verdict(root, trace, {"src/.dvcignore": "# nothing\n\n"}, less)[0] == "stale"
    status, note = verdict(root, trace, {"src/.dvcignore": "b\n"}, less)
    assert (status, "dvcignore" in str(note)) == ("recorded", True)


def test_what_a_dvcignore_leaves_out_does_not_count(root: Path, trace: Trace) -> None:
    hashes = [ListedFile(name, md5(text)) for name, text in {"a.py": "x", "deep/b.py": "y"}.items()]
    dep = {"path": "src", "hash": "md5", "md5": listing_md5(hashes), "size": 2, "nfiles": 2}
    files = {
        "src/a.py": "x",
        "src/deep/b.py": "y",
        "src/deep/b.tmp": "z",
        "src/cache/c": "z",
        "src/c.log": "z",
    }
    status, note = verdict(root, trace, {**files, ".dvcignore": "# temporary\n*.tmp\n/src/cache/\n"}, dep)
    assert (status, "a .dvcignore says" in str(note)) == ("recorded", True), "c.log is not left out"
    assert verdict(root, trace, {"src/.dvcignore": "*.log\n.dvcignore\n"}, dep) == ("recorded", None)
    # Of the same folder, at a commit that leaves nothing out.
    assert verdict(root, trace, {".dvcignore": "", "src/.dvcignore": ""}, dep)[0] == "stale"


def test_a_file_that_became_a_folder_is_another(root: Path, trace: Trace) -> None:
    status, note = verdict(root, trace, {"a/b": "x"}, entry("a", "x"))
    assert (status, note) == ("stale", "its input 'a' is another than it was: it was a file")


def test_parameters_in_python_are_compared(root: Path, trace: Trace) -> None:
    lock = {"schema": "2.0", "stages": {"train": {
        "cmd": "run", "params": {"p.py": {"lr": 1, "Net.depth": 2}}, "outs": [entry("m.pkl")],
    }}}  # fmt: skip
    plan = "stages: {train: {cmd: run, params: [{p.py: [lr, Net.depth]}], outs: [m.pkl]}}\n"
    files = {"dvc.yaml": plan, "dvc.lock": yaml.safe_dump(lock)}
    project(root, {**files, "p.py": "lr = 1\nclass Net:\n    depth = 2\n"})
    assert (named(trace(), "train").status, named(trace(), "train").note) == ("recorded", None)
    project(root, {"p.py": "lr = 1\nclass Net:\n    depth = 3\n"})
    step = named(trace(), "train")
    assert (step.status, step.note) == ("stale", "'Net.depth' of 'p.py' is 3, and was 2")


def test_parameters_in_odd_python_or_nowhere_are_left_open(root: Path, trace: Trace) -> None:
    lock = {"schema": "2.0", "stages": {"train": {
        "cmd": "run", "params": {"p.py": {"lr": 1}, "gone.yaml": {"x": 1}}, "outs": [entry("m.pkl")],
    }}}  # fmt: skip
    plan = "stages: {train: {cmd: run, params: [{p.py: [lr]}, {gone.yaml: [x]}], outs: [m.pkl]}}\n"
    project(root, {"dvc.yaml": plan, "dvc.lock": yaml.safe_dump(lock), "p.py": "lr = \n"})
    found = trace()
    step = named(found, "train")
    assert step.status == "recorded"
    assert "'p.py' is no Python" in str(step.note)
    assert "the commit does not have it" in str(step.note)
    assert named(found, "p.py").values == {"lr": 1}


def test_parameters_that_a_step_made_come_from_it(root: Path, trace: Trace) -> None:
    lock = {"schema": "2.0", "stages": {
        "tune": {"cmd": "run", "outs": [entry("best.yaml")]},
        "train": {"cmd": "run", "params": {"best.yaml": {"lr": 1}}, "outs": [entry("m.pkl")]},
    }}  # fmt: skip
    plan = "stages: {tune: {cmd: run, outs: [best.yaml]}, train: {cmd: run, params: [{best.yaml: [lr]}], outs: [m.pkl]}}\n"
    project(root, {"dvc.yaml": plan, "dvc.lock": yaml.safe_dump(lock)})
    found = trace()
    assert [node.kind for node in found.upstream("params:dvc.yaml:train:best.yaml")] == ["artifact", "step"]
    assert named(found, "train").status == "recorded"


def test_a_command_that_only_dvc_can_fill_in_is_left_open(root: Path, trace: Trace) -> None:
    project(root, {"train.py": "x\n"}, TRAIN)
    write(root / "dvc.yaml", "stages: {train: {cmd: 'run ${nothing}', deps: [train.py], outs: [m.pkl]}}\n")
    commit(root)
    step = named(trace(), "train")
    assert step.status == "recorded"
    assert "it can't be compared with 'dvc.yaml'" in str(step.note)
    assert sources_of(trace(), "train") == {"train.py"}


def test_metrics_that_cannot_be_read_are_marked(root: Path, trace: Trace) -> None:
    lock = {
        "schema": "2.0",
        "stages": {"train": {"cmd": "run", "outs": [entry("m.json", "{"), entry("m.pkl")]}},
    }
    plan = "stages: {train: {cmd: run, outs: [m.pkl], metrics: [{m.json: {cache: false}}]}}\n"
    project(root, {"dvc.yaml": plan, "dvc.lock": yaml.safe_dump(lock), "m.json": "{"})
    (node,) = trace().metrics
    assert (node.status, node.note) == (
        "unread",
        "'m.json' is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    )


def test_metrics_that_only_dvc_keeps_say_so(root: Path, trace: Trace) -> None:
    lock = {"schema": "2.0", "stages": {"train": {"cmd": "run", "outs": [entry("m.json"), entry("m.pkl")]}}}
    project(
        root,
        {
            "dvc.yaml": "stages: {train: {cmd: run, outs: [m.pkl], metrics: [m.json]}}\n",
            "dvc.lock": yaml.safe_dump(lock),
        },
    )
    (node,) = trace().metrics
    assert (node.values, node.note) == (
        {},
        "DVC keeps its values, and they are not in the cache on this machine",
    )


def test_a_cloud_versioned_folder_is_known_by_its_files(root: Path, trace: Trace) -> None:
    files = [
        {"relpath": "a.csv", "md5": md5("1"), "size": 1},
        {"relpath": "b/c.csv", "md5": md5("2"), "size": 1},
    ]
    whole = listing_md5([ListedFile("a.csv", md5("1")), ListedFile("b/c.csv", md5("2"))])
    part = listing_md5([ListedFile("c.csv", md5("2"))])
    tracked = yaml.safe_dump({"outs": [{"path": "data", "hash": "md5", "files": files}]})
    deps = [
        entry("data", md5=whole),
        entry("data/a.csv", "1"),
        entry("data/b", md5=part),
        entry("data/b/c.csv", "3"),
    ]
    project(root, {"data.dvc": tracked}, {"train": {"deps": deps, "outs": [entry("m.pkl")]}})
    found = trace()
    assert named(found, "train").note == "its input 'data/b/c.csv' is another than it was"
    assert named(found, "data").digest == f"md5:{whole}"
    assert (named(found, "data/a.csv").digest, sources_of(found, "data/a.csv")) == (
        f"md5:{md5('1')}",
        {"data"},
    )


# -- what is listed apart from steps -----------------------------------------------------------------------


def test_what_is_listed_beside_the_model_is_of_its_commit(root: Path, trace: Trace) -> None:
    listed = "artifacts: {m: {path: m.pkl}}\nmetrics: [d/metrics.json]\nparams: [d/params.yaml]\nplots: [d/plots]\n"
    files = {"d/metrics.json": '{"acc": 1}', "d/params.yaml": "lr: 1\n", "d/plots/a.tsv": "1\n", "m.pkl": "x"}
    project(root, {"dvc.yaml": listed, **files})
    found = trace()
    assert (found.metrics[0].values, found.params[0].values) == ({"acc": 1}, {"lr": 1})
    assert list(found.plots[0].values["files"]) == ["a.tsv"]  # type: ignore[arg-type]
    assert sources_of(found, "d/metrics.json") == {found.run.name if found.run else ""}
    assert "d/params.yaml" in {node.name for node in found.upstream(found.subject)}


def test_an_output_that_is_listed_as_metrics_is_one(root: Path, trace: Trace) -> None:
    project(
        root, {"m.json": '{"acc": 1}'}, {"train": {"outs": [entry("m.json", '{"acc": 1}'), entry("m.pkl")]}}
    )
    with (root / "dvc.yaml").open("a") as file:
        file.write("metrics: [m.json, of/another.json]\n")
    commit(root)
    found = trace()
    assert [(node.kind, node.values) for node in found.of_kind("metrics")] == [("metrics", {"acc": 1})]
    assert sources_of(found, "m.json") == {"train"}


# -- what it costs -----------------------------------------------------------------------------------------


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each git that is started."""
    log = write(tmp_path / "calls", "")
    script = write(
        tmp_path / "bin" / "git", f'#!/bin/sh\necho "$@" >> {log}\nexec {shutil.which("git")} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return log


def lend(root: Path) -> None:
    """Put the objects into another folder, where only git looks for them."""
    objects = root / ".git" / "objects"
    objects.rename(root.parent / "lent")
    write(objects / "info" / "alternates", f"{root.parent / 'lent'}\n")


@pytest.mark.parametrize("gits", [0, 1], ids=["none where the objects are small and here", "one elsewhere"])
def test_at_most_one_git_reads_a_whole_lineage(root: Path, calls: Path, tmp_path: Path, gits: int) -> None:
    project(root, {"train.py": "x\n", "a/b/c.txt": "x"}, TRAIN)
    write(root / "dvc.yaml", "vars: [more.yaml]\n" + (root / "dvc.yaml").read_text())
    write(root / "more.yaml", "n: 1\n")
    version = made_at(commit(root))
    if gits:
        lend(root)
    source = Provenance(GitRepo.discover(root), home=tmp_path / "home")
    calls.write_text("")
    assert named(source.of(version, lambda: "m.pkl"), "train").status == "recorded"
    assert len(calls.read_text().splitlines()) == gits


def test_a_git_whose_time_was_up_while_nobody_asked_it_is_started_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rev = project(root, {"m.pkl": "x"})
    lend(root)
    monkeypatch.setattr("modelregistry.git.objects.LOCAL_SECONDS", 0.2)
    repo = GitRepo.discover(root)
    with repo.reading() as read:
        assert read([rev])[0] is not None
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            pass
        assert read([rev])[0] is not None
        while time.monotonic() < until + 0.4:
            pass


def test_one_git_reads_the_lineages_of_many_versions(root: Path, calls: Path, tmp_path: Path) -> None:
    revs = [
        project(root, {"train.py": f"{number}\n"}, {"train": {"outs": [entry("m.pkl", str(number))]}})
        for number in range(5)
    ]
    lend(root)
    repo = GitRepo.discover(root)
    source = Provenance(repo, home=tmp_path / "home")
    calls.write_text("")
    with repo.reading():
        digests = [source.of(made_at(rev), lambda: "m.pkl").subject.digest for rev in revs]
    assert digests == [f"md5:{md5(str(number))}" for number in range(5)]
    assert len(calls.read_text().splitlines()) == 1


def test_what_was_built_before_changes_no_lineage(root: Path, tmp_path: Path) -> None:
    files = {
        "train.py": "x\n",
        "src/a.py": "y\n",
        "data.csv": "1\n",
        "metrics.json": json.dumps({"m" * 3000: 1}),
    }
    deps = [entry("train.py", "x\n", size=2), entry("data.csv", "2\n", size=2), entry("src")]
    project(root, files, {"train": {"deps": deps, "outs": [entry("m.pkl")]}})
    write(
        root / "dvc.yaml",
        (root / "dvc.yaml").read_text() + "metrics: [metrics.json]\nartifacts: {m: {path: m.pkl}}\n",
    )
    first, second = commit(root), project(root, {"other": "x"})
    many = Provenance(GitRepo.discover(root), home=tmp_path / "home")
    many.of(made_at(first), lambda: "m.pkl")
    later = many.of(made_at(second), lambda: "m.pkl")
    for home in ("home", "elsewhere"):
        alone = Provenance(GitRepo.discover(root), home=tmp_path / home)
        assert alone.of(made_at(second), lambda: "m.pkl") == later
    assert (named(later, "train.py").size, named(later, "data.csv").size) == (2, 2)


def test_what_was_parsed_once_is_not_read_again(root: Path, trace: Trace, tmp_path: Path) -> None:
    steps = {f"s{n}": {"outs": [entry(f"x{n}")]} for n in range(1_000)} | TRAIN
    project(root, {"train.py": "x\n"}, steps)
    trace()
    kept = {path.name for path in (tmp_path / "home" / "documents").rglob("*.json")}
    assert {
        f"{git(root, 'rev-parse', f'HEAD:{name}')[2:]}.yaml.json" for name in ("dvc.lock", "dvc.yaml")
    } <= kept
    for path in (tmp_path / "home" / "documents").rglob("*.json"):
        found = json.loads(path.read_text())
        found["document"].get("stages", {}).pop("train", None)
        path.write_text(json.dumps(found))
    assert "train" not in [node.name for node in trace()]


# -- sizes -------------------------------------------------------------------------------------------------


def test_a_chain_of_steps_may_be_long(root: Path, trace: Trace) -> None:
    steps = {
        f"s{n}": {"deps": [entry(f"x{n}")], "outs": [entry(f"x{n + 1}" if n < 2999 else "m.pkl")]}
        for n in range(3000)
    }
    project(root, {}, steps)
    with soon(30):
        found = trace()
    assert len(found.steps) == 3000
    assert found.steps[-1].name == "s0"


def test_a_lineage_is_bounded_and_says_so(root: Path, trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    deps = [entry(f"d{n}") for n in range(50)]
    project(root, {}, {"train": {"deps": deps, "outs": [entry("m.pkl")]}})
    monkeypatch.setattr(lineagedraft, "MOST_NODES", 20)
    found = trace()
    assert len(found) == 21  # and the run
    assert "more than 20 nodes" in found.notes[0]


def test_a_commit_with_too_much_to_read_is_read_in_part(
    root: Path, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MOST_BYTES_IN_ALL", 2000)
    project(
        root,
        {"train.py": "x\n" * 2000},
        {"train": {"deps": [entry("train.py", "x\n" * 2000)], "outs": [entry("m.pkl")]}},
    )
    step = named(trace(), "train")
    assert step.status == "recorded"
    assert "can't be compared" in str(step.note)


def test_a_large_folder_of_code_names_some_of_its_files(root: Path, trace: Trace) -> None:
    files = {f"src/{n % 10}/{n}.py": f"{n}\n" for n in range(5000)}
    listed = {name[4:]: content for name, content in files.items()}
    with soon(60):
        assert verdict(root, trace, files, folder(listed)) == ("recorded", None)
    node = named(trace(), "src")
    assert len(node.values["files"]) == 1000  # type: ignore[arg-type]
    assert node.note == "4,000 more files"


def test_a_tree_without_an_end_is_looked_at_in_part(root: Path, trace: Trace) -> None:
    files = {
        "train.py": "x\n",
        "zz/dvc.yaml": "stages: {make: {cmd: run, outs: [x]}}\n",
        "zz/dvc.lock": yaml.safe_dump(
            {"schema": "2.0", "stages": {"make": {"cmd": "run", "outs": [entry("x")]}}}
        ),
    }
    project(root, files, {"train": {"deps": [entry("zz/x")], "outs": [entry("m.pkl")]}})
    blob = git(root, "rev-parse", "HEAD:train.py")
    tree = git(root, "mktree", stdin="".join(f"100644 blob {blob}\t{n}.dvc\n" for n in range(10)).encode())
    for _ in range(12):
        tree = git(root, "mktree", stdin="".join(f"040000 tree {tree}\t{n}\n" for n in range(10)).encode())
    inside = git(root, "ls-tree", "HEAD").splitlines()
    whole = git(root, "mktree", stdin="\n".join([*inside, f"040000 tree {tree}\tbomb\n"]).encode())
    git(root, "reset", "--quiet", "--soft", git(root, "commit-tree", whole, "-p", "HEAD", "-m", "bomb"))
    with soon(20):
        found = trace()
    # A folder that is too large is no reason to pass by another.
    assert [step.name for step in found.steps] == ["train", "zz/dvc.yaml:make"]
    assert "the commit has more files than were looked at" in found.notes


# -- other repositories ------------------------------------------------------------------------------------


def imported(path: str, url: str, rev: str, *, of: str = "m.pkl") -> str:
    repo = {"url": url, "rev_lock": rev}
    return yaml.safe_dump({"frozen": True, "deps": [{"path": of, "repo": repo}], "outs": [entry(path)]})


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch made'",
        "--upload-pack=touch made",
        "https://u:secret@h/x",
        "ftp://h/x",
        "fd::3",
        "",
        "git://h/x",
    ],
)
def test_a_url_that_could_do_harm_is_not_opened(root: Path, trace: Trace, url: str) -> None:
    project(root, {"m.pkl.dvc": imported("m.pkl", url, "1" * 40)})
    found = trace()
    (node,) = found.of_kind("repository")
    assert node.status == "unreachable"
    assert node.note
    assert "secret" not in json.dumps(found.to_dict())
    assert not list(root.parent.rglob("made"))


@pytest.mark.parametrize("rev", ["main", "HEAD", "1" * 39, "--output=x", "", "1" * 40])
def test_a_commit_that_is_none_is_told(root: Path, trace: Trace, tmp_path: Path, rev: str) -> None:
    other = tmp_path / "other"
    project(other, {"m.pkl": "x"})
    project(root, {"m.pkl.dvc": imported("m.pkl", os.fspath(other), rev)})
    (node,) = trace().of_kind("repository")
    assert node.status == "unreachable"
    assert "commit" in str(node.note)


def test_a_path_that_leads_out_is_told(root: Path, trace: Trace, tmp_path: Path) -> None:
    rev = project(tmp_path / "other", {"m.pkl": "x"})
    project(root, {"m.pkl.dvc": imported("m.pkl", "../other", rev, of="../../etc/passwd")})
    found = trace()
    assert [node.kind for node in found] == ["model", "repository", "run"]
    assert (found.subject.status, "leads out" in str(found.subject.note)) == ("unread", True)
    assert found.of_kind("repository")[0].status == "recorded"


def test_a_path_that_is_not_there_is_told(root: Path, trace: Trace, tmp_path: Path) -> None:
    rev = project(tmp_path / "other", {"m.pkl": "x"})
    project(root, {"m.pkl.dvc": imported("m.pkl", "../other", rev, of="nothing")})
    assert "the commit does not have it" in str(named(trace(), "nothing").note)


def test_repositories_that_import_from_each_other_end(root: Path, trace: Trace, tmp_path: Path) -> None:
    other = tmp_path / "other"
    first = project(root, {"m.pkl": "x"})
    second = project(other, {"m.pkl.dvc": imported("m.pkl", "../project", first)})
    git(root, "rm", "--quiet", "m.pkl")
    third = project(root, {"m.pkl.dvc": imported("m.pkl", "../other", second)})
    project(other, {"m.pkl.dvc": imported("m.pkl", "../project", third)})
    git(root, "rm", "--quiet", "--cached", "m.pkl.dvc")
    project(root, {"m.pkl.dvc": imported("m.pkl", "../other", git(other, "rev-parse", "HEAD"))})
    found = trace()
    assert len(found.of_kind("repository")) == 4
    # The file that it begins with has other bytes than everybody says who imported it.
    assert [node.note for node in found if node.status != "recorded"] == [
        "'m.pkl.dvc' has another digest than 'm.pkl' has in its repository at that commit"
    ]
    # The same place at another commit is another node.
    assert len({node.id for node in found if node.name == "m.pkl"}) == 5


def test_a_chain_that_is_too_long_is_cut(
    root: Path, trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelregistry.lineage.sources.MOST_REPOSITORIES", 2)
    rev = project(tmp_path / "r0", {"m.pkl": "x"})
    for number in range(1, 5):
        rev = project(tmp_path / f"r{number}", {"m.pkl.dvc": imported("m.pkl", f"../r{number - 1}", rev)})
    project(root, {"m.pkl.dvc": imported("m.pkl", "../r4", rev)})
    found = trace()
    assert [node.status for node in found.of_kind("repository")] == ["recorded", "recorded", "unreachable"]
    assert "more than 2 repositories" in str(found.of_kind("repository")[-1].note)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """A repository whose pipeline made ``m.pkl``, its URL, and what was asked of the server."""
    place = tmp_path / "served" / "other"
    project(place, {"train.py": "x\n", "large.bin": b"\0" * 100_000}, TRAIN)
    git(place, "config", "uploadpack.allowFilter", "true")
    git(place, "config", "uploadpack.allowAnySHA1InWant", "true")
    asked: list[str] = []

    def note(request: str) -> int:
        asked.append(request)
        return 0

    with serve(place.parent, refuses=note) as port:
        yield place, f"http://127.0.0.1:{port}/other/.git", asked


def test_a_repository_at_a_url_is_copied_without_contents_and_asked_no_more(
    root: Path, trace: Trace, served: tuple[Path, str, list[str]], tmp_path: Path
) -> None:
    place, url, asked = served
    project(root, {"m.pkl.dvc": imported("m.pkl", url, git(place, "rev-parse", "HEAD"))})
    found = trace()
    assert [node.name for node in found.steps] == ["train"]
    assert found.steps[0].repository == url
    assert found.steps[0].status == "recorded"
    before = len(asked)
    assert before > 1
    assert trace() == found
    assert trace(offline=True) == found
    assert len(asked) == before
    (mirror,) = (tmp_path / "home" / "mirrors").glob("*.git")
    missing = git(mirror, "rev-list", "--objects", "--all", "--missing=print")
    assert f"?{git(place, 'rev-parse', 'HEAD:large.bin')}" in missing.splitlines()


def test_what_was_pushed_since_the_copy_is_fetched(
    root: Path, trace: Trace, served: tuple[Path, str, list[str]]
) -> None:
    place, url, _ = served
    project(root, {"m.pkl.dvc": imported("m.pkl", url, git(place, "rev-parse", "HEAD"))})
    trace()
    later = project(place, {"new.py": "y\n"})
    project(root, {"m.pkl.dvc": imported("m.pkl", url, later)})
    (repository,) = trace().of_kind("repository")
    assert (repository.status, repository.rev) == ("recorded", later)
    # And so is a commit that no branch leads to any more.
    lost = project(place, {"lost.py": "y\n"})
    git(place, "reset", "--quiet", "--hard", "HEAD~1")
    project(root, {"m.pkl.dvc": imported("m.pkl", url, lost)})
    assert trace().of_kind("repository")[0].status == "recorded"


def test_what_cannot_be_reached_is_told_once_and_tried_again_later(
    root: Path, trace: Trace, served: tuple[Path, str, list[str]]
) -> None:
    place, url, asked = served
    rev = git(place, "rev-parse", "HEAD")
    deps = [entry("a"), entry("b")]
    files = {"a.dvc": imported("a", url, rev), "b.dvc": imported("b", url, rev)}
    project(root, files, {"train": {"deps": deps, "outs": [entry("m.pkl")]}})
    found = trace(offline=True)
    (repository,) = found.of_kind("repository")
    assert (repository.status, "no copy" in str(repository.note)) == ("unreachable", True)
    assert asked == []
    assert {node.name for node in found.datasets} == {"a", "b"}
    assert trace().of_kind("repository")[0].status == "recorded"


@pytest.mark.parametrize("lost", ["host", "commit"])
def test_many_versions_wait_for_what_cannot_be_reached_once(
    root: Path,
    served: tuple[Path, str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    fresh_cache: Path,
    lost: str,
) -> None:
    place, url, asked = served
    rev = git(place, "rev-parse", "HEAD") if lost == "host" else "1" * 40
    models = [f"m{number}" for number in range(4)]
    plan = "".join(f"  {model}: {{path: m.pkl, type: model}}\n" for model in models)
    project(root, {"m.pkl.dvc": imported("m.pkl", url, rev), "dvc.yaml": f"artifacts:\n{plan}"})
    for model in models:
        Registry(root, remote=None).register(model, allow_missing=True)
    counts = []
    if lost == "host":
        place.rename(place.with_name("moved"))
    for again_after in (60.0, -1.0):
        monkeypatch.setattr("modelregistry.lineage.sources._AGAIN_AFTER", again_after)
        registry = Registry(root, remote=None)
        asked.clear()
        lineages = [registry.get(model).lineage for model in models]
        assert [each.of_kind("repository")[0].status for each in lineages] == ["unreachable"] * 4
        counts.append(len(asked))
    assert counts[1] >= 2 * counts[0] > 0, "where nothing is remembered, each asks"
    if lost == "host":
        place.with_name("moved").rename(place)
        assert registry.get("m0").lineage.of_kind("repository")[0].status == "recorded"


def test_a_registry_at_a_url_has_lineages_too(
    served: tuple[Path, str, list[str]], fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, url, asked = served
    write(
        place / "dvc.yaml", (place / "dvc.yaml").read_text() + "artifacts: {m: {path: m.pkl, type: model}}\n"
    )
    commit(place)
    Registry(place, remote=None).register("m", allow_missing=True)
    found = Registry(url).get("m").lineage
    assert [node.name for node in found][:3] == ["m.pkl", "train", "train.py"]
    assert found.steps[0].status == "recorded"
    assert [row.version.reference for row in Registry(url).impact("train.py")] == ["m@v0.1.0"]
    before = len(asked)
    assert Registry(url, offline=True).get("m").lineage == found
    assert [row.version.reference for row in Registry(url, offline=True).impact("train.py")] == ["m@v0.1.0"]
    assert len(asked) == before


# -- whatever is in the files ------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["m.pkl", "x", "dir", "dir/x", "../m.pkl", "/abs", "http://h/x", "${item}", "${a.b}", ".", "", "é\u2028"]
)
ENTRIES = st.fixed_dictionaries(
    {"path": WORDS},
    optional={
        "md5": st.sampled_from([MD5, f"{MD5}.dir", "odd"]),
        "hash": st.just("md5"),
        "size": st.integers(-1, 9),
    },
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
)
STEPS = st.fixed_dictionaries(
    {"cmd": st.just("run") | ANY},
    optional={"deps": st.lists(ENTRIES) | ANY, "outs": st.lists(ENTRIES) | ANY, "params": ANY},
)
PLANS = st.fixed_dictionaries(
    {"cmd": st.just("run") | ANY},
    optional={
        "deps": st.lists(WORDS) | ANY, "outs": st.lists(WORDS) | ANY, "metrics": ANY, "plots": ANY, "params": ANY, "wdir": WORDS,
        "vars": ANY, "frozen": ANY,
    },
)  # fmt: skip
GROUPS = st.fixed_dictionaries({"foreach": ANY, "do": PLANS}) | st.fixed_dictionaries(
    {"matrix": ANY, "cmd": ANY}
)
NAMES = st.sampled_from(["a", "b", "a@m.pkl", "a@0"])


@settings(max_examples=60)
@given(
    st.dictionaries(NAMES, STEPS, max_size=3) | ANY,
    st.dictionaries(NAMES, PLANS | GROUPS, max_size=3) | ANY,
    st.dictionaries(st.sampled_from(["vars", "metrics", "plots", "params", "artifacts"]), ANY),
    ANY,
)
def test_whatever_the_files_say_there_is_a_graph_without_circles(
    tmp_path_factory: pytest.TempPathFactory,
    lock: object,
    plan: object,
    more: dict[str, object],
    tracked: object,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    init(folder)
    write(folder / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": lock}, allow_unicode=True))
    write(folder / "dvc.yaml", yaml.safe_dump({"stages": plan, **more}, allow_unicode=True))
    write(
        folder / "dir.dvc", yaml.safe_dump({"outs": [{"path": "dir", "md5": f"{MD5}.dir"}], "deps": tracked})
    )
    rev = commit(folder)
    for path in ("m.pkl", "dir/x"):
        source = Provenance(GitRepo.discover(folder), home=folder / "home", offline=True)
        found = source.of(made_at(rev), lambda path=path: path)
        assert found.subject.name == path
        assert ends(found)
        assert Lineage.from_dict(json.loads(json.dumps(found.to_dict()))) == found
        lineageschema.check(found)


def test_a_commit_that_is_not_there_is_an_error(root: Path, trace: Trace, tmp_path: Path) -> None:
    project(root, {"m.pkl": "x"})
    with pytest.raises(RegistryError):
        Provenance(GitRepo.discover(root), home=tmp_path / "home").of(made_at("1" * 40), lambda: "m.pkl")
