"""Artifacts of DVC come into a repository together, in one commit, or not at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import modelregistry as mr
from modelregistry.git.repo import GitRepo
from modelregistry.intake.arrivals import Arrival, check_arrivals, commit_arrivals
from modelregistry.project.declarations import Declarations
from tests.integration.projects import commit, git, init, visible, write

TEXT = b"outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  size: 0\n  hash: md5\n  path: x\n"


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    root = init(tmp_path / "project")
    write(root / "dvc.yaml", "# ours\nartifacts:\n  old: {path: old.bin, desc: stays}\n")
    write(root / "models" / ".gitignore", "/other")
    commit(root)
    return GitRepo.discover(root)


def test_several_come_in_one_commit_and_what_was_there_stays(repo: GitRepo) -> None:
    assert repo.root is not None
    arrivals = [
        Arrival("churn", "models/churn.bin", TEXT, description="who leaves", labels=["a"], meta={"x": 1}),
        Arrival("risk", "models/risk.bin", TEXT, type="dataset"),
        Arrival("eu:churn", "eu/models/churn", TEXT),
    ]
    base = check_arrivals(repo, [(each.model, each.path) for each in arrivals])
    made = commit_arrivals(repo, arrivals, "Bring them", base=base)

    assert git(repo.root, "rev-parse", "HEAD~1") == base
    assert set(git(repo.root, "diff-tree", "-r", "--name-only", "--no-commit-id", made).split()) == {
        "dvc.yaml", "models/.gitignore", "models/churn.bin.dvc", "models/risk.bin.dvc", "eu/dvc.yaml",
        "eu/models/.gitignore", "eu/models/churn.dvc",
    }  # fmt: skip
    declarations = Declarations(repo)
    churn, risk = declarations.require(made, "churn", None), declarations.require(made, "risk", None)
    assert (churn.path, churn.description, churn.labels, churn.meta) == (
        "models/churn.bin", "who leaves", ("a",), {"x": 1}
    )  # fmt: skip
    assert (risk.path, risk.type) == ("models/risk.bin", "dataset")
    assert declarations.require(made, "eu:churn", None).path == "eu/models/churn"
    assert declarations.require(made, "old", None).description == "stays"
    assert (repo.root / "dvc.yaml").read_text().startswith("# ours\n")
    assert (repo.root / "models" / ".gitignore").read_text() == "/other\n/churn.bin\n/risk.bin\n"
    assert commit_arrivals(repo, arrivals, "Bring them again") == made


@pytest.mark.parametrize(
    "name", ["plain.bin", "#hash", "!bang", "a*b?[c]", "back\\slash", "space ", "ümlaut"]
)
def test_git_ignores_the_bytes_whatever_they_are_called_and_nothing_else(name: str, repo: GitRepo) -> None:
    assert repo.root is not None
    commit_arrivals(repo, [Arrival("odd", f"models/{name}", TEXT)], "Odd")
    write(repo.root / "models" / name, "bytes")
    write(repo.root / "models" / "axbyc", "other bytes")
    assert git(repo.root, "status", "--porcelain") == "?? models/axbyc"
    checked = subprocess.run(
        ["git", "check-ignore", "--", os.fspath(repo.root / "models" / name)], cwd=repo.root, check=False
    )
    assert checked.returncode == 0


def test_one_that_can_t_come_keeps_the_others_out(repo: GitRepo) -> None:
    assert repo.root is not None
    write(repo.root / "models" / "risk.bin.dvc", "mine")
    before = visible(repo.root)
    arrivals = [Arrival("churn", "models/churn.bin", TEXT), Arrival("risk", "models/risk.bin", TEXT)]
    with pytest.raises(mr.WorkingCopyError, match=r"models/risk\.bin\.dvc"):
        commit_arrivals(repo, arrivals, "Bring them")
    assert visible(repo.root) == before


def test_what_git_keeps_or_is_nowhere_in_it_is_refused(repo: GitRepo) -> None:
    assert repo.root is not None
    write(repo.root / "kept" / "a.bin", "in Git")
    commit(repo.root)
    for path, error in [
        ("kept/a.bin", mr.WorkingCopyError), ("kept", mr.WorkingCopyError), ("../out.bin", mr.InvalidInputError)
    ]:  # fmt: skip
        with pytest.raises(error, match="kept in Git itself" if error is mr.WorkingCopyError else "Git root"):
            check_arrivals(repo, [("churn", path)])
