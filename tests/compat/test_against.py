"""What the page "Against others" says of GTO with DVC, each cell an experiment; see also the compatibility tests."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path

import dvc.api
import gto.api
import pytest
from dvc.repo import Repo

from tests.compat.views import git
from tests.integration.projects import gto as gto_program


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits with other bytes of ``model.bin``, both in the remote, and a version of each."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet", "--template=", "--initial-branch=main")
    git(root, "config", "user.name", "Ann Author")
    git(root, "config", "user.email", "ann@example.com")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.chdir(root)
    (root / "dvc.yaml").write_text("artifacts:\n  churn: {path: model.bin, type: model}\n")
    with Repo.init() as repo:
        with repo.config.edit() as settings:
            settings["core"]["remote"] = "storage"
            settings["remote"]["storage"] = {"url": str(tmp_path / "storage")}
        for number, content in enumerate(("first", "second"), 1):
            (root / "model.bin").write_text(content)
            repo.add("model.bin")
            git(root, "add", "--all")
            git(root, "commit", "--quiet", "--message", content)
            gto.api.register(".", "churn", "HEAD", version=f"v{number}.0.0")
        repo.push(all_commits=True)
    return root


def forge(storage: Path) -> None:
    """Other bytes of the same length where the second are kept, as read-only as DVC leaves what it keeps."""
    (kept,) = [path for path in storage.rglob("*") if path.is_file() and path.read_bytes() == b"second"]
    kept.chmod(0o644)
    kept.write_bytes(b"forged")
    kept.chmod(0o444)


def test_a_stage_has_its_history_with_who_when_and_why(project: Path) -> None:
    for version in ("v1.0.0", "v2.0.0"):
        gto.api.assign(".", "churn", "prod", version=version, message=f"{version} is good")
    events = [each for each in gto.api.history(".") if each["event"] == "assignment"]
    assert {(each["version"], each["author"]) for each in events} == {
        ("v1.0.0", "Ann Author"),
        ("v2.0.0", "Ann Author"),
    }
    words = git(project, "for-each-ref", "--format=%(contents)", "refs/tags/churn#prod#*")
    assert "v1.0.0 is good" in words and "v2.0.0 is good" in words


def test_a_stage_is_moved_by_whoever_comes_last() -> None:
    assert not {"expected", "if_holder", "previous"} & {*inspect.signature(gto.api.assign).parameters}


def test_other_bytes_in_the_cache_are_read_and_other_bytes_in_the_remote_are_pulled(project: Path) -> None:
    forge(project / ".dvc" / "cache")
    assert dvc.api.read("model.bin", rev="churn@v2.0.0") == "forged"

    shutil.rmtree(project / ".dvc" / "cache")
    (project / "model.bin").unlink()
    forge(project.parent / "storage")
    with Repo() as repo:
        repo.pull()
    assert (project / "model.bin").read_text() == "forged"


def test_a_deregistered_version_is_had_from_dvc_by_its_number(project: Path) -> None:
    gto.api.deregister(".", "churn", version="v2.0.0")
    with Repo() as repo:
        _, path = repo.artifacts.download("churn", version="v2.0.0", out="out.bin")
    assert Path(path).read_text() == "second"


def test_gto_has_no_search_no_permissions_and_no_pages(project: Path) -> None:
    commands = re.findall(r"^  ([a-z][a-z-]+)(?: \(\w+\))?  ", gto_program(project, "--help"), re.MULTILINE)
    assert commands == [
        *("check-ref", "show", "history", "stages", "doctor"),
        *("register", "assign", "deprecate"),
    ]  # fmt: skip
