"""Two clones and a hub: writes are pushed as they are made, and every way in which a push can end."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.git.remote import GitRemote, Outcome
from modelregistry.git.repo import GitRepo
from modelregistry.log.events import Event
from tests.integration.projects import commit, dvc, git, gto, put_tag, write

PENDING, REFUSED = "refs/modelregistry/pending", "refs/modelregistry/refused"


@pytest.fixture
def hub(plain: Path, registry: Registry, tmp_path: Path) -> Path:
    """A bare repository with two versions of ``churn``, v0.1.0 being current."""
    bare = tmp_path / "hub.git"
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), os.fspath(bare))
    return bare


def tags(folder: Path, *patterns: str) -> dict[str, str]:
    lines = git(folder, "for-each-ref", "--format=%(refname) %(objectname)", *(patterns or ["refs/tags"]))
    return dict(line.split(" ") for line in lines.split("\n") if line)


def gits(trace: Path) -> list[str]:
    """The gits that this process started, as git's own trace (``GIT_TRACE2_EVENT``) tells."""
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    return [event["name"] for event in events if event["event"] == "cmd_name" and "/" not in event["sid"]]


def hook(hub: Path, name: str, script: str) -> Path:
    path = write(hub / "hooks" / name, f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


# -- a write is shared -------------------------------------------------------------------------------------


def test_a_write_is_in_the_hub_when_the_call_returns(hub: Path, clone: Callable[[str], Path]) -> None:
    ann, bob = clone("ann"), clone("bob")
    Registry(ann).promote("churn", "v0.1.1", "current", message="better")
    assert tags(hub) == tags(ann)
    assert Registry(hub).get("churn#current").version == "v0.1.1"
    assert Registry(bob).get("churn#current").version == "v0.1.0"
    assert Registry(bob).sync() == ((), ())
    assert Registry(bob).get("churn#current").version == "v0.1.1"
    assert not tags(ann, PENDING) and not Registry(ann).check()


def test_a_write_is_decided_on_what_the_hub_has(clone: Callable[[str], Path]) -> None:
    ann, bob = Registry(clone("ann")), Registry(clone("bob"))
    ann.promote("churn", "v0.1.1", "current")
    with pytest.raises(
        mr.ConflictError, match=r"held by v0.1.1, put there by Ann at .* you expected v0.1.0"
    ) as caught:
        bob.promote("churn", "v0.1.0", "current", expected="v0.1.0")
    assert (caught.value.believed, caught.value.found, caught.value.by) == ("v0.1.0", "v0.1.1", "Ann")
    assert bob.rollback("churn", "current").version == "v0.1.0"
    assert bob.register("churn").version == "v0.1.2"
    assert ann.register("risk").version == "v0.1.0"


def test_only_the_named_remote_is_written(hub: Path, clone: Callable[[str], Path], tmp_path: Path) -> None:
    ann = clone("ann")
    before = tags(hub)
    Registry(ann, remote=None).promote("churn", "v0.1.1", "current")
    assert tags(hub) == before
    other = tmp_path / "other.git"
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(ann), os.fspath(other))
    git(ann, "remote", "add", "team", os.fspath(other))
    Registry(ann, remote="team").promote("churn", "v0.1.0", "shadow")
    assert tags(other) == tags(ann)
    assert tags(hub) == before
    with pytest.raises(mr.InvalidInputError, match="git remote add nowhere"):
        Registry(ann, remote="nowhere")


def test_a_configuration_that_can_t_be_read_does_not_pass_for_one_without_a_remote(
    clone: Callable[[str], Path],
) -> None:
    ann = clone("ann")
    config = ann / ".git" / "config"
    config.write_text(config.read_text() + "[broken")
    with pytest.raises(mr.GitError, match="bad config line"):
        Registry(ann).promote("churn", "v0.1.1", "current")


def test_an_event_goes_in_a_push_of_its_own(hub: Path, clone: Callable[[str], Path], tmp_path: Path) -> None:
    """GitHub starts no workflow for a push of more than three tags."""
    log = tmp_path / "pushes"
    hook(hub, "post-receive", f"wc -l >> '{log}'")
    registry = Registry(clone("ann"))
    registry.promote("churn", "v0.1.1", "shadow")
    registry.promote("churn", "v0.1.1", "current")
    assert log.read_text().split() == ["1", "1", "1"]  # the last one is the echo for GTO


def test_a_write_starts_no_git_that_it_can_do_without(
    clone: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(clone("ann"))
    registry.promote("churn", "v0.1.1", "current")  # the first one also asks how the remote is reached
    monkeypatch.setenv("GIT_TRACE2_EVENT", os.fspath(tmp_path / "trace"))
    registry.promote("churn", "v0.1.0", "current")
    verbs = gits(tmp_path / "trace")
    # How often it reads depends on how fresh the files are: a change within one tick of the clock leaves no trace.
    assert sorted(verb for verb in verbs if verb not in ("cat-file", "for-each-ref")) == [
        "fetch", "mktag", "push", "update-ref", "var",
    ], verbs  # fmt: skip


def test_a_push_to_a_taken_name_is_refused_and_the_remote_is_not_asked_again(
    hub: Path, clone: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = clone("ann"), clone("bob")
    Registry(ann).promote("churn", "v0.1.1", "current")
    before = tags(hub)
    remote = GitRemote(GitRepo.discover(bob), hub.as_uri())
    other = tags(bob)["refs/tags/churn#current#1"]
    monkeypatch.setenv("GIT_TRACE2_EVENT", os.fspath(tmp_path / "trace"))
    assert remote.create("refs/tags/churn#current#2", other) is Outcome.TAKEN
    verbs = gits(tmp_path / "trace")
    assert tags(hub) == before
    assert [verb for verb in verbs if verb != "config"] == ["push"]


# -- staged ------------------------------------------------------------------------------------------------


def test_what_is_staged_is_seen_here_and_published_by_sync(hub: Path, clone: Callable[[str], Path]) -> None:
    ann = clone("ann")
    before = tags(hub)
    staged = Registry(ann, push=False)
    staged.promote("churn", "v0.1.1", "current")
    staged.annotate("churn", "v0.1.1", {"owner": "risk"})
    assert staged.get("churn#current").version == "v0.1.1"
    assert tags(hub) == before
    assert staged.sync() == (("churn#current#2", "churn@annotate#1"), ())
    assert tags(hub) == tags(ann)
    assert not tags(ann, PENDING)
    assert staged.sync() == ((), ())


def test_a_user_whose_git_prunes_keeps_the_tags_that_are_only_here(
    hub: Path, clone: Callable[[str], Path], environment: Path
) -> None:
    ann = clone("ann")
    git(ann, "config", "--global", "fetch.prune", "true")
    git(ann, "tag", "release-1")
    git(ann, "tag", "--annotate", "--message", "with GTO", "churn#shadow#1")
    Registry(ann, push=False).promote("churn", "v0.1.1", "current")
    before = tags(ann)
    hook(hub, "pre-receive", "exit 1")  # nothing of it gets there
    with pytest.warns(mr.RegistryWarning, match="set aside"):
        Registry(ann).sync()
    assert before.items() - tags(ann).items() == {
        ("refs/tags/churn#current#2", before["refs/tags/churn#current#2"])
    }


def test_a_staged_event_that_another_process_published_meanwhile_was_written(
    hub: Path, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = clone("ann")
    create, met = GitRepo.create_ref, list[str]()

    def late(repo: GitRepo, name: str, oid: str) -> bool:
        met.append(name)
        if len(met) == 1:  # it is pending here, and no tag yet
            Registry(ann).sync()
        return create(repo, name, oid)

    monkeypatch.setattr(GitRepo, "create_ref", late)
    Registry(ann, push=False).demote("churn", "current")
    assert len(met) == 2
    assert tags(hub) == tags(ann) and "refs/tags/churn#current!#1" in tags(hub)
    assert not tags(ann, PENDING)


def test_a_write_publishes_first_what_was_staged_before(hub: Path, clone: Callable[[str], Path]) -> None:
    ann = clone("ann")
    Registry(ann, push=False).promote("churn", "v0.1.1", "current")
    Registry(ann).rollback("churn", "current")
    assert tags(hub) == tags(ann)
    assert [event.number for event in Registry(hub).history("churn") if event.kind == "assign"] == [1, 2, 3]


def test_a_staged_event_that_lost_its_place_is_set_aside_with_those_decided_on_it(
    hub: Path, clone: Callable[[str], Path]
) -> None:
    ann, bob = clone("ann"), clone("bob")
    staged = Registry(ann, push=False)
    staged.promote("churn", "v0.1.1", "current", message="Ann's")
    staged.annotate("churn", "v0.1.1", {"owner": "ann"})
    Registry(bob).promote("churn", "v0.1.1", "current", message="Bob's")
    with pytest.warns(mr.RegistryWarning, match=r"set aside .*churn#current#2, churn@annotate#1"):
        assert staged.sync() == ((), ("churn#current#2", "churn@annotate#1"))
    assert tags(hub) == tags(ann)
    assert [event.message for event in staged.history("churn")][-1] == "Bob's"
    assert len(tags(ann, REFUSED)) == 2
    assert not tags(ann, PENDING)
    assert not staged.check()


def test_a_staged_event_in_whose_place_another_process_of_the_clone_published_is_set_aside_aloud(
    hub: Path, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = clone("ann")
    create, done = GitRemote.create, list[str]()

    def late(remote: GitRemote, name: str, oid: str) -> Outcome:
        if not done:
            done.append(name)
            staged = Registry(ann, push=False)
            staged.promote("churn", "v0.1.1", "current", message="staged")
            staged.annotate("churn", "v0.1.1", {"decided": "on it"})
        return create(remote, name, oid)

    monkeypatch.setattr(GitRemote, "create", late)
    with pytest.warns(mr.RegistryWarning, match=r"set aside .*churn#current#2, churn@annotate#1"):
        Registry(ann).promote("churn", "v0.1.1", "current", message="published")
    assert tags(ann) == tags(hub) and not tags(ann, PENDING)
    assert [event.message for event in Registry(ann).history("churn")][-1] == "published"
    assert not Registry(ann).check()


def test_what_waits_to_be_published_is_listed_by_check(clone: Callable[[str], Path]) -> None:
    staged = Registry(clone("ann"), push=False)
    staged.promote("churn", "v0.1.1", "current")
    (found,) = staged.check()
    assert (found.where, found.mend) == ("churn#current#2", "sync()")
    staged.sync()
    assert not staged.check()


# -- one registry ------------------------------------------------------------------------------------------


def test_two_clones_that_begin_with_different_models_make_one_registry(
    plain: Path, tmp_path: Path, environment: Path
) -> None:
    bare = tmp_path / "fresh.git"
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), os.fspath(bare))
    for name in ("one", "two"):
        git(tmp_path, "clone", "--quiet", bare.as_uri(), os.fspath(tmp_path / name))
    Registry(tmp_path / "one").register("churn")
    Registry(tmp_path / "two").register("risk")
    assert len({event.registry for event in Registry(bare).events()}) == 1


# -- what GTO leaves ---------------------------------------------------------------------------------------


def test_a_losing_tag_that_gto_left_is_set_aside(hub: Path, clone: Callable[[str], Path]) -> None:
    ann, bob = clone("ann"), clone("bob")
    Registry(ann).promote("churn", "v0.1.1", "current")
    gto(bob, "assign", "churn", "--version", "v0.1.1", "--stage", "current")  # its push would be refused
    assert tags(bob)["refs/tags/churn#current#2"] != tags(hub)["refs/tags/churn#current#2"]
    lost = tags(bob)["refs/tags/churn#current#2"]
    with pytest.warns(mr.RegistryWarning, match=r"set aside .*churn#current#2") as caught:
        assert Registry(bob).sync().refused == ("churn#current#2",)
    assert caught[0].filename == __file__, "it points at the call"
    assert tags(bob) == tags(hub)
    assert tags(bob, REFUSED) == {f"{REFUSED}/{lost}/churn#current#2": lost}
    assert "v0.1.1" in gto(bob, "show", "churn#current")


def test_what_was_staged_on_a_tag_that_lost_its_place_goes_with_it(
    hub: Path, clone: Callable[[str], Path]
) -> None:
    """Published, it would name an event that no other clone ever had: a log that looks edited."""
    ann, bob = clone("ann"), clone("bob")
    staged = Registry(bob, push=False)
    staged.annotate("churn", None, {"owner": "risk"})
    Registry(ann).promote("churn", "v0.1.1", "current")
    last = staged.history("churn")[-1]
    text = (
        f"object {last.rev}\ntype commit\ntag churn#current#2\n"
        f"tagger Bob <bob@example.com> {int(last.at.timestamp()) + 5} +0000\n\nas GTO writes, and can't push\n"
    )
    put_tag(bob, "churn#current#2", text.encode())
    staged.annotate("churn", "v0.1.1", {"auc": 0.9})
    with pytest.warns(mr.RegistryWarning, match=r"set aside .*churn@annotate#2, churn#current#2"):
        synced = Registry(bob).sync()
    assert synced == (("churn@annotate#1",), ("churn@annotate#2", "churn#current#2"))
    assert tags(bob) == tags(hub) and len(tags(bob, REFUSED)) == 2
    assert not Registry(bob).check()


def test_tags_that_are_no_events_are_left_alone(hub: Path, clone: Callable[[str], Path]) -> None:
    ann = clone("ann")
    git(hub, "tag", "release", "main")
    git(hub, "tag", "churn#\u2028", "main")  # for Python, not for git, a line ends here
    git(ann, "tag", "release", "main~1")
    mine = tags(ann)["refs/tags/release"]
    registry = Registry(ann)
    assert registry.sync() == ((), ())
    registry.promote("churn", "v0.1.1", "current")
    assert tags(ann)["refs/tags/release"] == mine
    assert not tags(ann, REFUSED)


# -- three outcomes ----------------------------------------------------------------------------------------


def test_without_the_remote_reads_go_on_and_a_write_says_so_and_writes_nothing(
    hub: Path, clone: Callable[[str], Path]
) -> None:
    ann = clone("ann")
    hub.rename(hub.with_name("gone"))
    before = tags(ann, "refs")
    registry = Registry(ann)
    with pytest.raises(mr.RemoteError, match=r"nothing was written.*push=False") as caught:
        registry.promote("churn", "v0.1.1", "current")
    assert isinstance(caught.value, ConnectionError)
    assert registry.get("churn#current").version == "v0.1.0"
    assert registry.promote("churn", "v0.1.1", "current", dry_run=True).stages == ("current",)
    assert tags(ann, "refs") == before
    Registry(ann, push=False).promote("churn", "v0.1.1", "current")
    hub.with_name("gone").rename(hub)
    assert registry.sync().published == ("churn#current#2",)


def test_a_push_that_failed_after_it_was_applied_is_committed(
    hub: Path, clone: Callable[[str], Path]
) -> None:
    registry = Registry(clone("ann"))
    hook(hub, "post-update", "kill -9 $PPID")  # the server dies once the reference is there
    assert registry.promote("churn", "v0.1.1", "current").stages == ("current",)
    assert Registry(hub).get("churn#current").version == "v0.1.1"
    assert len(tags(hub, "refs/tags/churn#current#*")) == 2


def test_a_push_that_failed_before_it_was_applied_is_tried_again(
    hub: Path, clone: Callable[[str], Path]
) -> None:
    registry = Registry(clone("ann"))
    once = hub / "once"
    hook(hub, "pre-receive", f"[ -e '{once}' ] && exit 0; touch '{once}'; kill -9 $PPID")
    assert registry.promote("churn", "v0.1.1", "current").stages == ("current",)
    assert once.exists()
    assert Registry(hub).get("churn#current").version == "v0.1.1"


@pytest.mark.parametrize("when", ["pre-receive", "post-update"])
@pytest.mark.parametrize("then", ["sync", "write"])
def test_an_unknown_outcome_is_settled_by_a_later_call(
    when: str, then: str, hub: Path, clone: Callable[[str], Path]
) -> None:
    ann = clone("ann")
    registry = Registry(ann)
    away = hub.with_name("away.git")
    # The server dies, before or after it has the reference, and the remote is gone then.
    broken = hook(hub, when, f"mv '{hub}' '{away}'; kill -9 $PPID")
    with pytest.raises(mr.OutcomeUnknownError, match=r"sync\(\)") as caught:
        registry.promote("churn", "v0.1.1", "current", message="the one")
    assert caught.value.tag == "churn#current#2"
    assert registry.get("churn#current").version == "v0.1.0"  # nobody knows, so nobody says
    away.rename(hub)
    broken.unlink()
    if then == "sync":
        assert registry.sync().published == ("churn#current#2",)
    else:
        assert registry.promote("churn", "v0.1.1", "current").version == "v0.1.1"
    assert tags(hub) == tags(ann)
    (event,) = [event for event in Registry(hub).history("churn") if event.message == "the one"]
    assert event.id == caught.value.event_id
    assert registry.get("churn#current").version == "v0.1.1"
    assert not tags(ann, PENDING)


@pytest.mark.parametrize("when", ["pre-receive", "post-update"])
def test_a_rollback_that_is_repeated_after_an_unknown_outcome_does_not_happen_twice(
    when: str, hub: Path, clone: Callable[[str], Path]
) -> None:
    ann = clone("ann")
    registry = Registry(ann)
    registry.promote("churn", "v0.1.1", "current")
    registry.promote("churn", "v0.1.0", "current")
    away = hub.with_name("away.git")
    script = f"(echo $@; cat) | grep -q current#4 || exit 0; mv '{hub}' '{away}'; kill -9 $PPID"
    broken = hook(hub, when, script)
    with pytest.raises(mr.OutcomeUnknownError):
        registry.rollback("churn", "current")
    away.rename(hub)
    broken.unlink()
    with pytest.raises(
        mr.ConflictError, match=r"churn#current#4, whose outcome was unknown, is written; now it is v0.1.1"
    ) as caught:
        registry.rollback("churn", "current")
    assert (caught.value.found, caught.value.by) == ("v0.1.1", "Ann")
    assert Registry(hub).get("churn#current").version == "v0.1.1"
    assert registry.rollback("churn", "current").version == "v0.1.0"


def test_an_unknown_outcome_that_another_overtook_is_set_aside(
    hub: Path, clone: Callable[[str], Path]
) -> None:
    ann, bob = clone("ann"), clone("bob")
    away = hub.with_name("away.git")
    broken = hook(hub, "pre-receive", f"mv '{hub}' '{away}'; kill -9 $PPID")
    with pytest.raises(mr.OutcomeUnknownError):
        Registry(ann).promote("churn", "v0.1.1", "current", message="Ann's")
    away.rename(hub)
    broken.unlink()
    Registry(bob).promote("churn", "v0.1.1", "current", message="Bob's")
    with pytest.warns(mr.RegistryWarning, match="set aside"):
        assert Registry(ann).rollback("churn", "current").version == "v0.1.0"
    assert [event.message for event in Registry(hub).history("churn")][-2:] == ["Bob's", ""]
    assert tags(ann) == tags(hub)


def test_what_the_host_forbids_is_refused_with_its_words(hub: Path, clone: Callable[[str], Path]) -> None:
    ann = clone("ann")
    hook(hub, "update", 'case "$1" in *#current#*) echo "only the release team" >&2; exit 1;; esac')
    before = tags(ann, "refs")
    with pytest.raises(mr.RefusedError, match="only the release team"):
        Registry(ann).promote("churn", "v0.1.1", "current")
    assert tags(ann, "refs") == before
    Registry(ann).promote("churn", "v0.1.1", "shadow")
    staged = Registry(ann, push=False)
    staged.promote("churn", "v0.1.0", "shadow")
    staged.promote("churn", "v0.1.1", "current")
    with pytest.warns(mr.RegistryWarning, match="only the release team"):
        synced = staged.sync()
    assert synced.published == ("churn#shadow#2", "churn#current!#1") or "churn#current#2" in synced.refused
    assert tags(ann) == tags(hub)


def test_what_the_remote_can_t_keep_is_an_error_and_what_was_staged_waits_on(
    hub: Path, clone: Callable[[str], Path]
) -> None:
    ann = clone("ann")
    lock = write(hub / "refs" / "tags" / "churn#current#2.lock", "")  # a git of the host died there
    before = tags(ann, "refs")
    with pytest.raises(mr.GitError, match=r"can't keep the tag 'refs/tags/churn#current#2'.*current#2\.lock"):
        Registry(ann).promote("churn", "v0.1.1", "current")
    assert tags(ann, "refs") == before
    staged = Registry(ann, push=False)
    staged.promote("churn", "v0.1.1", "current")
    with pytest.raises(mr.GitError, match="can't keep the tag"):
        staged.sync()
    assert tags(ann, PENDING) and not tags(ann, REFUSED)
    lock.unlink()
    assert staged.sync().published == ("churn#current#2",)


def test_a_password_in_the_url_of_a_remote_is_refused_and_never_shown(clone: Callable[[str], Path]) -> None:
    ann = clone("ann")
    git(ann, "remote", "set-url", "origin", "https://ann:s3cret@example.invalid/hub.git")
    registry = Registry(ann)
    assert registry.get("churn#current").version == "v0.1.0"
    with pytest.raises(mr.InvalidInputError, match="carries a password") as caught:
        registry.promote("churn", "v0.1.1", "current")
    shown = str(caught.value) + repr(registry) + repr(registry._backend._sharing._remote)  # type: ignore[attr-defined]
    assert "s3cret" not in shown


# -- clones that lack something ----------------------------------------------------------------------------


def test_a_clone_without_tags_or_history_is_completed_by_sync_and_by_a_write(
    hub: Path, tmp_path: Path
) -> None:
    for name, verb in (("one", "sync"), ("two", "write")):
        place = tmp_path / name
        git(tmp_path, "clone", "--quiet", "--depth=1", "--no-tags", hub.as_uri(), os.fspath(place))
        with pytest.warns(mr.PartialViewWarning):
            registry = Registry(place)
        if verb == "sync":
            registry.sync()
        else:
            registry.promote("churn", "v0.1.1", "current", expected="v0.1.0")
        assert tags(place) == tags(hub)
        assert registry.get("churn", version="v0.1.0").local_path().read_text() == '{"churn": 0}'


# -- bytes before words ------------------------------------------------------------------------------------


def test_a_registration_is_published_once_its_bytes_are_in_the_dvc_remote(
    project: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "hub.git"
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(project), os.fspath(bare))
    git(project, "remote", "add", "origin", os.fspath(bare))
    registry = Registry(project)
    storage = project.parent / "storage"
    shutil.rmtree(storage)
    with pytest.raises(mr.MissingBytesError, match=r"dvc push.*push_data=True"):
        registry.register("churn")
    assert not tags(bare)
    assert Registry(project, push=False).register("churn", dry_run=True).version == "v0.1.0"
    registry.register("churn", push_data=True)
    assert [path for path in storage.rglob("*") if path.is_file()]
    assert tags(bare) == tags(project)
    with pytest.raises(mr.MissingBytesError):
        registry.register("bundle")
    staged = Registry(project, push=False)
    assert staged.register("bundle").version == "v0.1.0"
    for publish in (staged.sync, lambda: registry.annotate("bundle", None, {"a": 1})):
        with pytest.raises(mr.MissingBytesError, match="dvc push") as caught:
            publish()
        assert caught.value.__notes__ == ["bundle@v0.1.0 waits in this clone to be published"]
    assert tags(project, PENDING) and "refs/tags/bundle@v0.1.0" not in tags(bare)
    dvc(project, "push", "--quiet", "bundle")
    assert staged.sync().published == ("bundle@v0.1.0",)
    fresh = tmp_path / "elsewhere"
    git(tmp_path, "clone", "--quiet", os.fspath(bare), os.fspath(fresh))
    shutil.copytree(storage, fresh.parent / "storage", dirs_exist_ok=True)
    dvc(fresh, "pull", "--quiet", "bundle")
    assert (fresh / "bundle" / "b.json").read_text() == "{}"


def test_where_a_project_has_no_dvc_remote_a_registration_says_how_to_make_one(
    project: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "hub.git"
    write(project / ".dvc" / "config", "")
    commit(project)
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(project), os.fspath(bare))
    git(project, "remote", "add", "origin", os.fspath(bare))
    wanted = r"nobody else could load '.*': .*no default remote.*'dvc remote add -d NAME URL'.*; "
    with pytest.raises(mr.MissingBytesError, match=f"{wanted}push=False keeps"):
        Registry(project).register("churn")
    assert not tags(bare) and not tags(project)
    registry = Registry(project, push=False)
    registry.register("churn")
    with pytest.raises(mr.MissingBytesError, match=f"{wanted}.*remote=None shares nothing"):
        registry.sync()
    assert not tags(bare)
    assert Registry(project, remote=None).register("bundle").version == "v0.1.0"


# -- audit -------------------------------------------------------------------------------------------------


def test_events_after_a_cursor_are_those_that_came_since_whatever_their_date(
    plain: Path, registry: Registry
) -> None:
    registry.register("risk")
    had = registry.events()
    assert registry.events(after=had.cursor) == []
    registry.promote("churn", "v0.1.1", "current")
    (event,) = registry.events(after=had.cursor)
    assert (event.kind, event.version) == ("assign", "v0.1.1")
    first = registry.history("risk")[0]
    text = (
        f"object {first.rev}\ntype commit\ntag risk#shadow#1\n"
        f"tagger Bob <bob@example.com> {int(first.at.timestamp())} +0000\n\nstaged yesterday\n"
    )
    put_tag(plain, "risk#shadow#1", text.encode())
    late = registry.events(after=had.cursor)
    assert {event.source for event in late} == {"churn#current#2", "risk#shadow#1"}
    assert registry.events(after=late.cursor) == []
    assert registry.events().cursor == late.cursor


@pytest.mark.parametrize("cursor", ["", "nothing", "v1.AAAA", "v1.AAAAAAA~", "v1.\u00fc", 7])
def test_what_is_no_cursor_is_refused(cursor: str, registry: Registry) -> None:
    with pytest.raises(mr.InvalidInputError, match="not a cursor"):
        registry.events(after=cursor)


def test_an_event_says_who_held_the_stage_before(registry: Registry) -> None:
    registry.promote("churn", "v0.1.1", "current")
    registry.rollback("churn", "current")
    registry.demote("churn", "current")
    registry.promote("churn", "v0.1.1", "current")
    for rows in (registry.history("churn"), registry.events()):
        told = [(row["event"], row["version"], row["before"]) for row in rows.to_dicts() if row["stage"]]
        assert told == [
            ("assign", "v0.1.0", None), ("assign", "v0.1.1", "v0.1.0"), ("assign", "v0.1.0", "v0.1.1"),
            ("unassign", "v0.1.0", "v0.1.0"), ("assign", "v0.1.1", None),
        ]  # fmt: skip


def test_a_deleted_event_is_noticed_by_the_one_after_it(plain: Path, registry: Registry) -> None:
    registry.promote("churn", "v0.1.1", "current")
    registry.rollback("churn", "current")
    git(plain, "update-ref", "-d", "refs/tags/churn#current#2")
    (found,) = Registry(plain).check()
    assert found.where == "churn#current!#1"  # the echo, which the rollback wrote first
    assert "the log was edited" in found.what


def test_a_rewound_log_is_noticed_by_who_has_seen_it(plain: Path, registry: Registry) -> None:
    registry.promote("churn", "v0.1.1", "current")
    assert not registry.check()
    git(plain, "update-ref", "-d", "refs/tags/churn#current#2")
    (found,) = Registry(plain).check()
    assert (found.where, "is gone" in found.what) == ("churn#current#2", True)
    assert [problem.where for problem in Registry(plain).check()] == ["churn#current#2"]
    assert not Registry(plain).check(accept=True)
    assert not Registry(plain).check()


def test_a_model_that_vanished_is_noticed(plain: Path, registry: Registry) -> None:
    registry.register("risk")
    assert not registry.check()
    git(plain, "update-ref", "-d", "refs/tags/risk@v0.1.0")
    (found,) = registry.check()
    assert (found.model, found.where) == ("risk", "risk@v0.1.0")
    assert not registry.check(accept=True)
    assert not Registry(plain).check()


def test_an_event_slipped_in_below_what_was_seen_is_noticed(plain: Path, registry: Registry) -> None:
    assert not registry.check()
    first = registry.history("churn")[0]
    text = (
        f"object {first.rev}\ntype commit\ntag churn#shadow#1\n"
        f"tagger Mallory <m@example.com> {int(first.at.timestamp())} +0000\n\nlong ago\n"
    )
    put_tag(plain, "churn#shadow#1", text.encode())
    (found,) = registry.check()
    assert (found.where, "Mallory" in found.what) == ("churn#shadow#1", True)


# -- at once -----------------------------------------------------------------------------------------------


def test_an_event_of_another_slot_that_came_before_ours_is_a_conflict(
    plain: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Withdrawn by another process between the decision and the write."""
    from modelregistry.backends.git import GitBackend

    append = GitBackend._append
    done = threading.Event()

    def slowly(backend: GitBackend, event: object, record: object) -> object:
        if not done.is_set():
            done.set()
            Registry(plain).withdraw("churn", "v0.1.1", message="broken")
            event = event.model_copy(
                update={"at": Registry(plain).history("churn")[-1].at.replace(year=2100)}
            )  # type: ignore[attr-defined]
        return append(backend, event, record)  # type: ignore[arg-type]

    monkeypatch.setattr(GitBackend, "_append", slowly)
    with pytest.raises(mr.ConflictError, match=r"churn@v0.1.1!#1 by Ann Author came before it"):
        registry.promote("churn", "v0.1.1", "current")
    assert Registry(plain).get("churn#current").version == "v0.1.0"


def test_a_promotion_that_crossed_a_withdrawal_is_a_conflict_for_who_withdrew(
    hub: Path, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelregistry.backends.git import GitBackend

    ann, bob = Registry(clone("ann")), Registry(clone("bob"))
    append, crossing = GitBackend._append, threading.Event()

    def slowly(backend: GitBackend, event: Event, record: bytes | None) -> Event | None:
        if event.author == "Ann" and not crossing.is_set():
            crossing.set()
            bob.promote("churn", "v0.1.1", "current")
            event = event.model_copy(update={"at": event.at + timedelta(minutes=1)})
        return append(backend, event, record)

    monkeypatch.setattr(GitBackend, "_append", slowly)
    with pytest.raises(mr.ConflictError, match=r"churn@v0.1.1!#1 was written, and churn#current#2 by Bob"):
        ann.withdraw("churn", "v0.1.1")


def test_a_write_that_named_the_holder_and_could_not_look_again_says_so(
    hub: Path, clone: Callable[[str], Path]
) -> None:
    away = hub.with_name("away.git")
    hook(hub, "post-update", f"mv '{hub}' '{away}'")  # applied, acknowledged, and gone
    with pytest.raises(mr.OutcomeUnknownError, match=r"churn#current#2 is written, and whether") as caught:
        Registry(clone("ann")).promote("churn", "v0.1.1", "current", expected="v0.1.0")
    assert caught.value.tag == "churn#current#2"
    assert "refs/tags/churn#current#2" in tags(away)


NAMING: dict[str, Callable[[Registry], object]] = {
    "expected": lambda r: r.promote("churn", "v0.1.0", "current", expected="v0.1.1"),
    "rollback": lambda r: r.rollback("churn", "current"),
    "withdraw": lambda r: r.withdraw("churn", "v0.1.1", then="v0.1.0"),
}


@pytest.mark.parametrize("wish", NAMING)
def test_a_demotion_that_crossed_a_write_that_named_the_holder_is_a_conflict(
    wish: str, hub: Path, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reached the hub between the fetch and the push, in a slot of its own: only a look afterwards can tell."""
    from modelregistry.backends.git import GitBackend

    ann, bob = Registry(clone("ann")), Registry(clone("bob"))
    ann.promote("churn", "v0.1.1", "current")
    append = GitBackend._append
    crossing = threading.Event()

    def slowly(backend: GitBackend, event: Event, record: bytes | None) -> Event | None:
        if event.echo_of is None and event.author == "Ann" and not crossing.is_set():
            crossing.set()
            bob.demote("churn", "current", message="Bob's")
        if event.author == "Ann" and crossing.is_set():  # so that Bob's comes before it
            event = event.model_copy(update={"at": event.at + timedelta(minutes=1)})
        return append(backend, event, record)

    monkeypatch.setattr(GitBackend, "_append", slowly)
    with pytest.raises(
        mr.ConflictError, match=r"was written, and churn#current!#\d by Bob came before it"
    ) as caught:
        NAMING[wish](ann)
    assert (caught.value.believed, caught.value.found, caught.value.by) == ("v0.1.1", "none", "Bob")


def test_the_story_of_a_url_registry_is_what_a_clone_sees(
    hub: Path, clone: Callable[[str], Path], fresh_cache: Path
) -> None:
    remote, ann = Registry(hub.as_uri(), max_age=0), clone("ann")
    remote.promote("churn", "v0.1.1", "current")
    write(ann / "churn.json", '{"churn": 9}')
    commit(ann)
    git(ann, "push", "--quiet", "origin", "HEAD")
    assert remote.register("churn").version == "v0.1.2"
    with pytest.raises(mr.WorkingCopyError):
        remote.register("new", path="churn.json", declare=True)
    Registry(ann).sync()
    assert tags(ann) == tags(hub)
    assert json.loads(Registry(ann).get("churn").local_path().read_text()) == {"churn": 9}
