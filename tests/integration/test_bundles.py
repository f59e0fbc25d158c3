"""A bundle carries versions to where no network leads: history, events, signatures, lineage and bytes hold there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.trust.trust import Ledger
from tests.integration.databases import rows_of
from tests.integration.projects import commit, dvc, everything, git, gto, init, run, visible, write

MEMORY = "/dev/shm"
EVERY_KIND = ["churn", "bundle", "nlp:intent", "rules", "tables", "weights"]


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """Where the repository of another site comes to be."""
    (tmp_path / "away").mkdir()
    return tmp_path / "away" / "models.git"


@pytest.fixture
def leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes another site of this one: nothing that the first one had is left, but its bundles."""

    def go() -> None:
        for name in ("copy", "plain", "hub.git"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        home = tmp_path / "away" / "home"
        for name in ("HOME", "MODELREGISTRY_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            monkeypatch.setenv(name, os.fspath(home / name.lower()))

    return go


@pytest.fixture
def many(project: Path) -> Registry:
    """Models of every kind: files and folders, in DVC and in Git, in a sub-project, within a folder of DVC's."""
    text = (project / "dvc.yaml").read_text()
    write(project / "dvc.yaml", f"{text}  weights: {{path: bundle/weights/a.bin, type: model}}\n")
    commit(project, "Declare the weights")
    registry = Registry(project)
    for model in EVERY_KIND:
        registry.register(model, message=f"{model}, at last")
    registry.register("risk")
    registry.promote("churn", "v0.1.0", "current", message="Good\n\nenough")
    return registry


def bytes_of(version: mr.ModelVersion) -> dict[str, bytes]:
    place = version.local_path(verify="always")
    return {
        file.path: (place / file.path if place.is_dir() else place).read_bytes() for file in version.files()
    }


def objects(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def facts(registry: Registry, models: Sequence[str]) -> object:
    """What can be asked of versions without their bytes."""
    found = []
    for model in models:
        versions = [
            (each, each.lineage.to_dict(), each.path, each.type, each.files())
            for each in registry.versions(model)
        ]
        found.append((versions, list(registry.history(model, echoes=True))))
    return found


# -- carried whole -----------------------------------------------------------------------------------------


def test_everything_holds_on_the_other_side_without_network_or_remote(
    many: Registry, tmp_path: Path, away: Path, leave: Callable[[], None]
) -> None:
    references = [*(f"{model}@v0.1.0" for model in EVERY_KIND[1:]), "churn#current"]
    made = many.bundle(references, tmp_path / "models.bundle")
    assert (made.events, made.left) == (len(EVERY_KIND) + 1, ())
    expected, contents = facts(many, EVERY_KIND), [bytes_of(many.get(each)) for each in references]
    predicted = mr.load_model("churn#current", registry=many).predict([[5.0, 3.0, 1.0, 0.2]]).tolist()  # type: ignore[attr-defined]
    leave()
    came = Registry.unbundle(made.path, away)
    assert came.path == away and came.versions == made.versions and len(came.events) == made.events
    there = Registry(away)
    assert facts(there, EVERY_KIND) == expected
    assert [bytes_of(there.get(each)) for each in references] == contents
    model = mr.load_model("churn#current", registry=there)
    assert model.predict([[5.0, 3.0, 1.0, 0.2]]).tolist() == predicted  # type: ignore[attr-defined]
    for reference in references:
        there.get(reference).verify()
    assert not there.check()
    assert [model.name for model in there.models() if model.latest] == sorted(EVERY_KIND), (
        "and no other model"
    )


def test_of_other_versions_the_bytes_stay_behind_and_the_events_come(
    served: Registry, tmp_path: Path, away: Path, leave: Callable[[], None]
) -> None:
    served.bundle("churn#current", tmp_path / "churn.bundle")
    (file,) = served.get("churn#current").files()
    leave()
    Registry.unbundle(tmp_path / "churn.bundle", away)
    assert file.md5 is not None
    assert objects(away / "dvc") == [f"files/md5/{file.md5[:2]}/{file.md5[2:]}"]
    there = Registry(away, offline=True)
    assert [version.version for version in there.versions("churn")] == ["v0.2.0", "v0.1.0"]
    with pytest.raises(mr.MissingBytesError):
        there.get("churn@v0.2.0").local_path()


def test_bytes_that_came_with_a_bundle_do_not_count_as_made_here(
    served: Registry, tmp_path: Path, away: Path, leave: Callable[[], None]
) -> None:
    digest = served.get("churn#current").digest
    assert digest in Ledger(), "where a pipeline made them they do"
    served.bundle(["churn#current"], tmp_path / "churn.bundle")
    leave()
    Registry.unbundle(tmp_path / "churn.bundle", away)
    there = Registry(away)
    there.get("churn#current").load()
    assert digest not in Ledger()


def test_a_repository_that_is_served_and_a_clone_have_the_bytes_too(
    served: Registry, tmp_path: Path, away: Path, leave: Callable[[], None]
) -> None:
    served.bundle(["churn#current"], tmp_path / "churn.bundle")
    leave()
    Registry.unbundle(tmp_path / "churn.bundle", away)
    mirrored = Registry(away.as_uri())
    digest = mirrored.get("churn#current").digest
    assert mirrored.get("churn#current").local_path().is_file()
    clone = tmp_path / "away" / "clone"
    git(tmp_path, "clone", "--quiet", os.fspath(away), os.fspath(clone))
    git(clone, "checkout", "--quiet", "churn@v0.1.0")
    dvc(clone, "remote", "modify", "--local", "storage", "url", os.fspath(away / "dvc"))
    dvc(clone, "pull", "--quiet", "models/churn.joblib")
    assert Registry(clone).get("churn#current").digest == digest
    assert (clone / "models" / "churn.joblib").read_bytes() == mirrored.get(
        "churn#current"
    ).local_path().read_bytes()


def test_whoever_has_only_tar_and_git_gets_at_the_history(
    registry: Registry, plain: Path, tmp_path: Path
) -> None:
    registry.bundle(["churn"], tmp_path / "churn.bundle")
    run(tmp_path, "tar", "--extract", "--file", "churn.bundle", "history.bundle")
    git(tmp_path, "clone", "--quiet", "history.bundle", "cloned")
    assert git(tmp_path / "cloned", "rev-parse", "HEAD") == git(plain, "rev-parse", "main")


def test_signatures_hold_on_the_other_side(
    plain: Path, tmp_path: Path, away: Path, leave: Callable[[], None]
) -> None:
    run(tmp_path, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", "ann")
    git(plain, "config", "gpg.format", "ssh")
    git(plain, "config", "user.signingKey", os.fspath(tmp_path / "ann"))
    registry = Registry(plain, sign=True)
    registry.register("churn")
    registry.promote("churn", "v0.1.0", "current")
    registry.bundle(["churn"], tmp_path / "churn.bundle")
    leave()
    Registry.unbundle(tmp_path / "churn.bundle", away)
    signers = {"ann@example.com": (tmp_path / "ann.pub").read_text()}
    assert Registry(away, signers=signers, strict=True).get("churn#current").version == "v0.1.0"


def test_stages_are_those_that_the_team_wrote_down(
    registry: Registry, plain: Path, tmp_path: Path, away: Path
) -> None:
    write(plain / ".modelregistry.toml", "[stages.shadow]\nexclusive = false\n[stages.current]\n")
    commit(plain, "Let several be watched")
    for version in ("v0.1.0", "v0.1.1"):
        registry.promote("churn", version, "shadow")
    Registry.unbundle(registry.bundle(["churn"], tmp_path / "churn.bundle").path, away)
    with pytest.raises(mr.SeveralHoldersError):
        Registry(away).get("churn#shadow")
    assert git(away, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_the_same_registry_gives_the_same_file(
    many: Registry, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = many.bundle(["churn", "bundle"], tmp_path / "one").path.read_bytes()
    git(project, "-c", "pack.compression=0", "gc", "--quiet")
    git(project, "config", "pack.compression", "1")
    git(project, "config", "pack.window", "0")
    assert Registry(project).bundle(["bundle", "churn"], "two").path.read_bytes() == first
    many.bundle([many.get("churn"), "bundle@latest"], tmp_path / "one", overwrite=True)
    assert (tmp_path / "one").read_bytes() == first


def test_it_is_written_to_and_read_from_another_disk(many: Registry, tmp_path: Path) -> None:
    if not os.path.isdir(MEMORY) or os.stat(MEMORY).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is one disk only")
    here = many.bundle(["churn", "bundle"], tmp_path / "churn.bundle").path
    with tempfile.TemporaryDirectory(dir=MEMORY) as stick:
        there = many.bundle(["churn", "bundle"], Path(stick, "churn.bundle")).path
        assert there.read_bytes() == here.read_bytes()
        Registry.unbundle(here, Path(stick, "models.git"))
        Registry.unbundle(there, tmp_path / "models.git")
        versions = [
            Registry(place).get("churn") for place in (Path(stick, "models.git"), tmp_path / "models.git")
        ]
        assert bytes_of(versions[0]) == bytes_of(versions[1]) == bytes_of(many.get("churn"))


def test_a_registry_that_only_gto_wrote_to_is_carried_as_well(
    plain: Path, tmp_path: Path, away: Path
) -> None:
    gto(plain, "register", "churn", "--version", "v1.0.0")
    gto(plain, "assign", "churn", "--version", "v1.0.0", "--stage", "current")
    git(plain, "tag", "churn@v2.0.0")
    made = Registry(plain).bundle(["churn#current"], tmp_path / "churn.bundle")
    assert made.left == ("churn@v2.0.0",), "a tag without author and time is no event"
    Registry.unbundle(made.path, away)
    assert Registry(away).get("churn#current").version == "v1.0.0"


def test_a_history_in_which_people_were_written_down_oddly_is_carried_as_well(
    plain: Path, tmp_path: Path, away: Path
) -> None:
    tree = git(plain, "rev-parse", "HEAD^{tree}")
    text = f"tree {tree}\nauthor Ann <ann@example.com 0 +0000\ncommitter <x> 00 0\n\nLong ago\n"
    odd = git(plain, "hash-object", "-w", "-t", "commit", "--literally", "--stdin", stdin=text.encode())
    git(plain, "reset", "--quiet", "--soft", odd)
    git(plain, "commit", "--quiet", "--allow-empty", "--message", "Today")
    registry = Registry(plain)
    registry.register("churn")
    Registry.unbundle(registry.bundle(["churn"], tmp_path / "churn.bundle").path, away)
    assert git(away, "rev-parse", "HEAD~1") == odd


def test_a_repository_whose_objects_are_named_by_sha256_is_carried_as_well(
    registry: Registry, plain: Path, tmp_path: Path, away: Path
) -> None:
    modern = tmp_path / "modern"
    git(tmp_path, "init", "--quiet", "--object-format=sha256", "--initial-branch=main", os.fspath(modern))
    git(modern, "config", "user.name", "Ann Author")
    git(modern, "config", "user.email", "ann@example.com")
    write(modern / "dvc.yaml", "artifacts: {churn: {path: churn.json}}")
    write(modern / "churn.json", "{}")
    commit(modern)
    other = Registry(modern)
    other.register("churn")
    Registry.unbundle(other.bundle(["churn"], tmp_path / "modern.bundle").path, away)
    assert bytes_of(Registry(away).get("churn")) == {"churn.json": b"{}"}
    with pytest.raises(mr.RefusedError, match="different hashes"):
        Registry.unbundle(registry.bundle(["churn"], tmp_path / "churn.bundle").path, away)


def test_of_a_registry_at_a_url_what_its_mirror_left_out_is_brought_first(
    registry: Registry, plain: Path, tmp_path: Path, away: Path, leave: Callable[[], None]
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), "hub.git")
    git(tmp_path / "hub.git", "config", "uploadpack.allowFilter", "true")
    Registry((tmp_path / "hub.git").as_uri()).bundle(["churn"], tmp_path / "churn.bundle")
    leave()
    Registry.unbundle(tmp_path / "churn.bundle", away)
    assert bytes_of(Registry(away).get("churn@v0.1.1")) == {"churn.json": b'{"churn": 1}'}


def test_a_log_that_is_kept_in_a_database_travels_as_tags(plain: Path, tmp_path: Path, away: Path) -> None:
    address = f"sqlite:///{tmp_path}/log.db"
    mr.migrate(address)
    registry = Registry(plain, backend=address)
    registry.register("churn")
    registry.register("churn", rev="main~1")
    registry.promote("churn", "v0.1.0", "current")
    before = visible(plain)
    Registry.unbundle(registry.bundle(["churn#current"], tmp_path / "churn.bundle").path, away)
    assert visible(plain) == before and len(rows_of(address)) == 3
    there = Registry(away)
    assert there.get("churn#current") == registry.get("churn#current")
    assert [event.fingerprint() for event in there.history("churn")] == [
        event.fingerprint() for event in registry.history("churn")
    ]
    write(plain / ".modelregistry.toml", 'backend = "sqlite"\n')
    commit(plain, "Keep the log in a database")
    with pytest.raises(mr.RefusedError, match="settings"):
        Registry(plain, backend=address).bundle(["churn"], tmp_path / "refused.bundle")


# -- and again ---------------------------------------------------------------------------------------------


def test_a_later_bundle_is_an_update_and_the_same_one_changes_nothing(
    served: Registry, tmp_path: Path, away: Path
) -> None:
    first = served.bundle(["churn#current"], tmp_path / "first.bundle").path
    Registry.unbundle(first, away)
    reader = Registry(away)
    assert reader.get("churn#current").version == "v0.1.0"
    served.promote("churn", "v0.2.0", "current", message="better")
    second = served.bundle(["churn#current"], tmp_path / "second.bundle").path
    told = Registry.unbundle(second, away, dry_run=True)
    assert told.events == ("churn#current#2",) and reader.get("churn#current").version == "v0.1.0"
    assert Registry.unbundle(second, away) == told
    assert reader.get("churn#current").version == "v0.2.0"
    assert len(objects(away / "dvc")) == 2
    reader.get("churn#current").verify()
    before = everything(away)
    for bundle in (second, first):
        assert Registry.unbundle(bundle, away).events == ()
    assert everything(away) == before, "an older one takes nothing back"
    assert not reader.check()
    assert sorted(path.name for path in away.parent.iterdir()) == [".models.git.lock", "models.git"]


def test_an_update_goes_on_where_it_was_interrupted_and_shows_no_state_that_never_was(
    served: Registry, tmp_path: Path, away: Path
) -> None:
    Registry.unbundle(served.bundle(["churn#current"], tmp_path / "churn.bundle").path, away)
    served.annotate("churn", "v0.2.0", {"owner": "risk"})
    served.promote("churn", "v0.2.0", "current")
    served.annotate("churn", "v0.2.0", {"owner": "nobody"})
    served.bundle(["churn#current"], tmp_path / "churn.bundle", overwrite=True)
    lock = write(away / "refs" / "tags" / "churn#current#2.lock", "")
    with pytest.raises(mr.GitError, match=r"churn#current#2"):
        Registry.unbundle(tmp_path / "churn.bundle", away)
    reader = Registry(away)
    assert reader.get("churn#current").version == "v0.1.0"
    assert reader.get("churn@v0.2.0").metadata["owner"] == "risk", (
        "what came before is there, and nothing after"
    )
    lock.unlink()
    assert Registry.unbundle(tmp_path / "churn.bundle", away).events == (
        "churn#current#2",
        "churn@annotate#2",
    )
    assert reader.get("churn#current").version == "v0.2.0"
    assert not reader.check()


def test_what_a_killed_process_left_beside_the_repository_is_gone_after_the_next(
    registry: Registry, tmp_path: Path
) -> None:
    place = tmp_path / "away" / "models [1].git"
    write(place.with_name(f".{place.name}.unbundle-dead") / "objects" / "half", "a model")
    Registry.unbundle(registry.bundle(["churn"], tmp_path / "churn.bundle").path, place)
    assert sorted(path.name for path in place.parent.iterdir()) == [f".{place.name}.lock", place.name]


def test_a_damaged_object_is_healed_by_the_bundle_that_brought_it(
    served: Registry, tmp_path: Path, away: Path, leave: Callable[[], None]
) -> None:
    bundle = served.bundle(["churn#current"], tmp_path / "churn.bundle").path
    leave()
    Registry.unbundle(bundle, away)
    (name,) = objects(away / "dvc")
    (away / "dvc" / name).chmod(0o644)
    (away / "dvc" / name).write_bytes(b"damaged")
    Registry.unbundle(bundle, away)
    Registry(away).get("churn#current").verify()


def test_what_the_other_site_wrote_stays_unless_it_is_in_the_way(
    served: Registry, tmp_path: Path, away: Path
) -> None:
    Registry.unbundle(served.bundle(["churn#current"], tmp_path / "churn.bundle").path, away)
    there = Registry(away)
    git(away, "config", "user.name", "Bob")
    git(away, "config", "user.email", "bob@example.com")
    there.annotate("churn", "v0.1.0", {"checked": "here"})
    served.promote("churn", "v0.2.0", "current")
    served.bundle(["churn#current"], tmp_path / "churn.bundle", overwrite=True)
    Registry.unbundle(tmp_path / "churn.bundle", away)
    assert there.get("churn@v0.1.0").metadata["checked"] == "here"
    there.promote("churn", "v0.1.0", "shadow")
    served.promote("churn", "v0.1.0", "shadow")
    served.bundle(["churn#current"], tmp_path / "churn.bundle", overwrite=True)
    before = everything(away)
    with pytest.raises(mr.ConflictError, match=r"churn#shadow#1") as error:
        Registry.unbundle(tmp_path / "churn.bundle", away)
    assert error.value.by == "Ann Author"
    assert everything(away) == before


def test_a_branch_that_was_rewritten_is_refused_with_what_to_do(
    registry: Registry, plain: Path, tmp_path: Path, away: Path
) -> None:
    Registry.unbundle(registry.bundle(["churn"], tmp_path / "churn.bundle").path, away)
    git(plain, "commit", "--quiet", "--amend", "--message", "Rewritten")
    registry.bundle(["churn"], tmp_path / "churn.bundle", overwrite=True)
    before = everything(away)
    with pytest.raises(mr.ConflictError, match="git update-ref -d refs/heads/main"):
        Registry.unbundle(tmp_path / "churn.bundle", away)
    assert everything(away) == before
    git(away, "update-ref", "-d", "refs/heads/main")
    Registry.unbundle(tmp_path / "churn.bundle", away)
    assert git(away, "rev-parse", "main") == git(plain, "rev-parse", "main")


def test_a_bundle_of_another_registry_is_refused(registry: Registry, tmp_path: Path, away: Path) -> None:
    Registry.unbundle(registry.bundle(["churn"], tmp_path / "churn.bundle").path, away)
    other = init(tmp_path / "other")
    write(other / "dvc.yaml", "artifacts: {risk: {path: risk.json}}")
    write(other / "risk.json", "{}")
    commit(other)
    stranger = Registry(other)
    stranger.register("risk")
    before = everything(away)
    with pytest.raises(mr.RefusedError, match="of the registry"):
        Registry.unbundle(stranger.bundle(["risk"], tmp_path / "risk.bundle").path, away)
    assert everything(away) == before


# -- what is refused ---------------------------------------------------------------------------------------


def test_what_can_t_be_bundled_is_refused_and_leaves_no_file(
    registry: Registry, plain: Path, tmp_path: Path
) -> None:
    target = tmp_path / "made" / "churn.bundle"
    target.parent.mkdir()
    with pytest.raises(mr.InvalidInputError, match="no version"):
        registry.bundle([], target)
    with pytest.raises(mr.StageEmptyError):
        registry.bundle(["churn#shadow"], target)
    with pytest.raises(mr.InvalidInputError, match="a folder that is there"):
        registry.bundle(["churn"], tmp_path / "nowhere" / "churn.bundle")
    with pytest.raises(mr.InvalidInputError, match="can't be written"):
        registry.bundle(["churn"], "/proc/churn.bundle")
    registry.withdraw("churn", "v0.1.1")
    with pytest.raises(mr.WithdrawnError):
        registry.bundle(["churn@v0.1.1"], target)
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=churn@v0.1.0", plain.as_uri(), "shallow")
    with pytest.warns(mr.PartialViewWarning):
        shallow = Registry(tmp_path / "shallow")
    with pytest.raises(mr.RefusedError, match="unshallow"):
        shallow.bundle(["churn@v0.1.0"], target)
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), "hub.git")
    git(plain, "remote", "add", "origin", (tmp_path / "hub.git").as_uri())
    staged = Registry(plain, push=False)
    staged.annotate("churn", "v0.1.0", {"owner": "risk"})
    with pytest.raises(mr.RefusedError, match=r"sync\(\) first"):
        staged.bundle(["churn"], target)
    assert not list(target.parent.iterdir())
    target.write_text("mine")
    staged.sync()
    with pytest.raises(mr.InvalidInputError, match="overwrite=True"):
        registry.bundle(["churn"], target)
    assert target.read_text() == "mine"


def test_bytes_that_are_nowhere_to_be_had_make_no_bundle(
    served: Registry, project: Path, tmp_path: Path, fresh_cache: Path
) -> None:
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(project.parent / "storage")
    with pytest.raises(mr.MissingBytesError):
        Registry(project).bundle(["churn#current"], tmp_path / "churn.bundle")
    assert not list(tmp_path.glob("*churn.bundle*"))


def test_a_place_that_is_no_bare_repository_is_left_alone(
    registry: Registry, plain: Path, tmp_path: Path, away: Path
) -> None:
    bundle = registry.bundle(["churn"], tmp_path / "churn.bundle").path
    with pytest.raises(mr.RefusedError, match="working copy"):
        Registry.unbundle(bundle, plain)
    write(away / "notes.txt", "mine")
    with pytest.raises(mr.RefusedError, match="no bare repository"):
        Registry.unbundle(bundle, away)
    with pytest.raises(mr.InvalidInputError, match="no folder"):
        Registry.unbundle(bundle, tmp_path / "no" / "such")
    with pytest.raises(mr.InvalidInputError, match="can't be read"):
        Registry.unbundle(tmp_path / "no.bundle", away)
    assert objects(away) == ["notes.txt"]
    (away / "notes.txt").unlink()
    Registry.unbundle(bundle, away)  # into a folder that is empty
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=trunk", "empty.git")
    Registry.unbundle(bundle, tmp_path / "empty.git")
    for place in (away, tmp_path / "empty.git"):
        assert Registry(place).get("churn#current").version == "v0.1.0"
        assert git(place, "rev-parse", "HEAD") == git(plain, "rev-parse", "main")
