"""The jobs of "Publish a catalogue" make a site in a clone as a runner has it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import modelregistry as mr

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "publish-a-catalogue.md").read_text(encoding="utf-8")
INSTALL = "pip install 'modelregistry[site]'"


def job(first: str) -> Any:
    """The YAML that begins with that comment."""
    found = re.search(rf"^```yaml\n{re.escape(first)}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return yaml.safe_load(found[1])


def github() -> list[str]:
    (steps,) = (each["steps"] for each in job("# .github/workflows/catalogue.yml")["jobs"].values())
    assert steps[0]["with"] == {"fetch-depth": 0}
    assert steps[-2]["with"] == {"path": "public"}
    return [step["run"] for step in steps if "run" in step]


def gitlab() -> list[str]:
    pages = job("# .gitlab-ci.yml")["pages"]
    assert pages["artifacts"] == {"paths": ["public"]}
    assert pages["variables"] == {"GIT_DEPTH": 0}
    return list(pages["script"])


@pytest.mark.parametrize("script", [github, gitlab])
def test_the_job_makes_the_site_in_a_fresh_clone(project: Path, script: Any) -> None:
    registry = mr.Registry(project)
    registry.register("churn", rev="HEAD~1", message="Train a baseline")
    registry.promote("churn", "v0.1.0", "current")
    runner = project.parent / "runner"
    subprocess.run(["git", "clone", "--quiet", project.as_uri(), str(runner)], check=True)
    lines = script()
    assert lines[0] == INSTALL
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for line in lines[1:]:
        subprocess.run(["sh", "-ec", line], cwd=runner, check=True, env={**os.environ, "PATH": path})
    page = (runner / "public" / "models" / "churn" / "index.html").read_text(encoding="utf-8")
    assert "Our models" in page and "v0.1.0" in page
