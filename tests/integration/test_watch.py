"""A Registry that is kept sees at once what any other process wrote, and asks Git nothing while nothing was."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelregistry import Registry
from tests.integration.projects import TOP, commit, git, gto, init, run, write

MODELS = ["churn", "team/eu/churn", "sub/dir:churn"]
STAGES = ["current", "eu/prod", "eu/west/prod"]
OURS = """\
import sys
from modelregistry import Registry
Registry(sys.argv[1]).promote(sys.argv[2], sys.argv[3], sys.argv[4])
"""


@contextmanager
def counted(trace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """How many times git was started, as git itself says."""

    def count() -> int:
        lines = trace.read_text().splitlines() if trace.exists() else []
        return sum(json.loads(line)["event"] == "start" for line in lines)

    with monkeypatch.context() as patch:
        patch.setenv("GIT_TRACE2_EVENT", os.fspath(trace))
        yield count


@pytest.fixture
def kept(tmp_path: Path) -> Registry:
    """The registry of three models with two versions each; slashes in their names and in the stages."""
    root = init(tmp_path / "kept")
    for number in range(2):
        write(root / "a.json", str(number))
        write(root / "dvc.yaml", "artifacts:\n  churn: {path: a.json}\n  team/eu/churn: {path: a.json}\n")
        write(root / "sub" / "dir" / "dvc.yaml", "artifacts:\n  churn: {path: ../../a.json}\n")
        write(root / ".modelregistry.toml", "[stages]\n" + "".join(f"'{stage}' = {{}}\n" for stage in STAGES))
        commit(root)
    registry = Registry(root)
    for model in MODELS:
        registry.register(model, rev="main~1")
        registry.register(model)
    return registry


def settle(registry: Registry, model: str, count: Callable[[], int]) -> int:
    """Read until it is answered from memory; returns how many times git was started so far."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        before = count()
        registry.versions(model)
        if count() == before:
            return before
    raise AssertionError("never answered from memory")


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_asked_of_git_while_nothing_is_written(
    model: str, kept: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.promote(model, "v0.1.1", "eu/prod")
    with counted(tmp_path / "trace", monkeypatch) as count:
        kept.models()
        assert count() > 0  # it does count
        before = settle(kept, model, count)
        for _ in range(50):
            kept.get(model)
            kept.get(model, stage="eu/prod")
            kept.versions(model)
            kept.history(model)
        assert count() == before


def test_a_write_to_another_model_does_not_make_this_one_wrong(
    kept: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted(tmp_path / "trace", monkeypatch) as count:
        settle(kept, "sub/dir:churn", count)
        Registry(tmp_path / "kept").promote("team/eu/churn", "v0.1.0", "current")
        assert [row.state for row in kept.versions("sub/dir:churn")] == ["inactive", "inactive"]
        assert kept.get("team/eu/churn#current").version == "v0.1.0"


@pytest.mark.parametrize("writer", ["ours", "gto", "git"])
def test_what_another_process_wrote_is_seen_at_once(writer: str, kept: Registry, tmp_path: Path) -> None:
    root = tmp_path / "kept"
    places = [(model, stage) for model in MODELS[:2] for stage in STAGES]
    for step, (model, stage) in enumerate(places if writer == "git" else places[1::3]):
        for turn in range(2):
            version = f"v0.1.{turn}"
            if writer == "ours":
                run(root, sys.executable, "-c", OURS, ".", model, version, stage, PYTHONPATH=os.fspath(TOP))
            elif writer == "gto":
                gto(root, "assign", model, "--version", version, "--stage", stage)
            else:
                when = f"{2_000_000_000 + 10 * step + turn} +0000"
                name, rev = f"{model}#{stage}#{turn + 1}", f"{model}@{version}^{{}}"
                git(root, "tag", "-a", "-m", "x", name, rev, GIT_COMMITTER_DATE=when)
            assert kept.get(model, stage=stage).version == version, (model, stage)
        if step % 2:
            git(root, "pack-refs", "--all")
            assert kept.get(model, stage=stage).version == version


@pytest.mark.parametrize("model", MODELS)
def test_no_write_is_missed_however_fast_writes_and_reads_follow_each_other(
    model: str, kept: Registry, tmp_path: Path
) -> None:
    """Many references within one tick of the file system's clock, packed now and then, read after each."""
    root = tmp_path / "kept"
    prefix = model.replace(":", "=")
    oids = []
    for number in range(1, 61):
        rev = (
            git(root, "rev-parse", f"{prefix}@v0.1.{number % 2}^{{}}") if number < 3 else oids[number % 2][0]
        )
        if number < 3:
            oids.append((rev,)) if number == 2 else oids.insert(0, (rev,))
        stage = STAGES[number % 3]
        name = f"{prefix}#{stage}#{number}"
        text = (
            f"object {rev}\ntype commit\ntag {name}\ntagger Bob <b@e> {2_000_000_000 + number} +0000\n\nx\n"
        )
        oid = git(root, "hash-object", "-t", "tag", "-w", "--stdin", stdin=text.encode())
        write(root / ".git" / "refs" / "tags" / name, oid + "\n")  # faster than git can be started
        expected = {row.rev: row.version for row in kept.versions(model)}[rev]
        assert kept.get(model, stage=stage).version == expected, number
        if number % 7 == 0:
            git(root, "pack-refs", "--all", "--prune")
            assert kept.get(model, stage=stage).version == expected, number


def test_a_tag_that_is_deleted_or_moved_by_hand_is_seen(kept: Registry, tmp_path: Path) -> None:
    root = tmp_path / "kept"
    kept.promote("churn", "v0.1.0", "eu/prod")
    kept.promote("churn", "v0.1.1", "eu/prod")
    for packed in (False, True):
        if packed:
            kept.promote("churn", "v0.1.1", "eu/prod")
            git(root, "pack-refs", "--all")
        assert kept.get("churn#eu/prod").version == "v0.1.1"
        git(root, "tag", "-d", "churn#eu/prod#2")
        assert kept.get("churn#eu/prod").version == "v0.1.0"


def test_a_model_that_was_not_there_is_seen_when_it_comes(kept: Registry, tmp_path: Path) -> None:
    root = tmp_path / "kept"
    write(root / "dvc.yaml", (root / "dvc.yaml").read_text() + "  far/away/new: {path: a.json}\n")
    commit(root)
    time.sleep(0.1)
    assert "far/away/new" not in {event.model for event in kept.events()}
    Registry(root).register("far/away/new")
    assert kept.get("far/away/new").version == "v0.1.0"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("where", ["on a branch", "detached", "of a clone"])
def test_stages_that_were_committed_since_are_known(
    where: str, packed: bool, kept: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "kept"
    if where == "of a clone":
        git(tmp_path, "clone", "--quiet", os.fspath(root), "clone")
        root = tmp_path / "clone"
        git(root, "config", "user.name", "Ann")
        git(root, "config", "user.email", "a@e")
    elif where == "detached":
        git(root, "checkout", "--quiet", "--detach")
    if packed:
        git(root, "pack-refs", "--all")
    registry = Registry(root)
    with counted(tmp_path / "trace", monkeypatch) as count:
        settle(registry, "churn", count)
    write(root / ".modelregistry.toml", "[stages]\nfresh = {}\n")
    commit(root)
    assert registry.promote("churn", "v0.1.0", "fresh").stages == ("fresh",)
    assert registry.get("churn#fresh").version == "v0.1.0"


def test_stages_are_those_of_the_branch_that_is_checked_out_now(
    kept: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "kept"
    git(root, "branch", "side")
    write(root / ".modelregistry.toml", "[stages]\nfresh = {}\n")
    commit(root)
    assert kept.promote("churn", "v0.1.0", "fresh").stages == ("fresh",)
    git(root, "checkout", "--quiet", "side")
    assert kept.promote("churn", "v0.1.0", "eu/prod").stages[0] == "eu/prod"


def test_two_kept_registries_that_write_by_turns_see_each_other(kept: Registry, tmp_path: Path) -> None:
    other = Registry(tmp_path / "kept")
    for turn in range(12):
        writer, reader = (kept, other) if turn % 2 else (other, kept)
        version = f"v0.1.{turn % 2}"
        writer.promote("churn", version, "current")
        assert reader.get("churn#current").version == writer.get("churn#current").version == version


def test_a_list_shows_what_was_written_since_this_user_last_looked(plain: Path, registry: Registry) -> None:
    """What a list remembers on disk counts only for the log it was folded from."""

    def listed() -> dict[str, object]:
        return {
            row.name: (row.latest, dict(row.stages))
            for row in Registry(plain).models(type=None)
            if row.registered
        }

    assert listed() == {"churn": ("v0.1.1", {"current": ("v0.1.0",)})}
    registry.promote("churn", "v0.1.1", "current")
    registry.register("risk")
    assert listed() == {"churn": ("v0.1.1", {"current": ("v0.1.1",)}), "risk": ("v0.1.0", {})}
    write(plain / ".modelregistry.toml", "[stages]\ncurrent = {exclusive = false}\n")
    commit(plain)
    assert listed()["churn"] == ("v0.1.1", {"current": ("v0.1.1", "v0.1.0")})
    git(plain, "tag", "--delete", "risk@v0.1.0")
    assert listed().keys() == {"churn"}
    assert {row.name: row.latest for row in registry.models(type=None) if row.registered} == {
        "churn": "v0.1.1"
    }
