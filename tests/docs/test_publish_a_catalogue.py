"""The jobs of "Publish a catalogue" make the whole site in a clone as a runner has it, whatever started them."""

import html
import json
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
ALL = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]  # as both fetch without a depth
GITHUB, GITLAB, SEVERAL = (
    f"# {name}"
    for name in (".github/workflows/catalogue.yml", ".gitlab-ci.yml", ".github/workflows/all-models.yml")
)
BRANCH = "refs/remotes/origin/main"
TAG = "refs/tags/churn#current#1"


def block(first: str) -> str:
    """The YAML that begins with that comment."""
    found = re.search(rf"^```yaml\n{re.escape(first)}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def job(first: str) -> Any:
    """The one job in it."""
    read = yaml.safe_load(block(first))
    (found,) = read.get("jobs", read).values()
    return found


def github() -> list[str]:
    steps = job(GITHUB)["steps"]
    assert steps[0] == {"uses": "actions/checkout@v6", "with": {"fetch-depth": 0}}
    assert steps[1]["uses"] == "actions/setup-python@v6", (
        "into the Python of the system, pip installs nothing"
    )
    assert steps[-2]["with"] == {"path": "public"}
    return [step["run"] for step in steps if "run" in step]


def gitlab() -> list[str]:
    pages = job(GITLAB)
    assert pages["artifacts"] == {"paths": ["public"]}
    assert pages["variables"] == {"GIT_DEPTH": 0}
    return list(pages["script"])


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def hub(project: Path) -> Path:
    """Where the project and its registry are pushed to: ``current`` is held by a version of the older commit."""
    hub = project.parent / "hub.git"
    git(project, "clone", "--quiet", "--bare", ".", str(hub))
    git(project, "remote", "add", "origin", hub.as_uri())
    registry = mr.Registry(project)
    registry.register("churn", rev="HEAD~1", message="Train a baseline")
    registry.register("churn", rev="HEAD", message="Regularise less")
    registry.promote("churn", "v0.1.0", "current")
    registry.promote("churn", "v0.1.1", "shadow")
    (project / ".modelregistry.toml").write_text("[stages.review]\n[stages.current]\n[stages.shadow]\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Add a stage")
    git(project, "push", "--quiet", "origin", "main")
    return hub


def told(site: Path) -> Any:
    return json.loads((site / "catalogue.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("script", "start"),
    [
        pytest.param(github, ["-B", "main", BRANCH], id="GitHub, a push to the branch"),
        pytest.param(github, ["--force", TAG], id="GitHub, a tag of an older commit"),
        pytest.param(gitlab, ["--detach", BRANCH], id="GitLab, a push to the branch"),
        pytest.param(gitlab, ["--detach", TAG], id="GitLab, a tag of an older commit"),
    ],
)
def test_the_job_makes_the_whole_site_in_a_fresh_clone(hub: Path, script: Any, start: list[str]) -> None:
    runner = hub.parent / "runner"
    git(hub.parent, "init", "--quiet", "--initial-branch=main", str(runner))
    git(runner, "remote", "add", "origin", hub.as_uri())
    git(runner, "fetch", "--quiet", "--no-tags", "--prune", "origin", *ALL)
    git(runner, "checkout", "--quiet", *start)
    text = "\n".join(script())
    assert INSTALL in text
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "CI_DEFAULT_BRANCH": "main"}
    subprocess.run(["sh", "-ec", text.replace(INSTALL, "true")], cwd=runner, check=True, env=environment)
    mr.Registry(hub.parent / "project").export_site(hub.parent / "expected", title="Our models")
    assert told(runner / "public") == told(hub.parent / "expected")
    pages = [top / "models" / "churn" / "index.html" for top in (runner / "public", hub.parent / "expected")]
    assert pages[0].read_bytes() == pages[1].read_bytes(), "by the settings at the head of the branch"
    assert 'load_model("churn#shadow")' in html.unescape(pages[0].read_text(encoding="utf-8"))


def test_the_job_of_several_registries_reads_them_by_their_urls(hub: Path) -> None:
    (script,) = (step["run"] for step in job(SEVERAL)["steps"] if "shell" in step)
    for team in ("risk", "growth"):
        assert script.count(f"https://git.example.com/{team}/models.git") == 1
        script = script.replace(f"https://git.example.com/{team}/models.git", hub.as_uri())
    runner = hub.parent / "runner"
    runner.mkdir()
    subprocess.run([sys.executable, "-c", script], cwd=runner, check=True)
    page = (runner / "public" / "index.html").read_text(encoding="utf-8")
    assert "All models" in page and "risk" in page and "growth" in page
    assert (runner / "public" / "modelregistry-site.json").is_file()


@pytest.mark.parametrize("first", [GITHUB, GITLAB])
def test_the_job_has_ten_lines(first: str) -> None:
    lines = block(first).splitlines()
    assert len(lines[next(at for at, line in enumerate(lines) if line.strip() == "catalogue:") :]) <= 10
