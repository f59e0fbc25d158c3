"""Trust beyond one call: digests that this user pins or takes back, and signers whose registrations may run code."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.trust.trust import Ledger
from tests.integration.projects import commit, dvc, everything, git, put_tag, run, write

MARK = "ran"


class Marking:
    """Unpickled, it leaves a mark in the current folder."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __reduce__(self) -> tuple[object, ...]:
        return eval, (f"[open({MARK!r}, 'w').close(), {self.value!r}][1]",)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which a mark would be."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def team(plain: Path) -> Registry:
    """Two versions of ``odd``: v0.1.0 asks for a name that nobody vouches for, and v0.1.1 runs code."""
    write(plain / "dvc.yaml", "artifacts:\n  odd: {path: odd.pkl, type: model}\n")
    found = Registry(plain)
    for value in (Fraction(1, 3), Marking(7)):
        write(plain / "odd.pkl", pickle.dumps(value))
        commit(plain)
        with pytest.warns(mr.RegistryWarning, match="unless they trust it"):
            found.register("odd")
    return found


def test_a_trusted_version_loads_and_only_that_one_until_trust_is_taken_back(
    team: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(mr.UntrustedModelError) as caught:
        mr.load_model("odd@v0.1.0", registry=team)
    assert 'registry.trust("odd@v0.1.0")' in caught.value.remedies

    shown = team.trust("odd@v0.1.0", dry_run=True)
    assert (shown.granted, shown.names, shown.tier, shown.before) == (
        False,
        ("fractions.Fraction",),
        "named",
        None,
    )
    with pytest.raises(mr.UntrustedModelError):
        team.get("odd@v0.1.0").load()

    given = team.trust("odd@v0.1.0")
    assert given.granted
    assert given.digest == team.get("odd@v0.1.0").digest
    caplog.set_level(logging.INFO, logger="modelregistry")
    assert team.get("odd@v0.1.0").load() == Fraction(1, 3)
    assert "odd@v0.1.0" in caplog.text
    assert given.digest in caplog.text
    assert "trusted by this user" in caplog.text
    with pytest.raises(mr.UntrustedModelError):
        team.get("odd").load()

    team.distrust("odd@v0.1.0")
    with pytest.raises(mr.UntrustedModelError, match="is distrusted by this user"):
        team.get("odd@v0.1.0").load()


def test_code_runs_only_once_the_version_is_trusted(team: Registry, here: Path) -> None:
    with pytest.raises(mr.UntrustedModelError):
        team.get("odd").load()
    shown = team.trust("odd")
    assert shown.reference == "odd@v0.1.1"
    assert not list(here.iterdir())
    assert team.get("odd").load() == 7
    assert [path.name for path in here.iterdir()] == [MARK]


def test_what_changed_since_the_version_trusted_before_is_shown(team: Registry) -> None:
    team.trust("odd@v0.1.0")
    found = team.trust("odd@v0.1.1", dry_run=True)
    assert found.before is not None
    assert found.before.version == "v0.1.0"
    assert found.added == ("builtins.eval",)
    assert found.removed == ("fractions.Fraction",)


def test_trust_is_this_users_own_and_nothing_of_it_is_in_the_repository(
    team: Registry, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(plain)
    team.trust("odd@v0.1.0")
    team.distrust("odd@v0.1.1")
    assert everything(plain) == before
    monkeypatch.setenv("MODELREGISTRY_HOME", os.fspath(tmp_path / "somebody-else"))
    with pytest.raises(mr.UntrustedModelError):
        Registry(plain).get("odd@v0.1.0").load()


def test_distrust_is_stronger_than_having_made_it_and_the_argument_stronger_than_distrust(
    team: Registry,
) -> None:
    version = team.get("odd@v0.1.0")
    assert version.digest is not None
    Ledger().add(version.digest)
    assert version.load() == Fraction(1, 3)
    team.distrust(version.digest)
    with pytest.raises(mr.UntrustedModelError, match="distrusted"):
        version.load()
    assert version.load(trust=["fractions.Fraction"]) == Fraction(1, 3)
    assert version.load(trust="code") == Fraction(1, 3)


def test_a_withdrawn_version_can_be_distrusted_and_not_trusted(team: Registry) -> None:
    team.trust("odd@v0.1.0")
    team.withdraw("odd", "v0.1.0")
    with pytest.raises(mr.WithdrawnError):
        team.trust("odd@v0.1.0")
    team.distrust("odd@v0.1.0")
    assert team.trust("odd@v0.1.1", dry_run=True).before is None


def test_bytes_that_were_replaced_are_neither_looked_into_nor_trusted(
    project: Path, fresh_cache: Path
) -> None:
    write(project / "odd.pkl", pickle.dumps(Fraction(1, 3)))
    dvc(project, "add", "--quiet", "odd.pkl")
    with (project / "dvc.yaml").open("a") as file:
        file.write("  odd: {path: odd.pkl}\n")
    commit(project)
    dvc(project, "push", "--quiet")
    registry = Registry(project)
    with pytest.warns(mr.RegistryWarning, match=r"fractions\.Fraction"):
        registry.register("odd")
    (cached,) = [
        path
        for path in (project / ".dvc" / "cache").rglob("*")
        if path.is_file() and path.read_bytes()[-200:].find(b"Fraction") > 0
    ]
    cached.chmod(0o644)
    cached.write_bytes(pickle.dumps(Marking(7)))
    with pytest.raises(mr.IntegrityError):
        registry.trust("odd")
    write(cached, pickle.dumps(Fraction(1, 3)))
    assert registry.trust("odd").names == ("fractions.Fraction",)
    assert registry.get("odd").load() == Fraction(1, 3)


def test_a_version_without_a_digest_can_not_be_trusted(project: Path, fresh_cache: Path) -> None:
    for path in sorted((project / ".dvc" / "cache").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (project.parent / "storage").rename(project.parent / "gone")
    registry = Registry(project)
    registry.register("risk", allow_missing=True)
    for verb in (registry.trust, registry.distrust):
        with pytest.raises(mr.RefusedError, match="risk"):
            verb("risk")


@pytest.mark.parametrize("reference", ["nobody", "odd@v9.0.0", "odd#current"])
def test_what_is_not_there_can_be_neither_trusted_nor_distrusted(reference: str, team: Registry) -> None:
    for verb in (team.trust, team.distrust):
        with pytest.raises(mr.NotFoundError):
            verb(reference)
    with pytest.raises(mr.InvalidInputError):
        team.distrust("sha256:abc")


def test_a_file_that_can_not_be_written_is_an_error(team: Registry, environment: Path) -> None:
    write(environment / "data" / "modelregistry", "no folder")
    with pytest.warns(mr.RegistryWarning), pytest.raises(mr.RefusedError, match="nothing was written"):
        team.trust("odd@v0.1.0")


# -- signers -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An SSH key of each person."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ann", "bob"):
        run(folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
    return {name: folder / name for name in ("ann", "bob")}


@pytest.fixture
def be(keys: dict[str, Path], plain: Path) -> Callable[[str], Registry]:
    """Work in the project as somebody, with that person's key."""

    def become(name: str) -> Registry:
        git(plain, "config", "user.name", name.title())
        git(plain, "config", "user.email", f"{name}@example.com")
        git(plain, "config", "gpg.format", "ssh")
        git(plain, "config", "user.signingKey", os.fspath(keys[name]))
        return Registry(plain, sign=True)

    return become


@pytest.fixture
def policy(keys: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    def make(trusted: str = '"ann@example.com"', *, require: str = "", **more: str) -> Path:
        text = f"{require}[trust]\nsigners = [{trusted}]\n"
        for name, key in keys.items():
            public = key.with_name(f"{name}.pub").read_text().strip()
            text += f'[[signer]]\nprincipal = "{name}@example.com"\nkey = "{public}"\n{more.get(name, "")}\n'
        path = write(tmp_path / "policy.toml", text)
        path.chmod(0o600)
        return path

    return make


@pytest.fixture
def signed(be: Callable[[str], Registry], plain: Path) -> Path:
    """A version of ``odd`` that Ann registered (v0.1.0), and one that Bob did (v0.1.1)."""
    write(plain / "dvc.yaml", "artifacts:\n  odd: {path: odd.pkl, type: model}\n")
    for name, value in (("ann", 1), ("bob", 2)):
        write(plain / "odd.pkl", pickle.dumps(Marking(value)))
        commit(plain)
        with pytest.warns(mr.RegistryWarning, match="unless they trust it"):
            be(name).register("odd")
    return plain


def test_what_a_trusted_signer_registered_may_run_code_and_what_others_did_may_not(
    signed: Path, policy: Callable[..., Path], here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(signed, signers=policy())
    with pytest.raises(mr.UntrustedModelError):
        registry.get("odd@v0.1.1").load()
    assert not list(here.iterdir())
    caplog.set_level(logging.INFO, logger="modelregistry")
    assert registry.get("odd@v0.1.0").load() == 1
    assert "registered by ann@example.com" in caplog.text
    registry.distrust("odd@v0.1.0")
    with pytest.raises(mr.UntrustedModelError, match="distrusted"):
        registry.get("odd@v0.1.0").load()


def test_a_signer_is_shown_where_the_policy_knows_the_signature(
    signed: Path, policy: Callable[..., Path]
) -> None:
    found = Registry(signed, signers=policy("")).trust("odd@v0.1.1", dry_run=True)
    assert found.signer == "bob@example.com"
    assert found.key is not None
    assert found.key.startswith("SHA256:")
    assert "bob@example.com with the key SHA256:" in str(found)
    assert Registry(signed).trust("odd@v0.1.1", dry_run=True).signer is None


@pytest.mark.parametrize(
    ("trusted", "more"),
    [
        ('"bob@example.com"', {}),
        ("", {}),
        ('"ann@example.com"', {"ann": "valid_after = 2100-01-01T00:00:00Z"}),
        ('"ann@example.com"', {"ann": 'may = ["promote", "annotate"]'}),
        ('"ann@example.com"', {"ann": 'models = ["other"]'}),
    ],
)
def test_a_signature_that_does_not_let_the_registration_count_vouches_for_nothing(
    trusted: str, more: dict[str, str], signed: Path, policy: Callable[..., Path], here: Path
) -> None:
    # What needs no signature counts without a good one, and is no more than that.
    require = '[[require]]\nmodels = ["another"]\n'
    registry = Registry(signed, signers=policy(trusted, require=require, **more))
    with pytest.raises(mr.UntrustedModelError):
        registry.get("odd@v0.1.0").load()
    assert not list(here.iterdir())


def test_without_a_policy_of_the_readers_own_a_signature_vouches_for_nothing(
    signed: Path, here: Path
) -> None:
    with pytest.raises(mr.UntrustedModelError):
        Registry(signed).get("odd@v0.1.0").load()
    assert not list(here.iterdir())


def test_an_event_of_the_same_name_without_that_signature_vouches_for_nothing(
    signed: Path, policy: Callable[..., Path], here: Path
) -> None:
    """Whoever may push replaces Ann's registration by one of their own, for bytes of their own."""
    ours = git(signed, "cat-file", "tag", "refs/tags/odd@v0.1.0")
    unsigned = ours.partition("-----BEGIN")[0].rstrip("\n") + "\n"
    write(signed / "odd.pkl", pickle.dumps(Marking("theirs")))
    theirs = commit(signed)
    with pytest.warns(mr.RegistryWarning, match=r"builtins\.eval"):
        digest = Registry(signed).register("odd", version="v9.0.0", dry_run=True).digest
    first, _, rest = unsigned.partition("\n")
    assert first.startswith("object ")
    known = Registry(signed).get("odd@v0.1.0").digest
    assert known is not None
    assert digest is not None
    forged = f"object {theirs}\n{rest}".replace(known, digest).replace(known[7:], digest[7:])
    put_tag(signed, "odd@v0.1.0", forged.encode())
    registry = Registry(signed, signers=policy(require='[[require]]\nmodels = ["another"]\n'))
    found = registry.get("odd@v0.1.0")
    assert found.digest == digest
    with pytest.raises(mr.UntrustedModelError):
        found.load()
    put_tag(signed, "odd@v0.1.0", ours.encode() + b"\n")
    with pytest.raises(
        mr.UntrustedModelError
    ):  # Ann's signature is there again, and is not under what was read
        found.load()
    assert not list(here.iterdir())


def test_a_version_that_was_read_before_its_tag_was_replaced_is_not_vouched_for(
    signed: Path, policy: Callable[..., Path], here: Path
) -> None:
    registry = Registry(signed, signers=policy(require='[[require]]\nmodels = ["another"]\n'))
    found = registry.get("odd@v0.1.0")
    git(signed, "tag", "--delete", "odd@v0.1.0")
    with pytest.raises(mr.UntrustedModelError):
        found.load()
    assert not list(here.iterdir())
