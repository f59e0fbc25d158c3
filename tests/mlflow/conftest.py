"""Registries of MLflow's, built once by a Python of its own; and a DVC project to bring them to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelregistry import Registry
from tests.integration.projects import commit, dvc, init, write

BUILD = Path(__file__).with_name("build.py")
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # that of the tests' own calls


@dataclass(frozen=True)
class Source:
    """A registry of MLflow's."""

    folder: Path
    uri: str

    @property
    def predictions(self) -> Mapping[str, list[float]]:
        """What MLflow answers for the rows, by ``model/version``."""
        return json.loads((self.folder / "predictions.json").read_text())

    @property
    def rows(self) -> Mapping[str, list[float]]:
        return json.loads((self.folder / "rows.json").read_text())


def build(folder: Path, *arguments: str) -> Path:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, BUILD, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "HOME": os.fspath(folder), "GIT_PYTHON_REFRESH": "quiet"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def there(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A registry on SQLite, with all that one may hold. Tests only read it."""
    folder = build(tmp_path_factory.mktemp("there") / "mlflow")
    return Source(folder, f"sqlite:///{folder / 'mlflow.db'}")


@pytest.fixture(scope="session")
def file_store(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A small one in files."""
    folder = tmp_path_factory.mktemp("files") / "mlflow"
    build(folder, "little", (folder / "mlruns").as_uri())
    return Source(folder, os.fspath(folder / "mlruns"))


@pytest.fixture
def server(there: Source, tmp_path: Path) -> Iterator[Source]:
    """A server of a copy of the large registry, with a small model whose files the server itself keeps."""
    folder = tmp_path / "served"
    folder.mkdir()
    shutil.copy(there.folder / "mlflow.db", folder / "mlflow.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", os.fspath(folder / "kept")]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        uri = f"http://127.0.0.1:{port}"
        wait_for(f"{uri}/health", process)
        yield Source(build(folder / "little", "little", uri), uri)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the server does not answer")


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project without a model, to be copied."""
    return init(tmp_path_factory.mktemp("empty") / "project")


@pytest.fixture
def project(empty: Path, tmp_path: Path) -> Path:
    """A DVC project without a model."""
    if not (empty / ".dvc").exists():
        dvc(empty, "init", "--quiet")
        write(empty / "train.py", "print('hello')\n")
        commit(empty, "Begin")
    return Path(shutil.copytree(empty, tmp_path / "project"))


@pytest.fixture(autouse=True)
def nothing_is_left_lying(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """MLflow makes databases and folders in the current folder, if it is not told otherwise."""
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    yield
    assert not [*here.iterdir()]


@pytest.fixture
def registry(project: Path) -> Registry:
    return Registry(project)


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs code by another Python."""

    def run(code: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], input=stdin, cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.fspath(BUILD.parents[2])},
        )  # fmt: skip

    return run
