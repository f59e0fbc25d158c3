"""Objects that are read from Git's own files: the same as git has, or left to git."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelregistry.git import objectfiles
from modelregistry.git.objectfiles import ObjectFiles
from modelregistry.git.objects import GitObject
from modelregistry.git.pack import patched
from modelregistry.git.repo import GitRepo
from tests.integration.projects import commit, git, init

Read = Callable[..., list[GitObject | None] | None]


@pytest.fixture(autouse=True)
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectfiles, "MOST_NAMES", 1_000)


def by_files(folder: Path, *names: str, limit: int = 1 << 24, most: float = float("inf")) -> object:
    files = ObjectFiles(os.fspath(folder / ".git" / "objects"))
    try:
        return files.read(names, limit, most)
    finally:
        files.close()


def by_git(folder: Path, *names: str, limit: int = 1 << 24, most: int | None = None) -> object:
    repo = GitRepo.discover(folder)
    repo._objects = os.devnull
    return repo.read(names, limit=limit, most=most)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Commits in which a long file changes a little, a folder in a folder, a link and a submodule."""
    folder = init(tmp_path / "project")
    lines = [f"{number} {hashlib.sha256(str(number).encode()).hexdigest()}" for number in range(2_000)]
    (folder / "a b" / "ü").mkdir(parents=True)
    (folder / "a b" / "ü" / "100644 dvc.yaml").write_text("x")
    (folder / "a b" / "link").symlink_to("ü")
    (folder / "empty").write_text("")
    chance = random.Random(7)
    for number in range(12):
        lines[chance.randrange(2_000)] = f"changed {number}"
        lines.insert(chance.randrange(2_000), "inserted")
        (folder / "long").write_text("\n".join(lines))
        commit(folder, f"Commit {number}")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git(folder, "commit", "--quiet", "-m", "A module")
    git(folder, "tag", "-a", "-m", "A tag", "v1")
    return folder


def everything(folder: Path) -> list[str]:
    lines = git(folder, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    return [str(line) for line in lines]


def names(folder: Path) -> list[str]:
    revs = str(git(folder, "rev-list", "HEAD")).split()
    paths = [
        "long",
        "empty",
        "a b",
        "a b/ü",
        "a b/ü/100644 dvc.yaml",
        "a b/link",
        "dvc.yaml",
        "a b/x",
        "long/x",
        "a b/link/x",
    ]
    return [*revs, *(f"{rev}^{{tree}}" for rev in revs), *(f"{rev}:{path}" for rev in revs for path in paths)]


def repacked(folder: Path, *how: str) -> None:
    git(folder, *how)
    assert not [*(folder / ".git" / "objects").glob("??/*")]


@pytest.mark.parametrize(
    "how",
    [
        (),
        ("repack", "-adfq", "--depth=50", "--window=50"),
        ("-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq", "--depth=50", "--window=50"),
        ("-c", "pack.compression=0", "-c", "core.compression=0", "repack", "-adFq"),
    ],
    ids=["loose", "differences to what is before", "differences to names", "not compressed"],
)
def test_every_object_and_path_is_what_git_has(project: Path, how: tuple[str, ...]) -> None:
    if how:
        repacked(project, *how)
    if "--depth=50" in how:
        lengths = str(git(project, "verify-pack", "-v", next((project / ".git/objects/pack").glob("*.idx"))))
        assert "chain length = 3" in lengths
    asked = [*everything(project), *names(project)]
    found = by_files(project, *asked)
    assert found is not None
    assert found == by_git(project, *asked)


def test_an_object_is_found_in_the_pack_that_has_it(project: Path) -> None:
    for number in range(3):
        git(project, "repack", "-dq")
        (project / "more").write_text(str(number))
        commit(project, f"More {number}")
    asked = everything(project)
    assert by_files(project, *asked) == by_git(project, *asked)


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_more_than_is_wanted_comes_without_its_data(project: Path, packed: bool) -> None:
    if packed:
        repacked(project, "repack", "-adfq")
    asked = everything(project)
    for limits in ({"limit": 0}, {"limit": 1_000}, {"most": 100_000}, {"most": 300_000, "limit": 120_000}):
        assert by_files(project, *asked, **limits) == by_git(project, *asked, **limits)


@pytest.mark.parametrize(
    "name",
    [
        "HEAD", "v1", "HEAD:long", "0" * 40, "{rev}:a b/./link", "{rev}:a b/../long", "{rev}:a b/",
        "{rev}:/long", "{rev}:module", "{rev}:module/x", "{tag}:long", "{tag}^{{tree}}", "{rev}^{{commit}}", "{rev}~1",
        "{rev}^", "{short}", "{blob}:x", "{blob}^{{tree}}",
    ],
)  # fmt: skip
def test_what_needs_git_is_left_to_git(project: Path, name: str) -> None:
    rev, tag = (str(git(project, "rev-parse", what)).strip() for what in ("HEAD", "v1"))
    blob = str(git(project, "rev-parse", "HEAD:long")).strip()
    assert by_files(project, rev) is not None
    name = name.format(rev=rev, tag=tag, short=rev[:10], blob=blob)
    assert by_files(project, rev, name) is None
    (one,) = GitRepo.discover(project).read([name])
    assert [one] == by_git(project, name)


def test_what_is_many_is_left_to_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rev = str(git(project, "rev-parse", "HEAD")).strip()
    monkeypatch.setattr(objectfiles, "MOST_NAMES", 2)
    assert by_files(project, rev, rev) is not None
    assert by_files(project, rev, rev, rev) is None


def test_a_name_that_git_is_never_asked_for_is_nothing(project: Path) -> None:
    assert by_files(project, "a\nb", "a\0b") == [None, None] == by_git(project, "a\nb", "a\0b")


def test_objects_of_another_repository_are_left_to_git(project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--shared", project, clone)
    rev = str(git(project, "rev-parse", "HEAD")).strip()
    assert by_files(clone, rev) is None
    found = GitRepo.discover(clone).read([f"{rev}:long"])[0]
    assert found is not None
    assert found.data == (project / "long").read_bytes()


def loose(folder: Path, data: bytes) -> tuple[str, Path]:
    """A file where an object with the id of ``data`` would lie."""
    oid = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    path = folder / ".git" / "objects" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    return oid, path


def test_a_damaged_object_is_left_to_git(project: Path) -> None:
    data = b"blob 5\0abcde"
    oid, path = loose(project, data)
    path.write_bytes(zlib.compress(data))
    assert by_files(project, oid) == [GitObject(oid, "blob", 5, b"abcde")]
    for odd in (
        b"",
        b"x",
        zlib.compress(data)[:-4],
        zlib.compress(b"blob 5\0abcdf"),
        zlib.compress(b"blob 5abcde"),
    ):
        path.write_bytes(odd)
        assert by_files(project, oid) is None


def test_a_small_file_that_holds_very_much_is_left_to_git(project: Path) -> None:
    data = b"blob %d\0" % (1 << 26) + bytes(1 << 26)
    oid, path = loose(project, data)
    path.write_bytes(zlib.compress(data))
    assert path.stat().st_size < 1 << 17
    assert by_files(project, oid) is None
    found = GitRepo.discover(project).read([oid], limit=1_000)[0]
    assert found is not None
    assert (found.size, found.data) == (1 << 26, None)


@settings(max_examples=300)
@given(st.data())
def test_whatever_a_damaged_pack_says_no_wrong_object_comes_of_it(packed: Path, data: st.DataObject) -> None:
    shutil.rmtree(packed / ".git/objects/pack")
    shutil.copytree(packed / "kept", packed / ".git/objects/pack")
    suffix = data.draw(st.sampled_from(["idx", "pack"]))
    file = next((packed / ".git/objects/pack").glob(f"*.{suffix}"))
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    file.chmod(0o600)
    file.write_bytes(content)
    for line in (packed / "known").read_text().splitlines():
        oid, size = line.split()
        found = by_files(packed, oid)
        assert found is None or (found[0].oid, found[0].size) == (oid, int(size))  # type: ignore[index]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pack with differences, kept so that each damage is to the whole one."""
    folder = init(tmp_path_factory.mktemp("packed") / "project")
    for number in range(3):
        (folder / "file").write_text("".join(f"{line} {line * 7}\n" for line in range(60)) + f"{number}\n")
        commit(folder, f"Commit {number}")
    repacked(folder, "repack", "-adfq")
    shutil.copytree(folder / ".git/objects/pack", folder / "kept")
    sizes = str(git(folder, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objectsize)"))
    (folder / "known").write_text(sizes)
    return folder


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_difference_is_applied_or_refused(base: bytes, difference: bytes) -> None:
    try:
        found = patched(base, difference)
    except (ValueError, IndexError):
        return
    assert len(found) <= 1 << 22


def test_a_difference_copies_and_adds() -> None:
    assert patched(b"abcdef", b"\x06\x05\x91\x02\x03\x02xy") == b"cdexy"
    assert patched(b"a" * (1 << 16), b"\x80\x80\x04\x80\x80\x04\x80") == b"a" * (1 << 16)
    for odd in (
        b"\x05\x05\x91\x02\x03\x02xy",
        b"\x06\x05\x91\x02\x03",
        b"\x06\x05\x91\x05\x03\x02xy",
        b"\x06\x01\x00",
        b"\x06\x02\x02x",
    ):
        with pytest.raises((ValueError, IndexError)):
            patched(b"abcdef", odd)
