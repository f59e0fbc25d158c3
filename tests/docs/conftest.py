"""The project that the code in the pages starts from: built once, copied for every page."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from s3fs import S3FileSystem

SOURCES = Path(__file__).with_name("project")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``project``, trained and committed twice, and ``storage``, its DVC remote."""
    folder = tmp_path_factory.mktemp("trained")
    project = folder / "project"
    shutil.copytree(SOURCES, project)
    environment = os.environ | {
        "HOME": str(folder),
        "DVC_NO_ANALYTICS": "1",
        # The steps say `python`, and mean the one that runs the tests.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }

    def run(*command: str) -> None:
        subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)

    def git(*arguments: str) -> None:
        run("git", *arguments)

    def dvc(*arguments: str) -> None:
        run(sys.executable, "-m", "dvc", *arguments)

    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.name", "Data Science")
    git("config", "user.email", "ds@example.com")
    dvc("init", "--quiet")
    dvc("remote", "add", "--default", "storage", "../storage")
    for strength, message in [("0.1", "Train a baseline"), ("10", "Regularise less")]:
        (project / "params.yaml").write_text(f"train:\n  C: {strength}\n")
        dvc("repro", "--quiet")
        dvc("push", "--quiet")
        git("add", "--all")
        git("commit", "--quiet", "--message", message)
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained project, which is also the current folder; nothing of the user's is seen."""
    shutil.copytree(trained, tmp_path / "copy", symlinks=True)
    home = tmp_path / "home"
    home.mkdir()
    for variable in [name for name in os.environ if name.startswith(("XDG_", "MODELREGISTRY_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(home))
    # A page types `dvc` and `gto`, and means those of this Python.
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    S3FileSystem.clear_instance_cache()  # they are connected to another page's server
    monkeypatch.chdir(tmp_path / "copy" / "project")
    return tmp_path / "copy" / "project"
