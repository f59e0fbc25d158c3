"""A real DVC project with models of every kind, built once and copied; and a small one that is plainly in Git."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelregistry import Registry
from tests.integration.crew import Crew, crew
from tests.integration.projects import commit, dvc, git, init, run, write

TRAIN = """\
import json, sys
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
scale = float(open("params.yaml").read().split(":")[1])
X, y = load_iris(return_X_y=True)
model = LogisticRegression(C=scale, max_iter=400).fit(X, y)
joblib.dump(model, "models/churn.joblib")
json.dump({"accuracy": model.score(X, y)}, open("metrics.json", "w"))
"""
OTHERS = """\
import joblib, skops.io
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
X, y = load_iris(return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=400)).fit(X, y)
skops.io.dump(model, "models/risk.skops")
joblib.dump(model, "nlp/intent.joblib")
"""
DVC_YAML = """\
# The models of the team.
stages:
  train:
    cmd: {python} train.py
    deps: [train.py]
    params: [scale]
    outs: [models/churn.joblib]
    metrics:
    - metrics.json:
        cache: false
artifacts:
  churn:
    path: models/churn.joblib
    type: model
    desc: who leaves
    labels: [tabular, iris]
  risk: {{path: models/risk.skops, type: model}}
  bundle: {{path: bundle, type: model}}
  rules: {{path: plain/rules.json, type: model}}
  tables: {{path: plain/tables, type: model}}
  idle: {{path: plain/rules.json, type: model, desc: not yet}}
  iris: {{path: plain/tables, type: dataset}}
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``project``: a pipeline that ran twice (``main~1``, ``main``), and its DVC remote ``storage``."""
    top = tmp_path_factory.mktemp("built")
    settings = write(
        top / "gitconfig",
        "[user]\n\tname = Ann Author\n\temail = ann@example.com\n[commit]\n\tgpgSign = false\n",
    )
    root = init(top / "project")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOME": top, "GIT_CONFIG_GLOBAL": settings, "GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": top / "site",
        }.items():  # fmt: skip
            patch.setenv(name, os.fspath(value))
        dvc(root, "init", "--quiet")
        with (root / ".dvc" / "config").open("a") as file:
            file.write("[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../storage\n")
        write(root / "train.py", TRAIN)
        write(root / "params.yaml", "scale: 1.0\n")
        write(root / "dvc.yaml", DVC_YAML.format(python=sys.executable))
        write(root / "nlp" / "dvc.yaml", "artifacts:\n  intent: {path: intent.joblib, type: model}\n")
        write(root / "bundle" / "weights" / "a.bin", b"\0one")
        write(root / "bundle" / "b.json", "{}")
        write(root / "plain" / "rules.json", '{"rule": 1}')
        write(root / "plain" / "tables" / "x.csv", "1,2\n")
        write(root / "plain" / "tables" / "deep" / "y.csv", "3,4\n")
        (root / "models").mkdir()
        write(root / "others.py", OTHERS)
        run(root, sys.executable, "others.py")
        (root / "others.py").unlink()
        dvc(root, "add", "--quiet", "models/risk.skops", "bundle", "nlp/intent.joblib")
        dvc(root, "repro", "--quiet")
        commit(root, "Train 1")
        dvc(root, "push", "--quiet")
        write(root / "params.yaml", "scale: 0.5\n")
        dvc(root, "repro", "--quiet")
        commit(root, "Train 2")
        dvc(root, "push", "--quiet")
    return top


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """The root of a copy of the DVC project."""
    shutil.copytree(built, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / "project"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A small project whose two models, ``churn`` and ``risk``, are plainly in Git; three commits, other bytes each."""
    root = init(tmp_path / "plain")
    write(
        root / "dvc.yaml", "artifacts:\n  churn: {path: churn.json, type: model}\n  risk: {path: risk.json}\n"
    )
    for number in range(3):
        write(root / "churn.json", f'{{"churn": {number}}}')
        write(root / "risk.json", f'{{"risk": {number}}}')
        commit(root, f"Train {number}")
    return root


@pytest.fixture
def registry(plain: Path) -> Registry:
    """The registry of the small project, with two versions of ``churn``: v0.1.0, which is current, and v0.1.1."""
    found = Registry(plain)
    found.register("churn", rev="main~2")
    found.register("churn", rev="main~1")
    found.promote("churn", "v0.1.0", "current")
    return found


@pytest.fixture
def served(project: Path) -> Registry:
    """The project's registry: churn v0.1.0 is current; v0.2.0 has other bytes and holds nothing."""
    registry = Registry(project)
    registry.register("churn", rev="main~1")
    registry.register("churn", bump="minor")
    registry.promote("churn", "v0.1.0", "current")
    return registry


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of ours that is empty."""
    folder = tmp_path / "fresh-cache"
    monkeypatch.setenv("MODELREGISTRY_CACHE", os.fspath(folder))
    return folder


@pytest.fixture
def clone(hub: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a clone of the test's ``hub``, in which somebody of that name works."""

    def make(name: str) -> Path:
        git(tmp_path, "clone", "--quiet", hub.as_uri(), os.fspath(tmp_path / name))
        git(tmp_path / name, "config", "user.name", name.title())
        git(tmp_path / name, "config", "user.email", f"{name}@example.com")
        return tmp_path / name

    return make


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Crew]:
    """Processes that stand ready."""
    with crew(tmp_path / "reports") as found:
        yield found
