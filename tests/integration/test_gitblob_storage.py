"""Artifacts plainly in the real Git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelregistry import Registry
from modelregistry.artifacts.base import Entry
from modelregistry.artifacts.gitblob import GitBlobStorage
from modelregistry.errors import InvalidFileError, MissingBytesError
from modelregistry.git.repo import GitRepo
from tests.integration.projects import landing


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "more")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "models" / "deep").mkdir(parents=True)
    (folder / "models" / "m.json").write_bytes(b"{}\r\n")
    (folder / "models" / "deep" / "ü b.bin").write_bytes(bytes(range(256)) * 20_000)
    (folder / "models2").write_text("not a folder")
    git(tmp_path, "init", "-q", "project")
    commit(folder)
    return folder


@pytest.fixture
def storage(project: Path) -> GitBlobStorage:
    return GitBlobStorage(GitRepo.discover(project))


def test_a_file_is_located_by_its_blob(storage: GitBlobStorage, project: Path) -> None:
    content = storage.locate("HEAD", "models/m.json")
    oid = git(project, "rev-parse", "HEAD:models/m.json")
    assert content is not None
    assert content.entries == (Entry("m.json", f"git:{oid}", 4),)
    assert (content.storage, content.path, content.is_directory) == ("git", "models/m.json", False)
    assert content.address == f"git:{oid}"


def test_a_folder_is_located_with_all_below_it(storage: GitBlobStorage, project: Path) -> None:
    content = storage.locate("HEAD", "models/")
    assert content is not None
    assert [entry.path for entry in content.entries] == ["deep/ü b.bin", "m.json"]
    assert (content.is_directory, content.size) == (True, 256 * 20_000 + 4)
    assert content.address == f"git:{git(project, 'rev-parse', 'HEAD:models')}"


def test_a_folder_of_one_file_is_a_folder(storage: GitBlobStorage) -> None:
    content = storage.locate("HEAD", "models/deep")
    assert content is not None
    assert (content.is_directory, [entry.path for entry in content.entries]) == (True, ["ü b.bin"])


@pytest.mark.parametrize("path", ["model", "models/none", "..", "../models", "/models", "models2/x"])
def test_what_is_not_there_is_not_located(storage: GitBlobStorage, path: str) -> None:
    assert storage.locate("HEAD", path) is None


def test_the_commit_counts_and_not_the_working_copy(
    storage: GitBlobStorage, project: Path, tmp_path: Path
) -> None:
    first = git(project, "rev-parse", "HEAD")
    (project / "models" / "m.json").write_text("[]")
    commit(project)
    (project / "models" / "m.json").unlink()
    bodies = []
    for rev in (first, "HEAD"):
        content = storage.locate(rev, "models/m.json")
        assert content is not None
        storage.fetch(content.entries, tmp_path, landing(tmp_path))
        bodies.append((tmp_path / content.entries[0].address.replace(":", "-")).read_bytes())
    assert bodies == [b"{}\r\n", b"[]"]


def test_bytes_are_brought_as_committed_and_progress_is_told(
    storage: GitBlobStorage, project: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    content = storage.locate("HEAD", "models")
    assert content is not None
    assert [storage.find(entry) for entry in content.entries] == [None, None]
    assert storage.missing(content.entries) == ()
    storage.fetch(
        content.entries, tmp_path, landing(tmp_path), report=lambda done, total: seen.append((done, total))
    )
    for entry in content.entries:
        brought = (tmp_path / entry.address.replace(":", "-")).read_bytes()
        assert brought == (project / "models" / entry.path).read_bytes()
    assert seen[-1] == (content.size, content.size)


def test_a_blob_this_clone_lacks_is_missing_and_leaves_no_file(
    storage: GitBlobStorage, tmp_path: Path
) -> None:
    with pytest.raises(MissingBytesError, match=r"'m\.bin'.*git fetch --refetch"):
        storage.fetch([Entry("m.bin", f"git:{'1' * 40}", 3)], tmp_path, landing(tmp_path))
    assert not list(tmp_path.glob("git-*"))


def test_a_symbolic_link_is_refused(storage: GitBlobStorage, project: Path) -> None:
    (project / "models" / "link").symlink_to("/etc/passwd")
    commit(project)
    for path in ("models", "models/link"):
        with pytest.raises(InvalidFileError, match="'models/link' is a symbolic link"):
            storage.locate("HEAD", path)


def test_a_pointer_to_git_lfs_is_refused(storage: GitBlobStorage, project: Path) -> None:
    (project / "models" / "big.bin").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
    )
    commit(project)
    for path in ("models", "models/big.bin"):
        with pytest.raises(InvalidFileError, match=r"'models/big.bin' is a Git LFS pointer.*dvc add"):
            storage.locate("HEAD", path)


def test_a_submodule_is_refused_and_not_left_out(storage: GitBlobStorage, project: Path) -> None:
    git(
        project, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(project), "models/sub"
    )
    commit(project)
    for path in ("models", "models/sub", "models/sub/models"):
        with pytest.raises(InvalidFileError, match="submodule 'models/sub'"):
            storage.locate("HEAD", path)
    assert storage.locate("HEAD", "models/deep") is not None


def test_a_bare_repository_serves_too(project: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", "project", "bare.git")
    storage = GitBlobStorage(GitRepo.discover(tmp_path / "bare.git"))
    content = storage.locate("HEAD", "models/m.json")
    assert content is not None
    storage.fetch(content.entries, tmp_path, landing(tmp_path))
    assert (tmp_path / content.entries[0].address.replace(":", "-")).read_bytes() == b"{}\r\n"


def test_a_repository_with_sha256_objects_serves_the_whole_way(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", "new")
    folder = tmp_path / "new"
    (folder / "m.json").write_text("{}")
    (folder / "dvc.yaml").write_text("artifacts:\n  churn: {path: m.json, type: model}\n")
    commit(folder)
    registry = Registry(folder)
    registry.register("churn")
    registry.promote("churn", "v0.1.0", "current")
    assert Registry(folder).get("churn#current").local_path().read_text() == "{}"
    assert not registry.check()
    mirror = Registry(folder.as_uri())
    assert mirror.get("churn#current").local_path().read_text() == "{}"
