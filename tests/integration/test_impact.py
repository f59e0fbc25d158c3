"""This dataset was poisoned: which models ate it?"""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modelregistry as mr
from modelregistry import Registry
from modelregistry.lineage.lineage import CodeChanges
from modelregistry.lineage.provenance import Provenance
from modelregistry.project.declarations import Declarations
from modelregistry.project.documents import Documents
from tests.integration.projects import commit, dvc, git, init, write

PLAN = """\
stages:
  {name}:
    cmd: {python} -c "import shutil; shutil.copy('{source}', '{name}.bin')"
    deps: [{source}]
    outs: [{name}.bin]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``one`` and ``two`` are made from a.txt, ``three`` from b.txt; then a.txt and ``one`` change."""
    root = init(tmp_path_factory.mktemp("impact") / "project")
    dvc(root, "init", "--quiet")
    plans = [("one", "a.txt"), ("two", "a.txt"), ("three", "b.txt")]
    stages = "".join(
        PLAN.format(name=name, source=source, python=sys.executable).removeprefix("stages:\n")
        for name, source in plans
    )
    artifacts = "".join(f"  {name}: {{path: {name}.bin, type: model}}\n" for name, _ in plans)
    write(root / "dvc.yaml", f"stages:\n{stages}artifacts:\n{artifacts}")
    for text in ("first", "second"):
        write(root / "a.txt", text)
        write(root / "b.txt", "the same")
        dvc(root, "add", "--quiet", "a.txt", "b.txt")
        dvc(root, "repro", "--quiet")
        commit(root, f"With the {text} data")
    registry = Registry(root)
    for rev in ("main~1", "main"):
        for name, _ in plans[: 3 if rev == "main~1" else 2]:
            registry.register(name, rev=rev)
    registry.promote("two", "v0.1.0", "current")
    registry.promote("one", "v0.1.1", "shadow")
    return root


def md5(root: Path, rev: str) -> str:
    (line,) = [line for line in git(root, "show", f"{rev}:a.txt.dvc").splitlines() if "md5:" in line]
    return "md5:" + line.rpartition(" ")[2]


def found(registry: Registry, what: str, **options: object) -> list[str]:
    return [row.version.reference for row in registry.impact(what, **options)]  # type: ignore[arg-type]


def test_every_version_that_ate_these_bytes_is_found_the_ones_in_use_first(built: Path) -> None:
    registry = Registry(built)
    assert found(registry, md5(built, "main~1")) == ["two@v0.1.0", "one@v0.1.0"]
    assert found(registry, md5(built, "main")) == ["one@v0.1.1", "two@v0.1.1"]
    assert found(registry, "a.txt") == ["one@v0.1.1", "two@v0.1.0", "one@v0.1.0", "two@v0.1.1"]
    assert found(registry, "b.txt") == ["three@v0.1.0"]
    (row,) = registry.impact("b.txt")
    assert [node.kind for node in row.nodes] == ["dataset"]
    assert os.fspath(built) in row.registry
    assert "three@v0.1.0" in str(registry.impact("b.txt"))
    assert found(registry, "c.txt") == []


def test_a_version_is_found_exactly_where_its_lineage_holds_it(built: Path) -> None:
    registry = Registry(built)
    versions = [version for row in registry.models() for version in registry.versions(row.name)]
    everything = {
        what
        for version in versions
        for node in version.lineage
        for what in (node.digest, node.path, node.id)
        if what
    }

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.sampled_from(sorted(everything | {"nothing"})))
    def check(what: str) -> None:
        assert set(found(registry, what)) == {v.reference for v in versions if v.lineage.find(what)}

    check()


def test_several_registries_are_looked_through(built: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(built, "clone", "--quiet", os.fspath(built), os.fspath(other))
    rows = Registry(built).impact("b.txt", registries=[Registry(other, remote=None)])
    assert sorted(row.registry for row in rows) == sorted([os.fspath(built), os.fspath(other)])


def test_a_withdrawn_version_is_found_last(built: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(built, "clone", "--quiet", os.fspath(built), os.fspath(other))
    registry = Registry(other, remote=None)
    registry.withdraw("two", "v0.1.0", then=mr.EMPTY)
    assert found(registry, "a.txt")[-1] == "two@v0.1.0"


def test_a_file_in_a_folder_that_dvc_tracks_is_found_by_its_md5_where_the_folder_is_listed(
    tmp_path: Path,
) -> None:
    root = init(tmp_path / "project")
    dvc(root, "init", "--quiet")
    plan = PLAN.format(name="seen", source="photos", python=sys.executable).replace("copy(", "copytree(")
    write(root / "dvc.yaml", f"{plan}artifacts:\n  seen: {{path: seen.bin, type: model}}\n")
    for number, text in enumerate(("bad", "good")):
        write(root / "photos" / "a.png", text)
        write(root / "photos" / "b" / "c.png", "always")
        dvc(root, "add", "--quiet", "photos")
        dvc(root, "repro", "--quiet")
        commit(root)
        Registry(root).register("seen", version=f"v0.{number}.0")
    registry = Registry(root)
    bad, good, always = (
        f"md5:{hashlib.md5(text, usedforsecurity=False).hexdigest()}" for text in (b"bad", b"good", b"always")
    )
    assert found(registry, bad) == ["seen@v0.0.0"]
    assert found(registry, good) == ["seen@v0.1.0"]
    assert found(registry, always) == ["seen@v0.1.0", "seen@v0.0.0"]
    assert found(registry, f"md5:{'0' * 32}") == []
    (row,) = registry.impact(bad)
    assert "photos" in [node.path for node in row.nodes]
    other = tmp_path / "clone"
    git(root, "clone", "--quiet", os.fspath(root), os.fspath(other))
    with pytest.warns(mr.RegistryWarning, match=r"2 folders could not be looked into.*'dvc fetch'") as caught:
        assert found(Registry(other, remote=None), bad) == []
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(found(Registry(other, remote=None), "photos/a.png")) == 2, "a path needs no list"


def test_a_question_about_nothing_is_refused(built: Path) -> None:
    with pytest.raises(mr.InvalidInputError, match="impact of what"):
        Registry(built).impact("")


def test_two_versions_differ_by_their_data_and_what_came_of_it(built: Path) -> None:
    registry = Registry(built)
    old, new = (registry.get(f"one@{name}").lineage for name in ("v0.1.0", "v0.1.1"))
    difference = old.diff(new)
    assert {after.name for _, after in difference.changed} >= {"one.bin", "a.txt"}
    assert [commit.partition(" ")[2] for commit in difference.code.commits] == ["With the second data"]
    assert not old.diff(old)


def test_two_versions_of_two_repositories_have_no_commits_between(built: Path, tmp_path: Path) -> None:
    other = init(tmp_path / "other")
    write(other / "dvc.yaml", "artifacts:\n  one: {path: one.bin, type: model}\n")
    write(other / "one.bin", "elsewhere")
    commit(other)
    old = Registry(built).get("one@v0.1.0").lineage
    new = Registry(other, remote=None).register("one").lineage
    for difference in (old.diff(new), new.diff(old)):
        assert difference
        assert difference.code == CodeChanges()
        assert difference.to_dict()["code"] == {"files": (), "commits": ()}


def test_no_version_differs_from_itself_and_each_difference_is_the_other_way_round(built: Path) -> None:
    registry = Registry(built)
    lineages = [version.lineage for row in registry.models() for version in registry.versions(row.name)]
    assert len(lineages) == 5
    for one, other in itertools.product(lineages, lineages):
        there, back = one.diff(other), other.diff(one)
        assert bool(there) == (one is not other)
        assert set(there.added) == set(back.removed)
        assert {(a, b) for a, b in there.changed} == {(b, a) for a, b in back.changed}
        for mine, theirs in ((there.params, back.params), (there.metrics, back.metrics)):
            assert {(each.key, each.before, each.after) for each in mine} == {
                (each.key, each.after, each.before) for each in theirs
            }
        assert {each.path for each in there.code.files} == {each.path for each in back.code.files}
        assert [(each.added, each.removed) for each in there.code.files] == [
            (each.removed, each.added) for each in back.code.files
        ]


def test_asked_again_nothing_is_read_but_what_is_new(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    git(built, "clone", "--quiet", os.fspath(built), os.fspath(other))
    registry = Registry(other, remote=None)
    before = found(registry, "a.txt")
    with monkeypatch.context() as patch:
        patch.setattr(Provenance, "_build", lambda *_: pytest.fail("a lineage was built"))
        patch.setattr(Declarations, "_at", lambda *_: pytest.fail("a declaration was read"))
        assert found(registry, "a.txt") == before
        assert found(registry, "b.txt") == ["three@v0.1.0"]
    Registry(other, remote=None).register("three", rev="main", version="v9.0.0", allow_missing=True)
    assert found(registry, "b.txt") == ["three@v9.0.0", "three@v0.1.0"]


def test_each_distinct_file_is_parsed_once_for_all_versions(
    built: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    real = Documents.parsed

    def parse(self: Documents, oid: str, path: str, data: bytes) -> object:
        parsed.append((oid, path))
        return real(self, oid, path, data)

    monkeypatch.setattr(Documents, "parsed", parse)
    assert len(found(Registry(built), "a.txt")) == 4
    assert len(parsed) == len(set(parsed))
    assert [path for _, path in parsed].count("dvc.lock") == 2
