"""A DVC project with models of every kind of name, built once and copied; and a plain repository of commits."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

from modelregistry import Registry
from tests.compat.views import GtoWriter, commits_with, git, new_repository, seen_by_gto, seen_by_us

COMMITS = 5
DVC_YAML = (
    "artifacts:\n  churn: {path: models/churn.bin, type: model}\n  risk: {path: risk.bin, type: model}\n"
)
NLP_YAML = "artifacts:\n  intent: {path: intent.bin, type: model}\n"


@pytest.fixture(scope="session")
def built_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``project``: five commits, each with other bytes of three models; and its DVC remote."""
    folder = tmp_path_factory.mktemp("compat")
    root = folder / "project"
    (root / "models").mkdir(parents=True)
    (root / "nlp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", os.fspath(folder))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.setenv("DVC_SITE_CACHE_DIR", os.fspath(folder / "site"))
        git(root, "init", "--quiet", "--template=", "--initial-branch=main")
        git(root, "config", "user.name", "Ann Author")
        git(root, "config", "user.email", "ann@example.com")
        patch.chdir(root)
        with Repo.init() as repo:
            with repo.config.edit() as settings:
                settings["core"]["remote"] = "storage"
                settings["remote"]["storage"] = {"url": "../../storage"}
            (root / "dvc.yaml").write_text(DVC_YAML)
            (root / "nlp" / "dvc.yaml").write_text(NLP_YAML)
            for number in range(COMMITS):
                (root / "models" / "churn.bin").write_text(f"churn {number}")
                (root / "nlp" / "intent.bin").write_text(f"intent {number}")
                (root / "risk.bin").write_text(f"risk {number}")  # in Git itself
                repo.add(["models/churn.bin", "nlp/intent.bin"])
                git(root, "add", "--all")
                git(root, "commit", "--quiet", "--message", f"Train {number}")
            repo.push(all_commits=True)
    return folder


@pytest.fixture
def project(built_project: Path, tmp_path: Path) -> Path:
    """The root of a copy of the DVC project; its commits are ``main~4`` to ``main``."""
    shutil.copytree(built_project, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / "project"


@pytest.fixture
def commits(tmp_path: Path) -> Path:
    """A repository of ten commits, ``main~9`` to ``main``, with no models declared."""
    return new_repository(tmp_path / "commits", commits_with(10))


@pytest.fixture
def gto_writes(commits: Path) -> GtoWriter:
    """``gto.api``, writing to the plain repository."""
    return GtoWriter(commits)


@pytest.fixture
def registry(commits: Path) -> Registry:
    """One ``Registry`` of the plain repository, kept open while others write."""
    return Registry(commits)


@pytest.fixture
def agree():
    """Check that GTO answers like us about the models; what is known to differ is compared in tests of its own."""

    def check(root: Path, registry: Registry, *models: str, after: str = "") -> None:
        for model in models:
            theirs, ours = seen_by_gto(root, model), seen_by_us(registry, model)
            assert theirs == ours, f"GTO and we differ about {model} after {after}"

    return check
