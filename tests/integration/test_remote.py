"""What is asked of one remote, with whose programs, what a push comes to, and what a clone keeps of it."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modelregistry.backends.gitsharing import Sharing
from modelregistry.errors import (
    AccessDeniedError,
    GitError,
    InvalidInputError,
    InvalidSettingsError,
    OutcomeUnknownError,
    RefusedError,
    RegistryWarning,
    RemoteError,
)
from modelregistry.git.remote import GitRemote, Outcome
from modelregistry.git.repo import GitRepo, Ref
from modelregistry.git.transport import Transport
from modelregistry.log.events import Annotated, Assigned, Event, Registered
from modelregistry.log.tags import render
from modelregistry.testing import make_event
from tests.gitfolders import make_repository, run_git
from tests.integration.projects import write
from tests.integration.web import serve

Maker = Callable[..., tuple[str, str]]

PENDING, REFUSED = "refs/modelregistry/pending", "refs/modelregistry/refused"
TAG = "refs/tags/churn#current#1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one commit."""
    place = tmp_path / "clone"
    place.mkdir()
    make_repository(place)
    return place


@pytest.fixture
def repo(folder: Path) -> GitRepo:
    return GitRepo.discover(folder)


@pytest.fixture
def hub(folder: Path, tmp_path: Path) -> Path:
    """A bare copy of it."""
    run_git(tmp_path, "clone", "--quiet", "--bare", os.fspath(folder), "hub.git")
    (tmp_path / "hub.git" / "hooks").mkdir(exist_ok=True)
    return tmp_path / "hub.git"


@pytest.fixture
def remote(repo: GitRepo, hub: Path) -> GitRemote:
    return GitRemote(repo, hub.as_uri())


@pytest.fixture
def oid(repo: GitRepo) -> str:
    """A tag object that nothing names."""
    return store(repo, "the one")


def store(repo: GitRepo, message: str, name: str = "churn#current#1") -> str:
    commit = repo.resolve("HEAD")
    return repo.write_tag(
        f"object {commit}\ntype commit\ntag {name}\ntagger A <a@x> 1767225600 +0000\n\n{message}\n".encode()
    )


def references(place: Path) -> dict[str, str]:
    lines = run_git(place, "for-each-ref", "--format=%(refname) %(objectname)").decode().split("\n")[:-1]
    return dict(line.rsplit(" ", 1) for line in lines)


def tags(place: Path) -> dict[str, str]:
    found = references(place)
    return {
        name.removeprefix("refs/tags/"): oid for name, oid in found.items() if name.startswith("refs/tags/")
    }


def hook(hub: Path, name: str, script: str) -> Path:
    path = write(hub / "hooks" / name, f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def marker(tmp_path: Path) -> tuple[Path, Path]:
    """A program that leaves a file when it is run, and that file."""
    program, trace = tmp_path / "program", tmp_path / "was-run"
    program.write_text(f"#!/bin/sh\necho \"$@\" >> '{trace}'\nexit 1\n")
    program.chmod(0o755)
    return program, trace


# -- references of one repository --------------------------------------------------------------------------


def test_a_tag_is_stored_and_nothing_names_it_yet(folder: Path, repo: GitRepo) -> None:
    oid = store(repo, "wörds")
    assert run_git(folder, "cat-file", "tag", oid).decode().endswith("\n\nwörds\n")
    assert len(oid) == 40 and not tags(folder)
    with pytest.raises(GitError, match="mktag"):
        repo.write_tag(b"no tag")


def test_a_reference_is_created_once(folder: Path, repo: GitRepo, oid: str) -> None:
    assert repo.create_ref(TAG, oid) is True
    assert tags(folder) == {"churn#current#1": oid}
    assert repo.create_ref(TAG, store(repo, "another")) is False
    assert repo.create_ref(TAG, oid) is False, "the same object again is no new reference"
    assert tags(folder) == {"churn#current#1": oid}


def test_a_reference_that_can_t_be_created_is_an_error_and_not_taken(repo: GitRepo, oid: str) -> None:
    with pytest.raises(GitError, match="update-ref"):
        repo.create_ref("refs/tags/a..b", oid)
    with pytest.raises(GitError, match="nonexistent object"):
        repo.create_ref(TAG, "1" * 40)
    repo.create_ref("refs/tags/a", oid)
    with pytest.raises(GitError, match="refs/tags/a"):
        repo.create_ref("refs/tags/a/b", oid)


def test_references_are_created_and_deleted_in_one_go(folder: Path, repo: GitRepo, oid: str) -> None:
    other = store(repo, "another")
    repo.change_refs(create={"refs/tags/a": oid, "refs/tags/b": other}, delete={})
    assert tags(folder) == {"a": oid, "b": other}
    repo.change_refs(create={"refs/tags/c": oid}, delete={"refs/tags/a": oid, "refs/tags/b": other})
    assert tags(folder) == {"c": oid}
    repo.change_refs(create={}, delete={"refs/tags/c": oid})
    repo.change_refs(create={}, delete={})
    assert tags(folder) == {}


def test_what_is_so_already_is_left_as_it_is(folder: Path, repo: GitRepo, oid: str) -> None:
    other = store(repo, "another")
    repo.change_refs(create={"refs/tags/a": oid}, delete={})
    repo.change_refs(create={"refs/tags/a": oid}, delete={"refs/tags/a": other, "refs/tags/none": oid})
    assert tags(folder) == {"a": oid}
    repo.create_ref("refs/tags/left", oid)
    repo.change_refs(create={"refs/tags/a": oid}, delete={"refs/tags/left": oid})
    assert tags(folder) == {"a": oid}
    with pytest.raises(GitError, match="already exists"):
        repo.change_refs(create={"refs/tags/b": oid, "refs/tags/a": other}, delete={})
    assert tags(folder) == {"a": oid}, "all of it, or nothing"


def test_references_whose_names_are_no_text_can_be_moved(folder: Path, repo: GitRepo, oid: str) -> None:
    name = b"refs/tags/churn#\xff#1".decode("utf-8", "surrogateescape")
    repo.change_refs(create={name: oid}, delete={})
    assert repo.refs("refs/tags") == [Ref(name, oid)]
    repo.change_refs(create={TAG: oid}, delete={name: oid})
    assert tags(folder) == {"churn#current#1": oid}


def test_whoever_changes_references_holds_the_lock(repo: GitRepo, oid: str) -> None:
    held: list[str] = []

    @contextmanager
    def guard() -> Any:
        held.append("taken")
        yield
        held.append("left")

    repo.guard = guard
    repo.create_ref(TAG, oid)
    repo.change_refs(create={}, delete={TAG: oid})
    assert held == ["taken", "left"] * 2


# -- with whose programs -----------------------------------------------------------------------------------


def own(environment: Path, text: str) -> None:
    with (environment / "gitconfig").open("ab") as file:
        file.write(text.encode("latin-1"))


def credentials(transport: Transport, first: int = 0) -> list[tuple[str, str]]:
    """What git is told of credentials, in the environment."""
    told = transport.environment
    numbers = range(first, int(told["GIT_CONFIG_COUNT"]))
    return [(told[f"GIT_CONFIG_KEY_{number}"], told[f"GIT_CONFIG_VALUE_{number}"]) for number in numbers]


def programs(transport: Transport) -> tuple[str, str]:
    return transport.environment["GIT_SSH_COMMAND"], transport.environment["GIT_ASKPASS"]


def test_without_settings_ssh_asks_nobody_and_no_helper_is_called(repo: GitRepo) -> None:
    transport = Transport(repo.run)
    assert credentials(transport) == [("credential.helper", "")]
    assert programs(transport) == ("ssh -oBatchMode=yes", "true")


def test_the_programs_are_the_users_and_never_the_repositorys(
    folder: Path, repo: GitRepo, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("core.sshCommand", "core.askPass", "credential.helper", "credential.https://x.username"):
        run_git(folder, "config", key, "theirs")
    assert credentials(Transport(repo.run)) == [("credential.helper", "")]
    assert programs(Transport(repo.run)) == ("ssh -oBatchMode=yes", "true")
    own(
        environment,
        "[core]\n\tsshCommand = ssh -i mine\n\taskPass = ask-mine\n"
        '[credential]\n\thelper = first\n\thelper = second=2\n[credential "https://x"]\n\tusername = \xff\n',
    )
    transport = Transport(repo.run)
    assert credentials(transport) == [
        ("credential.helper", ""), ("credential.helper", "first"), ("credential.helper", "second=2"),
        ("credential.https://x.username", "\udcff"),
    ]  # fmt: skip
    assert programs(transport) == ("ssh -i mine", "ask-mine")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -i other")
    monkeypatch.setenv("GIT_ASKPASS", "ask-other")
    monkeypatch.setenv("GIT_SSH", "unheard")
    assert programs(Transport(repo.run)) == ("ssh -i other", "ask-other")


def test_settings_on_the_command_line_and_of_the_machine_are_the_users_too(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "machine"
    machine.write_text("[credential]\n\thelper = machines\n")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.fspath(machine))
    monkeypatch.delenv("GIT_CONFIG_NOSYSTEM")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.askpass")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "ask-command")
    transport = Transport(repo.run)
    assert credentials(transport, first=1) == [
        ("credential.helper", ""),
        ("credential.helper", "machines"),
    ], "the user's own stays"
    assert transport.environment["GIT_ASKPASS"] == "ask-command"


def test_a_program_named_by_git_ssh_is_one_word_of_the_command(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH", "/opt/my ssh")
    assert Transport(repo.run).environment["GIT_SSH_COMMAND"] == "'/opt/my ssh'"


def test_settings_that_can_t_be_read_are_an_error(folder: Path, repo: GitRepo) -> None:
    with (folder / ".git" / "config").open("a") as file:
        file.write("[broken")
    with pytest.raises(GitError, match="bad config"):
        Transport(repo.run).environment  # noqa: B018


def test_a_secret_in_a_credential_helper_is_in_no_list_of_arguments(
    repo: GitRepo, tmp_path: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(environment, '[credential]\n\thelper = "!f() { echo password=canary; }; f"\n')
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", os.fspath(trace))
    with serve(tmp_path, refuses=lambda _: 401) as port:
        remote = GitRemote(repo, f"http://127.0.0.1:{port}/hub.git")
        with pytest.raises(RemoteError, match=r"Authentication failed|could not read Username") as caught:
            remote.refs(["refs/tags/*"])
    started = [json.loads(line) for line in trace.read_text().splitlines()]
    argv = [event["argv"] for event in started if event["event"] == "start" and "/" not in event["sid"]]
    assert argv and "canary" not in str(argv)
    assert "canary" not in str(vars(caught.value))


AWAY = [
    "http.proxy", "http.https://host.example/.proxy", "http.sslVerify", "http.https://host.example.sslCAInfo",
    "http.cookieFile", "http.saveCookies", "http.curloptResolve", "http.proxySSLCert", "http.delegation",
    "http.schannelCheckRevoke",
]  # fmt: skip


@pytest.mark.parametrize("key", AWAY)
def test_a_repository_does_not_say_through_whom_or_whom_to_believe(
    key: str, folder: Path, repo: GitRepo, oid: str
) -> None:
    run_git(folder, "config", "http.extraHeader", "AUTHORIZATION: basic x")  # as checkouts in CI have it
    run_git(folder, "config", "http.postBuffer", "1048576")

    def remote() -> GitRemote:
        return GitRemote(repo, "http://127.0.0.1:1/hub.git")

    with pytest.raises(RemoteError):
        remote().refs([TAG])
    run_git(folder, "config", key, "x")
    for call in (
        lambda: remote().refs([TAG]), lambda: remote().fetch([TAG]), lambda: remote().create(TAG, oid), remote().mirror,
    ):  # fmt: skip
        with pytest.raises(InvalidSettingsError, match="--unset-all"):
            call()
    run_git(folder, "config", "--unset", key)
    run_git(folder, "config", "--global", key, "")
    with pytest.raises(RemoteError):
        remote().refs([TAG])


def test_an_address_that_the_user_has_git_reach_by_http_is_one(folder: Path, repo: GitRepo) -> None:
    run_git(folder, "config", "--global", "url.http://127.0.0.1:1/.insteadOf", "git@host.invalid:")
    run_git(folder, "config", "http.proxy", "http://127.0.0.1:2")
    with pytest.raises(InvalidSettingsError, match=r"'http\.proxy'"):
        GitRemote(repo, "git@host.invalid:hub.git").refs([TAG])
    with pytest.raises(RemoteError):
        GitRemote(repo, "file:///nowhere").refs([TAG])


def test_a_setting_that_was_mended_is_no_hindrance_any_more(folder: Path, repo: GitRepo, hub: Path) -> None:
    remote = GitRemote(repo, hub.as_uri())
    run_git(folder, "config", f"remote.{hub.as_uri()}.proxy", "x")
    with pytest.raises(InvalidSettingsError):
        remote.refs([TAG])
    run_git(folder, "config", "--unset-all", f"remote.{hub.as_uri()}.proxy")
    assert remote.refs([TAG]) == {}


@pytest.mark.parametrize(
    ("kind", "address", "text"),
    [("remotes", "host.invalid:models", "URL: {}\n"), ("branches", "models", "{}\n")],
)
def test_a_file_that_makes_a_remote_of_an_address_stops_what_is_sent(
    kind: str, address: str, text: str, folder: Path, repo: GitRepo, hub: Path, oid: str
) -> None:
    write(folder / ".git" / kind / address, text.format(hub))
    assert run_git(folder, "ls-remote", address), "the trap is live"
    for call in (
        lambda: GitRemote(repo, address).refs([TAG]),
        lambda: GitRemote(repo, address).create(TAG, oid),
    ):
        with pytest.raises(InvalidSettingsError, match="delete that file"):
            call()


@pytest.mark.parametrize(
    "key", ["remote.{}.pushurl", "remote.{}.proxy", "url.{}x.insteadOf", "url.{}x.pushInsteadOf"]
)
def test_a_repository_does_not_put_another_url_in_the_place_of_one(
    key: str, folder: Path, repo: GitRepo, hub: Path, oid: str
) -> None:
    run_git(folder, "config", key.format(hub.as_uri()), hub.as_uri())
    with pytest.raises(InvalidSettingsError, match="elsewhere"):
        GitRemote(repo, hub.as_uri()).create(TAG, oid)
    assert not tags(hub)


def test_a_remote_with_several_urls_is_read_at_the_first_and_written_where_git_pushes(
    folder: Path, repo: GitRepo, hub: Path, oid: str, tmp_path: Path
) -> None:
    writers = tmp_path / "writers.git"
    run_git(tmp_path, "clone", "--quiet", "--bare", os.fspath(hub), os.fspath(writers))
    for url in (hub.as_uri(), "https://host.invalid/second.git"):
        run_git(folder, "config", "--add", "remote.origin.url", url)
    first = GitRemote.named(repo, "origin")
    assert first is not None and repr(first) == hub.as_uri()
    assert first.create(TAG, oid) is Outcome.CREATED
    run_git(folder, "config", "remote.origin.pushurl", os.path.relpath(writers, folder))
    both = GitRemote.named(repo, "origin")
    assert both is not None
    other = TAG.replace("#1", "#2")
    assert both.create(other, oid) is Outcome.CREATED
    assert tags(writers) == {"churn#current#2": oid}
    assert both.refs(["refs/tags/*"]) == {TAG: oid}, "read where it always was"
    run_git(
        writers,
        "update-ref",
        "refs/tags/churn#current#3",
        run_git(folder, "rev-parse", "HEAD").decode().strip(),
    )
    assert both.create(TAG.replace("#1", "#3"), oid) is Outcome.TAKEN


def test_nothing_but_a_call_of_the_remote_may_use_the_network(repo: GitRepo, hub: Path) -> None:
    """So that a git that fetches what a clone left out when it is read calls nobody, whatever the repository names."""
    for verb in ("fetch", "ls-remote"):
        with pytest.raises(GitError, match="transport 'file' not allowed"):
            repo.run(verb, hub.as_uri())


def test_a_remote_is_reached_with_the_users_ssh(
    folder: Path, repo: GitRepo, hub: Path, oid: str, tmp_path: Path, environment: Path
) -> None:
    program, trace = marker(tmp_path)
    run_git(folder, "config", "core.sshCommand", f"{program} theirs")
    own(environment, f"[core]\n\tsshCommand = {program} mine\n")
    remote = GitRemote(repo, "ssh://host.example/x.git")
    with pytest.raises(RemoteError):
        remote.refs(["refs/tags/*"])
    assert remote.create(TAG, oid) is Outcome.UNKNOWN
    assert {line.split()[0] for line in trace.read_text().splitlines()} == {"mine"}


@pytest.mark.parametrize("named", [False, True])
def test_a_push_heeds_nothing_of_what_the_repository_configures(
    named: bool, folder: Path, repo: GitRepo, hub: Path, tmp_path: Path, oid: str
) -> None:
    program, trace = marker(tmp_path)
    run_git(folder, "remote", "add", "origin", hub.as_uri())
    for key, value in {
        "remote.origin.receivepack": program, "remote.origin.uploadpack": program, "push.gpgSign": "true",
        "push.followTags": "true", "push.recurseSubmodules": "only",
    }.items():  # fmt: skip
        run_git(folder, "config", key, os.fspath(value))
    repo.create_ref("refs/tags/mine", store(repo, "stays here", "mine"))
    remote = GitRemote(repo, hub.as_uri(), name="origin" if named else None)
    assert remote.create(TAG, oid) is Outcome.CREATED
    assert remote.refs(["refs/tags/*"]) == {TAG: oid}
    assert tags(hub) == {"churn#current#1": oid}
    assert not trace.exists()


@pytest.mark.parametrize("address", ["path", "file://", "encoded"])
def test_a_remote_in_a_folder_with_a_space_in_its_name_is_one(
    address: str, repo: GitRepo, hub: Path, oid: str
) -> None:
    place = hub.rename(hub.with_name("our hub.git"))
    url = {"path": os.fspath(place), "file://": f"file://{place}", "encoded": place.as_uri()}[address]
    remote = GitRemote(repo, url)
    assert remote.create(TAG, oid) is Outcome.CREATED
    assert remote.refs(["refs/tags/*"]) == {TAG: oid}
    assert remote.fetch(["refs/tags/*"])


def test_an_address_that_is_no_url_of_ours_is_refused_when_it_is_used(repo: GitRepo, oid: str) -> None:
    for url in (
        "ext::sh -c true",
        "--upload-pack=x",
        "/srv/hub\n.git",
        "https://exa mple.com/x",
        "https://ann:s3cret@example.invalid/x",
    ):
        remote = GitRemote(repo, url, name="origin")
        with pytest.raises(InvalidInputError):
            remote.refs(["refs/tags/*"])
        with pytest.raises(InvalidInputError):
            remote.create(TAG, oid)
        assert "s3cret" not in repr(remote)
    assert repr(GitRemote(repo, "https://ann:s3cret@example.invalid/x")) == "https://example.invalid/x"


# -- what the remote has -----------------------------------------------------------------------------------


def test_the_references_of_a_remote_are_those_that_match_each_at_its_object(
    folder: Path, repo: GitRepo, hub: Path, remote: GitRemote, oid: str
) -> None:
    odd = b"refs/tags/x\xff".decode("utf-8", "surrogateescape")
    for name in (TAG, "refs/tags/a\u2028b", odd):
        GitRepo.discover(hub).change_refs(create={name: repo.resolve("HEAD")}, delete={})
    run_git(folder, "push", "--quiet", os.fspath(hub), f"{oid}:refs/tags/annotated")
    head = repo.resolve("HEAD")
    assert remote.refs(["refs/tags/*"]) == {
        TAG: head, "refs/tags/a\u2028b": head, odd: head, "refs/tags/annotated": oid
    }  # fmt: skip
    assert remote.refs(["refs/tags/churn#*", "refs/tags/anno*"]) == {TAG: head, "refs/tags/annotated": oid}
    assert remote.refs(["refs/tags/none"]) == {}


def test_a_remote_that_can_t_be_reached_says_which_and_why(repo: GitRepo, tmp_path: Path) -> None:
    remote = GitRemote(repo, (tmp_path / "nothing.git").as_uri())
    with pytest.raises(
        RemoteError, match=r"the remote file://.*/nothing\.git can't be reached: git ls-remote"
    ) as caught:
        remote.refs(["refs/tags/*"])
    assert "ls-remote" in caught.value.arguments
    assert "nothing.git" in caught.value.stderr
    assert caught.value.status == 128


def facts_of(error: GitError) -> tuple[object, ...]:
    assert error.status and error.stderr and error.arguments
    return error.arguments, error.stdout, error.stderr, error.status


def test_a_token_in_a_query_is_shown_to_nobody(repo: GitRepo) -> None:
    remote = GitRemote(repo, "http://127.0.0.1:1/hub.git?private_token=c4n4ry&depth=1")
    with pytest.raises(RemoteError, match=r"\?private_token=\*\*\*&depth=1") as caught:
        remote.refs(["refs/tags/*"])
    shown = (
        caught.value,
        caught.value.__cause__,
        caught.value.arguments,
        caught.value.stderr,
        remote,
        remote.url,
    )
    assert "c4n4ry" not in repr(shown) + str(caught.value)


@pytest.mark.parametrize(("here", "there"), [("a", "a/b"), ("a/b", "a")])
@pytest.mark.parametrize("differs", [False, True], ids=["", "one is another here"])
def test_references_that_can_t_be_side_by_side_are_told_as_such_and_not_as_a_remote_out_of_reach(
    differs: bool, here: str, there: str, folder: Path, repo: GitRepo, hub: Path, remote: GitRemote, oid: str
) -> None:
    run_git(folder, "push", "--quiet", os.fspath(hub), f"{oid}:refs/tags/{there}", f"{oid}:refs/tags/other")
    repo.create_ref(f"refs/tags/{here}", oid)
    if differs:
        repo.create_ref("refs/tags/other", store(repo, "another"))
    with pytest.raises(GitError, match="no repository can have both") as caught:
        remote.fetch(["refs/tags/*"])
    assert not isinstance(caught.value, RemoteError)
    assert f"'git update-ref -d refs/tags/{here}'" in str(caught.value)
    assert "other" in tags(folder), "the others have come"
    run_git(folder, "update-ref", "-d", f"refs/tags/{here}")
    assert remote.fetch(["refs/tags/*"]) is not differs
    assert tags(folder)[there] == oid


def test_a_lock_that_was_left_here_is_told_as_such(
    folder: Path, hub: Path, remote: GitRemote, oid: str
) -> None:
    run_git(folder, "push", "--quiet", os.fspath(hub), f"{oid}:{TAG}")
    lock = write(folder / ".git" / f"{TAG}.lock", "")
    with pytest.raises(GitError, match="delete that file and try again") as caught:
        remote.fetch(["refs/tags/*"])
    assert not isinstance(caught.value, RemoteError)
    assert os.fspath(lock) in str(caught.value)


def test_objects_that_can_t_be_written_here_are_told_as_such(
    folder: Path, repo: GitRepo, hub: Path, remote: GitRemote
) -> None:
    objects = folder / ".git" / "objects"
    made = (store(GitRepo.discover(hub), str(number)) for number in range(100))
    oid = next(oid for oid in made if not (objects / oid[:2]).exists())
    run_git(hub, "update-ref", TAG, oid)
    write(objects / oid[:2], "in the way of a folder")
    for call in (lambda: remote.fetch(["refs/tags/*"]), lambda: remote.bring([oid])):
        with pytest.raises(GitError, match=r"has can't be kept here: .*has room") as caught:
            call()
        assert not isinstance(caught.value, RemoteError)
        cause = caught.value.__cause__
        assert isinstance(cause, GitError)
        assert facts_of(caught.value) == facts_of(cause)
        assert repr(repo) in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        "error: file write error: No space left on device", "fatal: write error: Disk quota exceeded",
        "fatal: Quota exceeded", "error: unlink failed: Read-only file system",
        "error: insufficient permission for adding an object to repository database objects",
    ],
)  # fmt: skip
def test_what_git_says_of_this_disk_is_no_trouble_of_the_remote(
    said: str, remote: GitRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f'#!/bin/sh\ncase "$*" in *fetch*) echo \'{said}\' >&2; exit 128;; esac\nexec {shutil.which("git")} "$@"\n'
    git = write(tmp_path / "bin" / "git", script)
    git.chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(git.parent), prepend=os.pathsep)
    with pytest.raises(GitError, match=f"can't be kept here: {said}") as caught:
        remote.fetch(["refs/tags/*"])
    assert not isinstance(caught.value, RemoteError)


def test_what_the_remote_lacks_room_for_is_no_trouble_of_this_clone(
    repo: GitRepo, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = write(tmp_path / "ssh", "#!/bin/sh\necho 'remote: fatal: No space left on device' >&2; exit 1\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", os.fspath(ssh))
    with pytest.raises(RemoteError, match="can't be reached"):
        GitRemote(repo, f"ssh://host.example{hub}").fetch(["refs/tags/*"])


# -- what a push comes to ----------------------------------------------------------------------------------


def test_a_push_creates_the_reference_there_and_none_here(
    folder: Path, hub: Path, remote: GitRemote, oid: str
) -> None:
    assert remote.create(TAG, oid) is Outcome.CREATED
    assert tags(hub) == {"churn#current#1": oid}
    assert not tags(folder)
    assert remote.create(TAG, oid) is Outcome.CREATED, "it is there: nothing is left to do"


def test_a_push_to_a_name_that_another_object_has_changes_nothing(
    repo: GitRepo, hub: Path, remote: GitRemote, oid: str
) -> None:
    remote.create(TAG, oid)
    assert remote.create(TAG, store(repo, "late")) is Outcome.TAKEN
    assert tags(hub) == {"churn#current#1": oid}


def test_a_push_that_another_overtook_on_its_way_is_taken(
    folder: Path, repo: GitRepo, hub: Path, remote: GitRemote, oid: str
) -> None:
    first = store(repo, "first")
    run_git(folder, "push", "--quiet", os.fspath(hub), f"{first}:refs/tags/other")
    # What the hook makes, the server finds when it would create the reference itself.
    hook(hub, "pre-receive", f"env -u GIT_QUARANTINE_PATH git update-ref '{TAG}' {first}")
    assert remote.create(TAG, oid) is Outcome.TAKEN
    assert tags(hub) == {"churn#current#1": first, "other": first}


def test_a_push_that_failed_after_it_was_applied_is_created_and_not_sent_again(
    hub: Path, remote: GitRemote, oid: str, tmp_path: Path
) -> None:
    hook(hub, "post-update", f"echo >> '{tmp_path}/count'; kill -9 $PPID")
    assert remote.create(TAG, oid) is Outcome.CREATED
    assert tags(hub) == {"churn#current#1": oid}
    assert (tmp_path / "count").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("failures", "outcome"), [(1, Outcome.CREATED), (2, Outcome.CREATED), (9, Outcome.UNKNOWN)]
)
def test_a_push_that_failed_before_it_was_applied_is_tried_three_times(
    failures: int, outcome: Outcome, hub: Path, remote: GitRemote, oid: str, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    hook(hub, "pre-receive", f"echo >> '{count}'; [ $(wc -l < '{count}') -gt {failures} ] || kill -9 $PPID")
    assert remote.create(TAG, oid) is outcome
    assert count.read_text().count("\n") == min(failures + 1, 3)
    assert tags(hub) == ({"churn#current#1": oid} if outcome is Outcome.CREATED else {})


def test_what_nobody_answers_for_is_unknown(hub: Path, remote: GitRemote, oid: str) -> None:
    away = hub.with_name("away.git")
    hook(hub, "pre-receive", f"mv '{hub}' '{away}'; kill -9 $PPID")
    assert remote.create(TAG, oid) is Outcome.UNKNOWN


def test_what_the_remote_refused_once_and_lost_twice_is_unknown(
    hub: Path, remote: GitRemote, oid: str, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    write(hub / "refs" / "tags" / "churn#current#1.lock", "")
    hook(hub, "pre-receive", f"echo >> '{count}'; [ $(wc -l < '{count}') = 1 ] || kill -9 $PPID")
    assert remote.create(TAG, oid) is Outcome.UNKNOWN


def test_what_the_remote_lost_once_and_refused_twice_is_unknown(
    hub: Path, remote: GitRemote, oid: str, tmp_path: Path
) -> None:
    count = tmp_path / "count"
    write(hub / "refs" / "tags" / "churn#current#1.lock", "")
    hook(hub, "pre-receive", f"echo >> '{count}'; [ $(wc -l < '{count}') != 1 ] || kill -9 $PPID")
    assert remote.create(TAG, oid) is Outcome.UNKNOWN


def test_what_a_rule_of_the_host_forbids_is_refused_at_once_in_its_words(
    hub: Path, remote: GitRemote, oid: str, tmp_path: Path
) -> None:
    hook(hub, "update", f"echo >> '{tmp_path}/count'; echo ' only the release team' >&2; exit 1")
    with pytest.raises(RefusedError) as caught:
        remote.create(TAG, oid)
    text = str(caught.value)
    assert text.startswith(f"the remote {hub.as_uri()} refuses the tag '{TAG}': remote:")
    assert " only the release team " in text, "lines are words of one line"
    assert "[remote rejected]" in text and "hook declined" in text
    assert "Done" not in text and "error: failed to push" not in text, "git's own framing is left out"
    assert (tmp_path / "count").read_text().count("\n") == 1
    assert not tags(hub)


def test_what_the_remote_can_t_keep_is_an_error_that_has_all_that_git_said(
    hub: Path, remote: GitRemote, oid: str
) -> None:
    write(hub / "refs" / "tags" / "churn#current#1.lock", "")
    with pytest.raises(
        GitError, match=r"can't keep the tag 'refs/tags/churn#current#1': .*rejected"
    ) as caught:
        remote.create(TAG, oid)
    error = caught.value
    assert not isinstance(error, RefusedError)
    assert "push" in error.arguments and f"{oid}:{TAG}" in error.arguments
    assert "[remote rejected]" in error.stdout
    assert "failed to push" in error.stderr
    assert error.status == 1
    assert not tags(hub)


READS, PUSHES = "git-upload-pack", "git-receive-pack"


@pytest.mark.parametrize(
    ("status", "refused", "askpass"),
    [
        (401, (PUSHES,), "true"), (401, (PUSHES,), "false"), (401, (PUSHES, READS), "true"), (403, (PUSHES,), "true"),
        (403, (PUSHES, READS), "true"), (403, (f"POST /hub.git/{PUSHES}",), "true"),
    ],
)  # fmt: skip
def test_who_may_not_push_is_told_so_at_once_and_nothing_waits(
    status: int,
    refused: Sequence[str],
    askpass: str,
    folder: Path,
    repo: GitRepo,
    hub: Path,
    assigned: Maker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_ASKPASS", askpass)
    run_git(hub, "config", "http.receivepack", "true")
    tag, oid = assigned(1)
    asked: list[str] = []

    def refuses(request: str) -> int:
        asked.append(request)
        return status if any(word in request for word in refused) else 0

    with serve(hub.parent, refuses=refuses) as port:
        remote = GitRemote(repo, f"http://127.0.0.1:{port}/hub.git")
        with pytest.raises(RefusedError, match=f"does not let you push the tag 'refs/tags/{tag}'") as caught:
            Sharing(repo, remote).append(tag, oid, event_id="e")
        assert "credential helper" in str(caught.value) and "nothing was written" in str(caught.value)
        assert not any(READS in request for request in asked), "it was not tried again"
        assert not tags(hub) and not references(folder).keys() & {f"refs/tags/{tag}"} and not ours(folder)
        refused = ()
        assert Sharing(repo, remote).append(tag, oid, event_id="e") is True
    assert tags(hub) == {tag: oid}


def test_what_waits_goes_on_waiting_while_its_author_may_not_push(
    folder: Path, repo: GitRepo, hub: Path, assigned: Maker, event: Callable[..., tuple[Event, str]]
) -> None:
    """A token that expired is no fault of the events."""
    run_git(hub, "config", "http.receivepack", "true")
    (tag, oid), (note, noted) = assigned(1), event(Annotated, 2, number=1)
    allowed: list[bool] = []
    with serve(hub.parent, refuses=lambda request: 403 if PUSHES in request and not allowed else 0) as port:
        remote = GitRemote(repo, f"http://127.0.0.1:{port}/hub.git")
        staged = Sharing(repo, remote, staged=True)
        for name, each in ((tag, oid), (note.source, noted)):
            assert staged.append(name, each, event_id="e") is True
        before = references(folder)
        with pytest.raises(AccessDeniedError) as caught:
            staged.settle()
        assert isinstance(caught.value, PermissionError)
        assert references(folder) == before
        allowed.append(True)
        assert staged.settle().synced == ((tag, note.source), ())
    assert tags(hub) == {tag: oid, note.source: noted}


@pytest.mark.parametrize(
    "said",
    [
        "git@host.example: Permission denied (publickey).", "ERROR: Permission to team/models.git denied to ann.",
        "remote: ERROR: You are not allowed to push code to this project.", "ERROR: Unauthorized", "Access FORBIDDEN.",
    ],
)  # fmt: skip
def test_whom_ssh_turns_away_is_told_so(
    said: str, repo: GitRepo, oid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = write(tmp_path / "ssh", f"#!/bin/sh\necho >> '{tmp_path}/count'; echo '{said}' >&2; exit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", os.fspath(ssh))
    with pytest.raises(RefusedError, match="ssh agent"):
        GitRemote(repo, "ssh://host.example/x.git").create(TAG, oid)
    assert (tmp_path / "count").read_text() == "\n"


def test_who_is_turned_away_after_a_push_that_broke_learns_that_nobody_knows(
    repo: GitRepo, hub: Path, oid: str, tmp_path: Path
) -> None:
    hook(hub, "pre-receive", f"touch '{tmp_path}/broke'; kill -9 $PPID")
    run_git(hub, "config", "http.receivepack", "true")
    with serve(hub.parent, refuses=lambda _: 403 if (tmp_path / "broke").exists() else 0) as port:
        assert GitRemote(repo, f"http://127.0.0.1:{port}/hub.git").create(TAG, oid) is Outcome.UNKNOWN


def test_what_a_hook_says_of_another_server_is_no_refusal_of_this_one(
    repo: GitRepo, hub: Path, oid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = hub.with_name("away.git")
    hook(hub, "post-receive", f"mv '{hub}' '{away}'; kill -9 $PPID")
    says = "echo \"remote: fatal: Authentication failed for 'https://elsewhere/'\" >&2"
    ssh = write(tmp_path / "ssh", f'#!/bin/sh\n{says}\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", os.fspath(ssh))
    assert GitRemote(repo, f"ssh://host.example{hub}").create(TAG, oid) is Outcome.UNKNOWN
    assert tags(away) == {"churn#current#1": oid}


# -- what a clone and the remote come to hold --------------------------------------------------------------


@pytest.fixture
def sharing(repo: GitRepo, remote: GitRemote) -> Sharing:
    return Sharing(repo, remote)


@pytest.fixture
def staged(repo: GitRepo, remote: GitRemote) -> Sharing:
    return Sharing(repo, remote, staged=True)


@pytest.fixture
def event(repo: GitRepo) -> Callable[..., tuple[Event, str]]:
    """Makes an event and stores it; no reference names it yet."""

    def make(kind: type[Event], second: int, model: str = "churn", **facts: Any) -> tuple[Event, str]:
        made = make_event(kind, model, repo.resolve("HEAD"), second=second, **facts)
        return made, repo.write_tag(render(made))

    return make


@pytest.fixture
def assigned(event: Callable[..., tuple[Event, str]]) -> Callable[..., tuple[str, str]]:
    """Stores an assignment of ``current``: its tag, and its object."""

    def make(second: int, number: int = 1, model: str = "churn", **facts: Any) -> tuple[str, str]:
        made, oid = event(Assigned, second, model, stage="current", version="v1.0.0", number=number, **facts)
        return made.source, oid

    return make


def ours(place: Path) -> dict[str, str]:
    """The references that are neither tags nor branches."""
    return {name: oid for name, oid in references(place).items() if name.startswith("refs/modelregistry/")}


def give(folder: Path, hub: Path, tag: str, oid: str) -> None:
    """Another clone's event, in the hub and not here."""
    run_git(folder, "push", "--quiet", os.fspath(hub), f"{oid}:refs/tags/{tag}")


def test_an_event_is_there_and_here_once_it_is_appended(
    folder: Path, hub: Path, sharing: Sharing, assigned: Maker
) -> None:
    tag, oid = assigned(1)
    assert sharing.append(tag, oid, event_id="e") is True
    assert tags(folder) == tags(hub) == {tag: oid}
    assert not ours(folder) and not ours(hub)


def test_who_is_too_late_leaves_nothing_anywhere(
    folder: Path, hub: Path, sharing: Sharing, assigned: Maker
) -> None:
    (tag, first), (_, late) = assigned(1), assigned(2)
    give(folder, hub, tag, first)
    assert sharing.append(tag, late, event_id="e") is False
    assert tags(hub) == {tag: first}
    assert not tags(folder) and not ours(folder)


def test_a_tag_here_that_is_in_the_way_of_a_shared_event_is_set_aside(
    folder: Path, repo: GitRepo, hub: Path, sharing: Sharing, assigned: Maker
) -> None:
    (tag, mine), (_, left) = assigned(1), assigned(2)
    repo.create_ref(f"refs/tags/{tag}", left)
    with pytest.warns(RegistryWarning, match="set aside"):
        assert sharing.append(tag, mine, event_id="e") is True
    assert tags(folder) == tags(hub) == {tag: mine}
    assert ours(folder) == {f"{REFUSED}/{left}/{tag}": left}


def test_an_event_that_is_here_already_stays_when_it_is_shared(
    folder: Path, repo: GitRepo, hub: Path, sharing: Sharing, assigned: Maker
) -> None:
    tag, oid = assigned(1)
    repo.create_ref(f"refs/tags/{tag}", oid)
    assert sharing.append(tag, oid, event_id="e") is True
    assert tags(folder) == tags(hub) == {tag: oid}
    assert not ours(folder)


def test_an_event_whose_push_nobody_answers_for_waits_and_does_not_count(
    folder: Path, hub: Path, sharing: Sharing, assigned: Maker
) -> None:
    tag, oid = assigned(1)
    away = hub.with_name("away.git")
    hook(hub, "pre-receive", f"mv '{hub}' '{away}'; kill -9 $PPID")
    with pytest.raises(OutcomeUnknownError, match="churn#current#1") as caught:
        sharing.append(tag, oid, event_id="the id")
    assert (caught.value.event_id, caught.value.tag) == ("the id", tag)
    assert not tags(folder)
    assert ours(folder) == {f"{PENDING}/{oid}/{tag}": oid}
    away.rename(hub)
    with pytest.raises(OutcomeUnknownError) as caught:
        sharing.settle()
    assert (caught.value.event_id, caught.value.tag) == ("assigned-churn-1", tag)
    away.rename(hub)
    (hub / "hooks" / "pre-receive").unlink()
    assert sharing.settle().synced == ((tag,), ())
    assert tags(folder) == tags(hub) == {tag: oid}
    assert not ours(folder)


def test_a_staged_event_is_here_and_waits(folder: Path, hub: Path, staged: Sharing, assigned: Maker) -> None:
    (tag, first), (_, late) = assigned(1), assigned(2)
    assert staged.append(tag, first, event_id="e") is True
    assert staged.append(tag, late, event_id="e") is False
    assert tags(folder) == {tag: first}
    assert ours(folder) == {f"{PENDING}/{first}/{tag}": first}
    assert not tags(hub)


def test_what_waits_is_published_oldest_first_in_pushes_of_its_own(
    folder: Path, hub: Path, staged: Sharing, event: Callable[..., tuple[Event, str]], tmp_path: Path
) -> None:
    made = [
        event(Registered, 1, version="v1.0.0"), event(Annotated, 2, version="v1.0.0", metadata={"a": 1}),
        event(Assigned, 3, stage="current", version="v1.0.0"), event(Registered, 4, version="v0.9.0"),
    ]  # fmt: skip
    for each, oid in reversed(made):
        assert staged.append(each.source, oid, event_id=each.id)
    hook(hub, "post-receive", f"cat >> '{tmp_path}/pushed'; echo >> '{tmp_path}/pushed'")
    names = tuple(each.source for each, _ in made)
    assert staged.settle().synced == (names, ())
    pushes = (tmp_path / "pushed").read_text().strip().split("\n\n")
    assert [push.rpartition("refs/tags/")[2] for push in pushes] == list(names)
    assert tags(folder) == tags(hub) == {each.source: oid for each, oid in made}
    assert not ours(folder)


def test_to_settle_one_model_leaves_the_others_as_they_are(
    folder: Path, hub: Path, staged: Sharing, assigned: Maker, event: Callable[..., tuple[Event, str]]
) -> None:
    others = [assigned(1, model=name) for name in ("churn-2", "churn/eu", "team/churn", "chur")]
    mine = assigned(1, number=2)
    for tag, oid in (*others, mine):
        assert staged.append(tag, oid, event_id="e")
    theirs, odd = assigned(2), event(Registered, 2, version="v1.0.0")
    foreign = event(Registered, 2, "risk", version="v1.0.0")
    for tag, oid in (theirs, (odd[0].source, odd[1]), (foreign[0].source, foreign[1])):
        give(folder, hub, tag, oid)
    assert staged.settle("churn").synced == ((mine[0],), ())
    here = dict([*others, mine, theirs, (odd[0].source, odd[1])])
    assert tags(folder) == here, "what others registered of another model was not asked for"
    assert ours(folder) == {f"{PENDING}/{oid}/{tag}": oid for tag, oid in others}
    assert staged.settle("team/churn").synced == (("team/churn#current#1",), ())
    assert set(staged.settle().synced.published) == {tag for tag, _ in others} - {"team/churn#current#1"}
    assert tags(folder) == tags(hub) == here | {foreign[0].source: foreign[1]}


def test_what_lost_its_place_is_set_aside_with_what_came_after_it_and_nothing_else(
    folder: Path, hub: Path, staged: Sharing, assigned: Maker, event: Callable[..., tuple[Event, str]]
) -> None:
    before, after = event(Registered, 1, version="v1.0.0"), event(Annotated, 3, metadata={"a": 1})
    tag, mine = assigned(2)
    other = assigned(3, model="risk")
    for name, oid in ((before[0].source, before[1]), (tag, mine), (after[0].source, after[1]), other):
        assert staged.append(name, oid, event_id="e")
    _, theirs = assigned(4)
    give(folder, hub, tag, theirs)
    with pytest.warns(RegistryWarning) as caught:
        synced = staged.settle().synced
    assert synced == ((before[0].source, other[0]), (tag, after[0].source))
    (warning,) = caught
    assert str(warning.message).startswith(f"set aside below {REFUSED}/: {tag}, {after[0].source}; ")
    assert f"{hub.as_uri()} has other events in their place" in str(warning.message)
    assert tags(folder) == tags(hub) == {before[0].source: before[1], tag: theirs, other[0]: other[1]}
    assert ours(folder) == {
        f"{REFUSED}/{mine}/{tag}": mine,
        f"{REFUSED}/{after[1]}/{after[0].source}": after[1],
    }
    with warnings.catch_warnings(action="error"):
        assert staged.settle().synced == ((), ())


def test_what_was_staged_in_the_place_of_a_shared_event_gives_way_with_what_came_after_it(
    folder: Path,
    hub: Path,
    staged: Sharing,
    sharing: Sharing,
    assigned: Maker,
    event: Callable[..., tuple[Event, str]],
) -> None:
    before, after = event(Registered, 1, version="v1.0.0"), event(Annotated, 3, metadata={"a": 1})
    (tag, mine), other = assigned(2), assigned(4, model="risk")
    for name, oid in ((before[0].source, before[1]), (tag, mine), (after[0].source, after[1]), other):
        assert staged.append(name, oid, event_id="e")
    _, theirs = assigned(5)
    with pytest.warns(RegistryWarning) as caught:
        assert sharing.append(tag, theirs, event_id="e")
    (warning,) = caught
    assert str(warning.message).startswith(f"set aside below {REFUSED}/: {tag}, {after[0].source}; ")
    assert str(warning.message).endswith("has other events in their place, which count")
    assert tags(folder) == {before[0].source: before[1], tag: theirs, other[0]: other[1]}
    assert ours(folder) == {
        f"{REFUSED}/{mine}/{tag}": mine,
        f"{REFUSED}/{after[1]}/{after[0].source}": after[1],
        f"{PENDING}/{before[1]}/{before[0].source}": before[1],
        f"{PENDING}/{other[1]}/{other[0]}": other[1],
    }
    assert tags(hub) == {tag: theirs}


def test_what_another_process_published_meanwhile_is_there_and_what_it_did_not_is_not(
    folder: Path, repo: GitRepo, staged: Sharing, assigned: Maker
) -> None:
    (tag, oid), (_, other) = assigned(1), assigned(2)
    assert repo.create_ref(f"refs/tags/{tag}", oid)
    assert staged.append(tag, oid, event_id="e") is True
    kept = ours(folder)
    assert staged.append(tag, other, event_id="e") is False
    assert (tags(folder), ours(folder)) == ({tag: oid}, kept)


def test_what_nobody_here_had_seen_is_told_once_it_is_published_and_echoes_are_not(
    folder: Path, repo: GitRepo, hub: Path, staged: Sharing, assigned: Maker
) -> None:
    seen, unseen, echo = assigned(1), assigned(2, model="risk"), assigned(3, model="fraud", echo_of="e")
    lost = assigned(4, model="late")
    assert staged.append(*seen, event_id="e")
    for tag, oid in (unseen, echo, lost):  # as a push leaves them whose outcome is unknown
        repo.change_refs(create={f"{PENDING}/{oid}/{tag}": oid}, delete={})
    give(folder, hub, *assigned(5, model="late"))
    with pytest.warns(RegistryWarning, match=lost[0]):
        settled = staged.settle()
    assert settled.synced == ((seen[0], unseen[0], echo[0]), (lost[0],))
    assert settled.revealed == (unseen[0],)
    assert staged.settle().revealed == ()


def test_what_waits_is_published_only_once_it_may_be(
    repo: GitRepo, remote: GitRemote, assigned: Maker, event: Callable[..., tuple[Event, str]]
) -> None:
    asked: list[Event] = []
    staged = Sharing(repo, remote, staged=True, admit=asked.append)
    made, oid = event(Registered, 1, version="v1.0.0")
    later = assigned(2)
    for tag, each in ((made.source, oid), later):
        assert staged.append(tag, each, event_id="e")
    assert not asked
    assert staged.settle().synced == ((made.source, later[0]), ())
    assert [(each.model, each.source) for each in asked] == [("churn", made.source), ("churn", later[0])]


def test_what_a_rule_of_the_host_forbids_is_set_aside_with_its_words(
    folder: Path, hub: Path, staged: Sharing, assigned: Maker, event: Callable[..., tuple[Event, str]]
) -> None:
    tag, mine = assigned(1)
    after, other = event(Annotated, 2, metadata={"a": 1}), assigned(2, model="risk")
    fraud = assigned(3, model="fraud")
    for name, oid in ((tag, mine), (after[0].source, after[1]), other, fraud):
        assert staged.append(name, oid, event_id="e")
    hook(hub, "update", 'case "$1" in *churn#*|*fraud#*) echo "only the release team" >&2; exit 1;; esac')
    with pytest.warns(RegistryWarning, match="only the release team") as caught:
        assert staged.settle().synced == ((other[0],), (tag, after[0].source, fraud[0]))
    text = str(caught[0].message)
    assert "in their place" not in text
    assert text.count("only the release team") == 2 and "; the remote" in text
    assert tags(folder) == tags(hub) == dict([other])


def test_a_tag_that_another_tool_left_goes_with_what_was_decided_on_it(
    folder: Path,
    repo: GitRepo,
    hub: Path,
    staged: Sharing,
    assigned: Maker,
    event: Callable[..., tuple[Event, str]],
) -> None:
    first, last = event(Annotated, 1, metadata={"a": 1}), event(Annotated, 9, metadata={"a": 2}, number=2)
    (tag, left), (second, later) = assigned(5), assigned(7, number=2)
    for name, oid in ((tag, left), (second, later)):
        repo.create_ref(f"refs/tags/{name}", oid)
        give(folder, hub, name, assigned(6)[1])
    for each, oid in (first, last):
        assert staged.append(each.source, oid, event_id="e")
    with pytest.warns(RegistryWarning, match=f"{last[0].source}, {tag}, {second};"):
        synced = staged.settle().synced
    assert synced == ((first[0].source,), (last[0].source, tag, second))
    assert tags(folder) == tags(hub)
    assert ours(folder) == {
        f"{REFUSED}/{oid}/{name}": oid
        for name, oid in ((tag, left), (second, later), (last[0].source, last[1]))
    }


@pytest.mark.parametrize("model", ["churn", "team/churn"])
@pytest.mark.parametrize("whole", [False, True])
def test_a_tag_that_lost_its_place_is_found_wherever_its_name_lies(
    model: str,
    whole: bool,
    folder: Path,
    repo: GitRepo,
    hub: Path,
    sharing: Sharing,
    event: Callable[..., tuple[Event, str]],
) -> None:
    for stage in ("current", "prod/eu"):
        mine, oid = event(Assigned, 1, model, stage=stage, version="v1.0.0")
        repo.create_ref(f"refs/tags/{mine.source}", oid)
        give(folder, hub, mine.source, event(Assigned, 2, model, stage=stage, version="v1.0.0")[1])
    with pytest.warns(RegistryWarning):
        synced = sharing.settle("" if whole else model).synced
    assert synced == ((), (f"{model}#current#1", f"{model}#prod/eu#1"))
    assert tags(folder) == tags(hub)


def test_a_name_that_was_lost_twice_is_told_once(
    folder: Path, repo: GitRepo, hub: Path, sharing: Sharing, assigned: Maker
) -> None:
    (tag, theirs), (_, waiting), (_, left) = assigned(1), assigned(2), assigned(3)
    repo.change_refs(create={f"{PENDING}/{waiting}/{tag}": waiting, f"refs/tags/{tag}": left}, delete={})
    give(folder, hub, tag, theirs)
    with pytest.warns(RegistryWarning):
        assert sharing.settle().synced == ((), (tag,))
    assert tags(folder) == {tag: theirs}
    assert ours(folder) == {f"{REFUSED}/{waiting}/{tag}": waiting, f"{REFUSED}/{left}/{tag}": left}


def test_what_is_no_event_is_left_alone(
    folder: Path, repo: GitRepo, hub: Path, sharing: Sharing, assigned: Maker
) -> None:
    head = repo.resolve("HEAD")
    text = f"object {head}\ntype commit\ntag release\ntagger A <a@x> 1 +0000\n\nours\n"
    mine = repo.write_tag(text.encode())
    junk = f"{PENDING}/{head}/junk"
    odd = "_churn@v1.0.0"  # what GTO does not read either
    repo.change_refs(
        create={"refs/tags/release": mine, f"refs/tags/{odd}": mine, "refs/tags/here": head, junk: head},
        delete={},
    )
    give(folder, hub, "release", head)
    give(folder, hub, odd, head)
    tag, oid = assigned(1)
    give(folder, hub, tag, oid)
    with warnings.catch_warnings(action="error"):
        assert sharing.settle().synced == ((), ())
    assert tags(folder) == {"release": mine, odd: mine, "here": head, tag: oid}
    assert ours(folder) == {junk: head}


def test_what_another_process_sets_aside_just_now_is_left_to_it(
    folder: Path, repo: GitRepo, hub: Path, sharing: Sharing, assigned: Maker
) -> None:
    (tag, theirs), (_, waiting) = assigned(1), assigned(2)
    repo.change_refs(create={f"{PENDING}/{waiting}/{tag}": waiting, f"refs/tags/{tag}": theirs}, delete={})
    give(folder, hub, tag, theirs)
    lock = write(folder / ".git" / REFUSED / waiting / f"{tag}.lock", "")
    with pytest.warns(RegistryWarning):
        assert sharing.settle().synced == ((), (tag,))
    assert tags(folder) == {tag: theirs}
    lock.unlink()
    with pytest.warns(RegistryWarning):
        sharing.settle()
    assert ours(folder) == {f"{REFUSED}/{waiting}/{tag}": waiting}


def test_what_can_t_be_set_aside_and_still_counts_here_is_an_error(
    folder: Path, repo: GitRepo, hub: Path, sharing: Sharing, assigned: Maker
) -> None:
    (tag, theirs), (_, left) = assigned(1), assigned(2)
    repo.create_ref(f"refs/tags/{tag}", left)
    give(folder, hub, tag, theirs)
    write(folder / ".git" / REFUSED / left / f"{tag}.lock", "")
    with pytest.raises(GitError, match=r"\.lock"):
        sharing.settle()
    assert tags(folder) == {tag: left}


def test_what_waits_and_has_lost_its_object_is_left_alone(
    folder: Path, repo: GitRepo, sharing: Sharing, assigned: Maker
) -> None:
    (tag, gone), (other, kept) = assigned(1), assigned(2, number=2)
    name = f"{PENDING}/{gone}/{tag}"
    repo.change_refs(create={name: gone, f"{PENDING}/{kept}/{other}": kept}, delete={})
    (folder / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
    assert sharing.settle().synced == ((other,), ())
    assert ours(folder) == {name: gone}
