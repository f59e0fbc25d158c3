"""What is wrong gives one error of the tree that says what to do, writes nothing, and hurts nobody else."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import pickle
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import commit, dvc, git, init, put_tag, visible, write

Wish = Callable[[Registry], object]


def refused(registry: Registry, root: Path, error: type[mr.RegistryError], words: str, wish: Wish) -> None:
    before = visible(root)
    with pytest.raises(error, match=words) as caught:
        wish(registry)
    assert type(caught.value) is error
    assert visible(root) == before


def test_a_number_as_long_as_a_name_may_be_stops_only_its_slot_and_the_error_says_what_to_do(
    plain: Path, registry: Registry
) -> None:
    git(plain, "tag", "--annotate", "--message", "all nines", f"churn#current#{'9' * 236}", "main~1")
    refused(
        registry, plain, mr.RefusedError, "delete the tag whose number",
        lambda registry: registry.promote("churn", "v0.1.1", "current"),
    )  # fmt: skip
    assert registry.promote("churn", "v0.1.1", "shadow").stages == ("shadow",)


# -- which repository --------------------------------------------------------------------------------------


def test_a_url_is_its_own_remote(plain: Path) -> None:
    with pytest.raises(mr.InvalidInputError, match="leave remote= out"):
        Registry(plain.as_uri(), remote="upstream")


def test_a_folder_without_git_is_no_registry(tmp_path: Path) -> None:
    with pytest.raises(mr.RepositoryNotFoundError, match="git init"):
        Registry(tmp_path)
    with pytest.raises(mr.RepositoryNotFoundError, match="git init"):
        Registry(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["nonsense", "gitdir: nowhere\n", ""])
def test_a_git_file_that_leads_nowhere_is_no_registry(content: str, tmp_path: Path) -> None:
    write(tmp_path / ".git", content)
    with pytest.raises(mr.RepositoryNotFoundError, match=r"\.git"):
        Registry(tmp_path)


def test_a_repository_without_a_commit_is_empty_and_says_what_to_do_first(tmp_path: Path) -> None:
    registry = Registry(init(tmp_path / "empty"))

    assert registry.models() == []
    assert registry.events() == []
    assert registry.check() == []
    with pytest.raises(mr.ModelNotFoundError):
        registry.get("churn")
    with pytest.raises(mr.RevisionNotFoundError, match="commit the project first"):
        registry.register("churn", path="churn.json")


def test_a_bare_repository_keeps_the_log_and_refuses_what_needs_files(
    plain: Path, registry: Registry, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", os.fspath(plain), "bare.git")
    bare = Registry(tmp_path / "bare.git")
    bare.promote("churn", "v0.1.1", "current", expected="v0.1.0")
    bare.register("risk")
    bare.annotate("risk", "v0.1.0", {"a": 1})

    assert Registry(tmp_path / "bare.git").get("churn#current").version == "v0.1.1"
    assert bare.get("risk").local_path().read_text() == '{"risk": 2}'
    refused(
        bare, tmp_path / "bare.git", mr.WorkingCopyError, "bare",
        lambda registry: registry.register("new", path="risk.json", declare=True),
    )  # fmt: skip


# -- what is asked for -------------------------------------------------------------------------------------

WRONG: dict[str, tuple[type[mr.RegistryError], str, Wish]] = {
    "no such model": (mr.ModelNotFoundError, r"registry\.models\(\)", lambda r: r.get("other")),
    "no such model to promote": (
        mr.ModelNotFoundError, "register it first", lambda r: r.promote("other", "v1.0.0", "current"),
    ),
    "no such model to annotate": (mr.ModelNotFoundError, "register it", lambda r: r.annotate("other", None, {"a": 1})),
    "no such model to list": (mr.ModelNotFoundError, "no model 'other'", lambda r: r.versions("other")),
    "no such model's history": (mr.ModelNotFoundError, "no model 'other'", lambda r: r.history("other")),
    "no such model to deprecate": (mr.ModelNotFoundError, "no model 'other'", lambda r: r.deprecate("other")),
    "no such version": (
        mr.VersionNotFoundError, r"v9\.0\.0.*there is v0\.1\.1, v0\.1\.0", lambda r: r.get("churn@v9.0.0"),
    ),
    "no such version to promote": (
        mr.VersionNotFoundError, r"there is v0\.1\.1, v0\.1\.0", lambda r: r.promote("churn", "v9.0.0", "current"),
    ),
    "no such version to withdraw": (mr.VersionNotFoundError, "there is", lambda r: r.withdraw("churn", "v9.0.0")),
    "no such version to annotate": (
        mr.VersionNotFoundError, "there is", lambda r: r.annotate("churn", "v9.0.0", {"a": 1}),
    ),
    "an empty stage": (
        mr.StageEmptyError, r"registry\.promote\('churn', 'v0\.1\.1', 'shadow'\)", lambda r: r.get("churn#shadow"),
    ),
    "an empty stage to demote": (mr.StageEmptyError, "nothing to demote", lambda r: r.demote("churn", "shadow")),
    "nobody to roll back to": (
        mr.StageEmptyError, r"its first holder is v0\.1\.0", lambda r: r.rollback("churn", "current"),
    ),
    "a stage that the team has not": (
        mr.InvalidNameError, r"shadow, current.*\.modelregistry\.toml", lambda r: r.promote("churn", "v0.1.0", "prod"),
    ),
    "a state for a stage": (
        mr.InvalidNameError, "holds no stage", lambda r: r.promote("churn", "v0.1.0", "withdrawn"),
    ),
    "no such rev": (mr.RevisionNotFoundError, "git fetch", lambda r: r.register("churn", rev="nowhere")),
    "a rev that is an option": (mr.RevisionNotFoundError, "no commit '--all'", lambda r: r.register("churn", rev="--all")),
    "a rev with a newline": (mr.RevisionNotFoundError, "no commit", lambda r: r.register("churn", rev="main\nmain")),
    "a rev that is a blob": (
        mr.RevisionNotFoundError, "no commit", lambda r: r.register("churn", rev="main:churn.json"),
    ),
    "not declared": (
        mr.NotDeclaredError, r"(?s)declare=True.*artifacts:\n  other:\n    path: churn\.json",
        lambda r: r.register("other", path="churn.json"),
    ),
    "not declared, and no path": (mr.NotDeclaredError, "artifacts:", lambda r: r.register("other")),
    "declared with another path": (
        mr.NotDeclaredError, r"at 'churn\.json', not at 'risk\.json'", lambda r: r.register("churn", path="risk.json"),
    ),
    "declared in no such folder": (
        mr.NotDeclaredError, r"nowhere/dvc\.yaml", lambda r: r.register("nowhere:churn", path="nowhere/churn.json"),
    ),
    "a path that leaves the repository, to be declared": (
        mr.InvalidInputError, "relative to the Git root", lambda r: r.register("new", path="../x", declare=True),
    ),
    "a path that is not normal": (
        mr.InvalidInputError, "relative to the Git root", lambda r: r.register("new", path="./churn.json"),
    ),
    "no such path": (
        mr.PathNotFoundError, "commit dvc.lock", lambda r: r.register("new", path="new.json", declare=True),
    ),
    "a path that leaves the repository": (
        mr.InvalidInputError, "relative to the Git root", lambda r: r.register("new", path="../x"),
    ),
    "an absolute path": (
        mr.InvalidInputError, "relative to the Git root", lambda r: r.register("new", path="/etc/passwd"),
    ),
    "a version that exists with other bytes": (
        mr.VersionExistsError, "leave version= out", lambda r: r.register("churn", version="v0.1.0"),
    ),
    "a version that exists, at a commit with a version": (
        mr.VersionExistsError, "leave version= out", lambda r: r.register("churn", rev="main~1", version="v0.1.0"),
    ),
    "a version and a bump": (
        mr.InvalidInputError, "can't both", lambda r: r.register("churn", version="v1.0.0", bump="minor"),
    ),
    "a bump that is none": (mr.InvalidNameError, "'major', 'minor' or 'patch'", lambda r: r.register("churn", bump="big")),
    "expected somebody else": (
        mr.ConflictError, r"held by v0\.1\.0.*Ann Author.*you expected v0\.1\.1",
        lambda r: r.promote("churn", "v0.1.1", "current", expected="v0.1.1"),
    ),
    "expected nobody": (
        mr.ConflictError, "you expected nobody: look again",
        lambda r: r.promote("churn", "v0.1.1", "current", expected=mr.EMPTY),
    ),
    "expected somebody on an empty stage": (
        mr.ConflictError, "held by none", lambda r: r.promote("churn", "v0.1.1", "shadow", expected="v0.1.0"),
    ),
    "expected is misspelt": (
        mr.InvalidNameError, "write 'v0.1.0'", lambda r: r.promote("churn", "v0.1.1", "current", expected="0.1.0"),
    ),
    "a holder withdrawn without a successor": (
        mr.RefusedError, "then='v…', or then=EMPTY", lambda r: r.withdraw("churn", "v0.1.0"),
    ),
    "a holder succeeded by itself": (
        mr.RefusedError, "itself", lambda r: r.withdraw("churn", "v0.1.0", then="v0.1.0"),
    ),
    "a successor that is not there": (
        mr.VersionNotFoundError, "there is", lambda r: r.withdraw("churn", "v0.1.0", then="v9.0.0"),
    ),
    "two references in one": (
        mr.InvalidReferenceError, "more than one", lambda r: r.get("churn@v0.1.0", stage="current"),
    ),
    "a version and a stage": (
        mr.InvalidReferenceError, "more than one", lambda r: r.get("churn", version="v0.1.0", stage="current"),
    ),
    "a reference that is none": (mr.InvalidReferenceError, "churn#current", lambda r: r.get("churn@")),
    "a reference that is no text": (mr.InvalidReferenceError, "is text such as", lambda r: r.get(None)),  # type: ignore[arg-type]
    "metadata that is NaN": (
        mr.InvalidInputError, "JSON", lambda r: r.annotate("churn", None, {"auc": math.nan}),
    ),
    "infinite metadata, deep inside": (
        mr.InvalidInputError, "JSON", lambda r: r.annotate("churn", None, {"a": [{"b": -math.inf}]}),
    ),
    "metadata that is no JSON": (
        mr.InvalidInputError, "JSON can hold", lambda r: r.annotate("churn", None, {"a": object()}),  # type: ignore[dict-item]
    ),
    "metadata of bytes": (
        mr.InvalidInputError, "JSON can hold", lambda r: r.register("risk", metadata={"a": b"x"}),  # type: ignore[dict-item]
    ),
    "metadata with keys that are no text": (
        mr.InvalidInputError, "JSON can hold", lambda r: r.register("risk", metadata={1: "x"}),  # type: ignore[dict-item]
    ),
    "metadata with a lone surrogate": (
        mr.InvalidInputError, "JSON", lambda r: r.annotate("churn", None, {"a": "\ud800"}),
    ),
    "no metadata": (mr.InvalidInputError, "at least one key", lambda r: r.annotate("churn", None, {})),
    "too much metadata": (
        mr.InvalidInputError, "65,536 is the most", lambda r: r.annotate("churn", None, {"a": "x" * 70_000}),
    ),
    "too much metadata at registration": (
        mr.InvalidInputError, "65,536 is the most", lambda r: r.register("risk", metadata={"a": "x" * 70_000}),
    ),
    "a message with a NUL": (
        mr.InvalidInputError, "NUL", lambda r: r.promote("churn", "v0.1.1", "current", message="a\0b"),
    ),
    "a message with a lone surrogate": (
        mr.InvalidInputError, "UTF-8", lambda r: r.deprecate("churn", message="\udc80"),
    ),
    "a message that looks signed": (
        mr.InvalidInputError, "signature", lambda r: r.deprecate("churn", message="-----BEGIN PGP SIGNATURE-----"),
    ),
    "a message of two megabytes": (
        mr.InvalidInputError, "message", lambda r: r.promote("churn", "v0.1.1", "current", message="x" * 2_000_000),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wish_that_can_t_be_met_is_one_error_that_says_what_to_do(
    case: str, plain: Path, registry: Registry
) -> None:
    error, words, wish = WRONG[case]
    refused(registry, plain, error, words, wish)


@pytest.mark.parametrize(
    "name",
    [
        "", " churn", "churn ", "-churn", "churn-", "chürn", "a..b", "a//b", "/a", "a/", "a@b", "a#b", "a b", "a\nb", "a\0",
        "a.lock", "x/../y", "../x:a", "./x:a", "x/:a", ".x:a", "a:b:c", "a" * 121, "a~1", "a^", "a*", "a[", "a\\b",
        None, 7, b"churn",
    ],
)  # fmt: skip
def test_a_name_that_git_or_gto_would_refuse_is_refused_at_every_verb(
    name: str, plain: Path, registry: Registry
) -> None:
    for wish in (
        lambda r: r.register(name, path="churn.json", declare=True),
        lambda r: r.promote(name, "v0.1.0", "current"),
        lambda r: r.versions(name),
        lambda r: r.history(name),
    ):
        refused(registry, plain, mr.InvalidNameError, "not a model name", wish)


@pytest.mark.parametrize(
    "version", ["1.0.0", "v1", "v1.0", "v01.0.0", "v1.0.0-", "v1.0.0 ", "V1.0.0", "v1.0.0-a..b", "v1.0.0\n", "", "v1.0.0+a.lock/", "v1.0.0-" + "a" * 60]
)  # fmt: skip
def test_a_version_that_is_none_is_refused(version: str, plain: Path, registry: Registry) -> None:
    for wish in (
        lambda r: r.register("churn", version=version),
        lambda r: r.promote("churn", version, "current"),
        lambda r: r.withdraw("churn", version),
        lambda r: r.annotate("churn", version, {"a": 1}),
    ):
        refused(registry, plain, mr.InvalidNameError, "not a version", wish)
    refused(registry, plain, mr.InvalidReferenceError, "not a", lambda r: r.get("churn", version=version))


@pytest.mark.parametrize(
    "stage", ["", "a b", "a#b", "a@b", "-a", "a/", "a//b", "a..b", "a.lock", "a" * 41, "prod!", "a\n"]
)
def test_a_stage_that_git_or_gto_would_refuse_is_refused(stage: str, plain: Path, registry: Registry) -> None:
    for wish in (
        lambda r: r.promote("churn", "v0.1.0", stage),
        lambda r: r.rollback("churn", stage),
        lambda r: r.demote("churn", stage),
    ):
        refused(registry, plain, mr.InvalidNameError, "not a stage", wish)
    refused(registry, plain, mr.InvalidReferenceError, "not a", lambda r: r.get("churn", stage=stage))


@pytest.mark.parametrize("declare", [False, True])
def test_a_model_whose_tag_would_be_a_folder_of_another_tag_is_refused(
    declare: bool, plain: Path, registry: Registry
) -> None:
    git(plain, "tag", "team", "main")
    if not declare:
        with (plain / "dvc.yaml").open("a") as file:
            file.write("  team/churn: {path: churn.json}\n")
        commit(plain)
    refused(
        registry, plain, mr.RefusedError, "choose another name",
        lambda r: r.register("team/churn", path="churn.json", declare=declare),
    )  # fmt: skip


def test_a_withdrawn_version_is_neither_promoted_nor_loaded(plain: Path, registry: Registry) -> None:
    registry.withdraw("churn", "v0.1.1", message="leaks")
    for wish in (
        lambda r: r.promote("churn", "v0.1.1", "current"),
        lambda r: r.get("churn@v0.1.1"),
        lambda r: r.get("churn", version="v0.1.1"),
        lambda r: mr.load_model("churn@v0.1.1", registry=r),
        lambda r: r.register("churn", rev="main~1"),
        lambda r: r.register("churn", version="v0.1.1"),
        lambda r: r.withdraw("churn", "v0.1.0", then="v0.1.1"),
    ):
        refused(registry, plain, mr.WithdrawnError, "withdrawn", wish)
    assert registry.get("churn").version == "v0.1.0"


def test_a_large_message_that_is_accepted_is_read_again(registry: Registry) -> None:
    words = "why " * 5_000
    registry.promote("churn", "v0.1.1", "current", message=words)
    assert registry.history("churn")[-1].message == words.strip()
    assert registry.get("churn#current").version == "v0.1.1"


@pytest.mark.parametrize(
    "words",
    [
        'Model-Registry: {"kind": "withdraw"}',
        "a\r\nb\rc",
        "\x1b[31mred",
        "Ünïcödé 🦄\n\n\nlines",
        "tag x\n\nobject y",
    ],
)
def test_whatever_words_are_accepted_come_back_as_they_were(words: str, registry: Registry) -> None:
    registry.promote("churn", "v0.1.1", "current", message=words)
    assert registry.history("churn")[-1].message == words
    assert registry.get("churn#current").version == "v0.1.1"


# -- partial clones ----------------------------------------------------------------------------------------


def test_a_shallow_clone_warns_and_its_errors_say_how_to_complete_it(
    plain: Path, registry: Registry, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", plain.as_uri(), "shallow")
    with pytest.warns(mr.PartialViewWarning, match="git fetch --unshallow --tags"):
        shallow = Registry(tmp_path / "shallow")
    with pytest.raises(mr.ModelNotFoundError, match="git fetch --unshallow --tags"):
        shallow.get("churn")
    with pytest.raises(mr.RevisionNotFoundError, match="git fetch --unshallow --tags"):
        shallow.register("churn", rev="main~1")
    assert "git fetch --unshallow --tags" in {problem.mend for problem in shallow.check()}


def test_a_clone_without_tags_warns_and_its_errors_say_how_to_complete_it(
    plain: Path, registry: Registry, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", "--no-tags", plain.as_uri(), "tagless")
    with pytest.warns(mr.PartialViewWarning, match=r"git fetch .*--tags"):
        tagless = Registry(tmp_path / "tagless")
    with pytest.raises(mr.ModelNotFoundError, match=r"git fetch .*--tags"):
        tagless.get("churn")
    assert "git fetch --tags" in {problem.mend for problem in tagless.check()}


def test_a_detached_clone_reads_and_registers(plain: Path, registry: Registry, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", plain.as_uri(), "detached")
    git(tmp_path / "detached", "checkout", "--quiet", "--detach", "main~1")
    detached = Registry(tmp_path / "detached")
    assert detached.get("churn#current").version == "v0.1.0"
    assert detached.register("risk").local_path().read_text() == '{"risk": 1}'


# -- foreign tags ------------------------------------------------------------------------------------------


def tag_text(
    root: Path, name: str, *, target: str = "main", kind: str = "commit", tagger: str | None = None
) -> bytes:
    who = "tagger Bob <bob@example.com> 1700000000 +0000\n" if tagger is None else tagger
    oid = git(root, "rev-parse", target)
    return f"object {oid}\ntype {kind}\ntag {name}\n{who}\nwords\n".encode()


ODD: dict[str, Callable[[Path, str], object]] = {
    "lightweight": lambda root, name: git(root, "tag", name, "main"),
    "of a blob": lambda root, name: put_tag(root, name, tag_text(root, name, target="main:churn.json", kind="blob")),
    "of a tree": lambda root, name: put_tag(root, name, tag_text(root, name, target="main^{tree}", kind="tree")),
    "lightweight, of a blob": lambda root, name: git(root, "tag", name, "main:churn.json"),
    "without a tagger": lambda root, name: put_tag(root, name, tag_text(root, name, tagger="")),
    "of another name": lambda root, name: put_tag(root, name, tag_text(root, "other@v1.0.0")),
    "of a time that is none": lambda root, name: put_tag(
        root, name, tag_text(root, name, tagger="tagger Bob <b@e> soon +0000\n")
    ),
    "of a time far away": lambda root, name: put_tag(
        root, name, tag_text(root, name, tagger=f"tagger Bob <b@e> {2**63} +0000\n")
    ),
    "of a time of a thousand digits": lambda root, name: put_tag(
        root, name, tag_text(root, name, tagger=f"tagger Bob <b@e> {'9' * 5000} +0000\n")
    ),
    "of a megabyte": lambda root, name: put_tag(root, name, tag_text(root, name) + b"x" * (1 << 20)),
    "of an empty object": lambda root, name: put_tag(root, name, b""),
    "of a header only": lambda root, name: put_tag(root, name, b"object\ntype commit\ntag x"),
    "with a NUL in its header": lambda root, name: put_tag(
        root, name, tag_text(root, name).replace(b"type commit", b"type comm\0it")
    ),
    "of a tag": lambda root, name: git(
        root, "tag", "-a", "-m", "nested", name,
        put_tag(root, "inner", tag_text(root, "inner")),
    ),
    "of a missing object": lambda root, name: write(root / ".git" / "refs" / "tags" / name, "1" * 40 + "\n"),
    "of a missing commit": lambda root, name: put_tag(
        root, name, tag_text(root, name).replace(git(root, "rev-parse", "main").encode(), b"2" * 40)
    ),
    "of no object id": lambda root, name: write(root / ".git" / "refs" / "tags" / name, "nonsense\n"),
    "empty": lambda root, name: write(root / ".git" / "refs" / "tags" / name, ""),
    "with a trailer that is no JSON": lambda root, name: put_tag(
        root, name, tag_text(root, name) + b"\nModel-Registry: {oops\n"
    ),
    "with a trailer of a newer schema": lambda root, name: put_tag(
        root, name, tag_text(root, name) + b'\nModel-Registry: {"schema_version": 99, "kind": "register"}\n'
    ),
    "with a trailer as deep as a well": lambda root, name: put_tag(
        root, name, tag_text(root, name) + b"\nModel-Registry: " + b"[" * 30_000 + b"]" * 30_000 + b"\n"
    ),
    "with a trailer of another kind": lambda root, name: put_tag(
        root, name, tag_text(root, name) + b'\nModel-Registry: {"schema_version": 1, "kind": "withdraw", "id": "x"}\n'
    ),
}  # fmt: skip
READABLE = {"of a missing commit"}  # its tag object is whole: that its commit is gone shows when it is used
NOT_A_REF = {"of no object id", "empty"}  # git itself passes over these
HARMLESS = {
    "not UTF-8": lambda root, name: put_tag(root, name, tag_text(root, name) + b"\xff\xfe caf\xe9\n"),
    "of a negative time zone": lambda root, name: put_tag(
        root, name, tag_text(root, name, tagger="tagger Bob <b@e> 1700000000 -9999\n")
    ),
    "with a NUL in its message": lambda root, name: put_tag(root, name, tag_text(root, name) + b"a\0b\n"),
    "with an empty name": lambda root, name: put_tag(
        root, name, tag_text(root, name, tagger="tagger  <> 1700000000 +0000\n")
    ),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("name", ["aaa@v1.0.0", "zzz@v1.0.0"])
@pytest.mark.filterwarnings("ignore:1 files could not be read.*is not here")
def test_an_odd_tag_is_reported_and_hurts_no_other_model(
    case: str, name: str, plain: Path, registry: Registry
) -> None:
    ODD[case](plain, name)
    for each in (registry, Registry(plain)):
        assert each.get("churn#current").version == "v0.1.0"
        assert {row.name for row in each.models() if row.latest} >= {"churn"}
        assert [event.kind for event in each.events() if event.model == "churn"] == [
            "register",
            "register",
            "assign",
        ]
        if case not in NOT_A_REF | READABLE:
            assert name in {problem.where for problem in each.check()}
    registry.promote("churn", "v0.1.1", "current")
    assert registry.register("risk").version == "v0.1.0"
    assert Registry(plain).get("churn#current").version == "v0.1.1"


@pytest.mark.parametrize("case", ODD)
def test_an_odd_tag_of_a_model_leaves_its_other_versions_alone(
    case: str, plain: Path, registry: Registry
) -> None:
    ODD[case](plain, "churn@v0.0.1")
    found = Registry(plain)

    assert found.get("churn#current").version == "v0.1.0"
    assert found.get("churn").version == "v0.1.1"
    assert found.register("churn").version == "v0.1.2"
    if case not in NOT_A_REF | READABLE:
        assert "churn@v0.0.1" in {problem.where for problem in found.check()}


@pytest.mark.parametrize("case", HARMLESS)
def test_a_tag_that_is_only_unusual_is_read(case: str, plain: Path, registry: Registry) -> None:
    HARMLESS[case](plain, "risk@v1.0.0")
    assert Registry(plain).get("risk").version == "v1.0.0"
    assert registry.get("risk").state == "inactive"


@pytest.mark.parametrize("seconds", [4_102_444_800, 0, -1])
def test_a_tag_from_another_age_stops_no_later_write(seconds: int, plain: Path, registry: Registry) -> None:
    put_tag(
        plain, "churn@v0.0.1", tag_text(plain, "churn@v0.0.1", tagger=f"tagger Bob <b@e> {seconds} +0000\n")
    )
    registry.promote("churn", "v0.1.1", "current")
    assert Registry(plain).get("churn#current").version == "v0.1.1"
    registry.promote("churn", "v0.1.0", "current")
    assert registry.get("churn#current").version == "v0.1.0"


def test_a_tag_from_the_end_of_time_is_named_by_the_write_that_can_t_come_after_it(
    plain: Path, registry: Registry
) -> None:
    tagger = "tagger Bob <b@e> 253402300799 +0000\n"
    put_tag(plain, "churn@v0.0.1", tag_text(plain, "churn@v0.0.1", tagger=tagger))
    try:
        registry.promote("churn", "v0.1.1", "current")
    except mr.RefusedError as error:
        assert "churn@v0.0.1" in str(error)  # noqa: PT017
        git(plain, "tag", "-d", "churn@v0.0.1")
        registry.promote("churn", "v0.1.1", "current")
    assert registry.get("churn#current").version == "v0.1.1"


def test_gto_s_created_tag_is_reported(plain: Path, registry: Registry) -> None:
    git(plain, "tag", "-a", "-m", "x", "risk@created", "main")
    (problem,) = registry.check()
    assert (problem.where, "GTO" in problem.what) == ("risk@created", True)


def test_a_dangling_symbolic_tag_hurts_nobody(plain: Path, registry: Registry) -> None:
    git(plain, "symbolic-ref", "refs/tags/aaa@v1.0.0", "refs/tags/nowhere")
    assert Registry(plain).get("churn#current").version == "v0.1.0"
    assert registry.register("risk").version == "v0.1.0"
    registry.check()


def test_a_version_whose_commit_is_gone_says_so_when_it_is_used(plain: Path, registry: Registry) -> None:
    ODD["of a missing commit"](plain, "risk@v1.0.0")
    found = registry.get("risk@v1.0.0")
    with pytest.raises((mr.PathNotFoundError, mr.RevisionNotFoundError)):
        found.local_path()
    with pytest.raises((mr.PathNotFoundError, mr.RevisionNotFoundError)):
        _ = found.path


# -- files of the project ----------------------------------------------------------------------------------

BAD_YAML: dict[str, str | bytes] = {
    "a syntax error": "artifacts: [",
    "a tab": "artifacts:\n\tchurn: {}\n",
    "no UTF-8": b"artifacts:\n  churn: {path: \xff}\n",
    "a NUL": b"artifacts: \0",
    "a list": "- churn\n",
    "artifacts that are a list": "artifacts: [churn]\n",
    "an entry that is a text": "artifacts:\n  churn: churn.json\n",
    "an entry without a path": "artifacts:\n  churn: {type: model}\n",
    "a path that is a list": "artifacts:\n  churn: {path: [churn.json]}\n",
    "a path that leaves the repository": "artifacts:\n  churn: {path: ../../etc/passwd}\n",
    "an absolute path": "artifacts:\n  churn: {path: /etc/passwd}\n",
    "a templated path": "artifacts:\n  churn: {path: '${where}/churn.json'}\n",
    "the same key twice": "artifacts:\n  churn: {path: churn.json}\n  churn: {path: risk.json}\n",
    "an alias bomb": "a0: &a0 [x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    "nesting without end": "[" * 100_000,
    "a tag that makes objects": "artifacts: !!python/object/apply:os.system ['touch pwned']\n",
    "nine megabytes": "# " + "x" * (9 << 20) + "\nartifacts:\n  churn: {path: churn.json}\n",
    "two documents": "artifacts:\n  churn: {path: churn.json}\n---\nartifacts: {}\n",
}


@pytest.mark.parametrize("case", BAD_YAML)
def test_a_dvc_yaml_that_can_t_be_read_says_so_and_hides_no_other_model(
    case: str, plain: Path, registry: Registry
) -> None:
    write(plain / "sub" / "dvc.yaml", "artifacts:\n  fine: {path: fine.json, type: model}\n")
    write(plain / "dvc.yaml", BAD_YAML[case])
    commit(plain, case)

    refused(registry, plain, mr.InvalidFileError, r"dvc\.yaml", lambda r: r.register("churn"))
    refused(
        registry, plain, mr.InvalidFileError, r"dvc\.yaml",
        lambda r: r.register("churn", path="churn.json", declare=True),
    )  # fmt: skip
    is_an_entry = case.startswith(("an entry", "a path", "an absolute path", "a templated path"))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert {"churn", "sub:fine"} <= {row.name for row in registry.models()}
    assert [": dvc.yaml, for one" in str(each.message) for each in told] == ([] if is_an_entry else [True])
    assert registry.get("churn#current").local_path().read_text() == '{"churn": 0}'
    assert not (plain / "pwned").exists()


LOCK = "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n    - {path: PATH, hash: md5, md5: MD5, size: 3}\n"
BAD_LOCKS = {
    "a syntax error": "stages: [",
    "a list": "- x\n",
    "another schema": "schema: '1.0'\nstages: {}\n",
    "stages that are a list": "schema: '2.0'\nstages: [train]\n",
    "outs that are a text": "schema: '2.0'\nstages:\n  train: {cmd: x, outs: made.bin}\n",
    "no md5": LOCK.replace("MD5", "xyz").replace("PATH", "made.bin"),
    "an md5 that is a path": LOCK.replace("MD5", "../../../../etc/passwd").replace("PATH", "made.bin"),
}


@pytest.mark.parametrize("case", BAD_LOCKS)
def test_a_dvc_lock_that_can_t_be_read_says_so(case: str, plain: Path, registry: Registry) -> None:
    write(
        plain / "dvc.yaml",
        "stages:\n  train: {cmd: x, outs: [made.bin]}\n"
        "artifacts:\n  made: {path: made.bin}\n  churn: {path: churn.json}\n",
    )
    write(plain / "dvc.lock", BAD_LOCKS[case])
    commit(plain, case)
    refused(registry, plain, mr.InvalidFileError, r"dvc\.lock", lambda r: r.register("made"))
    assert registry.get("churn#current").local_path().read_text() == '{"churn": 0}'


LISTINGS: dict[str, object] = {
    "leaves its folder": [{"md5": "0" * 32, "relpath": "../../../escaped"}],
    "is absolute": [{"md5": "0" * 32, "relpath": "/tmp/escaped"}],
    "has a backslash": [{"md5": "0" * 32, "relpath": "..\\escaped"}],
    "has a file twice": [{"md5": "0" * 32, "relpath": "a"}, {"md5": "1" * 32, "relpath": "a"}],
    "has a file twice in two cases": [{"md5": "0" * 32, "relpath": "a"}, {"md5": "1" * 32, "relpath": "A"}],
    "has a file that is a folder": [{"md5": "0" * 32, "relpath": "a"}, {"md5": "1" * 32, "relpath": "a/b"}],
    "has a NUL": [{"md5": "0" * 32, "relpath": "a\0b"}],
    "has an md5 that is a path": [{"md5": "../../../../../../etc/passwd", "relpath": "a"}],
    "is no list": {"a": 1},
    "has no names": [{"md5": "0" * 32}],
}


@pytest.mark.parametrize("case", LISTINGS)
def test_a_hostile_directory_listing_is_refused_and_nothing_is_written_outside(
    case: str, project: Path, tmp_path: Path
) -> None:
    data = json.dumps(LISTINGS[case]).encode()
    oid = hashlib.md5(data).hexdigest() + ".dir"
    write(project / ".dvc" / "cache" / "files" / "md5" / oid[:2] / oid[2:], data)
    write(
        project / "bundle.dvc", f"outs:\n- md5: {oid}\n  size: 3\n  nfiles: 1\n  hash: md5\n  path: bundle\n"
    )
    commit(project, "hostile")
    registry = Registry(project)
    refused(registry, project, mr.InvalidFileError, "listing of 'bundle'", lambda r: r.register("bundle"))
    assert not list(tmp_path.rglob("*escaped*"))


# -- bytes that are not the registered ones ----------------------------------------------------------------


class Payload:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> object:
        return os.mkdir, (os.fspath(self.marker),)


def flipped(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


DAMAGE: dict[str, Callable[[bytes, Path], bytes]] = {
    "a flipped bit": lambda data, marker: flipped(data),
    "cut short": lambda data, marker: data[:-1],
    "empty": lambda data, marker: b"",
    "longer": lambda data, marker: data + b"x",
    "another pickle": lambda data, marker: pickle.dumps(Payload(marker)),
}


def test_the_pickle_of_these_tests_does_leave_its_mark(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def damage(path: Path, how: str, marker: Path) -> None:
    path.chmod(0o644)
    data = DAMAGE[how](path.read_bytes(), marker)
    path.unlink()  # another inode: as `mv` or a download would leave it
    path.write_bytes(data)


def object_of(folder: Path, project: Path) -> Path:
    oid = hashlib.md5((project / "models" / "churn.joblib").read_bytes()).hexdigest()
    return folder / "files" / "md5" / oid[:2] / oid[2:]


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("where", ["cache", "remote", "store", "in place"])
def test_bytes_that_are_not_the_registered_ones_are_never_parsed_and_set_aside(
    where: str, how: str, project: Path, tmp_path: Path, fresh_cache: Path
) -> None:
    marker = tmp_path / "marker"
    cached = object_of(project / ".dvc" / "cache", project)
    stored = object_of(tmp_path / "copy" / "storage", project)
    found = Registry(project).register("churn")
    good = cached.read_bytes()

    def wound() -> Path:
        """Damage the bytes where the next reader finds them; returns the damaged file."""
        write(cached, good)
        write(stored, good)
        shutil.rmtree(fresh_cache)
        if where == "in place":  # the very inode that was verified and named a moment ago
            found.local_path()
            cached.write_bytes(DAMAGE[how](good, marker))
            return cached
        if where == "cache":
            damage(cached, how, marker)
            return cached
        cached.unlink()
        if where == "remote":
            damage(stored, how, marker)
            return stored
        kept = found.local_path()  # brought from the remote, and kept
        kept.chmod(0o644)
        kept.write_bytes(DAMAGE[how](good, marker))
        return kept

    for wish in (
        lambda: mr.load_model("churn", registry=project, trust="code"),
        lambda: Registry(project).get("churn").local_path(),
        lambda: Registry(project).get("churn").open(),
        found.verify,
    ):
        bad = wound()
        evil = bad.read_bytes()
        with pytest.raises(mr.IntegrityError, match=r"expected sha256:.*found sha256:.*load again") as caught:
            wish()
        assert caught.value.expected == found.digest
        assert caught.value.found == "sha256:" + hashlib.sha256(evil).hexdigest()
        assert evil in [path.read_bytes() for path in (fresh_cache / "set-aside").iterdir()]
        if where != "remote":
            assert found.local_path().read_bytes() == good, "what was set aside is fetched anew"
    assert not marker.exists()


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_bytes_are_not_registered(how: str, project: Path, tmp_path: Path) -> None:
    cached = object_of(project / ".dvc" / "cache", project)
    good = cached.read_bytes()
    damage(cached, how, tmp_path / "marker")
    before = {**visible(project)}
    with pytest.raises(mr.IntegrityError, match=r"expected md5:.*found md5:"):
        Registry(project).register("churn")
    assert not cached.exists(), "it was set aside"
    before.pop(os.fspath(cached.relative_to(project)))
    assert visible(project) == before
    assert Registry(project).register("churn").local_path().read_bytes() == good
    assert not (tmp_path / "marker").exists()


def test_a_file_swapped_in_a_folder_is_found(project: Path, tmp_path: Path, fresh_cache: Path) -> None:
    found = Registry(project).register("bundle")
    found.local_path()
    oid = hashlib.md5(b"\0one").hexdigest()
    cached = project / ".dvc" / "cache" / "files" / "md5" / oid[:2] / oid[2:]
    cached.chmod(0o644)
    cached.write_bytes(b"\0two")
    with pytest.raises(mr.IntegrityError, match=r"weights/a\.bin"):
        found.local_path()


def test_a_damaged_file_comes_back_as_the_error_says(project: Path, tmp_path: Path) -> None:
    found = Registry(project).register("churn")
    damage(object_of(project / ".dvc" / "cache", project), "a flipped bit", tmp_path / "marker")
    with pytest.raises(mr.IntegrityError, match="load again"):
        found.verify()
    assert "sha256:" + hashlib.sha256(found.local_path().read_bytes()).hexdigest() == found.digest


def test_a_registration_that_names_another_digest_than_the_commit_has_is_found(
    project: Path, registry: Registry, plain: Path
) -> None:
    """A registration forged in the log itself: the commit's bytes are not what it says."""
    registry.register("risk")
    text = git(plain, "cat-file", "tag", "risk@v0.1.0")
    digest = registry.get("risk").digest
    assert digest is not None
    forged = text.replace(digest[7:], "0" * 64) + "\n"
    git(plain, "tag", "-d", "risk@v0.1.0")
    put_tag(plain, "risk@v0.1.0", forged.encode())
    with pytest.raises(mr.IntegrityError):
        Registry(plain).get("risk").local_path()


def test_a_registration_without_files_is_held_to_its_digest(
    project: Path, registry: Registry, plain: Path
) -> None:
    registry.register("risk")
    text = git(plain, "cat-file", "tag", "risk@v0.1.0")
    digest = registry.get("risk").digest
    assert digest is not None
    forged = re.sub(r'"files":\[.*?\],', "", text.replace(digest[7:], "0" * 64)) + "\n"
    git(plain, "tag", "-d", "risk@v0.1.0")
    put_tag(plain, "risk@v0.1.0", forged.encode())
    version = Registry(plain).get("risk")
    assert (version.digest, version.registered.files) == (f"sha256:{'0' * 64}", ())
    with pytest.raises(mr.IntegrityError, match="are not the registered ones"):
        version.verify()


# -- settings ----------------------------------------------------------------------------------------------

SETTINGS = {
    (".modelregistry.toml", "stages = [", "not TOML"),
    (".modelregistry.toml", "[stage]\nprod = {}\n", "did you mean 'stages'"),
    (".modelregistry.toml", "[stages]\nprod = {exclusiv = false}\n", "did you mean 'exclusive'"),
    (".modelregistry.toml", "[stages]\nprod = {exclusive = 'perhaps'}\n", "exclusive"),
    (".modelregistry.toml", "[stages]\n'a b' = {}\n", "'a b'"),
    (".modelregistry.toml", "[stages]\nwithdrawn = {}\n", "withdrawn"),
    (".modelregistry.toml", "stages = 7\n", "stages"),
    (".modelregistry.toml", "\ud800".encode("utf-8", "surrogatepass"), "not TOML"),
    (".gto", "stages: {a: b}\n", "must be a list"),
    (".gto", "stages: [", "not YAML|line 2"),
    (".gto", "stagess: [a]\n", "unknown key 'stagess'"),
    (".gto", "- a\n", "mapping"),
    (".gto", "stages: ['a b']\n", "'a b'"),
    (".gto", "a: &a [x]\nstages: [*a]\n", "unknown key|list"),
}


@pytest.mark.parametrize(("file", "text", "words"), sorted(SETTINGS, key=str))
def test_settings_that_can_t_be_read_say_what_is_wrong(
    file: str, text: str | bytes, words: str, plain: Path, registry: Registry
) -> None:
    write(plain / file, text)
    commit(plain, "settings")
    registry = Registry(plain)
    for wish in (lambda r: r.promote("churn", "v0.1.1", "current"), lambda r: r.get("churn#current")):
        refused(registry, plain, mr.InvalidSettingsError, f"(?s){file}.*({words})", wish)


# -- URLs --------------------------------------------------------------------------------------------------

CANARY = "c4n4ry-s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        "ext::touch% pwned", "ext::touch pwned", "ext::touch%20pwned", "fd::17", "fd::0/x", "-uping:x", "--upload-pack=touch pwned:x",
        "ftp://example.com/x", "javascript://x", "https://exa mple.com/x", "https://example.com/x\n--upload-pack=x", "file:///x\0y",
        "transport::https://example.com/x",
    ],
)  # fmt: skip
def test_a_url_that_git_must_not_see_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", os.fspath(trace))
    with pytest.raises(mr.InvalidInputError, match="URL"):
        Registry(url)
    assert not trace.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["--upload-pack=touch pwned", "-c core.fsmonitor=x", "\n"])
def test_a_path_that_looks_like_an_option_is_only_a_path(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mr.RepositoryNotFoundError):
        Registry(target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        f"https://ann:{CANARY}@example.com/x.git", f"http://:{CANARY}@example.com/x", f"ssh://ann:{CANARY}@example.com/x",
        f"https://ann:{CANARY}@example.com/x y", f"https://ann:{CANARY}@example.com/\nx", f"ftp://ann:{CANARY}@example.com/x",
        f"https://ann:{CANARY}@localhost:1/x", f"https://ann:{CANARY}@example.com:bad/x", f"HTTPS://ann:{CANARY}@example.com/x",
        f"https://ann:a/b{CANARY}@example.com/x", f"https://ann:{CANARY}@/x", f"https://{CANARY}@127.0.0.1:1/x.git",
    ],
)  # fmt: skip
@pytest.mark.parametrize("by", ["argument", "$MODELREGISTRY_URL"])
def test_a_password_in_a_url_is_shown_nowhere(
    url: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MODELREGISTRY_URL", url)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(mr.RegistryError) as caught:
        mr.load_model("churn", registry=url if by == "argument" else None)
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in str(error)
        assert CANARY not in repr(error)
        assert CANARY not in repr(vars(error))
        error = error.__cause__ or error.__context__
    assert CANARY not in caplog.text


def test_a_url_that_is_not_there_is_a_git_error_that_names_git_s_reason(tmp_path: Path) -> None:
    with pytest.raises(mr.GitError, match=r"does not exist|not appear|not found") as caught:
        Registry((tmp_path / "nowhere").as_uri())
    assert caught.value.status
    assert not list(tmp_path.rglob("*.git"))


def test_a_clone_that_was_broken_off_is_not_taken_for_a_mirror(
    plain: Path, registry: Registry, fresh_cache: Path
) -> None:
    shutil.move(plain / ".git", plain / "away")
    with pytest.raises(mr.GitError):
        Registry(plain.as_uri())
    shutil.move(plain / "away", plain / ".git")
    assert Registry(plain.as_uri()).get("churn#current").version == "v0.1.0"


def test_dvc_without_a_remote_says_what_to_do(project: Path) -> None:
    dvc(project, "remote", "remove", "storage")
    commit(project, "no remote")
    shutil.rmtree(project / ".dvc" / "cache")
    with pytest.raises(mr.MissingBytesError, match="dvc push"):
        Registry(project).register("churn")
