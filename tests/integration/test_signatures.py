"""Signed events and a reader's policy: what Git's own verification lets pass is refused, and the last good holder serves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.backends.base import Log
from modelregistry.log.events import Annotated, Event, Registered, Withdrawn
from modelregistry.log.tags import RawTag, parse, render
from modelregistry.log.verified import VerifiedBackend
from tests.integration.projects import git, gto, init, put_tag, run, write

NAMES = ("ann", "bob", "mallory")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An SSH key of each person."""
    folder = tmp_path_factory.mktemp("keys")
    for name in NAMES:
        run(folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
    return {name: folder / name for name in NAMES}


def public(key: Path) -> str:
    return key.with_name(f"{key.name}.pub").read_text().strip()


@pytest.fixture
def be(keys: dict[str, Path], plain: Path) -> Callable[[str], None]:
    """Work in the project as somebody, with that person's address and key."""

    def become(name: str, *, email: str | None = None) -> None:
        git(plain, "config", "user.name", name.title())
        git(plain, "config", "user.email", email or f"{name}@example.com")
        git(plain, "config", "gpg.format", "ssh")
        git(plain, "config", "user.signingKey", os.fspath(keys[name]))

    return become


@pytest.fixture
def policy(keys: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    def make(text: str | None = None, **more: str) -> Path:
        lines = [
            f'[[signer]]\nprincipal = "{name}@example.com"\nkey = "{public(keys[name])}"\n{more.get(name, "")}\n'
            for name in ("ann", "bob")
        ]
        path = write(tmp_path / "policy.toml", (text or "") + "\n".join(lines) + more.get("end", ""))
        path.chmod(0o600)
        return path

    return make


@pytest.fixture
def signed(be: Callable[[str], None], plain: Path) -> Registry:
    """Two versions of ``churn``; v0.1.0 is current. All signed by Ann."""
    be("ann")
    registry = Registry(plain, sign=True)
    registry.register("churn", rev="main~2")
    registry.register("churn", rev="main~1")
    registry.promote("churn", "v0.1.0", "current", message="the first")
    return registry


def forge(plain: Path, name: str, text: str, key: Path | None = None) -> None:
    """A tag with that very text, signed with the key by plain Git if there is one."""
    data = text.encode()
    if key is not None:
        scratch = write(key.with_name("payload"), data)
        scratch.with_name("payload.sig").unlink(missing_ok=True)
        run(plain, "ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", os.fspath(key), os.fspath(scratch))
        data += scratch.with_name("payload.sig").read_bytes()
    put_tag(plain, name, data)


def text_of(plain: Path, name: str) -> str:
    """The signed text of an event, without its signature."""
    return git(plain, "cat-file", "tag", f"refs/tags/{name}").partition("-----BEGIN")[0].rstrip("\n") + "\n"


# -- signing -----------------------------------------------------------------------------------------------


def test_git_itself_verifies_what_is_signed(
    signed: Registry, plain: Path, keys: dict[str, Path], tmp_path: Path
) -> None:
    allowed = write(tmp_path / "allowed", f"ann@example.com {public(keys['ann'])}\n")
    for name in ("churn@v0.1.0", "churn@v0.1.1", "churn#current#1"):
        git(plain, "-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-tag", name)
    assert "v0.1.0" in gto(plain, "show", "churn#current")
    assert Registry(plain).get("churn#current").version == "v0.1.0"
    assert signed.history("churn")[-1].message == "the first"
    assert not signed.check()


@pytest.fixture
def key_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of a GPG of its own."""
    home = tmp_path / "g"  # a socket lies in it: its path must be short
    home = Path("/tmp", f"gnupg-{os.getpid()}") if len(os.fspath(home)) > 80 else home
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", os.fspath(home))
    yield home
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False, timeout=60)
    shutil.rmtree(home, ignore_errors=True)


def new_gpg_key(folder: Path, name: str) -> str:
    """The fingerprint of a new key."""
    owner = f"{name} <{name.lower()}@example.com>"
    run(
        folder, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", owner, "ed25519", "sign"
    )  # fmt: skip
    lines = run(folder, "gpg", "--batch", "--list-keys", "--with-colons", owner).splitlines()
    return next(line.split(":")[9] for line in lines if line.startswith("fpr"))


@pytest.mark.usefixtures("key_ring")
def test_a_gpg_key_signs_and_is_verified(plain: Path) -> None:
    fingerprint = new_gpg_key(plain, "Ann")
    git(plain, "config", "user.signingKey", fingerprint)
    signers = {"ann@example.com": f"gpg:{fingerprint}"}
    Registry(plain, sign=True, signers=signers).register("churn")
    assert Registry(plain, signers=signers).get("churn").version == "v0.1.0"
    git(plain, "verify-tag", "churn@v0.1.0")
    with (
        pytest.raises(mr.ModelNotFoundError),
        pytest.warns(mr.UncountedEventWarning, match="is not known"),
    ):
        Registry(plain, signers={"ann@example.com": f"gpg:{'A' * 40}"}).get("churn")


def revoke(folder: Path, key_ring: Path, fingerprint: str) -> None:
    """Tell the key ring that the key is revoked, by the certificate that GPG made with it."""
    revocation = (key_ring / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
    path = write(folder / "revocation", revocation.replace(":-----BEGIN", "-----BEGIN"))
    run(folder, "gpg", "--batch", "--quiet", "--import", os.fspath(path))


def test_a_gpg_key_that_the_ring_calls_revoked_counts_no_more_for_who_read_before(
    plain: Path, key_ring: Path, tmp_path: Path
) -> None:
    fingerprint = new_gpg_key(plain, "Ann")
    git(plain, "config", "user.signingKey", fingerprint)
    registry = Registry(plain, sign=True, signers={"ann@example.com": f"gpg:{fingerprint}"})
    registry.register("churn")
    for _ in range(2):
        assert registry.get("churn").version == "v0.1.0"
        assert registry.models()[0].latest == "v0.1.0"
    revoke(tmp_path, key_ring, fingerprint)
    with pytest.warns(mr.UncountedEventWarning), pytest.raises(mr.ModelNotFoundError):
        registry.get("churn")
    assert registry.models()[0].latest is None


def test_a_second_good_gpg_signature_does_not_lend_itself_to_a_revoked_key(
    plain: Path, key_ring: Path, tmp_path: Path
) -> None:
    ann, mallory = new_gpg_key(plain, "Ann"), new_gpg_key(plain, "Mallory")
    git(plain, "config", "user.signingKey", ann)
    signers = {"ann@example.com": f"gpg:{ann}"}
    registry = Registry(plain, sign=True, signers=signers)
    registry.register("churn", rev="main~2")
    text = text_of(plain, "churn@v0.1.0").replace("v0.1.0", "v0.2.0")
    written = write(tmp_path / "text", text)
    both = ["--local-user", ann, "--local-user", mallory]
    run(tmp_path, "gpg", "--batch", *both, "--armor", "--detach-sign", os.fspath(written))
    revoke(tmp_path, key_ring, ann)
    put_tag(plain, "churn@v0.2.0", text.encode() + (tmp_path / "text.asc").read_bytes())
    with pytest.raises(mr.ModelNotFoundError), pytest.warns(mr.UncountedEventWarning, match="2 events"):
        Registry(plain, signers=signers).get("churn")


def test_without_a_key_nothing_is_written_and_the_error_says_what_to_set(plain: Path, tmp_path: Path) -> None:
    git(plain, "config", "gpg.format", "ssh")
    git(plain, "config", "user.signingKey", os.fspath(tmp_path / "nowhere"))
    with pytest.raises(mr.GitError, match=r"can't be signed.*user\.signingKey"):
        Registry(plain, sign=True).register("churn")
    assert git(plain, "tag") == ""


def test_a_key_with_a_passphrase_and_no_agent_fails_at_once_and_asks_nobody(
    plain: Path, tmp_path: Path
) -> None:
    run(tmp_path, "ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", "locked")
    git(plain, "config", "gpg.format", "ssh")
    git(plain, "config", "user.signingKey", os.fspath(tmp_path / "locked"))
    with pytest.raises(mr.GitError, match="can't be signed"):
        Registry(plain, sign=True).register("churn")


def test_programs_that_the_repository_names_sign_and_verify_nothing(
    signed: Registry, plain: Path, policy: Callable[..., Path], tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    program = write(tmp_path / "program", f"#!/bin/sh\ntouch '{mark}'\n")
    program.chmod(0o755)
    for key in ("gpg.program", "gpg.ssh.program", "gpg.ssh.defaultKeyCommand", "gpg.x509.program"):
        git(plain, "config", key, os.fspath(program))
    Registry(plain, sign=True, signers=policy()).promote("churn", "v0.1.1", "current")
    assert Registry(plain, signers=policy()).get("churn#current").version == "v0.1.1"
    assert not mark.exists()


# -- the matrix: each is an attack on ``current``, which must go on being v0.1.0 ----------------------------


def unsigned(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    be("ann")
    Registry(plain).promote("churn", "v0.1.1", "current")
    return "it is not signed"


def unsigned_by_gto(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    be("ann")
    gto(plain, "assign", "churn", "--version", "v0.1.1", "--stage", "current")
    return "it is not signed"


def unknown_key(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    be("mallory", email="ann@example.com")
    Registry(plain, sign=True).promote("churn", "v0.1.1", "current")
    return "is not known"


def changed_text(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    be("ann")
    Registry(plain, sign=True).promote("churn", "v0.1.1", "current", message="good")
    whole = git(plain, "cat-file", "tag", "churn#current#2") + "\n"
    git(plain, "update-ref", "-d", "refs/tags/churn#current#2")
    put_tag(plain, "churn#current#2", whole.replace("good", "evil").encode())
    return "it is not signed"


def replayed_under_another_name(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    be("ann")
    Registry(plain, sign=True).promote("churn", "v0.1.1", "shadow")
    oid = git(plain, "rev-parse", "refs/tags/churn#shadow#1")
    git(plain, "update-ref", "refs/tags/churn#current#2", oid)
    return "the tag object says its name is 'churn#shadow#1'"


def another_registry(plain: Path, keys: dict[str, Path], model: str = "churn") -> Path:
    """A registry of Ann's beside this one, where v0.1.1 of the model is current."""
    other = init(plain.parent / "other")
    git(other, "config", "gpg.format", "ssh")
    git(other, "config", "user.signingKey", os.fspath(keys["ann"]))
    git(other, "fetch", "--quiet", "--no-tags", os.fspath(plain), "main:refs/heads/theirs")
    git(other, "reset", "--quiet", "--hard", "theirs")
    git(other, "config", "user.name", "Ann")
    there = Registry(other, sign=True)
    for rev in ("theirs~2", "theirs~1"):
        there.register(model, rev=rev)
    for version in ("v0.1.0", "v0.1.1"):
        there.promote(model, version, "current")
    return other


def replayed_from_another_registry(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    be("ann")
    other = another_registry(plain, keys)
    git(plain, "fetch", "--quiet", os.fspath(other), "refs/tags/churn#current#2:refs/tags/churn#current#2")
    return "it was made for another registry"


def wrong_principal(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    be("bob")  # who may register, and put on shadow
    Registry(plain, sign=True).promote("churn", "v0.1.1", "current")
    return "bob@example.com may not promote:current"


def wrong_principal_by_the_way(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    """A promotion to shadow takes the version off current."""
    be("bob")
    Registry(plain, sign=True).promote("churn", "v0.1.0", "shadow")
    return "may not promote:shadow and promote:current"


def foreign_tagger(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    be("bob", email="ann@example.com")
    Registry(plain, sign=True).promote("churn", "v0.1.1", "current")
    return "is bob@example.com's, and the event says ann@example.com made it"


def withdrawn_by_nobody(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    be("mallory")
    Registry(plain).withdraw("churn", "v0.1.0", then=mr.EMPTY)
    return "it is not signed"


def back_dated(plain: Path, be: Callable[..., None], keys: dict[str, Path]) -> str:
    """Slipped in before an honest promotion, so that a rollback would lead to it."""
    be("mallory")
    first = text_of(plain, "churn#current#1")
    moment = first.partition("tagger ")[2].partition("> ")[2].split()[0]
    text = (
        first.replace("churn#current#1", "churn#current#2")
        .replace(moment, str(int(moment) - 1))
        .replace("v0.1.0", "v0.1.1")
    )
    forge(plain, "churn#current#2", text, keys["mallory"])
    return "is not known"


ATTACKS = [
    unsigned, unsigned_by_gto, unknown_key, changed_text, replayed_under_another_name, replayed_from_another_registry,
    wrong_principal, wrong_principal_by_the_way, foreign_tagger, withdrawn_by_nobody, back_dated,
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_event_that_fails_the_policy_does_not_count(
    attack: Callable[..., str], signed: Registry, plain: Path, be: Callable[..., None],
    keys: dict[str, Path], policy: Callable[..., Path],
) -> None:  # fmt: skip
    signers = policy(bob='may = ["register", "promote:shadow"]')
    assert Registry(plain, signers=signers).get("churn#current").version == "v0.1.0"
    why = attack(plain, be, keys)
    registry = Registry(plain, signers=signers)
    if "name is" in why:  # refused for everybody
        assert registry.get("churn#current").version == "v0.1.0"
    else:
        with pytest.warns(mr.UncountedEventWarning, match="do not count") as told:
            assert registry.get("churn#current").version == "v0.1.0"
        assert len(told) == 1
        with pytest.raises(mr.SignatureError, match="do not count"):
            Registry(plain, signers=signers, strict=True).get("churn#current")
    assert registry.get("churn", version="v0.1.0").stages == ("current",)
    assert [problem for problem in registry.check() if why in problem.what], registry.check()
    assert [
        event.version
        for event in registry.history("churn")
        if event.kind == "assign" and event.stage == "current"
    ] == ["v0.1.0"]
    assert registry.models()[0].stages["current"] == ("v0.1.0",)


def test_a_revoked_key_counts_for_nothing_and_the_holder_before_serves(
    signed: Registry, plain: Path, be: Callable[..., None], policy: Callable[..., Path]
) -> None:
    be("bob")
    Registry(plain, sign=True).promote("churn", "v0.1.1", "current")
    assert Registry(plain, signers=policy()).get("churn#current").version == "v0.1.1"
    with pytest.warns(mr.UncountedEventWarning, match="was revoked"):
        assert Registry(plain, signers=policy(bob="revoked = true")).get("churn#current").version == "v0.1.0"


def test_what_does_not_count_any_more_is_there_and_is_not_told_as_gone(
    signed: Registry, plain: Path, be: Callable[[str], None], policy: Callable[..., Path]
) -> None:
    be("bob")
    Registry(plain, sign=True).promote("churn", "v0.1.1", "current")
    be("ann")
    Registry(plain, sign=True).annotate(
        "churn", "v0.1.1", {"seen": True}
    )  # it names Bob's by its fingerprint
    assert not Registry(plain, signers=policy()).check()
    (problem,) = Registry(plain, signers=policy(bob="revoked = true")).check()
    assert problem.where == "churn#current#2"
    assert "does not count by your policy: the key SHA256:" in problem.what
    assert "delete" not in problem.mend


def test_an_expired_key_counts_below_what_a_good_key_signed_and_nowhere_else(
    signed: Registry, plain: Path, be: Callable[..., None], policy: Callable[..., Path], keys: dict[str, Path]
) -> None:
    be("bob")
    Registry(plain, sign=True).promote("churn", "v0.1.1", "current", message="Bob's")
    expired = policy(bob=f"valid_before = {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    with pytest.warns(mr.UncountedEventWarning, match="expired"):
        assert Registry(plain, signers=expired).get("churn#current").version == "v0.1.0"
    be("ann")
    Registry(plain, sign=True).annotate("churn", "v0.1.1", {"seen": True})  # it comes after Bob's
    assert Registry(plain, signers=expired).get("churn#current").version == "v0.1.1"

    # With Bob's old key, and dated when it was good: Git's own verify-tag takes it.
    text = (
        text_of(plain, "churn#current#2")
        .replace("churn#current#2", "churn#current#3")
        .replace("v0.1.1", "v0.1.0")
    )
    forge(plain, "churn#current#3", text, keys["bob"])
    with pytest.warns(
        mr.UncountedEventWarning, match="'churn#current#3' for one, by your policy: its key has expired"
    ):
        assert Registry(plain, signers=expired).get("churn#current").version == "v0.1.1"


def test_a_warm_process_notices_that_a_key_expired(
    signed: Registry, plain: Path, policy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return cls.fromtimestamp(datetime.now(UTC).timestamp() + 7200, tz)

    soon = datetime.now(UTC) + timedelta(hours=1)
    registry = Registry(plain, signers=policy(ann=f"valid_before = {soon:%Y-%m-%dT%H:%M:%SZ}"))
    for _ in range(2):
        assert registry.get("churn#current").version == "v0.1.0"
        assert registry.models()[0].latest == "v0.1.1"
    assert registry._backend.watch("churn") == registry._backend.watch("churn")
    monkeypatch.setattr("modelregistry.log.verified.datetime", Later)
    with pytest.warns(mr.UncountedEventWarning, match="expired"), pytest.raises(mr.ModelNotFoundError):
        registry.get("churn#current")
    assert [row.latest for row in registry.models()] == [None, None]


def test_a_log_that_was_rolled_back_is_refused(
    signed: Registry, plain: Path, be: Callable[..., None], policy: Callable[..., Path]
) -> None:
    signed.promote("churn", "v0.1.1", "current")
    assert Registry(plain, signers=policy()).get("churn#current").version == "v0.1.1"
    oid = git(plain, "rev-parse", "refs/tags/churn#current#2")
    git(plain, "update-ref", "-d", "refs/tags/churn#current#2")
    registry = Registry(plain, signers=policy())
    for read in (lambda: registry.get("churn#current"), registry.models, registry.events):
        with pytest.raises(mr.RewoundError, match=r"churn#current#2.*check\(accept=True\)") as caught:
            read()
    assert caught.value.tags == ("churn#current#2",)
    assert [problem.where for problem in registry.check()] == ["churn#current#2"]
    git(plain, "update-ref", "refs/tags/churn#current#2", oid)
    assert registry.get("churn#current").version == "v0.1.1"
    git(plain, "update-ref", "-d", "refs/tags/churn#current#2")
    registry.check(accept=True)
    assert registry.get("churn#current").version == "v0.1.0"


def test_a_list_from_which_a_whole_model_is_gone_is_refused(
    signed: Registry, plain: Path, policy: Callable[..., Path]
) -> None:
    signed.register("risk", rev="main~1")
    registry = Registry(plain, signers=policy())
    assert [row.latest for row in registry.models()] == ["v0.1.1", "v0.1.0"]
    git(plain, "tag", "--delete", "risk@v0.1.0")
    for opened in (registry, Registry(plain, signers=policy())):
        for read in (opened.models, opened.events, partial(opened.get, "risk")):
            with pytest.raises(mr.RewoundError, match=r"1 events of 'risk'.*risk@v0\.1\.0"):
                read()
    assert registry.get("churn").version == "v0.1.1"
    assert [problem.where for problem in registry.check()] == ["risk@v0.1.0"]
    registry.check(accept=True)
    assert [row.latest for row in registry.models()] == ["v0.1.1", None]
    assert {event.model for event in registry.events()} == {"churn"}


def test_an_event_that_was_deleted_is_not_hidden_by_another_that_carries_its_id(
    signed: Registry, plain: Path, be: Callable[[str], None], policy: Callable[..., Path]
) -> None:
    signed.promote("churn", "v0.1.1", "current")
    registry = Registry(plain, signers=policy())
    event = registry.history("churn")[-1]
    git(plain, "update-ref", "-d", "refs/tags/churn#current#2")
    text = (
        f"object {event.rev}\ntype commit\ntag churn#shadow!#1\n"
        f"tagger Mallory <m@example.com> {int(event.at.timestamp())} +0000\n\nx\n\n"
        f'Model-Registry: {{"echo_of":"x","id":"{event.id}","kind":"unassign","schema_version":1,"version":"v0.1.1"}}\n'
    )
    forge(plain, "churn#shadow!#1", text)
    with pytest.raises(mr.RewoundError, match="churn#current#2"):
        Registry(plain, signers=policy()).get("churn#current")


def test_what_never_counted_may_be_deleted(
    signed: Registry, plain: Path, be: Callable[..., None], policy: Callable[..., Path]
) -> None:
    registry = Registry(plain, signers=policy())
    be("mallory")
    Registry(plain).promote("churn", "v0.1.1", "current")
    with pytest.warns(mr.UncountedEventWarning):
        registry.get("churn#current")
    git(plain, "update-ref", "-d", "refs/tags/churn#current#2")
    assert registry.get("churn#current").version == "v0.1.0"
    assert not registry.check()


# -- writing under a policy --------------------------------------------------------------------------------


def test_a_writer_whose_event_would_not_count_is_told_before_anything_is_written(
    signed: Registry, plain: Path, be: Callable[..., None], policy: Callable[..., Path]
) -> None:
    before = git(plain, "for-each-ref")
    signers = policy(bob='may = ["register"]')
    with pytest.raises(mr.RefusedError, match=r"nothing was written.*not signed.*sign=True"):
        Registry(plain, signers=signers).promote("churn", "v0.1.1", "current")
    be("bob")
    with pytest.raises(mr.RefusedError, match="may not promote:current"):
        Registry(plain, signers=signers, sign=True).promote("churn", "v0.1.1", "current")
    be("mallory")
    with pytest.raises(mr.RefusedError, match="is not known"):
        Registry(plain, signers=signers, sign=True).register("churn")
    be("bob")
    only_promotions = policy(bob='may = ["promote"]')
    for dry_run in (True, False):
        with pytest.raises(mr.RefusedError, match="may not withdraw"):
            Registry(plain, signers=only_promotions, sign=True).withdraw(
                "churn", "v0.1.0", then="v0.1.1", dry_run=dry_run
            )
    assert git(plain, "for-each-ref") == before


def test_a_writer_whose_key_has_expired_is_told_when_and_writes_nothing(
    signed: Registry, plain: Path, policy: Callable[..., Path]
) -> None:
    before = git(plain, "for-each-ref")
    signers = policy(
        bob="valid_before = 2026-01-01T00:00:00Z", ann="valid_before = 2026-02-01T12:00:00+02:00"
    )
    registry = Registry(plain, sign=True, signers=signers)
    expired = r"nothing was written.* of ann@example\.com has expired, on 2026-02-01 10:00:00 UTC$"
    with pytest.warns(mr.UncountedEventWarning), pytest.raises(mr.RefusedError, match=expired):
        registry.register("churn", rev="main", dry_run=True)
    with pytest.raises(mr.RefusedError, match=expired):
        registry.register("churn", rev="main")
    assert git(plain, "for-each-ref") == before


def test_a_writer_decides_on_what_counts(
    signed: Registry, plain: Path, be: Callable[..., None], policy: Callable[..., Path]
) -> None:
    be("mallory")
    Registry(plain).promote("churn", "v0.1.1", "current")
    be("ann")
    registry = Registry(plain, sign=True, signers=policy())
    with pytest.warns(mr.UncountedEventWarning):
        registry.promote("churn", "v0.1.1", "current", expected="v0.1.0", message="meant")
    assert [event.number for event in registry.history("churn") if event.kind == "assign"] == [1, 3]
    assert registry.rollback("churn", "current").version == "v0.1.0"


@pytest.mark.filterwarnings("error")
def test_an_echo_that_nobody_signed_dates_nothing_and_is_repeated_once(
    signed: Registry, plain: Path, policy: Callable[..., Path]
) -> None:
    """The echo that a promotion needs, dated so late that no event could come after it."""
    for stage in ("shadow", "current"):
        signed.promote("churn", "v0.1.1", stage)
    text = text_of(plain, "churn#shadow!#1")
    moment = text.partition("tagger ")[2].partition("> ")[2].split()[0]
    git(plain, "update-ref", "-d", "refs/tags/churn#shadow!#1")
    forge(plain, "churn#shadow!#1", text.replace(moment, "253402300799"))  # the last second of 9999
    registry = Registry(plain, sign=True, signers=policy(), strict=True)
    mended = {problem.where: problem.mend for problem in registry.check()}
    assert mended["churn#shadow!#1"] == "delete the tag, or leave it"
    registry.promote("churn", "v0.1.0", "current")
    assert registry.history("churn")[-1].at < datetime.now(UTC) + timedelta(hours=1)
    assert registry.models()[0].stages == {"current": ("v0.1.0",)}
    for _ in range(2):
        assert {problem.where for problem in registry.check(repair=True)} == {"churn#shadow!#1"}
        assert git(plain, "tag", "--list", "churn#shadow!*").split() == ["churn#shadow!#1", "churn#shadow!#2"]


def test_an_echo_that_nobody_signed_is_what_gto_reads_and_is_not_written_again(
    signed: Registry, plain: Path, policy: Callable[..., Path]
) -> None:
    for stage in ("shadow", "current"):
        signed.promote("churn", "v0.1.1", stage)
    text = text_of(plain, "churn#shadow!#1")
    git(plain, "update-ref", "-d", "refs/tags/churn#shadow!#1")
    forge(plain, "churn#shadow!#1", text)
    registry = Registry(plain, sign=True, signers=policy(), strict=True)
    before = git(plain, "for-each-ref")
    assert not registry.check(repair=True)
    assert git(plain, "for-each-ref") == before


def test_only_what_must_be_signed_must_be(
    signed: Registry, plain: Path, be: Callable[..., None], policy: Callable[..., Path]
) -> None:
    signers = policy(end='[[require]]\nstages = ["current"]\n')
    Registry(plain, signers=signers).promote("churn", "v0.1.1", "shadow")
    Registry(plain, signers=signers).annotate("churn", "v0.1.1", {"a": 1})
    assert Registry(plain, signers=signers).get("churn#shadow").metadata == {"a": 1}
    with pytest.raises(mr.RefusedError, match="not signed"):
        Registry(plain, signers=signers).promote("churn", "v0.1.1", "current")
    with pytest.raises(mr.RefusedError, match="not signed"):
        Registry(plain, signers=signers).withdraw("churn", "v0.1.0", then=mr.EMPTY)
    elsewhere = policy(end='[[require]]\nmodels = ["fraud/*"]\n')
    assert Registry(plain, signers=elsewhere).promote("churn", "v0.1.1", "current").version == "v0.1.1"


def test_the_registry_may_be_pinned(signed: Registry, plain: Path, policy: Callable[..., Path]) -> None:
    own = signed.history("churn")[0].registry
    assert Registry(plain, signers=policy(f'registry = "{own}"\n')).get("churn#current").version == "v0.1.0"
    with (
        pytest.warns(mr.UncountedEventWarning, match="another registry"),
        pytest.raises(mr.ModelNotFoundError),
    ):
        Registry(plain, signers=policy(f'registry = "{"0" * 32}"\n')).get("churn#current")


def test_a_registry_that_was_only_met_is_told_by_both_ids_where_known_keys_signed_for_two(
    signed: Registry, plain: Path, be: Callable[..., None], keys: dict[str, Path], policy: Callable[..., Path]
) -> None:
    """Whoever may push copies a model of another registry here, and the reader happens to read that one first."""
    own = signed.history("churn")[0].registry
    other = another_registry(plain, keys, "risk")
    other_id = Registry(other).history("risk")[0].registry
    git(plain, "fetch", "--quiet", os.fspath(other), "refs/tags/risk*:refs/tags/risk*")
    registry = Registry(plain, signers=policy())
    assert registry.get("risk").version == "v0.1.1"
    both = rf"'{own}', and this one is '{other_id}', as it was met first.*registry = .*check\(accept=True\)"
    with pytest.warns(mr.UncountedEventWarning, match=both), pytest.raises(mr.ModelNotFoundError):
        registry.get("churn")
    assert [row.name for row in registry.models() if row.latest] == ["risk"]
    assert any(own in problem.what and other_id in problem.what for problem in registry.check())

    pinned = Registry(plain, signers=policy(f'registry = "{own}"\n'))
    assert pinned.get("churn#current").version == "v0.1.0"
    with pytest.warns(mr.UncountedEventWarning, match=f"this one is '{own}'; check"):
        assert [row.name for row in pinned.models() if row.latest] == ["churn"]

    registry = Registry(plain, signers=policy())
    registry.check(accept=True)
    assert registry.get("churn#current").version == "v0.1.0"
    with pytest.warns(mr.UncountedEventWarning, match="as it was met first"):
        assert [row.name for row in registry.models() if row.latest] == ["churn"]


# -- where the policy comes from ---------------------------------------------------------------------------


def test_the_user_s_own_policy_counts_without_a_word(
    signed: Registry, plain: Path, be: Callable[..., None], policy: Callable[..., Path],
    environment: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Path],
) -> None:  # fmt: skip
    be("mallory")
    Registry(plain).promote("churn", "v0.1.1", "current")
    assert Registry(plain).get("churn#current").version == "v0.1.1"
    monkeypatch.setenv("MODELREGISTRY_POLICY", os.fspath(policy()))
    with pytest.warns(mr.UncountedEventWarning):
        assert Registry(plain).get("churn#current").version == "v0.1.0"
    monkeypatch.delenv("MODELREGISTRY_POLICY")
    own = write(environment / "config" / "modelregistry" / "policy.toml", policy().read_text())
    own.chmod(0o600)
    with pytest.warns(mr.UncountedEventWarning):
        assert Registry(plain).get("churn#current").version == "v0.1.0"
    allowed = write(
        plain.parent / "allowed", f'# people\nann@example.com namespaces="git" {public(keys["ann"])}\n'
    )
    for signers in (allowed, {"ann@example.com": public(keys["ann"])}):
        with pytest.warns(mr.UncountedEventWarning):
            assert Registry(plain, signers=signers).get("churn#current").version == "v0.1.0"


def test_a_policy_that_others_could_have_written_or_that_is_missing_is_no_policy_and_no_registry_is_opened(
    signed: Registry,
    plain: Path,
    policy: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = policy()
    path.chmod(0o666)
    with pytest.raises(mr.InvalidSettingsError, match="writable by others"):
        Registry(plain, signers=path)
    monkeypatch.setenv("MODELREGISTRY_POLICY", os.fspath(tmp_path / "nowhere.toml"))
    with pytest.raises(mr.InvalidSettingsError, match="can't be read"):
        Registry(plain)


def test_a_registry_is_not_strict_about_nothing(plain: Path) -> None:
    with pytest.raises(mr.InvalidInputError, match="strict=True needs a policy"):
        Registry(plain, strict=True)


def test_a_signature_is_checked_once_for_a_user(
    signed: Registry,
    plain: Path,
    policy: Callable[..., Path],
    environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    signers = policy()
    Registry(plain, signers=signers).get("churn#current")
    kept = environment / "data" / "modelregistry" / "signatures"
    assert len(kept.read_text().splitlines()) == 3
    write(tmp_path / "bin" / "ssh-keygen", "#!/bin/sh\nexit 1\n").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert Registry(plain, signers=signers).get("churn#current").version == "v0.1.0"
    kept.chmod(0o666)  # somebody else could have written it
    with pytest.warns() as told, pytest.raises(mr.ModelNotFoundError):
        Registry(plain, signers=signers).get("churn#current")
    assert [str(each.message) for each in told if "nothing in it is taken for verified" in str(each.message)]


def test_no_repository_can_say_whom_to_believe(
    signed: Registry,
    plain: Path,
    policy: Callable[..., Path],
    keys: dict[str, Path],
    be: Callable[..., None],
    tmp_path: Path,
) -> None:
    be("mallory")
    Registry(plain, sign=True).promote("churn", "v0.1.1", "current")
    allowed = write(plain / "allowed_signers", f"mallory@example.com {public(keys['mallory'])}\n")
    git(plain, "config", "gpg.ssh.allowedSignersFile", os.fspath(allowed))
    write(plain / "policy.toml", policy().read_text())
    with pytest.warns(mr.UncountedEventWarning):
        assert Registry(plain, signers=policy()).get("churn#current").version == "v0.1.0"


def test_signed_events_are_shared_and_verified_through_a_url(
    signed: Registry,
    plain: Path,
    be: Callable[..., None],
    policy: Callable[..., Path],
    tmp_path: Path,
    fresh_cache: Path,
) -> None:
    hub = tmp_path / "hub.git"
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), os.fspath(hub))
    git(plain, "remote", "add", "origin", os.fspath(hub))
    Registry(plain, sign=True, signers=policy()).promote("churn", "v0.1.1", "current")
    model = Registry(hub.as_uri(), signers=policy(), strict=True).get("churn#current")
    assert model.version == "v0.1.1"
    assert model.local_path().read_text() == '{"churn": 1}'


@pytest.mark.parametrize("name", ["churn@v9.0.0", "churn@v0.1.0!#1", "churn@annotate#1"])
def test_what_claims_to_be_an_echo_and_is_no_stage_tag_changes_nothing(
    signed: Registry, plain: Path, policy: Callable[..., Path], name: str
) -> None:
    event = parse(RawTag("churn@v0.1.0", "", "tag", git(plain, "cat-file", "tag", "churn@v0.1.0").encode()))
    assert isinstance(event, Registered)
    facts = {
        **event.model_dump(exclude={"kind", "version"}), "number": int("#" in name), "source": name, "id": "forged",
        "echo_of": event.id,
    }  # fmt: skip
    forged: Event
    match name.partition("@")[2]:
        case "v9.0.0":
            forged = Registered(**facts, version="v9.0.0")
        case "annotate#1":
            forged = Annotated(**facts | {"metadata": {"owner": "mallory"}}, version="v0.1.0")
        case _:
            forged = Withdrawn(**facts, version="v0.1.0")
    forge(plain, name, render(forged).decode())
    registry = Registry(plain, signers=policy())
    assert registry.get("churn").version == "v0.1.1"
    assert registry.get("churn#current").state == "current"
    assert registry.get("churn#current").metadata == {}
    (problem,) = registry.check()
    assert (problem.where, "only a tag of a stage" in problem.what) == (name, True)


def test_what_was_verified_once_is_known_by_its_text_not_by_the_object_it_claims_to_be(
    signed: Registry, plain: Path, policy: Callable[..., Path]
) -> None:
    assert Registry(plain, signers=policy()).get("churn#current").version == "v0.1.0"
    oid = git(plain, "rev-parse", "refs/tags/churn#current#1")
    data = run(plain, "git", "cat-file", "tag", oid) + "\n"
    data = data.replace("v0.1.0", "v0.1.1")
    first, second = (git(plain, "rev-parse", f"churn@{version}^{{}}") for version in ("v0.1.0", "v0.1.1"))
    data = data.replace(first, second)
    place = plain / ".git" / "objects" / oid[:2] / oid[2:]
    place.chmod(0o644)
    place.write_bytes(zlib.compress(f"tag {len(data)}\0{data}".encode()))
    registry = Registry(plain, signers=policy())
    with pytest.raises(mr.RewoundError, match="churn#current#1"), pytest.warns(mr.UncountedEventWarning):
        registry.get("churn#current")
    told = [problem.what for problem in registry.check() if problem.where == "churn#current#1"]
    assert any("it is not signed" in what for what in told), told


def test_a_site_says_who_signed_by_the_policy_of_now(
    plain: Path, be: Callable[..., None], policy: Callable[..., Path], tmp_path: Path
) -> None:
    be("ann")
    Registry(plain, sign=True).register("churn", rev="main")

    def says(**more: str) -> bool:
        none = '[[require]]\nmodels = ["other"]\n'
        site = Registry(plain, signers=policy(none, **more)).export_site(tmp_path / "public")
        return "Signed by" in (site.path / "models/churn/v0.1.0.html").read_text()

    assert [says(), says(ann='may = ["annotate"]'), says()] == [True, False, True]


def test_a_site_says_who_signed_each_version_and_a_log_is_not_judged_anew_for_each(
    signed: Registry,
    plain: Path,
    policy: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Registry(plain).register("risk")
    judged: list[str] = []
    judge = VerifiedBackend._judged

    def count(backend: VerifiedBackend, log: Log) -> Log:
        judged.append(log.model)
        return judge(backend, log)

    monkeypatch.setattr(VerifiedBackend, "_judged", count)
    text = 'registry = "{}"\n[[require]]\nmodels = ["churn"]\n'.format(signed.history("churn")[0].registry)
    site = Registry(plain, signers=policy(text)).export_site(tmp_path / "public")
    assert judged.count("churn") == judged.count("risk"), "which has one version less"
    for version in ("v0.1.0", "v0.1.1"):
        page = (site.path / "models" / "churn" / f"{version}.html").read_text("utf-8")
        assert "<dt>Signed by</dt><dd><bdi>ann@example.com</bdi></dd>" in page
    assert "Signed by" not in (site.path / "models" / "risk" / "v0.1.0.html").read_text("utf-8")
    told = {
        model["name"]: {each["signed_by"] for each in model["versions"]}
        for model in json.loads((site.path / "catalogue.json").read_text("utf-8"))["models"]
    }
    assert told == {"churn": {"ann@example.com"}, "risk": {None}}
