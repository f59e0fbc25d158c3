"""A copy for an image or a batch job: verified, whole or not there, and nobody's files overwritten unasked."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry import Registry
from tests.integration.projects import everything, write


@pytest.fixture
def stocked(project: Path) -> Registry:
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.register("churn")
    registry.register("bundle")
    registry.promote("churn", "v0.1.0", "current")
    return registry


def test_a_file_is_copied_under_its_own_name_and_is_the_callers(stocked: Registry, tmp_path: Path) -> None:
    found = mr.download("churn", tmp_path / "out" / "deep", stage="current", registry=stocked)
    assert found == tmp_path / "out" / "deep" / "churn.joblib"
    version = stocked.get("churn#current")
    assert found.read_bytes() == version.local_path().read_bytes()
    assert os.listdir(found.parent) == ["churn.joblib"]
    assert found.stat().st_mode & stat.S_IWUSR
    found.write_bytes(b"mine now")
    version.verify()


def test_a_folder_is_copied_whole(stocked: Registry, tmp_path: Path) -> None:
    found = stocked.get("bundle").download(tmp_path)
    assert found == tmp_path / "bundle"
    assert everything(found) == {"weights/a.bin": b"\0one", "b.json": b"{}"}


def test_again_it_is_left_alone(stocked: Registry, tmp_path: Path) -> None:
    found = [mr.download(name, tmp_path, registry=stocked) for name in ("churn", "bundle")]
    before = [path.stat() for path in found]
    assert [mr.download(name, tmp_path, registry=stocked) for name in ("churn", "bundle")] == found
    assert [path.stat().st_ino for path in found] == [status.st_ino for status in before]


@pytest.mark.parametrize("name", ["churn", "bundle"])
def test_what_is_there_with_other_bytes_is_replaced_only_when_asked(
    name: str, stocked: Registry, tmp_path: Path
) -> None:
    found = mr.download(name, tmp_path, registry=stocked)
    inside = found if name == "churn" else found / "b.json"
    right = inside.read_bytes()
    inside.write_bytes(b"precious")
    with pytest.raises(mr.InvalidInputError, match="overwrite=True"):
        mr.download(name, tmp_path, registry=stocked)
    assert inside.read_bytes() == b"precious"
    assert mr.download(name, tmp_path, registry=stocked, overwrite=True) == found
    assert inside.read_bytes() == right
    assert len(os.listdir(tmp_path / "copy")) >= 1
    assert [each for each in os.listdir(tmp_path) if each.startswith(".")] == []


def test_files_of_others_in_the_folder_are_seen_before_it_is_replaced(
    stocked: Registry, tmp_path: Path
) -> None:
    write(tmp_path / "bundle" / "notes.txt", "mine")
    with pytest.raises(mr.InvalidInputError, match="is not in both"):
        mr.download("bundle", tmp_path, registry=stocked)
    assert everything(tmp_path / "bundle") == {"notes.txt": b"mine"}


@pytest.mark.parametrize("kind", ["folder", "link", "dangling link"])
def test_something_else_in_its_place_is_no_file_to_write_through(
    kind: str, stocked: Registry, tmp_path: Path
) -> None:
    outside = write(tmp_path / "outside" / "file", "outside")
    target = tmp_path / "to" / "churn.joblib"
    target.parent.mkdir()
    if kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(outside if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(mr.InvalidInputError, match="is there already"):
        mr.download("churn", target.parent, registry=stocked)
    mr.download("churn", target.parent, registry=stocked, overwrite=True)
    assert not target.is_symlink()
    assert target.read_bytes() == stocked.get("churn").local_path().read_bytes()
    assert outside.read_text() == "outside"
    assert not (tmp_path / "nowhere").exists()


def test_a_file_is_no_folder_to_write_into(stocked: Registry, tmp_path: Path) -> None:
    file = write(tmp_path / "file", "x")
    with pytest.raises(mr.InvalidInputError, match="name a folder"):
        mr.download("churn", file, registry=stocked)
    assert file.read_text() == "x"


def test_damaged_bytes_are_not_copied(stocked: Registry, project: Path, tmp_path: Path) -> None:
    path = stocked.get("churn").local_path()
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    with pytest.raises(mr.IntegrityError):
        mr.download("churn", tmp_path / "to", registry=stocked, verify="always")
    assert not (tmp_path / "to").exists()


KILLED = """
import os, sys
import modelregistry.content.privatecopy as copies
import modelregistry as mr
copies._replace = lambda new, target: os.kill(os.getpid(), 9)
mr.download("bundle", sys.argv[2], registry=sys.argv[1])
"""


def test_a_copy_that_was_killed_is_not_there_and_the_next_one_is(
    stocked: Registry, project: Path, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    done = subprocess.run([sys.executable, "-c", KILLED, os.fspath(project), os.fspath(to)], check=False)
    assert done.returncode == -9
    assert not (to / "bundle").exists()
    assert everything(mr.download("bundle", to, registry=stocked)) == {
        "weights/a.bin": b"\0one",
        "b.json": b"{}",
    }


def test_a_place_that_takes_nothing_is_told(stocked: Registry, tmp_path: Path) -> None:
    blocked = write(tmp_path / "blocked", "a file where a folder is to be")
    with pytest.raises(mr.CacheError, match="can't be written"):
        mr.download("bundle", blocked / "out", registry=stocked)
    assert blocked.read_text() == "a file where a folder is to be"
