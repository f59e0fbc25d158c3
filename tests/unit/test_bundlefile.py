"""The file of a bundle: the same each time, and read only if every byte of it is as it was written."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry.bundles import file as bundlefile
from modelregistry.bundles.file import BundleFile, Source

CONTENTS = {
    "history.bundle": b"history" * 99,
    "dvc/files/md5/ab/cd": b"x" * 512,
    "dvc/files/md5/ab/ef.dir": b"",
}


def written(folder: Path, contents: dict[str, bytes] = CONTENTS, *, name: str = "file") -> Path:
    sources = []
    for number, (path, data) in enumerate(contents.items()):
        source = folder / f"source-{number}"
        source.write_bytes(data)
        sources.append(Source(path, source))
    target = folder / name
    bundlefile.write(
        target, sources, registry="one", branch="main", versions=["churn@v0.1.0"], check=lambda _: None
    )
    return target


def read(file: Path) -> dict[str, bytes]:
    with BundleFile.open(file) as bundle:
        return {member.path: b"".join(chunks) for member, chunks in bundle.members()}


def refused(file: Path, match: str = "nothing was written") -> None:
    with pytest.raises((mr.InvalidFileError, mr.IntegrityError), match=match):
        read(file)


def tar(*members: tuple[tarfile.TarInfo, bytes], manifest: object = None) -> bytes:
    """A tar by hand: its manifest names the members, unless it is given."""
    listed = [
        {"path": info.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for info, data in members
    ]
    facts: object = {"format": 1, "registry": None, "branch": None, "versions": [], "files": listed}
    text = json.dumps(facts if manifest is None else manifest).encode()
    first = tarfile.TarInfo(f"manifest-{hashlib.sha256(text).hexdigest()}.json")
    first.size = len(text)
    file = BytesIO()
    for info, data in [(first, text), *members]:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512))
    return file.getvalue() + bytes(1024)


def member(name: str, data: bytes = b"", **facts: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in facts.items():
        setattr(info, key, value)
    return info, data


def test_what_was_written_is_read_and_any_tar_reads_it_too(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert read(file) == CONTENTS
    with BundleFile.open(file) as bundle:
        assert bundle.manifest.versions == ("churn@v0.1.0",)
        assert (bundle.manifest.registry, bundle.manifest.branch) == ("one", "main")
    with tarfile.open(file) as opened:
        assert opened.getnames()[1:] == list(CONTENTS)
        assert re.fullmatch(r"manifest-[0-9a-f]{64}\.json", opened.getnames()[0])
    assert written(tmp_path, name="again").read_bytes() == file.read_bytes()


def test_no_byte_can_be_changed(tmp_path: Path) -> None:
    file = written(tmp_path, {"x": b"history"})
    whole = file.read_bytes()
    with open(file, "r+b", buffering=0) as opened:
        for at, byte in enumerate(whole):
            os.pwrite(opened.fileno(), bytes([byte ^ 1 << at % 8]), at)
            refused(file)
            os.pwrite(opened.fileno(), bytes([byte]), at)
    assert read(file) == {"x": b"history"}


def test_no_byte_can_be_missing_or_added(tmp_path: Path) -> None:
    file = written(tmp_path)
    whole = file.read_bytes()
    for length in (0, 1, 511, 512, *range(600, len(whole), 97), len(whole) - 512, len(whole) - 1):
        file.write_bytes(whole[:length])
        refused(file)
    for more in (b"\0", bytes(512), whole):
        file.write_bytes(whole + more)
        refused(file)


@pytest.mark.parametrize(
    "hostile",
    [
        member("../evil", b"x"),
        member("/etc/passwd", b"x"),
        member("dvc/../../evil", b"x"),
        member("dvc/.git", b"x"),
        member("dvc//x", b"x"),
        member("dvc\\x", b"x"),
        member("x\n", b"x"),
        member("link", type=tarfile.SYMTYPE, linkname="/etc"),
        member("link", type=tarfile.LNKTYPE, linkname="history.bundle"),
        member("device", type=tarfile.CHRTYPE),
        member("folder", type=tarfile.DIRTYPE),
        member("sparse", b"x", type=tarfile.GNUTYPE_SPARSE),
        member("x", b"x", mode=0o4755),
        member("x", b"x", uid=1000),
        member("x", b"x", uname="root"),
        member("x", b"x", mtime=1),
    ],
    ids=lambda found: f"{found[0].name!r} {found[0].type!r}",
)
def test_a_member_that_is_no_plain_file_in_its_folder_is_refused(
    hostile: tuple[tarfile.TarInfo, bytes], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(tar(member("history.bundle", b"x"), hostile))
    refused(file)


def test_the_same_tar_without_malice_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(tar(member("history.bundle", b"x"), member("dvc/y", b"z")))
    assert read(file) == {"history.bundle": b"x", "dvc/y": b"z"}


def test_a_member_that_comes_twice_or_is_not_listed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(tar(member("x", b"x"), member("x", b"y")))
    refused(file, "twice")
    listed = {"path": "x", "size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    facts = {"format": 1, "registry": None, "branch": None, "versions": [], "files": [listed]}
    file.write_bytes(tar(member("x", b"x"), member("y", b"y"), manifest=facts))
    refused(file, "more in it")


def facts_with(**changes: object) -> dict[str, object]:
    return {"format": 1, "registry": None, "branch": None, "versions": [], "files": [], **changes}


@pytest.mark.parametrize(
    "manifest",
    [
        [], 5, {}, {"format": 1}, facts_with(format=0), facts_with(format="1"), facts_with(versions="churn"),
        facts_with(files={}), facts_with(more=1), facts_with(registry=1),
        facts_with(files=[{"path": "x", "size": -1, "sha256": ""}]),
        facts_with(files=[{"path": "x", "size": 10**40, "sha256": ""}]),
        facts_with(files=[{"path": "x", "size": 1 << 50, "sha256": ""}]),
        facts_with(files=[{"path": "x" * 5000, "size": 0, "sha256": ""}]),
    ],
    ids=lambda found: json.dumps(found)[:60],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused(manifest: object, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(tar(manifest=manifest))
    refused(file)


def test_a_bundle_of_a_newer_version_says_to_upgrade(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(tar(manifest=facts_with(format=2, others="things")))
    refused(file, "upgrade")


def test_a_manifest_without_end_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    info = tarfile.TarInfo(f"manifest-{'0' * 64}.json")
    info.size = 1 << 32
    with open(file, "wb") as opened:
        opened.write(info.tobuf(tarfile.GNU_FORMAT))
        opened.truncate(1 << 33)  # which takes no place on the disk
    refused(file, "is the most")


@pytest.mark.parametrize(
    "make", [lambda: b"", lambda: b"PK\3\4", lambda: bytes(4096), lambda: b"\x1f\x8b" * 999]
)
def test_what_is_no_bundle_at_all_is_refused(make: Callable[[], bytes], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(make())
    refused(file, "no whole bundle")


def test_a_file_that_is_not_accepted_when_it_is_read_back_does_not_appear(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")

    def check(file: Path) -> None:
        assert read(file) == {"x": b"x"}
        raise mr.GitTimeoutError("too late")

    with pytest.raises(mr.GitTimeoutError):
        bundlefile.write(
            tmp_path / "file", [Source("x", source)], registry=None, branch=None, versions=[], check=check
        )
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_sizes_that_a_plain_header_has_no_room_for_are_read_as_they_were_written() -> None:
    large = bundlefile.Member(path="x", size=1 << 40, sha256="")
    assert tarfile.TarInfo.frombuf(bundlefile._header(large), "utf-8", "strict").size == 1 << 40
