"""Models brought in from the repositories that make them, held against what DVC itself makes and says of that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.callbacks import Callback

import modelregistry as mr
from modelregistry import Import, Registry
from modelregistry.trust.trust import Ledger
from tests.integration.makers import World, build, copy_of, hub_of, killed, known_to_git, seen, use_s3
from tests.integration.pipelines import dvcs
from tests.integration.projects import TOP, commit, git, init, write
from tests.integration.remotes import Files, make_project, noise, object_name, objects_of
from tests.s3 import S3


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("makers")
    build(top)
    return top


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    return copy_of(made, tmp_path / "world")


def status_of(root: Path) -> dict[str, object]:
    """What real DVC says of each import and its source, and of everything else."""
    code = (
        "import json\nfrom dvc.repo import Repo\nwith Repo('.') as repo:\n    print(json.dumps([repo.status(), "
        "repo.status(check_updates=True)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True)
    here, there = json.loads(done.stdout.decode().splitlines()[-1])
    return {"here": here, "updates": there}


UP_TO_DATE: dict[str, object] = {"here": {}, "updates": {}}


# -- what is made ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def dvc_made(made: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The team's project, where real DVC imported."""
    to = tmp_path_factory.mktemp("dvc") / "world"
    world = copy_of(made, to)
    (world.team / "models").mkdir()
    maker = os.fspath(made / "world" / "maker")
    with known_to_git(to.parent):
        dvcs(
            world.team,
            [
                "import",
                "--quiet",
                "--rev",
                "churn@v0.1.0",
                maker,
                "models/churn.txt",
                "-o",
                "models/churn.txt",
            ],
            ["import", "--quiet", maker, "bundle", "-o", "models/pack"],
            ["import", "--quiet", "--rev", "main", maker, "plain/rules.json", "-o", "models/rules.json"],
            ["import", "--quiet", maker, "plain/deep", "-o", "models/deep"],
            ["import", "--quiet", maker, "sub/risk.bin", "-o", "models/risk.bin"],
        )
    return world


def test_what_is_written_is_what_dvc_import_writes(made: Path, dvc_made: World, world: World) -> None:
    maker = made / "world" / "maker"
    world.registry.import_models(
        [
            Import(maker, "churn#current"),
            Import(maker, "bundle"),
            Import(maker, "plain/rules.json", rev="main"),
            Import(maker, "/plain/deep/"),
            Import(maker, "sub/risk.bin"),
        ]
    )
    names = ["churn.txt", "pack", "rules.json", "deep", "risk.bin"]
    for name in names:
        ours, theirs = ((each.team / "models" / f"{name}.dvc").read_text() for each in (world, dvc_made))
        assert ours.partition("meta:")[0] == theirs, name
    ours, theirs = ((each.team / "models" / ".gitignore").read_text() for each in (world, dvc_made))
    assert sorted(ours.split()) == sorted(theirs.split())
    for name in names:
        here, there = world.team / "models" / name, dvc_made.team / "models" / name
        inside = (
            [""] if here.is_file() else [path.relative_to(here) for path in here.rglob("*") if path.is_file()]
        )
        assert all((here / path).read_bytes() == (there / path).read_bytes() for path in inside)


def test_dvc_finds_it_up_to_date_and_updates_it(world: World) -> None:
    world.registry.import_models([Import(world.maker, "churn#current"), Import(world.maker, "nlp:intent")])
    assert status_of(world.team) == UP_TO_DATE
    before = git(world.team, "rev-parse", "HEAD:")
    dvcs(world.team, ["update", "--quiet", "models/churn.txt.dvc"])
    assert git(world.team, "status", "--short") == ""
    write(world.maker / "nlp" / "intent.bin", b"intent 2")
    dvcs(world.maker, ["add", "--quiet", "nlp/intent.bin"], ["push", "--quiet"])
    commit(world.maker)
    dvcs(world.team, ["update", "--quiet", "models/intent.bin.dvc"])
    assert (world.team / "models" / "intent.bin").read_bytes() == b"intent 2"
    assert "model: nlp:intent" in (world.team / "models" / "intent.bin.dvc").read_text()
    assert git(world.team, "rev-parse", "HEAD:") == before
    commit(world.team, "dvc update")
    found = world.registry.update_import("intent")
    assert (found.updated, found.version.version) == (True, "v0.1.1")
    assert not world.registry.update_import("intent")


def test_it_is_there_for_all_when_the_source_is_gone(world: World, fresh_cache: Path) -> None:
    hub = hub_of(world.team)
    world.registry.import_model(world.maker, "churn#current", message="for the campaign")
    git(world.team, "push", "--quiet", "origin", "main")
    for name in ("clone", "other"):
        git(world.top, "clone", "--quiet", os.fspath(hub), os.fspath(world.top / name))
    dvcs(world.top / "clone", ["pull", "--quiet"])  # which goes to the source, as of everything it imported
    assert (world.top / "clone" / "models" / "churn.txt").read_text() == "one\n"
    world.maker.rename(world.top / "moved")
    shutil.rmtree(world.top / "storage")
    shutil.rmtree(fresh_cache)
    found = Registry(hub.as_uri()).get("churn")
    assert found.message == "for the campaign"
    assert found.local_path().read_text() == "one\n"
    shutil.rmtree(fresh_cache)
    assert Registry(world.top / "other").get("churn").local_path().read_text() == "one\n"


def test_one_commit_has_what_it_needs_and_nothing_else(world: World) -> None:
    root = world.team
    write(root / "edited.txt", "1")
    write(root / "staged.txt", "1")
    commit(root)
    write(root / "edited.txt", "2")
    write(root / "staged.txt", "2")
    git(root, "add", "staged.txt")
    write(root / "new.txt", "")
    head = git(root, "rev-parse", "HEAD")
    found = world.registry.import_model(world.maker, "churn#current", message="why")
    assert git(root, "rev-parse", "HEAD~1") == head
    assert git(root, "diff", "--name-only", "HEAD~1", "HEAD").split() == [
        "dvc.yaml", "models/.gitignore", "models/churn.txt.dvc",
    ]  # fmt: skip
    assert git(root, "status", "--short").split("\n") == ["M edited.txt", "M  staged.txt", "?? new.txt"]
    assert git(root, "log", "-1", "--format=%B") == f"Import churn from {world.maker}\n\nwhy"
    assert [(event.kind, event.message) for event in world.registry.history("churn")] == [("register", "why")]
    assert found.rev == git(root, "rev-parse", "HEAD")


def test_the_registration_says_where_it_is_from_and_the_declaration_what_it_is(world: World) -> None:
    source = Registry(world.maker).get("churn#current")
    found = world.registry.import_model(
        world.maker, "churn", reference="#current", as_name="leavers", metadata={"owner": "risk"}
    )
    assert found.metadata["origin"] == {
        "url": os.fspath(world.maker), "model": "churn", "version": "v0.1.0", "reference": "churn#current",
        "rev": "churn@v0.1.0", "rev_lock": source.rev, "path": "models/churn.txt", "digest": source.digest,
        "registry": source.registered.registry, "event": source.registered.id, "head": source.head,
        "created_at": source.created_at.isoformat(),
    }  # fmt: skip
    assert found.metadata["owner"] == "risk"
    assert (found.name, found.path, found.digest) == ("leavers", "models/leavers.txt", source.digest)
    assert (found.type, found.description, found.labels) == ("model", "who leaves", ("tabular",))
    assert found.load() == found.local_path()


def test_its_lineage_goes_on_in_the_source(world: World) -> None:
    found = world.registry.import_model(world.url, "churn#current").lineage
    assert [node.name for node in found.steps] == ["train"]
    assert [(node.path, node.version) for node in found.of_kind("model")] == [
        ("models/churn.txt", "churn@v0.1.0"), ("models/churn.txt", "churn@v0.1.0"),
    ]  # fmt: skip
    assert "data.csv" in {node.path for node in found}
    assert all(node.status == "recorded" for node in found)
    assert len(world.registry.impact("data.csv")) == 1


@pytest.mark.parametrize(
    ("wish", "name", "path", "data"),
    [
        ({"name_or_path": "churn@v0.1.0"}, "churn", "models/churn.txt", b"one\n"),
        ({"name_or_path": "churn@latest"}, "churn", "models/churn.txt", b"two\n"),
        ({"reference": "churn#current"}, "churn", "models/churn.txt", b"one\n"),
        ({"name_or_path": "churn"}, "churn", "models/churn.txt", b"two\n"),
        ({"name_or_path": "churn", "rev": "main~1"}, "churn", "models/churn.txt", b"one\n"),
        ({"name_or_path": "models/churn.txt"}, "churn", "models/churn.txt", b"two\n"),
        ({"name_or_path": "nlp:intent"}, "intent", "models/intent.bin", b"intent"),
        ({"name_or_path": "nlp:intent", "as_name": "nlp:mine"}, "nlp:mine", "nlp/models/mine.bin", b"intent"),
        ({"name_or_path": "bundle/deep/b.bin", "path": "x/y.bin"}, "b", "x/y.bin", b"\0b"),
        ({"name_or_path": "sub/risk.bin", "as_name": "risk"}, "risk", "models/risk.bin", b"risk"),
        ({"name_or_path": "plain/rules.json"}, "rules", "models/rules.json", b'{"rule": 1}'),
    ],
)
def test_what_is_asked_for_is_brought(
    wish: dict[str, str], name: str, path: str, data: bytes, world: World
) -> None:
    found = world.registry.import_model(world.maker, **wish)  # type: ignore[arg-type]
    assert (found.name, found.version, found.path) == (name, "v0.1.0", path)
    assert found.local_path().read_bytes() == data
    assert (world.team / path).read_bytes() == data


def test_bytes_come_from_s3_and_go_to_s3(
    s3_server: S3, environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_cache: Path
) -> None:
    use_s3(s3_server, environment, monkeypatch)
    for bucket in ("made-here", "kept-here"):
        s3_server.client.create_bucket(Bucket=bucket)
    models: dict[str, bytes | Files] = {"net.bin": noise(9 << 20), "pack": {"a": b"1", "deep/b": noise(1000)}}
    maker = make_project(tmp_path / "maker", {"url": "s3://made-here/dvc"}, models)
    s3_server.put("made-here", {f"dvc/{name}": data for name, data in objects_of(models.values()).items()})
    team = make_project(tmp_path / "team", {"url": "s3://kept-here/dvc"}, {})
    found = Registry(team).import_models([Import(maker.as_uri(), "net"), Import(maker.as_uri(), "pack")])
    there = s3_server.client.list_objects_v2(Bucket="kept-here")["Contents"]
    assert {each["Key"] for each in there} == {f"dvc/{name}" for name in objects_of(models.values())}
    shutil.rmtree(maker)
    shutil.rmtree(fresh_cache)
    shutil.rmtree(team / ".dvc" / "cache")
    net, pack = (each.local_path() for each in found)
    assert net.read_bytes() == models["net.bin"]
    assert (pack / "deep" / "b").read_bytes() == noise(1000)


def test_what_others_may_write_to_is_copied(world: World) -> None:
    found = world.registry.import_model(world.maker, "churn")
    mine, theirs = (root / ".dvc" / "cache" / object_name(b"two\n") for root in (world.team, world.maker))
    assert not mine.samefile(theirs)
    theirs.chmod(0o644)
    theirs.write_bytes(b"changed")
    assert mine.read_bytes() == found.local_path(verify="always").read_bytes() == b"two\n"


def test_imported_bytes_were_not_made_here(world: World) -> None:
    found = world.registry.import_model(world.maker, "churn")
    assert found.digest is not None
    assert found.digest not in Ledger()


def test_a_dry_run_says_what_would_be_and_changes_nothing(world: World) -> None:
    before = seen(world.team)
    found = world.registry.import_model(world.maker, "churn#current", dry_run=True)
    assert (found.reference, found.digest) == (
        "churn@v0.1.0",
        Registry(world.maker).get("churn#current").digest,
    )
    assert seen(world.team) == before


def test_what_the_team_wants_of_metadata_is_asked_before_anything_is_committed(
    world: World, tmp_path: Path
) -> None:
    write(world.team / "schema.json", json.dumps({"type": "object", "required": ["owner"]}))
    write(world.team / ".modelregistry.toml", '[metadata]\nversion = "schema.json"\n')
    commit(world.team)
    before = seen(world.team)
    file = write(tmp_path / "net.bin", b"weights")
    with pytest.raises(mr.InvalidInputError, match="owner"):
        world.registry.import_model(world.maker, "churn")
    with pytest.raises(mr.InvalidInputError, match="owner"):
        world.registry.track(file, "net")
    assert seen(world.team) == before
    said = {"owner": "risk"}
    world.registry.import_models([Import(world.maker, "churn#current", metadata=said)])
    assert world.registry.track(file, "net", metadata=said).metadata["owner"] == "risk"
    with pytest.raises(mr.InvalidInputError, match="owner"):
        world.registry.update_import("churn", reference="churn@v0.2.0")
    found = world.registry.update_import("churn", reference="churn@v0.2.0", metadata=said)
    assert (found.version.reference, found.version.metadata["owner"]) == ("churn@v0.1.1", "risk")


def test_a_license_may_be_said_of_what_is_imported(world: World) -> None:
    found = world.registry.import_model(world.maker, "churn#current", metadata={"license": "mit"})
    assert found.metadata["license"] == "mit"
    with pytest.raises(mr.InvalidInputError, match="origin"):
        world.registry.import_model(world.maker, "nlp:intent", metadata={"origin": "elsewhere"})


# -- updates -----------------------------------------------------------------------------------------------


def test_a_reference_is_asked_again(world: World) -> None:
    registry, made = world.registry, Registry(world.maker)
    registry.import_model(world.maker, "churn#current")
    old = made.get("churn#current").source_rev
    world.retrain("three\n")
    still = registry.update_import("churn")
    assert (still.updated, bool(still), still.version.version, still.old, still.new) == (
        False,
        False,
        "v0.1.0",
        old,
        old,
    )
    made.promote("churn", "v0.2.0", "current")
    found = registry.update_import("churn", message="better")
    new = made.get("churn#current").source_rev
    assert (found.updated, found.version.version, found.old, found.new) == (True, "v0.1.1", old, new)
    assert found.version.metadata["origin"]["version"] == "v0.2.0"  # type: ignore[index, call-overload]
    assert (world.team / "models" / "churn.txt").read_text() == "two\n"
    assert git(world.team, "diff", "--name-only", "HEAD~1", "HEAD") == "models/churn.txt.dvc"
    assert status_of(world.team) == UP_TO_DATE


def test_the_head_and_a_branch_are_followed_and_a_commit_stays(world: World) -> None:
    registry = world.registry
    first = git(world.maker, "rev-parse", "HEAD")
    registry.import_models(
        [
            Import(world.url, "churn"),
            Import(world.url, "models/churn.txt", as_name="by-path"),
            Import(world.url, "churn", rev="main", as_name="branch"),
            Import(world.url, "churn", rev=first, as_name="fixed"),
        ]
    )
    new = world.retrain("three\n")
    for model in ("churn", "by-path", "branch"):
        found = registry.update_import(model)
        assert (found.updated, found.old, found.new, found.version.version) == (True, first, new, "v0.1.1"), (
            model
        )
        assert found.version.local_path().read_text() == "three\n"
    assert not registry.update_import("fixed")
    assert registry.update_import("fixed", rev="main", bump="major").version.version == "v1.0.0"
    assert registry.update_import("churn", reference="#current").version.local_path().read_text() == "one\n"
    assert registry.update_import("churn").updated is False


def test_a_source_that_moved_is_told_with_how_to_go_on(world: World) -> None:
    registry = world.registry
    registry.import_model(world.maker, "models/churn.txt", as_name="churn")
    world.maker.rename(world.top / "moved")
    with pytest.raises(mr.RepositoryNotFoundError, match=r"update_import\('churn', url=…\)") as caught:
        registry.update_import("churn")
    assert "git init" not in str(caught.value)
    rehearsed = seen(world.team)
    assert not registry.update_import("churn", url=world.top / "moved", dry_run=True)
    assert seen(world.team) == rehearsed
    assert not registry.update_import("churn", url=world.top / "moved"), "the bytes are the same"
    assert (
        git(world.team, "diff-tree", "-r", "--name-only", "--no-commit-id", "HEAD") == "models/churn.txt.dvc"
    )
    assert f"url: {world.top / 'moved'}" in (world.team / "models" / "churn.txt.dvc").read_text()
    before = seen(world.team)
    assert not registry.update_import("churn")
    assert seen(world.team) == before, "it is asked where it is now"
    assert status_of(world.team) == UP_TO_DATE


def test_a_source_that_moved_brings_what_it_has_now(world: World) -> None:
    registry = world.registry
    registry.import_model(world.maker, "churn#current")
    world.retrain("three\n")
    made = Registry(world.maker)
    made.register("churn")
    made.promote("churn", "v0.2.1", "current")
    moved = world.maker.rename(world.top / "moved")
    found = registry.update_import("churn", url=moved.as_uri(), bump="major")
    assert (found.updated, found.version.version) == (True, "v1.0.0")
    assert found.version.local_path().read_text() == "three\n"
    origin = found.version.metadata["origin"]
    assert isinstance(origin, dict)
    assert (origin["url"], origin["version"]) == (moved.as_uri(), "v0.2.1")
    assert not registry.update_import("churn")


def test_another_project_than_the_one_that_moved_is_warned_of_and_a_place_with_none_refused(
    world: World,
) -> None:
    registry = world.registry
    registry.import_model(world.maker, "plain/rules.json")
    other = init(world.top / "other")
    write(other / "plain" / "rules.json", '{"rule": 2}')
    commit(other, "Another")
    with pytest.warns(mr.RegistryWarning, match="another project"):
        assert registry.update_import("rules", url=other)
    before = seen(world.team)
    for url in (world.top / "nowhere", "ext::sh -c id", "https://user:secret@example.org/x.git"):
        with pytest.raises(mr.RegistryError):
            registry.update_import("rules", url=url)
    assert seen(world.team) == before


def test_what_is_asked_for_from_now_on_is_kept_where_the_bytes_are_the_same(world: World) -> None:
    registry = world.registry
    registry.import_model(world.maker, "churn")  # the head, which is v0.2.0
    assert not registry.update_import("churn", reference="churn@v0.2.0")
    world.retrain("three\n")
    assert not registry.update_import("churn"), "a version never changes"


def test_each_of_many_may_say_its_version(world: World) -> None:
    listed = [
        Import(world.maker, "churn@v0.1.0", version="v3.0.0"), Import(world.maker, "nlp:intent", bump="major"),
    ]  # fmt: skip
    assert [each.reference for each in world.registry.import_models(listed)] == [
        "churn@v3.0.0",
        "intent@v0.1.0",
    ]
    world.retrain("three\n")
    before = seen(world.team)
    for odd in (
        Import(world.maker, "plain/rules.json", version="3"),
        Import(world.maker, "bundle", version="v1.0.0", bump="minor"),
    ):
        with pytest.raises(mr.InvalidInputError):
            world.registry.import_models([Import(world.maker, "sub/risk.bin", as_name="risk"), odd])
    assert seen(world.team) == before


def test_an_artifact_that_moved_in_the_source_is_found(world: World) -> None:
    world.registry.import_model(world.maker, "nlp:intent")
    dvcs(world.maker, ["move", "--quiet", "nlp/intent.bin", "nlp/moved.bin"])
    write(world.maker / "nlp" / "dvc.yaml", "artifacts:\n  intent: {path: moved.bin, type: model}\n")
    commit(world.maker)
    assert world.registry.update_import("intent").updated is False, "the bytes are the same"
    write(world.maker / "nlp" / "moved.bin", b"intent 2")
    dvcs(world.maker, ["add", "--quiet", "nlp/moved.bin"], ["push", "--quiet"])
    commit(world.maker)
    found = world.registry.update_import("intent")
    assert (found.updated, found.version.path) == (True, "models/intent.bin")
    assert "path: nlp/moved.bin" in (world.team / "models" / "intent.bin.dvc").read_text()


def test_what_dvc_imported_is_updated_too_and_a_relative_url_stays(world: World) -> None:
    (world.team / "models").mkdir()
    dvcs(world.team, ["import", "--quiet", "../maker", "bundle", "-o", "models/pack"])
    write(world.team / "dvc.yaml", "artifacts:\n  pack: {path: models/pack, type: model}\n")
    commit(world.team)
    registry = world.registry
    assert registry.update_import("pack").version.version == "v0.1.0", "it was not registered yet"
    assert not registry.update_import("pack")
    write(world.maker / "bundle" / "c.bin", b"c")
    dvcs(world.maker, ["add", "--quiet", "bundle"], ["push", "--quiet"])
    commit(world.maker)
    assert len(registry.update_import("pack").version.files()) == 3
    assert "url: ../maker" in (world.team / "models" / "pack.dvc").read_text()
    assert status_of(world.team) == UP_TO_DATE


def test_local_changes_of_what_is_updated_are_not_lost(world: World) -> None:
    world.registry.import_model(world.maker, "churn")
    world.retrain("three\n")
    place = world.team / "models" / "churn.txt"
    place.chmod(0o644)
    place.write_text("mine")
    with pytest.raises(mr.WorkingCopyError, match="other bytes"):
        world.registry.update_import("churn")
    assert place.read_text() == "mine"
    assert git(world.team, "status", "--short") == ""


def test_what_was_not_imported_can_not_be_updated(world: World) -> None:
    with pytest.raises(mr.RefusedError, match="does not declare"):
        world.registry.update_import("nobody")
    with pytest.raises(mr.RefusedError, match="was not imported"):
        Registry(world.maker).update_import("churn")


# -- many --------------------------------------------------------------------------------------------------


class Told(Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int | None, int]] = []

    def call(self, *_: object, **__: object) -> None:
        self.seen.append((self.size, self.value))


def test_many_are_one_commit_and_progress_is_that_of_all(world: World) -> None:
    head = git(world.team, "rev-parse", "HEAD")
    told = Told()
    found = world.registry.import_models(
        [Import(world.maker, "churn#current"), Import(world.url, "nlp:intent"), Import(world.url, "bundle")],
        progress=told,
    )
    assert [(each.name, each.version) for each in found] == [
        ("churn", "v0.1.0"), ("intent", "v0.1.0"), ("pack", "v0.1.0"),
    ]  # fmt: skip
    assert [row["model"] for row in found.to_dicts()] == ["churn", "intent", "pack"]
    assert git(world.team, "rev-parse", "HEAD~1") == head
    assert told.seen[-1] == (14, 14)
    assert [value for _, value in told.seen] == sorted(value for _, value in told.seen)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (Import("{maker}", "nothing/there"), mr.PathNotFoundError),
        (Import("{maker}", "churn@v9.0.0"), mr.VersionNotFoundError),
        (Import("{maker}", "churn", rev="no-such-branch"), mr.RevisionNotFoundError),
        (Import("{top}/nowhere", "churn"), mr.RepositoryNotFoundError),
        (Import("file://{top}/nowhere", "churn"), mr.RemoteError),
        (Import("{maker}", "churn", as_name="intent"), mr.InvalidInputError),
        (Import("{maker}", "churn", path="models/intent.bin"), mr.InvalidInputError),
        (Import("{maker}", "lost"), mr.MissingBytesError),
        (Import("{maker}", "damaged"), mr.IntegrityError),
    ],
)
def test_one_that_can_not_be_had_keeps_all_from_being_changed(
    bad: Import, kind: type[mr.RegistryError], world: World
) -> None:
    before = seen(world.team)
    words = {"maker": world.maker, "top": world.top}
    wish = Import(str(bad.url).format(**words), bad.name_or_path, bad.rev, None, bad.as_name, bad.path)
    with pytest.raises(kind):
        world.registry.import_models([Import(world.maker, "nlp:intent"), wish])
    assert seen(world.team) == before


def test_when_some_registrations_fail_the_others_stand_and_calling_again_finishes(world: World) -> None:
    hub = hub_of(world.team)
    hook = write(
        hub / "hooks" / "update", '#!/bin/sh\ncase "$1" in refs/tags/pack@*) echo no; exit 1;; esac\n'
    )
    hook.chmod(0o755)
    wanted = [Import(world.maker, "bundle"), Import(world.maker, "nlp:intent")]
    with pytest.raises(mr.PartlyRegisteredError, match="could not be registered") as caught:
        world.registry.import_models(wanted)
    assert (caught.value.registered, caught.value.failed) == (("intent",), ("pack",))
    head = git(world.team, "rev-parse", "HEAD")
    hook.unlink()
    with pytest.warns(mr.RegistryWarning, match="has these bytes already"):
        found = world.registry.import_models(wanted)
    assert [each.reference for each in found] == ["pack@v0.1.0", "intent@v0.1.0"]
    assert git(world.team, "rev-parse", "HEAD") == head


# -- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% owned",
        "fd::7",
        "ftp://example.org/repo",
        "https://ann:c4n4ry@example.org/repo",
        "https://c4n4ry@example.org/repo",
        "https://127.0.0.1:9/repo.git?private_token=c4n4ry",
        "-u/tmp/x@example.org:repo",
        "",
    ],
)
def test_urls_that_run_things_or_hold_secrets_are_refused(url: str, world: World) -> None:
    before = seen(world.team)
    with pytest.raises((mr.InvalidInputError, mr.RepositoryNotFoundError)) as caught:
        world.registry.import_model(url, "churn")
    assert "c4n4ry" not in str(caught.value)
    assert seen(world.team) == before


@pytest.mark.parametrize(
    ("wish", "kind", "words"),
    [
        ({}, mr.InvalidInputError, "import what"),
        ({"name_or_path": "churn", "rev": "main", "reference": "#current"}, mr.InvalidInputError, "both say"),
        ({"name_or_path": "churn", "reference": "risk#current"}, mr.InvalidInputError, "not the same"),
        ({"name_or_path": "churn#nobody"}, mr.StageEmptyError, "nobody"),
        ({"name_or_path": "churn#shadow"}, mr.StageEmptyError, "shadow"),
        ({"name_or_path": "../team/dvc.yaml"}, mr.InvalidInputError, "not a path"),
        ({"name_or_path": "churn", "path": "../x"}, mr.InvalidInputError, "not a path"),
        ({"name_or_path": "churn", "as_name": "No Name"}, mr.InvalidNameError, "No Name"),
        ({"name_or_path": "churn", "metadata": {"origin": 1}}, mr.InvalidInputError, "origin"),
        ({"name_or_path": "churn", "version": "1"}, mr.InvalidNameError, "v1"),
        ({"name_or_path": "nobody"}, mr.PathNotFoundError, "no dvc.yaml declares"),
        (
            {"name_or_path": "nlp/intent.bin.dvc"},
            mr.InvalidInputError,
            "which bytes 'nlp/intent.bin' has: import that",
        ),
        ({"name_or_path": "dvc.yaml"}, mr.InvalidInputError, r"no model\n"),
        ({"name_or_path": ".dvc"}, mr.InvalidInputError, r"no model\n"),
        ({"name_or_path": ".dvc/config"}, mr.InvalidInputError, r"no model\n"),
        ({"name_or_path": "churn", "path": ".dvc/x"}, mr.InvalidInputError, "for its own"),
        ({"name_or_path": "churn", "path": "models/x.dvc"}, mr.InvalidInputError, "for its own"),
    ],
)
def test_a_wish_that_can_not_be_is_one_error_and_changes_nothing(
    wish: dict[str, str], kind: type[mr.RegistryError], words: str, world: World
) -> None:
    before = seen(world.team)
    with pytest.raises(mr.RegistryError, match=words) as caught:
        world.registry.import_model(world.maker, **wish)  # type: ignore[arg-type]
    assert isinstance(caught.value, kind)
    assert seen(world.team) == before


@pytest.mark.parametrize("wanted", [[], Import("/x", "churn"), ["churn"], None])
def test_what_is_no_list_of_imports_is_told(wanted: Any, world: World) -> None:
    with pytest.raises(mr.InvalidInputError, match="import_models takes a list"):
        world.registry.import_models(wanted)
    with pytest.raises(mr.InvalidInputError, match="5 is neither"):
        world.registry.import_model(5, "churn")  # type: ignore[arg-type]


def taken(world: World) -> None:
    write(world.team / "dvc.yaml", "artifacts: {churn: {path: mine.bin}}\n")
    write(world.team / "mine.bin", "")
    commit(world.team)


def registered(world: World) -> None:
    taken(world)
    world.registry.register("churn")
    write(world.team / "dvc.yaml", "artifacts: {}\n")
    commit(world.team)


def detached(world: World) -> None:
    git(world.team, "checkout", "--quiet", "--detach")


def dirty(world: World) -> None:
    write(world.team / "dvc.yaml", "artifacts: {}\n")


def in_git(world: World) -> None:
    write(world.team / "models" / "churn.txt", "kept in Git")
    commit(world.team)


def in_the_way(world: World) -> None:
    write(world.team / "models" / "churn.txt", "mine")


def folder_in_the_way(world: World) -> None:
    write(world.team / "models" / "churn.txt" / "x", "mine")


def tracked_around(world: World) -> None:
    write(world.team / "models" / "x", "mine")
    dvcs(world.team, ["add", "--quiet", "models"])
    commit(world.team)


def no_dvc(world: World) -> None:
    git(world.team, "rm", "-r", "--quiet", ".dvc")
    shutil.rmtree(world.team / ".dvc")
    commit(world.team)


def from_elsewhere(world: World) -> None:
    world.registry.import_model(world.maker, "nlp:intent", as_name="churn")


def another_there(world: World) -> None:
    world.registry.import_model(world.maker, "nlp:intent", path="models/churn.txt")


def older(world: World) -> None:
    world.registry.import_model(world.maker, "churn", rev="main~1")


def withdrawn_there(world: World) -> None:
    made = Registry(world.maker)
    made.withdraw("churn", "v0.1.0", then=mr.EMPTY)
    made.promote("churn", "v0.2.0", "shadow")


def withdrawn_here(world: World) -> None:
    registry = world.registry
    registry.import_model(world.maker, "churn#current")
    registry.withdraw("churn", "v0.1.0")


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (taken, "declares 'churn' already"),
        (registered, "registered here already"),
        (from_elsewhere, "as_name="),
        (older, "update_import"),
        (another_there, "for something else"),
        (detached, "detached"),
        (dirty, "not committed|does not know it"),
        (in_git, "kept in Git itself"),
        (in_the_way, "other bytes"),
        (folder_in_the_way, "other bytes"),
        (tracked_around, "tracks as a whole"),
        (no_dvc, "dvc init"),
        (withdrawn_there, "withdrawn|nobody|holds"),
        (withdrawn_here, "withdrawn"),
    ],
)
def test_what_stands_in_the_way_is_said_and_left_alone(
    prepare: Callable[[World], None], words: str, world: World
) -> None:
    prepare(world)
    before = seen(world.team)
    with pytest.raises(mr.RegistryError, match=words):
        world.registry.import_model(world.maker, "churn#current")
    assert seen(world.team) == before


@pytest.mark.parametrize("wanted", [[], ["churn"], [("url", "churn")]])
def test_a_list_of_something_else_is_refused(wanted: list[object], world: World) -> None:
    with pytest.raises(mr.InvalidInputError, match="takes a list of Import"):
        world.registry.import_models(wanted)  # type: ignore[arg-type]


def test_a_bare_repository_takes_nothing_in(world: World) -> None:
    hub = hub_of(world.team)
    for target in (hub, hub.as_uri()):
        with pytest.raises(mr.WorkingCopyError, match="bare"):
            Registry(target).import_model(world.maker, "churn")


def test_a_registry_does_not_import_from_itself(world: World) -> None:
    with pytest.raises(mr.InvalidInputError, match="this very repository"):
        Registry(world.maker).import_model(world.maker, "churn", as_name="other")


def test_bytes_that_are_not_the_registered_ones_are_not_imported(world: World) -> None:
    """DVC says one thing and the source's registry another."""
    made = Registry(world.maker)
    write(world.maker / "other.bin", b"what was registered")
    write(world.maker / "dvc.yaml", "artifacts: {other: {path: other.bin}}\n")
    dvcs(world.maker, ["add", "--quiet", "other.bin"], ["push", "--quiet"])
    rev = commit(world.maker)
    made.register("other")
    tag = git(world.maker, "cat-file", "tag", "other@v0.1.0")
    digest = made.get("other").digest
    assert digest is not None
    forged = tag.replace(digest, "sha256:" + "0" * 64).replace(digest.removeprefix("sha256:"), "0" * 64)
    oid = git(world.maker, "mktag", stdin=f"{forged}\n".encode())
    git(world.maker, "update-ref", "refs/tags/other@v0.1.0", oid)
    assert rev in forged
    before = seen(world.team)
    with pytest.raises(mr.IntegrityError):
        world.registry.import_model(world.maker, "other@v0.1.0")
    assert seen(world.team) == before


# -- killed ------------------------------------------------------------------------------------------------

KILLED = killed(
    """mr.Registry(sys.argv[1]).import_models([mr.Import(sys.argv[2], "churn#current"), mr.Import(sys.argv[2], "bundle")])"""
)


def import_killed(world: World, after: int) -> int:
    """How many of those events were left; negative if it was killed."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, world.team, world.maker, str(after)], check=False, capture_output=True,
        env=os.environ | {"PYTHONPATH": os.fspath(TOP)},
    )  # fmt: skip
    assert done.returncode in (0, -9), done.stderr.decode()
    return int(done.stdout.decode().split()[-1]) if done.returncode == 0 else -1


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_nothing_half_done_and_calling_again_finishes(
    made: Path, tmp_path: Path
) -> None:
    whole = 100_000 - import_killed(copy_of(made, tmp_path / "whole"), 100_000)
    wanted = ["churn#current", "bundle"]
    for number, after in enumerate(range(whole - 50, whole, 12)):
        world = copy_of(made, tmp_path / f"killed-{number}")
        head = git(world.team, "rev-parse", "HEAD")
        assert import_killed(world, after) < 0
        if git(world.team, "rev-parse", "HEAD") != head:
            assert git(world.team, "show", "--format=", "--name-only", "HEAD").split() == [
                "dvc.yaml", "models/.gitignore", "models/churn.txt.dvc", "models/pack.dvc",
            ]  # fmt: skip
        else:
            assert not world.registry.models()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mr.RegistryWarning)  # one may be registered already
            found = world.registry.import_models([Import(world.maker, each) for each in wanted])
        assert [each.reference for each in found] == ["churn@v0.1.0", "pack@v0.1.0"]
        assert git(world.team, "rev-parse", "HEAD~1") == head
        assert git(world.team, "status", "--short") == ""
        assert (world.team / "models" / "churn.txt").read_text() == "one\n"
        assert [event.kind for event in world.registry.history("churn")] == ["register"]
        assert not world.registry.check()
