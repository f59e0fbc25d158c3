"""The jobs of "Deploy from CI" do what the page says: their steps are run as they stand there, as a runner runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import modelregistry as mr

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "deploy-from-ci.md"
TEXT = PAGE.read_text(encoding="utf-8")
TAG = "churn#current#2"
INSTALL = "pip install 'modelregistry[skops,s3]'"
DEPLOY = '#!/bin/sh\nset -e\ncp "$1"/churn.skops deployed.skops\nprintf "%s" "$2" > deployed.txt\n'


def block(language: str, first: str) -> str:
    found = re.search(rf"^```{language}\n{re.escape(first)}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def hub(project: Path) -> Path:
    """Where the project and its registry are pushed to: `current` has moved to v0.1.1."""
    hub = project.parent / "hub.git"
    git(project, "clone", "--quiet", "--bare", ".", str(hub))
    git(project, "remote", "add", "origin", hub.as_uri())
    registry = mr.Registry(project)
    registry.register("churn", rev="HEAD~1")
    registry.register("churn", rev="HEAD")
    registry.promote("churn", "v0.1.0", "current")
    registry.promote("churn", "v0.1.1", "current")
    return hub


def checkout(hub: Path, *, deep: bool) -> Path:
    """The runner's clone, where the project's relative DVC remote leads to the same place."""
    clone = hub.parent / "runner"
    git(hub.parent, "init", "--quiet", "--initial-branch=main", str(clone))
    git(clone, "remote", "add", "origin", hub.as_uri())
    some = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
    one = ["--depth=1", f"+refs/tags/{TAG}:refs/tags/{TAG}"]
    git(clone, "fetch", "--quiet", "--no-tags", "--prune", "origin", *(some if deep else one))
    git(clone, "checkout", "--quiet", "--force", f"refs/tags/{TAG}")
    (clone / "deploy.sh").write_text(DEPLOY)
    (clone / "deploy.sh").chmod(0o755)
    return clone


def run(clone: Path, script: str, shell: str, environment: dict[str, str]) -> None:
    """As the runner does: the script is a file, and the environment has what the job is told."""
    file = clone.parent / "script"
    file.write_text(script)
    command = {"python": [sys.executable, str(file)], "bash": ["bash", "-e", str(file)]}[shell]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=clone,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def outputs(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)<<(?:\S+)\n(.*)\nend-", text, re.MULTILINE))


def test_the_github_workflow_deploys_what_holds_the_stage(hub: Path) -> None:
    workflow: dict[Any, Any] = yaml.safe_load(block("yaml", "# .github/workflows/deploy.yml"))
    (pattern,) = workflow[True]["push"]["tags"]  # YAML 1.1 takes `on` for a truth value; GitHub does not
    assert re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]*"), TAG)
    checked, python, installed, *steps = workflow["jobs"]["deploy"]["steps"]
    assert checked == {"uses": "actions/checkout@v6", "with": {"fetch-depth": 0}}
    assert python["uses"] == "actions/setup-python@v6", "into the Python of the system, pip installs nothing"
    assert installed == {"run": INSTALL}
    clone = checkout(hub, deep=True)
    written: dict[str, dict[str, str]] = {}
    for step in steps:
        output = clone.parent / "output"
        output.write_text("")
        told = {
            name: re.sub(
                r"\$\{\{ steps\.(\w+)\.outputs\.(\w+) \}\}", lambda found: written[found[1]][found[2]], value
            )
            for name, value in step.get("env", {}).items()
        }
        run(
            clone, step["run"], step.get("shell", "bash"),
            {"GITHUB_REF": f"refs/tags/{TAG}", "GITHUB_OUTPUT": str(output), **told},
        )  # fmt: skip
        written[step.get("id", "")] = outputs(output.read_text())
    assert (clone / "deployed.txt").read_text() == "v0.1.1"
    expected = mr.download("churn@v0.1.1", "expected", registry=hub.parent / "project")
    assert (clone / "deployed.skops").read_bytes() == expected.read_bytes()


def test_the_gitlab_job_deploys_what_holds_the_stage(hub: Path) -> None:
    job = yaml.safe_load(block("yaml", "# .gitlab-ci.yml"))["deploy"]
    (rule,) = job["rules"]
    assert re.search(rule["if"].partition("=~ /")[2].rstrip("/"), TAG)
    assert job["variables"] == {"GIT_DEPTH": 0}
    installed, *script = job["script"]
    assert installed == INSTALL
    clone = checkout(hub, deep=True)
    (clone / "deploy.py").write_text(block("python", "# deploy.py"))
    run(clone, "\n".join(script), "bash", {"CI_COMMIT_TAG": TAG})
    assert (clone / "deployed.txt").read_text() == "v0.1.1"


def test_the_event_alone_is_told_in_the_clone_that_the_checkout_action_makes_by_default(hub: Path) -> None:
    clone = checkout(hub, deep=False)
    found = mr.event_from_ref(f"refs/tags/{TAG}", registry=clone)
    assert (found.event, found.version, found.stage) == ("assignment", "v0.1.1", "current")
    assert found.description == "Will the customer leave within a month?"


def test_after_an_older_checkout_action_a_sync_brings_the_event_that_started_the_job(hub: Path) -> None:
    clone = checkout(hub, deep=True)
    git(clone, "tag", "--force", TAG, f"{TAG}^{{commit}}")  # what it does to that tag
    assert mr.Registry(clone).get("churn#current").version == "v0.1.0", "the holder before"
    registry = mr.Registry(clone)
    with pytest.warns(mr.RegistryWarning, match="set aside"):
        registry.sync()
    assert registry.get("churn#current").version == "v0.1.1"
