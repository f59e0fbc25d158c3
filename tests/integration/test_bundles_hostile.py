"""A bundle that was forged with care, so that all of its own digests are right, is refused before anything is written."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import modelregistry as mr
from modelregistry import Registry
from modelregistry.bundles import file as bundlefile
from modelregistry.bundles.file import BundleFile, Source
from modelregistry.git.history import write_history
from modelregistry.git.repo import GitRepo
from tests.integration.projects import everything, git, put_tag, write
from tests.integration.remotes import fill, make_project

MODEL = b"weights, for all that the registry knows"
MD5 = hashlib.md5(MODEL).hexdigest()
OBJECT = f"dvc/files/md5/{MD5[:2]}/{MD5[2:]}"


class Parts(NamedTuple):
    """What a bundle is made of."""

    registry: str | None
    branch: str | None
    versions: Sequence[str]
    members: Mapping[str, bytes]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A project whose one model is in DVC, registered and promoted."""
    root = make_project(
        tmp_path / "source", {"url": os.fspath(tmp_path / "storage")}, {"models/churn.bin": MODEL}
    )
    fill(tmp_path / "storage", [MODEL])
    registry = Registry(root)
    registry.register("churn")
    registry.promote("churn", "v0.1.0", "current")
    return root


@pytest.fixture
def honest(source: Path, tmp_path: Path) -> Parts:
    """The parts of the bundle that the library makes of it."""
    made = Registry(source).bundle(["churn#current"], tmp_path / "honest.bundle")
    with BundleFile.open(made.path) as bundle:
        members = {member.path: b"".join(chunks) for member, chunks in bundle.members()}
        found = bundle.manifest
    assert list(members) == ["history.bundle", OBJECT]
    return Parts(found.registry, found.branch, found.versions, members)


@pytest.fixture
def forge(tmp_path: Path) -> Callable[[Parts], Path]:
    """Makes a bundle of any parts, with digests that fit."""

    def make(parts: Parts) -> Path:
        sources = [
            Source(path, write(tmp_path / "forging" / str(number), data))
            for number, (path, data) in enumerate(parts.members.items())
        ]
        target = tmp_path / "forged.bundle"
        bundlefile.write(
            target,
            sources,
            registry=parts.registry,
            branch=parts.branch,
            versions=parts.versions,
            check=lambda _: None,
        )
        return target

    return make


@pytest.fixture
def history(source: Path, tmp_path: Path) -> Callable[..., bytes]:
    """The history of the project, with other references."""

    def make(**changed: str | None) -> bytes:
        (tmp_path / "packing").mkdir(exist_ok=True)
        repo = GitRepo(source / ".git")
        refs: dict[str, str | None] = {ref.name: ref.oid for ref in repo.refs("refs/heads", "refs/tags")}
        refs |= changed
        return write_history(
            repo, {name: oid for name, oid in refs.items() if oid is not None}, tmp_path / "packing"
        ).read_bytes()

    return make


@pytest.fixture
def refused(tmp_path: Path, honest: Parts, forge: Callable[[Parts], Path]) -> Callable[..., None]:
    """Asserts that a bundle of these parts writes nothing, neither a new repository nor into one that is there."""
    there = tmp_path / "there" / "models.git"
    there.parent.mkdir()
    Registry.unbundle(tmp_path / "honest.bundle", there)

    def refuse(match: str, history: bytes | None = None, **changed: object) -> None:
        members = dict(honest.members)
        if history is not None:
            members["history.bundle"] = history
        forged = forge(honest._replace(**{"members": members, **changed}))  # type: ignore[arg-type]
        for place in (there, tmp_path / "there" / "new.git"):
            before = everything(there), visible_in(there.parent)
            with pytest.raises((mr.InvalidFileError, mr.IntegrityError), match=match):
                Registry.unbundle(forged, place)
            assert (everything(there), visible_in(there.parent)) == before

    return refuse


def visible_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_the_same_parts_unforged_are_taken(
    honest: Parts, forge: Callable[[Parts], Path], history: Callable[..., bytes], tmp_path: Path
) -> None:
    assert history() == honest.members["history.bundle"]
    Registry.unbundle(forge(honest), tmp_path / "models.git")
    assert Registry(tmp_path / "models.git").get("churn#current").local_path().read_bytes() == MODEL


# -- objects -----------------------------------------------------------------------------------------------


def test_bytes_under_the_name_of_others_are_refused(honest: Parts, refused: Callable[..., None]) -> None:
    refused("not its name", members={**honest.members, OBJECT: MODEL[:-1] + b"?"})


def test_a_version_without_its_bytes_is_refused(honest: Parts, refused: Callable[..., None]) -> None:
    refused("as it was registered", members={"history.bundle": honest.members["history.bundle"]})


@pytest.mark.parametrize(
    "name",
    [
        "hooks/post-checkout",
        "dvc/config",
        "dvc/files/md5/ab/cd",
        "config",
        f"{OBJECT}/x",
        "dvc/files/sha1/ab/" + "c" * 30,
    ],
)
def test_a_file_that_is_no_object_is_refused(name: str, honest: Parts, refused: Callable[..., None]) -> None:
    refused("which no bundle has", members={**honest.members, name: b"#!/bin/sh"})


def test_a_bundle_that_does_not_begin_with_its_history_is_refused(
    honest: Parts, refused: Callable[..., None]
) -> None:
    refused(
        "does not begin with", members={OBJECT: MODEL, "history.bundle": honest.members["history.bundle"]}
    )
    refused("does not begin with", members={})


# -- what the manifest says --------------------------------------------------------------------------------


def test_a_manifest_that_contradicts_the_history_is_refused(refused: Callable[..., None]) -> None:
    refused("no registration of churn@v0.2.0", versions=["churn@v0.1.0", "churn@v0.2.0"])
    refused("other models", versions=["risk@v0.1.0"])
    refused("other models", versions=[])
    refused("another registry", registry="another")
    refused("its branches", branch="trunk")
    refused("its branches", branch=None)


# -- references --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ref", "match"),
    [
        ("refs/heads/evil", "its branches"),
        ("refs/remotes/origin/main", "its branches"),
        ("refs/modelregistry/pending/x", "its branches"),
        ("refs/tags/v1.0", "that of no event"),
        ("refs/tags/../../hooks/x", "that of no event"),
        ("refs/tags/churn@v9.9.9", "lightweight"),
    ],
)
def test_references_that_no_registry_needs_are_refused(
    ref: str, match: str, source: Path, history: Callable[..., bytes], refused: Callable[..., None]
) -> None:
    refused(match, history(**{ref: git(source, "rev-parse", "HEAD")}))


def test_a_branch_with_a_name_that_git_forbids_is_refused(
    source: Path, history: Callable[..., bytes], refused: Callable[..., None]
) -> None:
    head = git(source, "rev-parse", "HEAD")
    for name in ("../../x", "a..b", "x.lock", "-x~1"):
        refused("is no branch", history(**{"refs/heads/main": None, f"refs/heads/{name}": head}), branch=name)
    blob = git(source, "rev-parse", "HEAD:dvc.yaml")
    refused("is no branch", history(**{"refs/heads/main": blob}))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: text.replace("tag churn@v0.2.0", "tag churn@v0.3.0"), "says its name is"),
        (lambda text: text.replace("tagger Ann", "teller Ann"), "git says of it|no tagger"),
        (lambda text: text.replace('"kind":"register"', '"kind":"withdraw"'), "something else"),
        (lambda text: text.replace('"version":"v0.2.0"', '"version":"v0.1.0"'), "another version"),
        (lambda text: text.replace("Model-Registry: {", "Model-Registry: {{"), "not JSON"),
    ],
    ids=["its name", "its tagger", "its kind", "its version", "its trailer"],
)
def test_a_tag_object_that_is_no_event_of_that_name_is_refused(
    change: Callable[[str], str],
    match: str,
    source: Path,
    history: Callable[..., bytes],
    refused: Callable[..., None],
) -> None:
    write(source / "models" / "churn.bin", MODEL)
    Registry(source).register("churn", version="v0.2.0")
    text = git(source, "cat-file", "tag", "churn@v0.2.0") + "\n"
    git(source, "tag", "--delete", "churn@v0.2.0")
    changed = change(text)
    assert changed != text
    refused(
        match,
        history(
            **{
                "refs/tags/churn@v0.2.0": put_tag(source, "scratch", changed.encode()),
                "refs/tags/scratch": None,
            }
        ),
    )


def test_a_tag_that_names_no_commit_is_refused(
    source: Path, history: Callable[..., bytes], refused: Callable[..., None]
) -> None:
    text = git(source, "cat-file", "tag", "churn#current#1").replace("#current#1", "#current#2") + "\n"
    blob, head = git(source, "rev-parse", "HEAD:dvc.yaml"), git(source, "rev-parse", "HEAD")
    put_tag(
        source,
        "churn#current#2",
        text.replace(f"object {head}\ntype commit", f"object {blob}\ntype blob").encode(),
    )
    refused("points at a blob", history())


def test_events_of_a_model_that_was_not_bundled_are_refused(
    source: Path, history: Callable[..., bytes], refused: Callable[..., None]
) -> None:
    text = git(source, "cat-file", "tag", "churn@v0.1.0").replace("churn", "risk") + "\n"
    put_tag(source, "risk@v0.1.0", text.encode())
    refused("other models", history())


# -- packs -------------------------------------------------------------------------------------------------


def test_a_history_that_is_cut_off_or_changed_is_refused(honest: Parts, refused: Callable[..., None]) -> None:
    whole = honest.members["history.bundle"]
    start = whole.index(b"PACK")
    for broken in (
        b"", b"\n", whole[:20], whole[: start - 1], whole[:start], whole[:-1], whole[:-20], whole + b"x",
        whole[: start + 40] + bytes([whole[start + 40] ^ 1]) + whole[start + 41 :],
        whole.replace(b"# v2 git", b"# v9 git", 1), whole[whole.index(b"\n") + 1 :],
        whole.replace(b"# v2 git bundle\n", b"# v2 git bundle\n-" + b"1" * 40 + b" before\n", 1),
        whole.replace(b"# v2 git bundle\n", b"# v2 git bundle\n" + b"1" * 40 + b" refs/tags/churn@v7.0.0\n", 1),
        whole.replace(b"# v2 git bundle\n", b"# v2 git bundle\n" + whole[16 : whole.index(b"\n", 16) + 1], 1),
    ):  # fmt: skip
        refused("no whole Git history", broken)


def head_of(whole: bytes) -> bytes:
    return whole[: whole.index(b"PACK")]


def test_a_pack_that_lacks_what_its_commits_name_is_refused(
    honest: Parts, source: Path, refused: Callable[..., None], tmp_path: Path
) -> None:
    objects = git(source, "rev-list", "--all", "--objects").splitlines()
    lost = git(source, "rev-parse", "HEAD:dvc.yaml")
    tags = [
        line.split()[0]
        for line in git(source, "for-each-ref", "--format=%(objectname)", "refs/tags").splitlines()
    ]
    names = [line.split()[0] for line in objects if line.split()[0] != lost] + tags
    name = git(
        source,
        "pack-objects",
        "--quiet",
        os.fspath(tmp_path / "part"),
        stdin="\n".join(dict.fromkeys(names)).encode(),
    )
    pack = (tmp_path / f"part-{name}.pack").read_bytes()
    refused("no whole Git history", head_of(honest.members["history.bundle"]) + pack)


@pytest.mark.parametrize("name", ["..", ".git", ".GIT"])
def test_a_tree_that_would_lead_a_checkout_astray_is_refused(
    name: str, source: Path, history: Callable[..., bytes], refused: Callable[..., None]
) -> None:
    blob = git(source, "hash-object", "-w", "--stdin", stdin=b"#!/bin/sh\n")
    inner = git(
        source,
        "hash-object",
        "-w",
        "-t",
        "tree",
        "--literally",
        "--stdin",
        stdin=b"100755 x\0" + bytes.fromhex(blob),
    )
    tree = git(
        source, "hash-object", "-w", "-t", "tree", "--literally", "--stdin",
        stdin=b"40000 " + name.encode() + b"\0" + bytes.fromhex(inner),
    )  # fmt: skip
    commit = git(source, "commit-tree", tree, "-p", "HEAD", "-m", "evil")
    refused("git says of it", history(**{"refs/heads/main": commit}))


def packed(kind: int, size: int, data: bytes, base: bytes = b"") -> bytes:
    """One entry of a pack, as git's documentation of the format has it."""
    head = [(kind << 4) | (size & 15)]
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + base + zlib.compress(data)


def varint(number: int) -> bytes:
    found = []
    while True:
        found.append((number & 0x7F) | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(found)


def test_a_few_bytes_that_ask_for_gigabytes_of_memory_are_refused(
    honest: Parts, refused: Callable[..., None]
) -> None:
    base = bytes(1 << 20)
    oid = hashlib.sha1(f"blob {len(base)}\0".encode() + base).digest()
    copies = 4096  # of a mebibyte each
    delta = varint(len(base)) + varint(copies << 20) + b"\xc0\x10" * copies  # copy 0x100000 bytes from 0 on
    entries = [packed(3, len(base), base), packed(7, len(delta), delta, oid)]
    pack = b"PACK" + struct.pack(">II", 2, len(entries)) + b"".join(entries)
    pack += hashlib.sha1(pack).digest()
    assert len(pack) < 10_000
    refused("git says of it", head_of(honest.members["history.bundle"]) + pack)
