"""A registry whose log is kept in a database: the same answers, code in Git, and which log it is said by its user alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.backends.base import Backend, Entry, Log
from modelregistry.log.events import Annotated, Event
from modelregistry.testing import make_event
from tests.integration.projects import commit, git, run, write
from tests.strategies import said


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that is ready for a log."""
    if request.param == "postgresql":
        found: str = request.getfixturevalue("postgres").create()
    else:
        found = f"sqlite:///{tmp_path / 'log.db'}"
    mr.migrate(found)
    return found


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The same of SQLite, where it does not matter which."""
    mr.migrate(f"sqlite:///{tmp_path / 'file.db'}")
    return f"sqlite:///{tmp_path / 'file.db'}"


def tell(registry: Registry) -> None:
    """Everything that can happen to a model."""
    registry.register("churn", rev="main~2", message="the first", metadata={"auc": 0.9})
    registry.register("churn", rev="main~1", bump="minor")
    registry.register("churn", rev="main")
    registry.promote("churn", "v0.1.0", "shadow")
    registry.promote("churn", "v0.1.0", "current", expected=mr.EMPTY)
    registry.promote("churn", "v0.2.0", "current", expected="v0.1.0", message="better")
    registry.rollback("churn", "current")
    registry.promote("churn", "v0.2.1", "shadow")
    registry.annotate("churn", "v0.2.0", {"owner": "risk"})
    registry.withdraw("churn", "v0.2.0", message="leaks")
    registry.demote("churn", "shadow")
    registry.register("risk", rev="main")
    registry.deprecate("risk", message="superseded")


def story(registry: Registry, model: str) -> list[tuple[object, ...]]:
    return [
        (type(event), event.author, event.message, event.rev, event.slot, event.number, event.source, event.echo_of is None)
        for event in registry.history(model, echoes=True)
    ]  # fmt: skip


def test_every_verb_writes_what_it_writes_to_tags(address: str, plain: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    run(tmp_path, "cp", "-r", os.fspath(plain), os.fspath(twin))
    here, there = Registry(twin), Registry(plain, backend=address)
    tell(here)
    tell(there)
    for model in ("churn", "risk"):
        assert story(there, model) == story(here, model)
    assert there.get("churn#current").version == here.get("churn#current").version == "v0.1.0"
    assert there.get("churn", version="v0.2.1").path == "churn.json"
    assert there.versions("churn").to_dicts() != []
    assert [model.name for model in there.models(type=None)] == ["churn"]
    assert [model.name for model in there.models(type=None, deprecated=True)] == ["churn", "risk"]
    assert not there.check()
    assert git(plain, "for-each-ref", "refs/tags") == ""
    assert Registry(plain, backend=address).get("churn#current") == there.get("churn#current")


def test_two_logs_of_one_repository_are_not_taken_for_each_other(
    file: str, plain: Path, fresh_cache: Path
) -> None:
    tags, database = Registry(plain), Registry(plain, backend=file)
    tags.register("churn", rev="main~2")
    assert tags.models()[0].latest == "v0.1.0"
    database.register("churn", rev="main~1", version="v3.0.0")
    assert database.models()[0].latest == "v3.0.0"
    assert tags.models()[0].latest == "v0.1.0"
    assert not tags.check()
    assert not database.check()


def test_a_write_of_another_process_is_seen_at_once(address: str, plain: Path) -> None:
    ours, theirs = Registry(plain, backend=address), Registry(plain, backend=mr.open_backend(address))
    ours.register("churn", rev="main~1")
    assert theirs.get("churn").version == "v0.1.0"
    ours.promote("churn", "v0.1.0", "current")
    assert theirs.get("churn#current").version == "v0.1.0"
    with pytest.raises(mr.ConflictError, match=r"v0\.1\.0"):
        theirs.promote("churn", "v0.1.0", "current", expected=mr.EMPTY)


# -- code stays in Git -----------------------------------------------------------------------------------------


@pytest.fixture
def hub(plain: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), os.fspath(tmp_path / "hub.git"))
    return tmp_path / "hub.git"


@pytest.mark.parametrize("opened_by", ["path", "url"])
def test_a_commit_that_another_clone_registered_is_there_when_it_is_read(
    opened_by: str, address: str, hub: Path, clone: Callable[[str], Path]
) -> None:
    ann, bob = clone("ann"), clone("bob")
    reader = Registry(bob if opened_by == "path" else hub.as_uri(), backend=address)
    write(ann / "churn.json", "trained by Ann")
    rev = commit(ann)
    Registry(ann, backend=address).register("churn")
    found = reader.get("churn")
    assert (found.rev, found.path) == (rev, "churn.json")
    assert found.local_path().read_text() == "trained by Ann"
    assert reader.models()[0].latest == "v0.1.0"


def test_a_registered_commit_outlives_its_branch(file: str, hub: Path, clone: Callable[[str], Path]) -> None:
    ann = clone("ann")
    git(ann, "checkout", "--quiet", "-b", "try")
    write(ann / "churn.json", "tried")
    rev = commit(ann)
    Registry(ann, backend=file).register("churn")
    git(ann, "checkout", "--quiet", "main")
    git(ann, "branch", "--quiet", "-D", "try")
    for place in (ann, hub):
        git(place, "reflog", "expire", "--expire=now", "--all")
        git(place, "gc", "--quiet", "--prune=now")
        assert git(place, "cat-file", "-t", rev) == "commit"
    assert Registry(clone("bob"), backend=file).get("churn").local_path().read_text() == "tried"


def test_a_commit_that_the_remote_does_not_take_is_not_registered(
    file: str, hub: Path, clone: Callable[[str], Path]
) -> None:
    ann = clone("ann")
    hub.rename(hub.with_name("away.git"))
    registry = Registry(ann, backend=file)
    with pytest.raises(mr.RemoteError):
        registry.register("churn")
    with pytest.raises(mr.ModelNotFoundError):
        registry.get("churn")


# -- who says where the log is ---------------------------------------------------------------------------------


def team_says(plain: Path, text: str) -> None:
    write(plain / ".modelregistry.toml", text)
    commit(plain, "Settings")


def test_a_repository_says_which_kind_it_needs(file: str, plain: Path) -> None:
    team_says(plain, 'backend = "sqlite"\n')
    with pytest.raises(
        mr.InvalidSettingsError, match=r"keeps its log in 'sqlite'.*opened with 'git'.*backend=\"sqlite:"
    ):
        Registry(plain).models()
    Registry(plain, backend=file).register("churn", rev="main~1")
    team_says(plain, 'backend = "git"\n')
    with pytest.raises(
        mr.InvalidSettingsError, match=r"keeps its log in 'git'.*'sqlite': leave backend= out"
    ):
        Registry(plain, backend=file).get("churn")
    assert Registry(plain).models()[0].latest is None


def test_a_repository_can_not_say_where_the_log_is(plain: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0.2)
        team_says(plain, f'backend = "postgresql://127.0.0.1:{server.getsockname()[1]}/models"\n')
        with pytest.raises(mr.InvalidSettingsError, match="each user says, never a repository"):
            Registry(plain).models()
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.fixture
def config(environment: Path) -> Callable[[str], Path]:
    def make(text: str) -> Path:
        path = write(environment / "config" / "modelregistry" / "config.toml", text)
        path.chmod(0o600)
        return path

    return make


def test_a_users_own_file_says_where_the_log_of_a_registry_is(
    file: str, plain: Path, hub: Path, clone: Callable[[str], Path], config: Callable[[str], Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    Registry(plain, backend=file).register("churn", rev="main~1", version="v7.0.0")
    names = {
        os.fspath(plain): [plain, plain / ".git"],
        hub.as_uri().removesuffix(".git"): [hub.as_uri(), clone("ann")],
    }
    for name, targets in names.items():
        config(f'[backends]\n"{name}" = "{file}"\n')
        for target in targets:
            assert (
                Registry(target if isinstance(target, str) else os.fspath(target)).get("churn").version
                == "v7.0.0"
            )
    assert Registry(plain).models()[0].latest is None, "another name, another registry"
    monkeypatch.setenv("MODELREGISTRY_BACKEND", file)
    assert Registry(plain).get("churn").version == "v7.0.0"
    with pytest.raises(mr.ModelNotFoundError):
        Registry(plain, backend="git").get("churn")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backends = 3\n", "backends"),
        ('[backend]\n"x" = "y"\n', "unknown key 'backend'; did you mean 'backends'"),
        ("nonsense", "is not TOML"),
    ],
)
def test_a_configuration_that_can_not_be_is_one_clear_error(
    text: str, said: str, plain: Path, config: Callable[[str], Path]
) -> None:
    config(text)
    with pytest.raises(mr.InvalidSettingsError, match=said):
        Registry(plain)


def test_a_configuration_that_others_may_write_is_not_believed(
    file: str, plain: Path, config: Callable[[str], Path]
) -> None:
    config(f'[backends]\n"{plain}" = "{file}"\n').chmod(0o622)
    with pytest.raises(mr.InvalidSettingsError, match=r"writable by others.*where your logs are"):
        Registry(plain)


def test_an_address_that_no_backend_has_says_which_there_are(plain: Path) -> None:
    with pytest.raises(mr.InvalidInputError, match=r"known: git, memory, postgresql, sqlite") as caught:
        Registry(plain, backend="mysql://ann:secret@host/db")
    assert "secret" not in str(caught.value)
    with pytest.raises(mr.InvalidInputError, match="has no address"):
        mr.open_backend("git:/somewhere")


def test_what_only_tags_can_do_is_refused_elsewhere(file: str, plain: Path) -> None:
    with pytest.raises(mr.InvalidInputError, match="push=False stages tags"):
        Registry(plain, backend=file, push=False)
    with pytest.raises(mr.InvalidInputError, match="keeps no signatures"):
        Registry(plain, backend=_Forgetful(), sign=True)


class _Forgetful(Backend):
    """One that could keep events, and no signatures."""

    name = "forgetful"
    _read = _read_all = _append = _watch = None  # type: ignore[assignment]


# -- signatures ------------------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path, plain: Path) -> str:
    """Ann's public key; Git is configured with it."""
    run(tmp_path, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", "ann")
    git(plain, "config", "gpg.format", "ssh")
    git(plain, "config", "user.signingKey", os.fspath(tmp_path / "ann"))
    return (tmp_path / "ann.pub").read_text().strip()


def test_signed_events_are_verified_in_a_database_too(file: str, plain: Path, key: str) -> None:
    ann = Registry(plain, backend=file, sign=True)
    ann.register("churn", rev="main~2")
    ann.promote("churn", "v0.1.0", "current")
    Registry(plain, backend=file).register("churn", rev="main~1", version="v6.6.6")
    Registry(plain, backend=file).promote("churn", "v6.6.6", "current")
    reader = Registry(plain, backend=file, signers={"ann@example.com": key})
    with pytest.warns(mr.UncountedEventWarning, match="not signed"):
        assert reader.get("churn#current").version == "v0.1.0"


def test_signatures_travel_with_a_log(file: str, plain: Path, key: str, tmp_path: Path) -> None:
    run(tmp_path, "cp", "-r", os.fspath(plain), os.fspath(tmp_path / "twin"))
    tell(Registry(plain, sign=True))
    Registry(plain).copy_log(file)
    Registry(tmp_path / "twin", backend=file).copy_log("git")
    assert git(tmp_path / "twin", "for-each-ref", "refs/tags") == git(plain, "for-each-ref", "refs/tags")
    reader = Registry(tmp_path / "twin", signers={"ann@example.com": key}, strict=True)
    assert reader.get("churn#current").version == "v0.1.0"


# -- copies ----------------------------------------------------------------------------------------------------


def gto_writes(plain: Path) -> None:
    """Tags as GTO makes them, which have no more to say than their names; and one that is no event."""
    git(plain, "tag", "-a", "risk@v1.0.0", "-m", "by GTO", "main~1")
    git(plain, "tag", "-a", "risk#prod#1", "-m", "", "main~1")
    git(plain, "tag", "-a", "risk#prod#0002", "-m", "with zeros", "main~1")
    git(plain, "tag", "churn#current#99", "main")


def test_a_log_goes_to_a_database_and_back_tag_for_tag(address: str, plain: Path, tmp_path: Path) -> None:
    run(tmp_path, "cp", "-r", os.fspath(plain), os.fspath(tmp_path / "twin"))
    tags = Registry(plain)
    tell(tags)
    gto_writes(plain)
    copied = tags.copy_log(address)
    assert copied.left == ("churn#current#99",)
    assert (copied.models, copied.events) == (
        2,
        len(tags.events()) + len(story(tags, "churn")) - len(tags.history("churn")),
    )
    elsewhere = Registry(plain, backend=address)
    for model in ("churn", "risk"):
        assert said(elsewhere._read(model).history) == said(tags._read(model).history)
        assert [event.fingerprint() for event in elsewhere.history(model, echoes=True)] == [
            event.fingerprint() for event in tags.history(model, echoes=True)
        ]
    assert tags.copy_log(address)[:2] == (0, 0), "again, nothing is left to do"

    back = Registry(tmp_path / "twin", backend=address).copy_log("git")
    assert back.events == copied.events
    git(plain, "tag", "-d", "churn#current#99")
    assert git(tmp_path / "twin", "for-each-ref", "refs/tags") == git(plain, "for-each-ref", "refs/tags")


def test_a_copy_that_was_stopped_is_completed(file: str, plain: Path) -> None:
    tags = Registry(plain)
    tell(tags)
    part = mr.open_backend(file)
    (log,) = [log for log in tags._log.read_all(records=True) if log.model == "churn"]
    part.extend("churn", log.entries()[:3])
    copied = tags.copy_log(part)
    assert copied.events == len(story(tags, "churn")) + len(story(tags, "risk")) - 3
    assert story(Registry(plain, backend=part), "churn") == story(tags, "churn")


def test_a_copy_into_a_log_with_a_life_of_its_own_writes_nothing(file: str, plain: Path) -> None:
    tell(Registry(plain))
    other = Registry(plain, backend=file)
    other.register("risk", rev="main~2", version="v9.0.0")
    before = mr.open_backend(file).heads()
    with pytest.raises(
        mr.ConflictError, match=r"has 'risk@v9.0.0', by Ann Author, which is not in this one"
    ) as caught:
        Registry(plain).copy_log(file)
    assert caught.value.by == "Ann Author"
    assert mr.open_backend(file).heads() == before
    with pytest.raises(mr.InvalidInputError, match="already"):
        other.copy_log(file)


def test_a_copy_to_git_needs_the_commits(file: str, plain: Path, tmp_path: Path) -> None:
    write(plain / "churn.json", "new")
    commit(plain)
    Registry(plain, backend=file).register("churn")
    git(tmp_path, "clone", "--quiet", "--single-branch", os.fspath(plain), os.fspath(tmp_path / "twin"))
    git(tmp_path / "twin", "remote", "remove", "origin")
    Registry(tmp_path / "twin", backend=file).copy_log("git")
    git(plain, "commit", "--quiet", "--allow-empty", "--message", "later")
    Registry(plain, backend=file).register("risk")
    with pytest.raises(mr.RefusedError, match="has not the commit"):
        Registry(tmp_path / "twin", backend=file).copy_log("git")
    assert git(tmp_path / "twin", "for-each-ref", "--format=%(refname:short)", "refs/tags") == "churn@v0.1.0"


# -- mirrors -----------------------------------------------------------------------------------------------------


def test_a_mirror_follows(
    address: str, plain: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = Registry(plain)
    tell(tags)
    index = mr.open_backend(address)
    assert tags.mirror(index).models == 2
    assert tags.mirror(index).models == 0, "nothing moved"
    tags.annotate("risk", None, {"owner": "fraud"})
    assert tags.mirror(index).models == 1
    assert story(Registry(plain, backend=index), "risk") == story(tags, "risk")

    last = git(plain, "for-each-ref", "--format=%(refname:short)", "refs/tags/risk@annotate*")
    git(plain, "tag", "-d", last)
    tags.mirror(index)
    assert story(Registry(plain, backend=index), "risk") == story(tags, "risk"), (
        "what is gone here is gone there"
    )
    for name in git(plain, "for-each-ref", "--format=%(refname:short)", "refs/tags/risk*").splitlines():
        git(plain, "tag", "-d", name)
    tags.mirror(index)
    assert set(index.heads()) == {"churn"}

    monkeypatch.setenv("MODELREGISTRY_CACHE", os.fspath(fresh_cache / "another"))
    assert Registry(plain).mirror(index).models == 1, (
        "another user's first look reads all, and changes nothing"
    )
    assert story(Registry(plain, backend=index), "churn") == story(tags, "churn")


def test_nobody_writes_to_a_mirror(file: str, plain: Path, tmp_path: Path) -> None:
    tags = Registry(plain)
    tell(tags)
    tags.mirror(file)
    before = mr.open_backend(file).heads()
    with pytest.raises(mr.RefusedError, match=r"is a mirror of the log at '.*plain/\.git': write there"):
        Registry(plain, backend=file).promote("churn", "v0.2.1", "current")
    tags.annotate("risk", None, {"owner": "fraud"})
    with pytest.raises(mr.RefusedError, match="is a mirror"):
        tags.copy_log(file)
    run(tmp_path, "cp", "-r", os.fspath(plain), os.fspath(tmp_path / "twin"))
    with pytest.raises(mr.ConflictError, match="no mirror of"):
        Registry(tmp_path / "twin").mirror(file)
    assert mr.open_backend(file).heads() == before


def test_a_log_of_its_own_is_made_no_mirror(file: str, plain: Path) -> None:
    Registry(plain, backend=file).register("churn", rev="main~1")
    with pytest.raises(mr.ConflictError, match="a log of its own"):
        Registry(plain).mirror(file)
    Registry(plain).register("risk", rev="main~1")
    with pytest.raises(mr.ConflictError, match="a log of its own"):
        Registry(plain).mirror(file)
    assert set(mr.open_backend(file).heads()) == {"churn"}


def test_a_log_that_became_a_mirror_between_the_decision_and_the_write_takes_nothing(
    address: str, plain: Path
) -> None:
    tags = Registry(plain)
    tell(tags)
    writer = mr.open_backend(address)
    writer.prepare("risk")
    tags.mirror(address)
    new = make_event(Annotated, "risk", git(plain, "rev-parse", "main"), number=9)
    with pytest.raises(mr.RefusedError, match="is a mirror"):
        writer.append(new)
    with pytest.raises(mr.RefusedError, match="is a mirror"):
        writer.extend("risk", [Entry(new)])
    assert tags.mirror(address).models == 0
    assert story(Registry(plain, backend=address), "risk") == story(tags, "risk")


def test_a_log_that_was_rewritten_in_its_middle_has_another_head_in_a_mirror(file: str, plain: Path) -> None:
    tags = Registry(plain)
    git(plain, "tag", "-a", "risk@v1.0.0", "-m", "first", "main~2")
    git(
        plain, "tag", "-a", "risk@v2.0.0", "-m", "second", "main~1", GIT_COMMITTER_DATE="2040-01-01T00:00:00Z"
    )
    index = mr.open_backend(file)
    tags.mirror(index)
    before, token = index.read("risk").head, index.watch("risk")
    git(plain, "tag", "-f", "-a", "risk@v1.0.0", "-m", "other words", "main~2")
    tags.mirror(index)
    assert index.read("risk").head != before
    assert index.watch("risk") != token
    assert {event.message for event in index.read("risk").events} == {"other words", "second"}


def test_a_partial_clone_empties_no_mirror(file: str, plain: Path, hub: Path, tmp_path: Path) -> None:
    tell(Registry(plain))
    git(plain, "push", "--quiet", hub.as_uri(), "--tags")
    Registry(hub.as_uri()).mirror(file)
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-tags", hub.as_uri(), os.fspath(tmp_path / "shallow"))
    with pytest.warns(mr.PartialViewWarning):
        shallow = Registry(tmp_path / "shallow")
    with pytest.raises(mr.RefusedError, match="may lack events"):
        shallow.mirror(file)
    assert set(mr.open_backend(file).heads()) == {"churn", "risk"}


def test_what_would_part_a_write_is_no_option(file: str) -> None:
    with pytest.raises(mr.InvalidInputError, match="AUTOCOMMIT"):
        mr.open_backend(file, isolation_level="AUTOCOMMIT")


def test_offline_asks_no_remote_for_a_commit(file: str, hub: Path, clone: Callable[[str], Path]) -> None:
    Registry(hub.as_uri(), backend=file)
    write(clone("ann") / "churn.json", "new")
    commit(hub.with_name("ann"))
    Registry(hub.with_name("ann"), backend=file).register("churn")
    hub.rename(hub.with_name("away.git"))
    found = Registry(hub.as_uri(), backend=file, offline=True).get("churn")
    with pytest.raises(mr.RegistryError) as caught:
        found.path  # noqa: B018
    assert not isinstance(caught.value, mr.RemoteError)


class _FullAtTheSecond(Backend):
    """Keeps one event, and then has no room."""

    name = "full"

    def __init__(self) -> None:
        self._inner = mr.open_backend("memory:")
        self.room = 99

    def _read(self, model: str, records: bool) -> Log:
        return self._inner.read(model)

    def _read_all(self, records: bool) -> Iterator[Log]:
        return self._inner.read_all()

    def _watch(self, model: str) -> None:
        return None

    def _append(self, event: Event, record: bytes | None) -> Event | None:
        self.room -= 1
        if self.room < 0:
            raise mr.DatabaseError("the disk is full; nothing was written")
        return self._inner.append(event)


def test_a_change_of_two_events_of_which_one_is_written_is_not_said_to_be_unwritten(plain: Path) -> None:
    backend = _FullAtTheSecond()
    registry = Registry(plain, backend=backend)
    registry.register("churn", rev="main~2")
    registry.register("churn", rev="main~1")
    registry.promote("churn", "v0.1.0", "current")
    backend.room = 1
    with pytest.raises(
        mr.OutcomeUnknownError, match=r"churn#current#2 is written, and what was to follow it is not"
    ):
        registry.withdraw("churn", "v0.1.0", then="v0.1.1")
    assert registry.get("churn#current").version == "v0.1.1"
