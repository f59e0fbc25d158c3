"""The service of "Serve a model over HTTP", started by what its Dockerfile says and asked while the stage moves."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import numpy as np
import pytest

import modelregistry as mr

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
DOCKERFILE = (EXAMPLES / "Dockerfile").read_text()
VERSIONS = ("v0.1.0", "v0.1.1")
THREADS = 4


def command(instruction: str) -> list[str]:
    """The arguments that an instruction of the Dockerfile gives, for this Python."""
    found = re.search(rf"^{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    program, *arguments = json.loads(found[1])
    assert program == "python"
    return [sys.executable, *arguments]


@pytest.fixture
def registry(project: Path) -> mr.Registry:
    """Two versions, of which v0.1.0 is current, pushed to a hub that the service is told of."""
    hub = project.parent / "hub.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", ".", str(hub)], cwd=project, check=True)
    subprocess.run(["git", "remote", "add", "origin", hub.as_uri()], cwd=project, check=True)
    registry = mr.Registry(project)
    registry.register("churn", rev="HEAD~1")
    registry.register("churn", rev="HEAD")
    registry.promote("churn", "v0.1.0", "current")
    return registry


@pytest.fixture
def asked(registry: mr.Registry) -> tuple[list[list[float]], dict[str, list[float]]]:
    """Rows to which the two versions answer otherwise, and what each answers."""
    grid = np.random.default_rng(1).normal(size=(4000, 2))
    answers = {version: registry.get(f"churn@{version}").load().predict(grid) for version in VERSIONS}  # type: ignore[attr-defined]
    differs = answers["v0.1.0"] != answers["v0.1.1"]
    assert differs.any()
    return grid[differs].tolist(), {version: found[differs].tolist() for version, found in answers.items()}


@pytest.fixture
def service(registry: mr.Registry, tmp_path: Path) -> Iterator[tuple[httpx.Client, int, Path]]:
    """The running service, its port and its log; it is started by the command of the Dockerfile, but for where it listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        start = command("CMD")
        at = start.index("--host")
        assert start[at:] == ["--host", "0.0.0.0", "--port", "8000"]
        hub = registry.target.replace("/project", "/hub.git")
        environment = os.environ | {
            "MODELREGISTRY_URL": Path(hub).as_uri(),
            "EVERY": "0.1",
            "PYTHONUNBUFFERED": "1",
        }
        with open(tmp_path / "service.log", "wb") as log:
            running = subprocess.Popen(
                [*start[:at], "--fd", str(listener.fileno())], cwd=EXAMPLES, env=environment, stdout=log, stderr=log,
                pass_fds=[listener.fileno()],
            )  # fmt: skip
        try:
            # Who connects before it is ready waits in the queue of the socket.
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
                yield client, port, tmp_path / "service.log"
        finally:
            running.terminate()
            running.wait(timeout=60)
            print((tmp_path / "service.log").read_text())


def until(holds: Callable[[], bool]) -> None:
    for _ in range(5000):
        if holds():
            return
    raise AssertionError("it never came to be so")


def test_every_answer_is_that_of_the_version_it_names_while_the_stage_moves(
    registry: mr.Registry,
    asked: tuple[list[list[float]], dict[str, list[float]]],
    service: tuple[httpx.Client, int, Path],
) -> None:
    rows, expected = asked
    client, port, log = service
    done = Event()
    seen: set[str] = set()

    def ask() -> int:
        count = 0
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as own:
            while not done.is_set():
                answer = own.post("/predict", json={"rows": rows})
                assert answer.status_code == 200, answer.text
                found = answer.json()
                assert found["predictions"] == expected[found["version"]]
                seen.add(found["version"])
                count += 1
        return count

    def serves(version: str) -> bool:
        return bool(client.get("/version").json()["version"] == version)

    until(lambda: serves("v0.1.0"))
    with ThreadPoolExecutor(THREADS) as pool:
        asking = [pool.submit(ask) for _ in range(THREADS)]
        try:
            for version in ("v0.1.1", "v0.1.0", "v0.1.1"):
                registry.promote("churn", version, "current")
                until(lambda version=version: serves(version) or any(each.done() for each in asking))  # type: ignore[misc]
        finally:
            done.set()
        assert all(each.result() > 0 for each in asking)
    assert seen == set(VERSIONS)
    version = registry.get("churn@v0.1.1")
    assert client.get("/version").json() == {
        "model": "churn", "version": "v0.1.1", "digest": version.digest, "rev": version.rev,
    }  # fmt: skip

    registry.demote("churn", "current")
    until(
        lambda: (
            client.get("/health").is_success and "churn@v0.1.1 is served on: StageEmpty" in log.read_text()
        )
    )
    assert client.post("/predict", json={"rows": rows}).json()["version"] == "v0.1.1", (
        "the last one is served on"
    )
    assert client.get("/health").json() == {"status": "ok", "serving": "churn@v0.1.1"}
    check = [each.replace(":8000/", f":{port}/") for each in command("HEALTHCHECK CMD")]
    assert subprocess.run(check, check=False).returncode == 0
    assert client.post("/predict", json={"rows": "none"}).status_code == 422


def test_the_health_check_of_the_container_fails_where_nothing_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        check = [
            each.replace(":8000/", f":{unused.getsockname()[1]}/") for each in command("HEALTHCHECK CMD")
        ]
        assert subprocess.run(check, check=False, capture_output=True).returncode != 0


def test_the_image_copies_and_starts_what_is_there() -> None:
    copied = re.findall(r"^COPY (\S+) \.$", DOCKERFILE, re.MULTILINE)
    assert copied == ["service.py"] and (EXAMPLES / "service.py").is_file()
    assert "service:app" in command("CMD")
