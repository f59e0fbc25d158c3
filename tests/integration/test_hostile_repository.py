"""A repository whose configuration, hooks and attributes would run programs: none is run, whatever is asked of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.trust.signers import Signer, Signers
from modelregistry.trust.signertexts import key_id
from tests.integration.projects import commit, git, init, run, write

HOOKS = [
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-applypatch", "post-checkout", "post-commit", "post-index-change",
    "post-merge", "post-receive", "post-rewrite", "post-update", "pre-applypatch", "pre-auto-gc", "pre-commit", "pre-merge-commit",
    "pre-push", "pre-rebase", "pre-receive", "prepare-commit-msg", "proc-receive", "push-to-checkout", "reference-transaction",
    "sendemail-validate", "update",
]  # fmt: skip
KEYS = [
    "core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.gitProxy", "core.alternateRefsCommand", "core.askPass",
    "credential.helper", "gpg.program", "gpg.ssh.program", "gpg.x509.program", "gpg.ssh.defaultKeyCommand", "diff.external",
    "diff.evil.command", "diff.evil.textconv", "merge.evil.driver", "filter.evil.clean", "filter.evil.smudge", "filter.evil.process",
    "sequence.editor", "pager.tag", "pager.for-each-ref", "pager.log", "pager.show", "pager.var", "remote.origin.uploadpack",
    "remote.origin.receivepack", "uploadpack.packObjectsHook", "receive.procReceiveRefs", "interactive.diffFilter", "browser.evil.cmd",
    "difftool.evil.cmd", "mergetool.evil.cmd", "man.evil.cmd", "trailer.sign.command", "trailer.sign.cmd", "protocol.ext.allow",
    "remote.evil.vcs", "http.proxyAuthMethod",
]  # fmt: skip
ALIASES = [
    "for-each-ref", "cat-file", "rev-parse", "mktag", "update-ref", "ls-tree", "ls-files", "var", "commit-tree", "hash-object",
    "symbolic-ref", "update-index", "read-tree", "write-tree", "clone", "fetch", "pack-refs", "push", "ls-remote", "config",
]  # fmt: skip


class Hostile:
    """The small project, turned hostile; every program that it names would leave a mark."""

    def __init__(self, root: Path, marks: Path) -> None:
        self.root = root
        self.marks = marks
        marks.mkdir()
        self.folder = root.parent / "programs"

    def program(self, name: str) -> str:
        path = write(self.folder / name, f"#!/bin/sh\ntouch '{self.marks}/{name}'\n")
        path.chmod(0o755)
        return os.fspath(path)

    def arm(self) -> None:
        for key in KEYS:
            git(self.root, "config", key, "always" if key == "protocol.ext.allow" else self.program(key))
        for word in ALIASES:
            git(self.root, "config", f"alias.{word}", f"!{self.program('alias')}")
        for key, value in {
            "core.attributesFile": os.fspath(write(self.folder / "attributes", "* filter=evil diff=evil merge=evil\n")),
            "tag.gpgSign": "true", "commit.gpgSign": "true", "tag.forceSignAnnotated": "true", "user.signingKey": "ABCD",
            "filter.evil.required": "true", "diff.tool": "evil", "log.showSignature": "true", "gc.auto": "1",
            "gc.autoDetach": "false", "maintenance.auto": "true", "receive.autogc": "true",
            "remote.origin.url": f"ext::{self.folder}/ext", "core.hooksPath": os.fspath(self.folder / "hooks"),
            "url.ext::touch.insteadOf": "https://", "index.version": "4",
        }.items():  # fmt: skip
            git(self.root, "config", key, value)
        self.program("ext")
        for hook in HOOKS:
            for folder in (self.folder / "hooks", self.root / ".git" / "hooks"):
                path = write(folder / hook, f"#!/bin/sh\ntouch '{self.marks}/hook-{hook}'\n")
                path.chmod(0o755)

    @property
    def marked(self) -> list[str]:
        return sorted(path.name for path in self.marks.iterdir())


@pytest.fixture
def hostile(plain: Path, registry: Registry, tmp_path: Path) -> Hostile:
    write(plain / ".gitattributes", "* filter=evil diff=evil merge=evil\n")
    for path in (plain / ".gitattributes", plain / "churn.json", plain / "dvc.yaml"):
        os.utime(
            path, (2_000_000_000, 2_000_000_000)
        )  # newer than the index, so that git looks into them again
    commit(plain, "attributes")
    found = Hostile(plain, tmp_path / "marks")
    found.arm()
    return found


LIVE: dict[str, tuple[Sequence[str], str]] = {
    "fsmonitor": (["status"], "core.fsmonitor"),
    "filter": (["add", "churn.json"], "filter.evil.process"),
    "external diff": (["diff", "--ext-diff"], "diff.external"),
    "textconv": (["diff", "--no-ext-diff", "--textconv"], "diff.evil.textconv"),
    "gpg": (["tag", "-s", "-m", "x", "x"], "gpg.program"),
    "ssh signature": (["-c", "gpg.format=ssh", "tag", "-s", "-m", "x", "x"], "gpg.ssh.program"),
    "default key": (["-c", "gpg.format=ssh", "tag", "-s", "-m", "x", "x"], "gpg.ssh.defaultKeyCommand"),
    "x509": (["-c", "gpg.format=x509", "tag", "-s", "-m", "x", "x"], "gpg.x509.program"),
    "editor": (["commit", "--amend", "--no-gpg-sign"], "core.editor"),
    "ssh": (["ls-remote", "ssh://localhost/x"], "core.sshCommand"),
    "reference-transaction": (["update-ref", "refs/x", "main"], "hook-reference-transaction"),
    "index": (["update-index", "--force-remove", "risk.json"], "hook-post-index-change"),
    "a write of the index": (["update-index", "--force-remove", "risk.json"], "filter.evil.process"),
    "ext": (["ls-remote", "origin"], "ext"),
    "uploadpack": (["ls-remote", "origin"], "remote.origin.uploadpack"),
    "receivepack": (["push", "origin", "main"], "remote.origin.receivepack"),
}


@pytest.mark.parametrize("case", LIVE)
def test_the_trap_is_live_for_plain_git(case: str, hostile: Hostile) -> None:
    arguments, mark = LIVE[case]
    if mark != "filter.evil.process":  # it would end most commands before they come to anything else
        git(hostile.root, "config", "--remove-section", "filter.evil")
    if case == "default key":
        git(hostile.root, "config", "--unset", "user.signingKey")
    if case in ("uploadpack", "receivepack"):
        git(hostile.root, "config", "remote.origin.url", os.fspath(hostile.root))
    if case in ("external diff", "textconv", "filter"):
        git(hostile.root, "config", "--unset", "core.fsmonitor")
        write(hostile.root / "churn.json", "changed")
    if case in ("external diff", "textconv"):
        git(hostile.root, "config", "--unset", "diff.evil.command")
    subprocess.run(["git", *arguments], cwd=hostile.root, check=False, capture_output=True, timeout=20)
    assert mark in hostile.marked


WRITES: dict[str, Callable[[Registry], object]] = {
    "register": lambda r: r.register("risk"),
    "register in a commit of its own": lambda r: r.register("churn", version="v7.0.0"),
    "register and declare": lambda r: r.register("more", path="risk.json", declare=True),
    "promote": lambda r: r.promote("churn", "v0.1.1", "current"),
    "rollback": lambda r: r.rollback("churn", "current"),
    "promote with a move": lambda r: r.promote("churn", "v0.1.0", "shadow"),
    "demote": lambda r: r.demote("churn", "shadow"),
    "annotate": lambda r: r.annotate("churn", "v0.1.0", {"a": 1}),
    "withdraw": lambda r: r.withdraw("churn", "v0.1.0"),
    "deprecate": lambda r: r.deprecate("churn"),
}


def load(registry: Registry) -> None:
    with pytest.raises(mr.UnknownFormatError):
        registry.get("churn").load()


READS: dict[str, Callable[[Registry], object]] = {
    "get": lambda r: r.get("churn#current"),
    "versions": lambda r: r.versions("churn"),
    "models": lambda r: r.models(type=None),
    "history": lambda r: r.history("churn"),
    "events": lambda r: r.events(),
    "check": lambda r: r.check(),
    "declaration": lambda r: (r.get("churn").path, r.get("churn").labels),
    "bytes": lambda r: r.get("churn#current").local_path(),
    "load": load,
}


@pytest.mark.parametrize("below", [False, True], ids=["at the top", "in a folder"])
def test_no_verb_runs_what_the_repository_names(
    below: bool, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    if below:
        (hostile.root / "deep").mkdir()
        monkeypatch.chdir(hostile.root / "deep")
    registry = Registry("." if below else hostile.root, remote=None)
    for name, read in READS.items():
        read(registry)
        assert not hostile.marked, name
    for name, wish in WRITES.items():
        wish(registry)
        assert not hostile.marked, name
    assert not registry.check()


@pytest.mark.filterwarnings("ignore::modelregistry.RegistryWarning")
def test_logging_a_model_runs_nothing_that_the_repository_names(hostile: Hostile) -> None:
    write(hostile.root / ".dvc" / "config", "")
    write(hostile.root / ".dvc" / ".gitignore", "/config.local\n/tmp\n/cache\n")
    registry = Registry(hostile.root, remote=None)
    for turn in range(2):
        made = registry.log_model({"w": np.array([float(turn)])}, "weights")
        assert not hostile.marked
        assert made.load()["w"] == [turn]  # type: ignore[index]
    assert not hostile.marked


@pytest.mark.parametrize("kind", ["ssh", "openpgp"])
def test_signing_and_verifying_run_nothing_that_the_repository_names(
    kind: str, hostile: Hostile, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    run(tmp_path, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", os.fspath(key))
    git(hostile.root, "config", "gpg.format", kind)
    git(hostile.root, "config", "gpg.minTrustLevel", "ultimate")
    git(
        hostile.root,
        "config",
        "gpg.ssh.allowedSignersFile",
        os.fspath(write(tmp_path / "theirs", "* ssh-ed25519 AAAA\n")),
    )
    git(hostile.root, "config", "gpg.ssh.revocationFile", os.fspath(key))
    if kind == "ssh":
        git(hostile.root, "config", "user.signingKey", os.fspath(key))
    whom = Signers(
        (Signer("ann@example.com", key_id(key.with_name("key.pub").read_text())),), requirements=()
    )
    registry = Registry(hostile.root, remote=None, sign=True, signers=whom)
    for name, read in READS.items():
        read(registry)
        assert not hostile.marked, name
    for name, wish in WRITES.items() if kind == "ssh" else [("promote", WRITES["promote"])]:
        if kind == "ssh":
            wish(registry)
        else:  # the user's own gpg has no such key
            with pytest.raises(mr.GitError, match="nothing was written: the event can't be signed"):
                wish(registry)
        assert not hostile.marked, name
        reader = Registry(hostile.root, remote=None, signers=whom)
        assert [event for event in reader.events() if event.schema_version]
        assert not reader.check()
        assert not hostile.marked, name


def test_a_mirror_of_a_hostile_repository_runs_nothing_and_inherits_nothing(
    hostile: Hostile, fresh_cache: Path
) -> None:
    mirror = Registry(hostile.root.as_uri(), max_age=0)
    for name, read in READS.items():
        read(mirror)
        assert not hostile.marked, name
    Registry(hostile.root, remote=None).promote("churn", "v0.1.1", "current")
    assert mirror.get("churn#current").version == "v0.1.1"
    assert not hostile.marked
    (clone,) = (fresh_cache / "mirrors").glob("*.git")
    assert "evil" not in (clone / "config").read_text()
    assert not list((clone / "hooks").glob("*"))


def test_an_odd_remote_is_refused_by_what_needs_it_and_stops_no_reader(hostile: Hostile) -> None:
    registry = Registry(hostile.root)
    assert registry.get("churn#current").version == "v0.1.0"
    for need in (lambda: registry.promote("churn", "v0.1.1", "current"), registry.sync):
        with pytest.raises(mr.InvalidInputError, match="can't open 'ext' URLs"):
            need()
    assert not hostile.marked


@pytest.mark.parametrize("form", ["path", "file", "ssh"])
def test_sharing_runs_nothing_that_the_repository_names(form: str, hostile: Hostile, tmp_path: Path) -> None:
    hub = tmp_path / "hub.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", hostile.root, hub], check=True, timeout=60)
    url = {"path": os.fspath(hub), "file": hub.as_uri(), "ssh": f"ssh://localhost:1{hub}"}[form]
    git(hostile.root, "config", "remote.origin.url", url)
    for key in ("uploadpack", "receivepack"):
        git(hostile.root, "config", f"remote.{url}.{key}", hostile.program(key))
    with pytest.raises(mr.InvalidSettingsError, match="elsewhere"):
        Registry(hostile.root).promote("churn", "v0.1.1", "current")
    assert not hostile.marked
    git(hostile.root, "config", "--remove-section", f"remote.{url}")
    registry = Registry(hostile.root)
    if form == "ssh":
        with pytest.raises(mr.RemoteError, match="nothing was written"):
            registry.promote("churn", "v0.1.1", "current")
    else:
        for name, wish in WRITES.items():
            wish(registry)
            assert not hostile.marked, name
        registry.sync()
        assert Registry(hub).get("churn").version == registry.get("churn").version
    assert not hostile.marked


def test_a_bare_hostile_repository_runs_nothing(hostile: Hostile) -> None:
    bare = hostile.root.parent / "bare.git"
    shutil.copytree(hostile.root / ".git", bare)
    subprocess.run(
        ["git", "config", "--file", os.fspath(bare / "config"), "core.bare", "true"], check=True, timeout=60
    )
    registry = Registry(bare, remote=None)
    for wish in [*READS.values(), WRITES["register"], WRITES["promote"], WRITES["withdraw"]]:
        wish(registry)
    assert not hostile.marked


def test_files_of_a_commit_that_pose_as_a_repository_are_not_asked(plain: Path, tmp_path: Path) -> None:
    """A folder of the working copy that looks like a bare repository, with a configuration of its own."""
    trap = Hostile(init(tmp_path / "trap"), tmp_path / "marks")
    write(trap.root / "x", "x")
    commit(trap.root)
    trap.arm()
    shutil.copytree(trap.root / ".git", plain / "data")
    for wish in READS.values():
        try:
            wish(Registry(plain / "data"))
        except mr.RegistryError:
            continue
    assert not trap.marked


VARIABLES = {
    "GIT_DIR": ".git", "GIT_COMMON_DIR": ".git", "GIT_WORK_TREE": ".", "GIT_INDEX_FILE": ".git/index",
    "GIT_OBJECT_DIRECTORY": ".git/objects", "GIT_NAMESPACE": "elsewhere", "GIT_PREFIX": "deep/",
    "GIT_LITERAL_PATHSPECS": "1", "GIT_ICASE_PATHSPECS": "1", "GIT_SHALLOW_FILE": ".git/none", "GIT_DEFAULT_HASH": "sha256",
}  # fmt: skip


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_git_sets_for_its_hooks_does_not_lead_elsewhere(
    name: str, plain: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a training script runs in a hook, under ``git rebase --exec``, or in ``git submodule foreach``."""
    other = init(tmp_path / "other")
    write(other / "x", "x")
    commit(other)
    value = VARIABLES[name]
    monkeypatch.setenv(name, os.fspath(other / value) if value.startswith(".") else value)
    asked = Registry(plain)
    assert asked.get("churn#current").version == "v0.1.0"
    asked.promote("churn", "v0.1.1", "current")
    asked.register("more", path="risk.json", declare=True)
    monkeypatch.delenv(name)

    assert Registry(plain).get("churn#current").version == "v0.1.1"
    assert Registry(plain).get("more").version == "v0.1.0"
    assert git(plain, "status", "--porcelain") == ""
    assert git(other, "status", "--porcelain") == ""
    assert git(other, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
