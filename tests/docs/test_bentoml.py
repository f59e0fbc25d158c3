"""BentoML itself serves the service of the examples, which follows the stage. In a session of its own, since it is large."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx

import modelregistry as mr

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ROWS = [[0.3, -1.2], [4.0, 4.0]]


def test_bentoml_serves_what_holds_the_stage(project: Path, tmp_path: Path) -> None:
    registry = mr.Registry(project)
    registry.register("churn", rev="HEAD~1")
    registry.register("churn", rev="HEAD")
    registry.promote("churn", "v0.1.0", "current")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "MODELREGISTRY_URL": str(project), "EVERY": "0.1", "BENTOML_HOME": str(tmp_path / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    program = str(Path(sys.executable).with_name("bentoml"))
    serving = subprocess.Popen(
        [program, "serve", "bento_service:Churn", "--host", "127.0.0.1", "--port", str(port)],
        cwd=EXAMPLES, env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert serving.stdout is not None
    try:
        log: list[str] = []
        while not log or "initialized" not in log[-1]:
            log.append(serving.stdout.readline())
            assert log[-1], "".join(log)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

            def ask() -> dict[str, object]:
                return dict(client.post("/predict", json={"rows": ROWS}).raise_for_status().json())

            answers = {version: registry.get(f"churn@{version}").load() for version in ("v0.1.0", "v0.1.1")}
            assert ask() == {"version": "v0.1.0", "predictions": answers["v0.1.0"].predict(ROWS).tolist()}  # type: ignore[attr-defined]
            registry.promote("churn", "v0.1.1", "current")
            answer = next(found for found in (ask() for _ in range(2000)) if found["version"] == "v0.1.1")
            assert answer["predictions"] == answers["v0.1.1"].predict(ROWS).tolist()  # type: ignore[attr-defined]
    finally:
        serving.terminate()
        serving.communicate(timeout=60)
